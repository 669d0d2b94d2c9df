"""P1 and P2: the gateway with full semantics against the frozen raw proxy; both before the same stub of agents.

The proxy under test has one core; the stub (one process, whatever the number of its doors) and the load program share
the other. Routing, admission, request ids and metrics are on, as the gateway always has them.
P1: 16 clients in a closed loop, as many environments: requests a second.
P2: an open loop with intended start times, both sides at the same rate: half of what the slower one was just seen to
reach with P1's load.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from . import backends, gateways
from .blocks import Name, Side, Start, Started, interleave, run_block
from .loads import EVENT, Stretch
from .machines import Cores
from .results import Comparison, Measured, latency_ratios
from .shapes import Plan

CLIENTS = 16
SENDERS = 64
"""Connections of the open loop: enough that a request waits for the system under test and not for a connection."""
_PROBE = Stretch(warmup_s=0.7, least_s=2.0, most_s=2.0)


def measure_throughput(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    sides: dict[Name, Side] = {"ours": Side(ours(CLIENTS, cores), CLIENTS), "theirs": Side(theirs(cores), CLIENTS)}
    comparison = Comparison.of("echo16", interleave(sides, plan.latency, cores, "P1"))
    ratio = comparison.ratio(lambda block: block.loaded.rate, plan.seed)
    return Measured({"rate_ratio": ratio, "errors": comparison.errors}, comparison.n, [comparison])


def measure_latency(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    return latency_at_half(plan, cores, lambda environments: ours(environments, cores), "P2")


def latency_at_half(plan: Plan, cores: Cores, ours_with: Callable[[int], Start], what: str) -> Measured:
    """A gateway with so many environments against the raw proxy, both at half of what the slower one reaches."""
    saturation = min(
        run_block("ours", Side(ours_with(CLIENTS), CLIENTS), _PROBE, cores).loaded.rate,
        run_block("theirs", Side(theirs(cores), CLIENTS), _PROBE, cores).loaded.rate,
    )
    stretch = dataclasses.replace(plan.latency.stretch, rate=saturation / 2)
    sides: dict[Name, Side] = {"ours": Side(ours_with(SENDERS), SENDERS), "theirs": Side(theirs(cores), SENDERS)}
    comparison = Comparison.of(
        "half", interleave(sides, dataclasses.replace(plan.latency, stretch=stretch), cores, what)
    )
    figures = {**latency_ratios(comparison, plan.seed), "offered_per_s": round(saturation / 2)}
    return Measured(figures, comparison.n, [comparison])


def ours(environments: int, cores: Cores, event: bytes = EVENT) -> Start:
    """The gateway, everybody let in."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with gateways.before_stubs(
            environments, gateway_core=cores.test, stub_core=cores.load, folder=folder, event=event
        ) as started:
            yield started

    return start


def theirs(cores: Cores, event: bytes = EVENT) -> Start:
    """The raw proxy."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with backends.raw_proxy(proxy_core=cores.test, stub_core=cores.load, folder=folder, event=event) as started:
            yield started

    return start

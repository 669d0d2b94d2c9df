"""P5: client → gateway → agent → runtime against AWS's Runtime Interface Emulator, which has no gateway at all.

`one-client`  echo, one client, closed loop, as P4 but at the gateway's public door: p50_ratio, p99_ratio
`sleep10`     16 clients on 8 environments with a handler that sleeps 10 ms: rate_ratio
`echo16`      the same with the echo handler: echo_rate_ratio, reported and not judged

The emulator runs one invocation at a time and refuses a second one, so one client is the most it can be given.
With one client, everything of a side (gateway, agent, runtime) shares the core under test. With 16, the gateway has
it alone: environments are its backend and share the other core with the load program.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import emulator, gateways, p4
from .blocks import Name, Shape, Side, Start, Started, interleave
from .machines import Cores
from .ratios import Ratio
from .results import Comparison, Measured, latency_ratios
from .shapes import Plan

CLIENTS, ENVIRONMENTS = 16, 8


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoEmulator, DidNotStart, LoadFailed."""
    emulator.binary()
    single = _compare("one-client", "echo", 1, 1, plan.latency, cores)
    sleeping = _compare("sleep10", "sleep10", CLIENTS, ENVIRONMENTS, plan.throughput, cores)
    echoing = _compare("echo16", "echo", CLIENTS, ENVIRONMENTS, plan.throughput, cores)
    figures: dict[str, Ratio | float] = {
        **latency_ratios(single, plan.seed),
        "rate_ratio": sleeping.ratio(lambda block: block.loaded.rate, plan.seed),
        "echo_rate_ratio": echoing.ratio(lambda block: block.loaded.rate, plan.seed),
        "errors": single.errors + sleeping.errors + echoing.errors,
    }
    return Measured(figures, single.n, [single, sleeping, echoing])


def _compare(name: str, function: str, clients: int, environments: int, shape: Shape, cores: Cores) -> Comparison:
    sides: dict[Name, Side] = {
        "ours": Side(ours(function, environments, cores), clients),
        "theirs": Side(p4.theirs(function, cores)),
    }
    return Comparison.of(name, interleave(sides, shape, cores, name))


def ours(function: str, environments: int, cores: Cores) -> Start:
    """A gateway before so many environments."""
    elsewhere = cores.test if environments == 1 else cores.load

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with gateways.fronted(
            function, environments, gateway_core=cores.test, environment_core=elsewhere, folder=folder
        ) as started:
            yield started

    return start

"""P7S, the streaming half of P7: an answer of 64 MB to one client, against a raw proxy that keeps no body either.

Both stand before the same stub of agents. What is judged is that nothing keeps the body: `grown_mb` is by how much the
gateway's peak of memory rises over what it had before its first answer. `mb_ratio` is reported: the gateway frames every
piece as an event with two checksums, the proxy does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import backends, gateways
from .blocks import Name, Side, Start, Started, interleave
from .loads import STREAMED_BYTES, STREAMING
from .machines import Cores
from .processes import peak_mb
from .results import Comparison, Measured
from .shapes import Plan

EVENT = b'{"stream": %d}' % STREAMED_BYTES


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    grown: list[float] = []
    sides: dict[Name, Side] = {
        "ours": Side(_ours(cores, grown), load=STREAMING),
        "theirs": Side(_theirs(cores), load=STREAMING),
    }
    comparison = Comparison.of("64mb", interleave(sides, plan.latency, cores, "P7S"))
    ratio = comparison.ratio(lambda block: block.loaded.rate, plan.seed)  # the bytes of an answer are the same
    figures = {"grown_mb": max(grown), "mb_ratio": ratio, "errors": comparison.errors}
    return Measured(figures, comparison.n, [comparison])


def _ours(cores: Cores, grown: list[float]) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with gateways.before_stubs(
            1, gateway_core=cores.test, stub_core=cores.load, folder=folder, event=EVENT, streaming=True
        ) as (target, processes):
            gateway = dict(processes)["gateway"]
            before = peak_mb(gateway.pid)
            yield target, processes
            grown.append(peak_mb(gateway.pid) - before)

    return start


def _theirs(cores: Cores) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with backends.raw_proxy(
            proxy_core=cores.test, stub_core=cores.load, folder=folder, event=EVENT, program="raw_stream_proxy"
        ) as started:
            yield started

    return start

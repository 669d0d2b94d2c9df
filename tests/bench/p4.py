"""P4: the agent alone against AWS's Runtime Interface Emulator; same handler, runtime client, interpreter, load.

The environment (agent or emulator, with its runtime) has one core, the load program the other. One client, closed
loop: the next request leaves when the message before it is complete. An answer counts from the request's first byte
to the end of its body. The agent says it as soon as the runtime has posted it and becomes idle afterwards, the emulator
waits until the runtime is idle: `rate_ratio`, reported and not judged, is the whole turn of both.
The agent's stdout and the emulator's go nowhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import agents, emulator
from .blocks import Name, Side, Start, Started, interleave
from .machines import Cores
from .results import Comparison, Measured, latency_ratios
from .shapes import Plan


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoEmulator, DidNotStart, LoadFailed."""
    emulator.binary()
    sides: dict[Name, Side] = {"ours": Side(ours("echo", cores)), "theirs": Side(theirs("echo", cores))}
    comparison = Comparison.of("echo", interleave(sides, plan.latency, cores, "P4"))
    rate = comparison.ratio(lambda block: block.loaded.rate, plan.seed)
    return Measured({**latency_ratios(comparison, plan.seed), "rate_ratio": rate}, comparison.n, [comparison])


def ours(function: str, cores: Cores) -> Start:
    """One agent with a claimed function."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with agents.claimed_agent(function, core=cores.test, folder=folder) as (target, process):
            yield target, [("agent", process)]

    return start


def theirs(function: str, cores: Cores) -> Start:
    """The emulator with the same function."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with emulator.emulated(function, core=cores.test, folder=folder) as (target, process):
            yield target, [("emulator", process)]

    return start

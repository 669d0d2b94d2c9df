"""A2: what freezing between invocations costs: the agent with it against the agent without, everything else alike.

The handler is an echo, one client, closed loop: the next event comes while the freeze may still be under way, which is
the dearest case. `cost_us` is what the median turn has become longer by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import agents
from .blocks import Name, Side, Start, Started, interleave
from .machines import Cores
from .results import Comparison, Measured, latency_ratios
from .shapes import Plan


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    sides: dict[Name, Side] = {"ours": Side(_agent(cores, "1")), "theirs": Side(_agent(cores, "0"))}
    comparison = Comparison.of("freeze", interleave(sides, plan.latency, cores, "A2"))
    medians = comparison.medians()
    cost = medians["ours"].get("p50_us", float("nan")) - medians["theirs"].get("p50_us", float("nan"))
    return Measured({**latency_ratios(comparison, plan.seed), "cost_us": cost}, comparison.n, [comparison])


def _agent(cores: Cores, freeze: str) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        settings = {"LAMBENT_FREEZE": freeze}
        with agents.claimed_agent("echo", core=cores.test, folder=folder, settings=settings) as (target, process):
            yield target, [("agent", process)]

    return start

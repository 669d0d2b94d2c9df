"""A1: what an agent takes of an environment's memory: its own resident pages, not the runtime's, warm and after load.

`rss_mb` is the largest of the agents' peaks (VmHWM); `pss_mb`, reported, counts pages that several agents share by
halves, as on a node with many environments of one image. `rate` of the invocations does not matter here.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import agents
from .loads import Stretch, load
from .machines import Cores
from .results import Measured
from .shapes import Plan

AGENTS, SHORT_AGENTS = 20, 5
INVOCATIONS = 500
_KB = 1024


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    sizes = list(_sizes(AGENTS if plan.full else SHORT_AGENTS, cores))
    return Measured(
        {"rss_mb": max(peak for peak, _ in sizes), "pss_mb": statistics.median(shared for _, shared in sizes)},
        len(sizes),
    )


def _sizes(count: int, cores: Cores) -> Iterator[tuple[float, float]]:
    """(peak, proportional) in MiB of one agent after the other, each after some hundred invocations."""
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder:
            with agents.claimed_agent("echo", core=cores.test, folder=Path(folder)) as (target, process):
                load(target, Stretch(0.0, 0.1, 4.0, requests=INVOCATIONS), connections=1, core=cores.load)
                yield _field(process.pid, "status", "VmHWM"), _field(process.pid, "smaps_rollup", "Pss")


def _field(pid: int, file: str, name: str) -> float:
    """A figure that /proc gives in kB, in MiB. Root may read it although the agent is not dumpable."""
    for line in Path(f"/proc/{pid}/{file}").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / _KB
    raise KeyError(name)

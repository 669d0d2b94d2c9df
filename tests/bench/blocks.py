"""Interleaved blocks: A B B A, each in fresh processes, until every side has enough samples and blocks.

A block during which the hypervisor or other processes took CPU time does not count, whatever it measured: a virtual
machine's neighbours move a p99 fivefold. When the machine does not calm down, there are too few samples for a pass.
"""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from . import machines
from .loads import SMALL, Loaded, Stretch, Target, load
from .machines import Cores
from .processes import family_cpu_seconds

Name = Literal["ours", "theirs"]
Started = tuple[Target, list[tuple[str, subprocess.Popen[bytes]]]]
"""Where to send, and the processes whose CPU time is worth knowing, with what they are (several may be the same)."""
Start = Callable[[Path], contextlib.AbstractContextManager[Started]]
"""Starts one side in an empty folder."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: how it is started, and how many connections it is given."""

    start: Start
    connections: int = 1
    load: str = SMALL
    """Which load program: see `loads`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of it: `blocks` and `n` samples a side that count, or at most `most_blocks` a side that do or do not."""

    stretch: Stretch
    blocks: int
    most_blocks: int
    n: int


@dataclass(frozen=True, slots=True)
class Block:
    """One measured stretch of one side. `cpu_us` per request, by process; `foreign` is what others had of the CPUs."""

    side: Name
    loaded: Loaded
    cpu_us: dict[str, float]
    foreign: float
    steal: float

    @property
    def disturbed(self) -> bool:
        """Whether the machine had something else to do. Real-time priority leaves others what it does not want."""
        return self.steal > machines.STOLEN or (self.foreign > machines.NOISY and not machines.real_time())

    def to_json(self) -> dict[str, Any]:
        """Flat enough to read."""
        return {
            "side": self.side,
            **dataclasses.asdict(self.loaded),
            "cpu_us": self.cpu_us,
            "foreign": self.foreign,
            "steal": self.steal,
        }


def order() -> Iterator[Name]:
    """A B B A, again and again: drift of the machine falls on both sides alike."""
    while True:
        yield "ours"
        yield "theirs"
        yield "theirs"
        yield "ours"


@dataclass(frozen=True, slots=True)
class Blocks:
    """In the order in which they ran. Only `quiet` ones count."""

    quiet: list[Block]
    disturbed: list[Block]


def interleave(sides: dict[Name, Side], shape: Shape, cores: Cores, what: str) -> Blocks:
    """Whole rounds of A B B A. Raises what starting a side or the load program raises."""
    blocks = Blocks([], [])
    turns = order()
    while not _enough(blocks, shape):
        for _ in range(4):
            name = next(turns)
            block = run_block(name, sides[name], shape.stretch, cores)
            _tell(what, block)
            (blocks.disturbed if block.disturbed else blocks.quiet).append(block)
    return blocks


def _enough(blocks: Blocks, shape: Shape) -> bool:
    if len(blocks.quiet) + len(blocks.disturbed) >= 2 * shape.most_blocks:
        return True
    ours = sum(block.side == "ours" for block in blocks.quiet)
    fewest = min(ours, len(blocks.quiet) - ours)
    return fewest >= shape.blocks and samples(blocks.quiet) >= shape.n


def samples(blocks: list[Block]) -> int:
    """Samples of the side that has fewer."""
    totals = {"ours": 0, "theirs": 0}
    for block in blocks:
        totals[block.side] += block.loaded.n
    return min(totals.values())


def run_block(name: Name, side: Side, stretch: Stretch, cores: Cores) -> Block:
    """Fresh processes, a fresh load program, one stretch."""
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder, side.start(Path(folder)) as (target, watched):
        before, busy = _cpu(watched), machines.cpu_times()
        loaded = load(target, stretch, connections=side.connections, core=cores.load, program=side.load)
        after, now = _cpu(watched), machines.cpu_times()
        used = {what: after[what] - before.get(what, 0.0) for what in after}
        own = sum(used.values()) + loaded.loader_cpu_us * loaded.sent / 1e6
        share = machines.shares(busy, now, own)
        cpu = {what: round(seconds / loaded.sent * 1e6, 1) for what, seconds in used.items()}
        return Block(name, loaded, cpu, foreign=share.foreign, steal=share.steal)


def _cpu(watched: list[tuple[str, subprocess.Popen[bytes]]]) -> dict[str, float]:
    """CPU seconds so far, by what a process is; what runs below it is counted apart."""
    found: dict[str, float] = {}
    for what, process in watched:
        own, below = family_cpu_seconds(process.pid)
        found[what] = found.get(what, 0.0) + own
        if below:
            found[f"{what}/runtime"] = found.get(f"{what}/runtime", 0.0) + below
    return found


def _tell(what: str, block: Block) -> None:
    loaded = block.loaded
    noise = f" not counted: others={block.foreign:.0%} stolen={block.steal:.1%}" if block.disturbed else ""
    print(
        f"  {what:<10} {block.side:<6} p50={loaded.latency['p50']:.0f}µs p99={loaded.latency['p99']:.0f}µs "
        f"rate={loaded.rate:.0f}/s n={loaded.n} errors={loaded.errors}{noise}",
        file=sys.stderr,
        flush=True,
    )

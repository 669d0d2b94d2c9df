"""What came of an id: figures with their intervals out of blocks, the printed line, and the file.

`not-run:machine-not-quiet`: not one block of a side counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import ratios
from .blocks import Block, Blocks, samples
from .ratios import Ratio
from .verdicts import Goal, judge


@dataclass(frozen=True, slots=True)
class Comparison:
    """One set of interleaved blocks; the `disturbed` ones do not count."""

    name: str
    blocks: list[Block]
    disturbed: list[Block] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, blocks: Blocks) -> Comparison:
        """What `interleave` gave."""
        return cls(name, blocks.quiet, blocks.disturbed)

    @property
    def n(self) -> int:
        """Samples of the side that has fewer."""
        return samples(self.blocks)

    @property
    def errors(self) -> int:
        """Of both sides: an error of theirs would make the comparison void."""
        return sum(block.loaded.errors for block in [*self.blocks, *self.disturbed])

    def ratio(self, figure: Callable[[Block], float], seed: int) -> Ratio:
        """Ours over theirs, of the block medians of one figure."""
        sides: dict[str, list[float]] = {"ours": [], "theirs": []}
        for block in self.blocks:
            sides[block.side].append(figure(block))
        return ratios.bootstrap(sides["ours"], sides["theirs"], seed)

    def medians(self) -> dict[str, dict[str, float]]:
        """Of each side, over its blocks, in µs and requests a second: for people."""
        found: dict[str, dict[str, float]] = {}
        for side in ("ours", "theirs"):
            own = [block for block in self.blocks if block.side == side]
            rows = [
                {
                    **{f"{name}_us": value for name, value in block.loaded.latency.items()},
                    "cycle_p50_us": block.loaded.cycle["p50"],
                    "rate": block.loaded.rate,
                    "loader_cpu_us": block.loaded.loader_cpu_us,
                    **{f"cpu_us[{what}]": used for what, used in block.cpu_us.items()},
                }
                for block in own
            ]
            found[side] = {name: ratios.median([row[name] for row in rows]) for name in rows[0]} if rows else {}
        return found


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures by name; those with an interval are Ratios. `n` is what the goal's n is held against."""

    figures: dict[str, Ratio | float]
    n: int
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def quiet(self) -> bool:
        """Whether every comparison has something that counts."""
        return all(comparison.n for comparison in self.comparisons)


BROKEN = "side-broken"
"""A reason for not-run that is our failure, unlike a machine without a second core."""


RESTLESS = "machine-not-quiet"
"""Wait, or use `chrt -r 10`; the blocks are in the file all the same."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One id, judged; with a `reason` it was not run, or nothing of it counts."""

    goal: Goal
    measured: Measured | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """As printed."""
        if self.measured is None or self.reason:
            return f"not-run:{self.reason}"
        return judge(self.goal, values(self.measured.figures), self.measured.n)

    @property
    def failed(self) -> bool:
        """Whether somebody has to look."""
        return self.verdict == "fail" or self.reason == BROKEN

    def line(self) -> str:
        """`P4 p50_ratio=0.63 p99_ratio=0.46 errors=0 n=50000 goal=0.75 pass`"""
        if self.measured is None or self.reason:
            return f"{self.goal.id} n=0 goal={self.goal} {self.verdict}"
        shown = [f"{name}={_shown(value)}" for name, value in values(self.measured.figures).items()]
        return " ".join([self.goal.id, *shown, f"n={self.measured.n}", f"goal={self.goal}", self.verdict])

    def to_json(self) -> dict[str, Any]:
        """Everything but the machine and the commit."""
        body: dict[str, Any] = {
            "id": self.goal.id,
            "line": self.line(),
            "verdict": self.verdict,
            "title": self.goal.title,
            "comparator": self.goal.comparator,
            "goal": {limit.figure: {"direction": limit.direction, "goal": limit.goal} for limit in self.goal.limits},
            "n_required": self.goal.n,
        }
        if self.measured is None:
            return body
        figures = {
            name: {"value": figure.value, "low": figure.low, "high": figure.high}
            if isinstance(figure, Ratio)
            else {"value": figure}
            for name, figure in self.measured.figures.items()
        }
        comparisons = {
            comparison.name: {
                "medians": comparison.medians(),
                "blocks": [block.to_json() for block in comparison.blocks],
                "disturbed": [block.to_json() for block in comparison.disturbed],
            }
            for comparison in self.measured.comparisons
        }
        return {**body, "n": self.measured.n, "figures": figures, "comparisons": comparisons}


def values(figures: dict[str, Ratio | float]) -> dict[str, float]:
    """Without the intervals."""
    return {name: figure.value if isinstance(figure, Ratio) else figure for name, figure in figures.items()}


def _shown(value: float) -> str:
    return f"{value:.0f}" if value == math.floor(value) else f"{value:.3g}"


def latency_ratios(comparison: Comparison, seed: int) -> dict[str, Ratio | float]:
    """p50_ratio, p99_ratio and the errors."""
    return {
        "p50_ratio": comparison.ratio(lambda block: block.loaded.latency["p50"], seed),
        "p99_ratio": comparison.ratio(lambda block: block.loaded.latency["p99"], seed),
        "errors": comparison.errors,
    }


def write(folder: Path, outcome: Outcome, about: dict[str, Any]) -> Path:
    """`<folder>/<ID>.json`, replaced whole."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.goal.id}.json"
    draft = path.with_suffix(".json.new")
    draft.write_text(json.dumps({**outcome.to_json(), **about}, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    return path

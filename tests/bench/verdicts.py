"""The verdict: one pure function over what `goals.toml` asks and what was measured."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GOALS_FILE = Path(__file__).with_name("goals.toml")

Direction = Literal["at_most", "at_least"]
Verdict = Literal["pass", "fail", "short"]


@dataclass(frozen=True, slots=True)
class Limit:
    """What one figure has to hold."""

    figure: str
    direction: Direction
    goal: float

    def holds(self, value: float) -> bool:
        """False also for NaN: what could not be measured has not been reached."""
        return value <= self.goal if self.direction == "at_most" else value >= self.goal


@dataclass(frozen=True, slots=True)
class Goal:
    """Everything that is asked of one id."""

    id: str
    title: str
    comparator: str
    n: int
    limits: tuple[Limit, ...]

    def __str__(self) -> str:
        """As in the printed line: the one number, or all of them in the order of the figures (0 errors apart)."""
        numbers = [f"{limit.goal:g}" for limit in self.limits if limit.figure != "errors"]
        return numbers[0] if len(set(numbers)) == 1 else ",".join(numbers)


def read_goals(path: Path = GOALS_FILE) -> dict[str, Goal]:
    """Raises ValueError (KeyError) for a goal that does not say everything."""
    return {name: _goal(name, entry) for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def _goal(name: str, entry: dict[str, object]) -> Goal:
    figures = entry["figures"]
    n = entry["n"]
    if not isinstance(figures, dict) or not figures or not isinstance(n, int) or n < 1:
        raise ValueError(f"{name}: needs figures and a positive n")
    limits = []
    for figure, asked in figures.items():
        if asked["direction"] not in ("at_most", "at_least"):
            raise ValueError(f"{name}.{figure}: direction is at_most or at_least")
        limits.append(Limit(figure, asked["direction"], float(asked["goal"])))
    return Goal(name, str(entry["title"]), str(entry["comparator"]), n, tuple(limits))


def judge(goal: Goal, figures: Mapping[str, float], n: int) -> Verdict:
    """Fail when any figure misses or is missing; short when all hold over fewer samples than asked; else pass."""
    if any(not limit.holds(figures.get(limit.figure, float("nan"))) for limit in goal.limits):
        return "fail"
    return "pass" if n >= goal.n else "short"

"""Statistics of a run: quantiles, the ratio of block medians and its bootstrap interval. Pure; the seed comes in."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 4000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over theirs. `low` and `high` bound it with 95 % confidence."""

    value: float
    low: float
    high: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of the ordered samples do not exceed (nearest rank); NaN of none."""
    if not ordered:
        return float("nan")
    rank = -(-len(ordered) * round(share * 10_000) // 10_000)  # ceil, in whole numbers
    return ordered[min(len(ordered), max(1, rank)) - 1]


def median(samples: Sequence[float]) -> float:
    """NaN of none."""
    return statistics.median(samples) if samples else float("nan")


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of our blocks over the median of theirs; NaN when a side has none or theirs is zero."""
    divisor = median(theirs)
    return median(ours) / divisor if divisor else float("nan")


def bootstrap(ours: Sequence[float], theirs: Sequence[float], seed: int) -> Ratio:
    """The ratio of medians with its percentile interval, over resampled pairs of neighbouring blocks.

    Blocks ran interleaved, so the k-th of each side saw the same machine: pairs keep that together.
    """
    value = ratio_of_medians(ours, theirs)
    pairs = list(zip(ours, theirs, strict=False))
    if not pairs:
        return Ratio(value, float("nan"), float("nan"))
    dice = random.Random(seed)
    found = sorted(_resampled(pairs, dice) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    return Ratio(value, quantile(found, tail), quantile(found, 1 - tail))


def _resampled(pairs: Sequence[tuple[float, float]], dice: random.Random) -> float:
    drawn = dice.choices(pairs, k=len(pairs))
    return ratio_of_medians([ours for ours, _ in drawn], [theirs for _, theirs in drawn])

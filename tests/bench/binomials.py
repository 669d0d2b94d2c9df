"""Exact intervals of the binomial distribution: what a fair split may look like."""

from __future__ import annotations

import math
from itertools import accumulate


def interval(n: int, p: float, confidence: float) -> tuple[int, int]:
    """The smallest and the largest count that are in no tail of (1 - confidence) / 2. Exact but for rounding.

    `n` trials, each a hit with probability `p` between 0 and 1.
    """
    tail, logs = (1 - confidence) / 2, math.lgamma(n + 1)
    masses = (
        math.exp(logs - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p))
        for k in range(n + 1)
    )
    below = list(accumulate(masses))
    low = next(k for k, mass in enumerate(below) if mass > tail)
    high = next(k for k, mass in enumerate(below) if mass >= 1 - tail)
    return low, high

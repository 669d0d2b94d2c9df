"""The interval of a fair split, held against sums of exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from tests.bench.binomials import interval


def exactly(n: int, p: Fraction, confidence: Fraction) -> tuple[int, int]:
    masses = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    tail = (1 - confidence) / 2
    low = next(k for k in range(n + 1) if sum(masses[: k + 1]) > tail)
    high = next(k for k in range(n + 1) if sum(masses[: k + 1]) >= 1 - tail)
    return low, high


@pytest.mark.parametrize("n", [1, 10, 200])
@pytest.mark.parametrize("p", [Fraction(1, 20), Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
def test_the_interval_is_that_of_exact_fractions(n, p):
    assert interval(n, float(p), 0.999) == exactly(n, p, Fraction(999, 1000))


def test_at_100_000_it_is_as_narrow_as_the_normal_distribution_says():
    """Of 10 %: within 3.29 standard deviations of the mean, or nearly."""
    low, high = interval(100_000, 0.1, 0.999)
    assert (10_000 - low, high - 10_000) == pytest.approx((312, 312), abs=6)

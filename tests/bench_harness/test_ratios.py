"""The statistics of the bench."""

import math
import random

import pytest
from tests.bench import ratios


@pytest.mark.parametrize(
    ("samples", "share", "expected"),
    [
        pytest.param([7.0], 0.99, 7.0, id="of one sample every quantile is that sample"),
        pytest.param([1.0, 2.0, 3.0, 4.0], 0.5, 2.0, id="the median of four is the second: no sample is made up"),
        pytest.param([1.0, 2.0, 3.0, 4.0, 5.0], 0.5, 3.0, id="the median of five is the third"),
        pytest.param([float(n) for n in range(1, 101)], 0.99, 99.0, id="p99 of 1..100 is 99"),
        pytest.param([float(n) for n in range(1, 1001)], 0.999, 999.0, id="p99.9 of 1..1000 is 999"),
        pytest.param([1.0, 9.0], 1.0, 9.0, id="the last quantile is the maximum"),
        pytest.param([1.0, 9.0], 0.0, 1.0, id="the first quantile is the minimum"),
    ],
)
def test_a_quantile_is_the_sample_of_nearest_rank(samples, share, expected):
    assert expected == ratios.quantile(samples, share)


def test_nothing_has_no_quantile_and_no_median():
    assert math.isnan(ratios.quantile([], 0.5))
    assert math.isnan(ratios.median([]))


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param([1.0, 2.0, 3.0], [4.0, 4.0, 4.0], 0.5, id="median over median"),
        pytest.param([1.0, 1.0, 100.0], [2.0, 2.0, 2.0], 0.5, id="one disturbed block does not move it"),
        pytest.param([3.0], [1.5, 1.5], 2.0, id="sides may differ in blocks"),
    ],
)
def test_the_ratio_is_of_block_medians(ours, theirs, expected):
    assert expected == ratios.ratio_of_medians(ours, theirs)


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.0]), ([1.0], []), ([1.0], [0.0])])
def test_a_side_without_blocks_or_with_zero_gives_no_ratio(ours, theirs):
    assert math.isnan(ratios.ratio_of_medians(ours, theirs))


def _noisy(seed, centre):
    dice = random.Random(seed)
    return [dice.gauss(centre, centre / 10) for _ in range(8)]


def test_the_interval_depends_on_nothing_but_the_samples_and_the_seed():
    ours, theirs = _noisy(1, 0.6), _noisy(2, 1.0)
    first = ratios.bootstrap(ours, theirs, seed=7)
    random.seed(99)
    assert first == ratios.bootstrap(ours, theirs, seed=7)
    other = ratios.bootstrap(ours, theirs, seed=8)
    assert first.value == other.value
    assert (first.low, first.high) != (other.low, other.high)


def test_the_interval_holds_the_ratio_and_grows_with_the_noise():
    ours, theirs = _noisy(1, 0.6), _noisy(2, 1.0)
    found = ratios.bootstrap(ours, theirs, seed=7)
    assert found.low <= found.value <= found.high
    still = ratios.bootstrap([0.6] * 8, [1.2] * 8, seed=7)
    assert (0.5, 0.5, 0.5) == (still.low, still.value, still.high)


def test_blocks_are_resampled_in_pairs_so_that_drift_of_the_machine_cancels():
    drift = [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]
    found = ratios.bootstrap([0.5 * slow for slow in drift], drift, seed=7)
    assert found.low == pytest.approx(0.5) == found.high


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        found = ratios.bootstrap(_noisy(seed * 2 + 1000, 0.6), _noisy(seed * 2 + 1001, 1.0), seed=seed)
        covered += found.low <= 0.6 <= found.high
    assert covered >= 50

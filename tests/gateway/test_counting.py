"""What pools count, and how soon the controller hears of it."""

from __future__ import annotations

import pytest

from lambent.adapters.telemetry import metrics
from lambent.gateway import pools as pooling
from lambent.gateway.pools import Pools
from lambent.model.environments import Key

KEY = Key("u", "1", "r")


class Told:
    """Pools with a clock of ours, and what was told at once."""

    def __init__(self):
        self.now = 100.0
        self.keys = []
        self.pools = Pools(self.keys.append, lambda _route: None)
        self.pools.clock = lambda: self.now
        self.pool = self.pools.get(KEY)


@pytest.fixture
async def told():
    return Told()


def count(told, what):
    if what == "throttle":
        told.pools.count_throttle(told.pool, metrics.THROTTLE_CONCURRENCY)
    else:
        told.pools.count_outcome(told.pool, what)


TROUBLES = (metrics.OUTCOME_FUNCTION_ERROR, metrics.OUTCOME_SERVICE_ERROR, "throttle")


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_first_trouble_is_told_at_once_and_of_many_not_each(told, trouble):
    """A function that always fails must not cost a line of demand for every request."""
    count(told, trouble)
    assert told.keys == [KEY]
    for _ in range(1000):
        count(told, trouble)
    assert told.keys == [KEY]
    told.now += pooling.TROUBLES_EVERY_SECONDS
    count(told, trouble)
    assert told.keys == [KEY, KEY]


async def test_success_is_told_with_the_line_of_each_second_only(told):
    for _ in range(10):
        count(told, metrics.OUTCOME_SUCCESS)
    assert told.keys == []
    assert (told.pool.invocations, told.pool.errors, told.pool.throttles) == (10, 0, 0)


async def test_what_is_told_has_been_counted(told):
    seen = []
    told.pools._changed = lambda _key: seen.append((told.pool.invocations, told.pool.errors))
    count(told, metrics.OUTCOME_FUNCTION_ERROR)
    assert seen == [(1, 1)]

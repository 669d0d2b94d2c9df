"""Two looks at the gateways' counters, and what happened between them."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lambent.adapters.telemetry import metrics
from lambent.cli import rates
from lambent.cli.rates import Activity, Counts, Look, between

HELLO = ("default", "hello", "$LATEST")


def test_the_gateways_own_exposition_is_understood():
    """The families by the names that the gateway really exports; a name that changes there fails here."""
    registry = CollectorRegistry()
    function = metrics.Metrics(registry).function(HELLO, lambda: 3)
    function.invocations[metrics.OUTCOME_SUCCESS].inc(5)
    function.invocations[metrics.OUTCOME_FUNCTION_ERROR].inc(2)
    function.invocations[metrics.OUTCOME_SERVICE_ERROR].inc(1)
    function.throttles[metrics.THROTTLE_CONCURRENCY].inc(4)
    function.init.observe(0.2)
    function.duration.observe(0.003)
    [(key, counts)] = rates.parse(generate_latest(registry).decode()).items()
    assert key == HELLO
    assert (counts.running, counts.invocations, counts.errors) == (3, 8, 3)
    assert (counts.throttles, counts.cold_starts) == (4, 1)
    assert (counts.durations[0.0025], counts.durations[0.005], counts.durations[math.inf]) == (0, 1, 1)


def look(at, **counts):
    return {"gateway": Look(at, {HELLO: Counts(**counts)})}


def test_rates_are_differences_a_second():
    """Counters of the first look are history."""
    before = look(10, invocations=100, errors=50, throttles=7, cold_starts=1, durations={1.0: 90, math.inf: 100})
    after = look(
        12, invocations=120, errors=55, throttles=9, cold_starts=2, running=4, durations={1.0: 108, math.inf: 120}
    )
    activity = between(before, after)[HELLO]
    assert (activity.invocations, activity.errors, activity.throttles, activity.cold_starts) == (10, 2.5, 1, 0.5)
    assert (activity.running, activity.error_share, activity.durations) == (4, 0.25, {1.0: 18, math.inf: 20})


def test_a_gateway_that_started_anew_counts_from_nothing():
    """As Prometheus takes a counter that fell."""
    assert between(look(10, invocations=100), look(12, invocations=6))[HELLO].invocations == 3


def test_a_gateway_that_was_not_there_before_gives_concurrency_only():
    """All it has counted so far happened at an unknown time."""
    activity = between({}, look(12, invocations=1000, running=2))[HELLO]
    assert (activity.invocations, activity.running) == (0, 2)


def test_gateways_are_added_up():
    """One row a function, over all of them."""
    before = {name: Look(0, {HELLO: Counts()}) for name in "ab"}
    after = {name: Look(1, {HELLO: Counts(running=1, invocations=5)}) for name in "ab"}
    activity = between(before, after)[HELLO]
    assert (activity.running, activity.invocations) == (2, 10)


@pytest.mark.parametrize(
    ("durations", "share", "seconds"),
    [
        ({}, 0.5, None),
        ({0.1: 0, math.inf: 0}, 0.5, None),
        ({0.1: 10, 0.2: 10, math.inf: 10}, 0.5, 0.05),
        ({0.1: 0, 0.2: 10, math.inf: 10}, 0.5, 0.15),
        ({0.1: 5, 0.2: 10, math.inf: 10}, 0.9, 0.18),
        ({0.1: 0, math.inf: 10}, 0.5, math.inf),
    ],
)
def test_quantiles_are_interpolated_as_prometheus_does(durations, share, seconds):
    """Beyond the last bound nothing is known."""
    found = Activity(durations=durations).quantile(share)
    assert found == seconds if seconds in (None, math.inf) else found == pytest.approx(seconds)

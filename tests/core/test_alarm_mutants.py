"""Rules of alarms, metering and pointing have mutants too, and their own tests catch every one of them."""

from dataclasses import replace
from itertools import zip_longest

import pytest
from tests.core import test_alarms, test_metering, test_pointing

from lambent.core import alarms, metering, pointing
from lambent.core.metering import Meter


def rows(test, table):
    """A test with all rows of its table."""
    return lambda: [test(row) for row in table]


def metered(test):
    """A test of a meter that watches the version that it is about."""

    def run():
        meter = Meter()
        meter.watch(test_metering.TWO, test_metering.NOW)
        test(meter)

    return run


READS = rows(test_alarms.test_an_alarm_on_the_gateways_counters_reads, test_alarms.METRICS)
ANSWERS = rows(test_alarms.test_an_alarm_on_a_query_reads, test_alarms.ANSWERS)
QUANTILES = rows(test_alarms.test_a_quantile_is_what_prometheus_estimates, test_alarms.QUANTILES)
TARGETS = rows(test_pointing.test_an_alias_points_to, test_pointing.TARGETS)
PROBLEMS = rows(test_pointing.test_an_alias_cannot_point_when_there_is, test_pointing.PROBLEMS)
REFUSED = rows(test_pointing.test_what_admission_refuses_is_no_target_either, test_pointing.REFUSED)


def never_anew(before, after):
    return tuple(max(0, new - old) for old, new in zip_longest(before, after, fillvalue=0))


def upper(q, buckets, bounds):
    place = next((place for place, count in enumerate(buckets) if count), None)
    return None if place is None else float((*bounds, bounds[-1])[place])


MUTANTS = {
    "what was watched for too short is taken for whole": (alarms, "SLACK_SECONDS", 100.0, READS),
    "a word that is late makes a window too short": (alarms, "SLACK_SECONDS", 0.0, READS),
    "too few samples are enough": (
        alarms, "_value", lambda alarm, seen, bounds: alarms_value(alarm, replace(seen, invocations=1000), bounds), READS,
    ),
    "no value is no breach": (alarms, "_compared", lambda alarm, value, missing: compared(alarm, value or 0, missing), ANSWERS),
    "within a bucket nothing is estimated": (alarms, "quantile", upper, READS),
    "what is in no string is not escaped": (alarms, "_escaped", str, test_alarms.test_a_value_cannot_leave_its_string),
    "counters that begin anew are not seen": (
        metering, "_grown", never_anew, metered(test_metering.test_counters_that_are_smaller_began_anew),
    ),
    "a break changes nothing": (
        metering._Watched, "begin", lambda watched, now: begin(watched, now) if not hasattr(watched, "since") else None,
        metered(test_metering.test_a_break_begins_every_window_anew),
    ),
    "a window is as long as memory": (
        metering._Ring, "at", lambda ring, moment: ring._samples[0][1],
        metered(test_metering.test_what_is_quiet_leaves_the_window),
    ),
    "memory has no end": (
        metering._Ring, "put", lambda ring, at, totals, keep: ring._samples.append((at, totals)),
        lambda: test_metering.test_memory_is_bounded_however_long_it_is_watched(60),
    ),
    "roles need not be the same": (pointing, "_mismatch", lambda *given: None, PROBLEMS),
    "roles are compared as they are spelled": (pointing, "_account", lambda role: role, TARGETS),
    "what admission refuses is believed": (pointing, "_refusal", lambda alias: None, REFUSED),
    "the version before a rollout is forgotten": (
        pointing, "_rolled_out_from", lambda alias: alias.status.routing and alias.status.routing.function_version, PROBLEMS,
    ),
}  # fmt: skip

alarms_value, compared, begin = alarms._value, alarms._compared, metering._Watched.begin


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_test_catches_the_mutant(mutant, monkeypatch):
    where, name, wrong, test = MUTANTS[mutant]
    test()
    monkeypatch.setattr(where, name, wrong)
    with pytest.raises(AssertionError):
        test()

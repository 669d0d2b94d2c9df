"""Is an alarm on? Tables of windows and answers, and quantiles as Prometheus estimates them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.core.alarms import (
    PrometheusFailure,
    QueryNames,
    Reading,
    Window,
    quantile,
    query,
    read_metric,
    read_prometheus,
)
from lambent.model.rollouts import Alarm

BOUNDS = (0.1, 0.5, 1.0)
SHORT = {">": "GreaterThanThreshold", ">=": "GreaterThanOrEqualToThreshold", "<": "LessThanThreshold", "<=": "LessThanOrEqualToThreshold"}  # fmt: skip


def alarm(metric="ErrorRate", threshold=5.0, sign=">", **fields):
    return Alarm(name="a", metric=metric, threshold=threshold, comparison_operator=SHORT[sign], **fields)


def window(invocations=100, errors=0, throttles=0, buckets=(0, 0, 0, 0), watched=60.0):
    return Window(invocations, errors, throttles, buckets, watched)


METRICS = {
    "no errors": (alarm(), window(), "OK", "ErrorRate is 0 %, not > 5 %"),
    "as many as the threshold": (alarm(), window(errors=5), "OK", "ErrorRate is 5 %, not > 5 %"),
    "more than the threshold": (alarm(), window(errors=6), "ALARM", "ErrorRate is 6 %, > 5 %"),
    "at the threshold, which is too much": (alarm(sign=">="), window(errors=5), "ALARM", "ErrorRate is 5 %, >= 5 %"),
    "below what is wanted": (alarm(sign="<"), window(errors=4), "ALARM", "ErrorRate is 4 %, < 5 %"),
    "at what is wanted": (alarm(sign="<"), window(errors=5), "OK", "ErrorRate is 5 %, not < 5 %"),
    "at what is too little": (alarm(sign="<="), window(errors=5), "ALARM", "ErrorRate is 5 %, <= 5 %"),
    "too few to say": (
        alarm(), window(9, 9), "INSUFFICIENT_DATA", "9 invocations in the period, 10 are needed",
    ),
    "just enough to say": (alarm(), window(10, 10), "ALARM", "ErrorRate is 100 %, > 5 %"),
    "fewer, but fewer are enough": (alarm(minimum_samples=1), window(1, 1), "ALARM", "ErrorRate is 100 %, > 5 %"),
    "errors need no minimum": (alarm("Errors", 0), window(1, 1), "ALARM", "Errors is 1, > 0"),
    "no invocation, no error": (alarm("Errors", 0), window(0), "OK", "Errors is 0, not > 0"),
    "throttles": (alarm("Throttles", 2), window(0, throttles=3), "ALARM", "Throttles is 3, > 2"),
    "throttles that are few": (alarm("Throttles", 2), window(0, throttles=2), "OK", "Throttles is 2, not > 2"),
    "durations": (
        alarm("DurationP99", 400), window(buckets=(90, 0, 10, 0)), "ALARM", "DurationP99 is 950 ms, > 400 ms",
    ),
    "short durations": (
        alarm("DurationP99", 400), window(buckets=(100, 0, 0, 0)), "OK", "DurationP99 is 99 ms, not > 400 ms",
    ),
    "durations beyond the last bound": (
        alarm("DurationP99", 400), window(buckets=(0, 0, 0, 100)), "ALARM", "DurationP99 is 1000 ms, > 400 ms",
    ),
    "durations of too few": (
        alarm("DurationP99", 400), window(3, buckets=(0, 0, 3, 0)),
        "INSUFFICIENT_DATA", "3 invocations in the period, 10 are needed",
    ),
    "invocations whose durations are not counted": (
        alarm("DurationP99", 400), window(buckets=()),
        "INSUFFICIENT_DATA", "none of 100 invocations has ended",
    ),
    "watched as long as wanted, but for a word": (alarm(), window(watched=58.5), "OK", "ErrorRate is 0 %, not > 5 %"),
    "watched for too short": (
        alarm(), window(watched=30), "UNAVAILABLE",
        "the gateways' counters were watched without a break for 30 of the last 60 s",
    ),
    "watched for too short, and too few to say": (
        alarm(), window(1, watched=30), "UNAVAILABLE",
        "the gateways' counters were watched without a break for 30 of the last 60 s",
    ),
    "watched for too short, but too much already": (
        alarm(), window(errors=50, watched=30), "ALARM", "ErrorRate is 50 %, > 5 %",
    ),
    "watched for too short to say that it is too little": (
        alarm("Errors", 5, "<"), window(errors=1, watched=30), "UNAVAILABLE",
        "the gateways' counters were watched without a break for 30 of the last 60 s",
    ),
    "not watched": (alarm(), None, "UNAVAILABLE", "the gateways' counters are not watched"),
}  # fmt: skip


@pytest.mark.parametrize("row", METRICS)
def test_an_alarm_on_the_gateways_counters_reads(row):
    one, seen, state, message = METRICS[row]
    assert read_metric(one, seen, 60.0, BOUNDS) == Reading(state, message)


def test_a_window_that_need_not_be_long_is_whole_at_once():
    assert read_metric(alarm("Errors", 0), window(0, watched=0.0), 0.0, BOUNDS).state == "OK"


ANSWERS = {
    "below": (1.5, "OK", "the query is 1.5, not > 5"),
    "above": (5.25, "ALARM", "the query is 5.25, > 5"),
    "above all": (float("inf"), "ALARM", "the query is inf, > 5"),
    "no sample": (None, "INSUFFICIENT_DATA", "the query has no sample as its result"),
    "no number": (float("nan"), "INSUFFICIENT_DATA", "the query has no sample as its result"),
    "nobody there": (
        PrometheusFailure("connection refused"), "UNAVAILABLE", "Prometheus cannot be asked: connection refused",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ANSWERS)
def test_an_alarm_on_a_query_reads(row):
    answer, state, message = ANSWERS[row]
    one = Alarm(name="a", prometheus={"query": "up"}, threshold=5)
    assert read_prometheus(one, answer) == Reading(state, message)


def test_a_long_story_of_a_failure_is_cut():
    one = Alarm(name="a", prometheus={"query": "up"}, threshold=5)
    assert len(read_prometheus(one, PrometheusFailure("x" * 5000)).message) == 1024


NAMES = QueryNames("shop", "hello", "live", "3", "$LATEST")
QUERIES = {
    "every placeholder": (
        'x{n="${namespace}", f="${function}", a="${alias}", v="${version}"} / x{v="${previousVersion}"}',
        'x{n="shop", f="hello", a="live", v="3"} / x{v="$LATEST"}',
    ),
    "one twice": ("${alias} ${alias}", "live live"),
    "what is none of ours": ("${other} $version ${ version }", "${other} $version ${ version }"),
    "nothing": ("up", "up"),
}


@pytest.mark.parametrize("row", QUERIES)
def test_a_query_says(row):
    text, expected = QUERIES[row]
    assert query(Alarm(name="a", prometheus={"query": text}, threshold=5), NAMES) == expected


def test_a_value_cannot_leave_its_string():
    names = QueryNames('a"} or x{b="', "c'd", "e\\", "1\n", "`2`")
    one = Alarm(
        name="a", prometheus={"query": "${namespace}${function}${alias}${version}${previousVersion}"}, threshold=5
    )
    text = query(one, names)
    assert not set(text) & set("\"'`\n")
    assert text.encode().decode("unicode_escape") == "".join((names.namespace, names.function, names.alias, "1\n`2`"))


def test_a_placeholder_in_a_value_is_no_placeholder():
    assert (
        query(
            Alarm(name="a", prometheus={"query": "${function}"}, threshold=5), QueryNames("", "${alias}", "x", "", "")
        )
        == "${alias}"
    )


# --- quantiles: (q, buckets, bounds, expected) with what histogram_quantile says of the same histogram -----------------

QUANTILES = {
    "in the middle of a bucket": (0.5, (0, 10, 0), (1, 2), 1.5),
    "in the first bucket, from 0 on": (0.5, (10, 0, 0), (1, 2), 0.5),
    "at the end of a bucket": (0.5, (5, 5, 0), (1, 2), 1.0),
    "in the last bucket: the last bound": (0.99, (0, 0, 10), (1, 2), 2.0),
    "over an empty bucket": (0.75, (2, 0, 2, 0), (1, 2, 4), 3.0),
    "one sample": (0.99, (0, 1, 0), (1, 2), 1.99),
    "no sample": (0.99, (0, 0, 0), (1, 2), None),
    "no bucket": (0.99, (), (1, 2), None),
}


@pytest.mark.parametrize("row", QUANTILES)
def test_a_quantile_is_what_prometheus_estimates(row):
    q, buckets, bounds, expected = QUANTILES[row]
    assert quantile(q, buckets, bounds) == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_that_holds_it(buckets, q):
    found = quantile(q, buckets, BOUNDS)
    if sum(buckets) == 0:
        assert found is None
        return
    samples = sorted(place for place, count in enumerate(buckets) for _ in range(count))
    rank = q * len(samples)
    place = samples[min(len(samples), max(1, -int(-rank // 1))) - 1]
    edges = (0.0, *BOUNDS, BOUNDS[-1])
    assert edges[place] - 1e-9 <= found <= edges[place + 1] + 1e-9

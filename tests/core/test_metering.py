"""What did a version do in the last seconds? Counters of gateways in, windows out."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.core.alarms import Window
from lambent.core.metering import Meter
from lambent.model.environments import Counters, Key, Scope

TWO = Scope("f", "2")
KEY = Key("f", "2", "rev")
NOW = 1000.0


@pytest.fixture
def meter():
    meter = Meter()
    meter.watch(TWO, NOW)
    return meter


def counts(invocations, errors=0, throttles=0, *buckets):
    return Counters(invocations, errors, throttles, buckets)


def begun(meter, counters, at, key=KEY, gateway="g"):
    """A key of which a gateway said that it had counted nothing before."""
    meter.feed(gateway, key, counts(0), NOW)
    meter.feed(gateway, key, counters, at)


def invocations(meter, seconds, at):
    return meter.window(TWO, seconds, at).invocations


def test_a_version_that_nobody_watches_costs_nothing():
    meter = Meter()
    meter.feed("g", KEY, counts(5), NOW)
    assert meter.window(TWO, 60, NOW) is None
    assert meter.scopes() == frozenset()


def test_the_first_word_is_where_counting_begins(meter):
    meter.feed("g", KEY, counts(500, 100), NOW + 1)
    assert invocations(meter, 60, NOW + 1) == 0
    meter.feed("g", KEY, counts(503, 101, 2, 1, 2), NOW + 2)
    assert meter.window(TWO, 60, NOW + 2) == Window(3, 1, 2, (1, 2), 2.0)


def test_all_is_news_where_the_first_word_was_that_nothing_happened(meter):
    begun(meter, counts(5, 1), NOW + 1)
    assert meter.window(TWO, 60, NOW + 1) == Window(5, 1, 0, (), 1.0)


def test_gateways_and_revisions_add_up(meter):
    for gateway, key in (("g", KEY), ("h", KEY), ("g", Key("f", "2", "other"))):
        meter.feed(gateway, key, counts(10), NOW + 1)
        meter.feed(gateway, key, counts(14, 1), NOW + 2)
    assert meter.window(TWO, 60, NOW + 2) == Window(12, 3, 0, (), 2.0)


def test_what_an_alias_calls_latest_is_what_keys_call_latest():
    meter, scope = Meter(), Scope.of("f", "$LATEST")
    meter.watch(scope, NOW)
    begun(meter, counts(5), NOW + 1, Key("f", "latest", "rev"))
    assert meter.window(scope, 60, NOW + 1).invocations == 5
    assert Scope.of("f", "2") == TWO


def test_other_versions_and_functions_do_not_count(meter):
    for key in (Key("f", "1", "rev"), Key("f", "latest", "rev"), Key("other", "2", "rev")):
        begun(meter, counts(5), NOW + 1, key)
    assert invocations(meter, 60, NOW + 1) == 0


def test_counters_that_are_smaller_began_anew(meter):
    meter.feed("g", KEY, counts(100, 10), NOW + 1)
    meter.feed("g", KEY, counts(3, 2), NOW + 2)
    meter.feed("g", KEY, counts(4, 2), NOW + 3)
    assert meter.window(TWO, 60, NOW + 3) == Window(4, 2, 0, (), 3.0)


def test_a_key_that_became_inactive_and_says_zeros_takes_nothing_away(meter):
    meter.feed("g", KEY, counts(100), NOW + 1)
    meter.feed("g", KEY, counts(107), NOW + 2)
    meter.feed("g", KEY, counts(0), NOW + 3)
    meter.feed("g", KEY, counts(2), NOW + 4)
    assert invocations(meter, 60, NOW + 4) == 9


def test_one_counter_that_is_smaller_is_enough_to_have_begun_anew(meter):
    meter.feed("g", KEY, counts(1, 0, 0, 1, 0), NOW + 1)
    meter.feed("g", KEY, counts(2, 0, 0, 0, 2), NOW + 2)
    assert meter.window(TWO, 60, NOW + 2) == Window(2, 0, 0, (0, 2), 2.0)


def test_a_window_looks_back_no_further_than_asked(meter):
    for second in range(101):
        meter.feed("g", KEY, counts(second), NOW + second)
    assert 10 <= invocations(meter, 10, NOW + 100) <= 11
    assert 60 <= invocations(meter, 60, NOW + 100) <= 61
    assert meter.window(TWO, 60, NOW + 100).watched == 60
    assert meter.window(TWO, 600, NOW + 100) == Window(100, 0, 0, (), 100.0)


def test_what_is_quiet_leaves_the_window(meter):
    begun(meter, counts(5), NOW + 1)
    assert invocations(meter, 10, NOW + 10) == 5
    assert invocations(meter, 10, NOW + 12) == 0
    assert invocations(meter, 60, NOW + 12) == 5


def test_a_break_begins_every_window_anew(meter):
    begun(meter, counts(5), NOW + 10)
    meter.unheard(NOW + 20)
    meter.unheard(NOW + 30)
    assert meter.window(TWO, 60, NOW + 30) == Window(0, 0, 0, (), 0.0)
    assert meter.window(TWO, 60, NOW + 45) == Window(0, 0, 0, (), 15.0)


def test_what_is_said_of_a_break_afterwards_counts(meter):
    begun(meter, counts(5), NOW + 10)
    meter.unheard(NOW + 20)
    meter.feed("g", KEY, counts(9, 4), NOW + 21)
    assert meter.window(TWO, 60, NOW + 25) == Window(4, 4, 0, (), 5.0)


def test_a_gateway_that_is_gone_leaves_what_it_did(meter):
    begun(meter, counts(5), NOW + 1)
    meter.feed("h", KEY, counts(7), NOW + 1)
    meter.feed("h", KEY, counts(8), NOW + 2)
    assert invocations(meter, 60, NOW + 2) == 6


def test_watching_again_changes_nothing_and_forgetting_does(meter):
    begun(meter, counts(5), NOW + 1)
    meter.watch(TWO, NOW + 2)
    assert meter.window(TWO, 60, NOW + 2) == Window(5, 0, 0, (), 2.0)
    meter.forget(TWO)
    meter.forget(TWO)
    assert meter.window(TWO, 60, NOW + 2) is None
    meter.watch(TWO, NOW + 3)
    assert meter.window(TWO, 60, NOW + 4) == Window(0, 0, 0, (), 1.0)


def test_a_memory_that_is_made_longer_was_not_longer_before():
    meter = Meter()
    meter.watch(TWO, NOW, 10)
    for second in range(101):
        meter.feed("g", KEY, counts(second), NOW + second)
    assert meter.window(TWO, 60, NOW + 100).watched == 10
    meter.watch(TWO, NOW + 100, 60)
    assert 10 <= meter.window(TWO, 60, NOW + 100).watched < 13
    assert meter.window(TWO, 60, NOW + 150).watched == 60


@pytest.mark.parametrize("seconds", [60, 600, 3600])
def test_memory_is_bounded_however_long_it_is_watched(seconds):
    meter = Meter()
    meter.watch(TWO, NOW, seconds)
    for tick in range(3 * 3600):
        meter.feed("g", KEY, counts(tick), NOW + tick)
    watched = meter._watched[TWO]
    assert len(watched.fine) + len(watched.coarse) <= min(seconds, 600) + 610
    now = NOW + 3 * 3600 - 1
    for wanted in (5, 60, seconds):
        assert wanted <= invocations(meter, wanted, now) <= wanted + (1 if wanted <= 600 else 6)


@pytest.mark.parametrize("wanted", [5, 59.5, 299, 601, 1500])
def test_a_window_misses_nothing_and_counts_little_of_before(wanted):
    meter, dice = Meter(), random.Random(1)
    meter.watch(TWO, NOW)
    done = sorted(NOW + dice.uniform(0, 2000) for _ in range(3000))
    meter.feed("g", KEY, counts(0), NOW)
    for count, at in enumerate(done, 1):
        meter.feed("g", KEY, counts(count), at)
    begin, early = NOW + 2000 - wanted, 1 if wanted <= 600 else 6
    at_least, at_most = (sum(at > since for at in done) for since in (begin, begin - early))
    assert at_least <= invocations(meter, wanted, NOW + 2000) <= at_most


def test_a_memory_that_is_made_longer_than_ten_minutes_goes_on_from_there():
    meter = Meter()
    meter.watch(TWO, NOW, 60)
    for second in range(2001):
        meter.feed("g", KEY, counts(second), NOW + second)
        if second == 100:
            meter.watch(TWO, NOW + 100, 3600)
    window = meter.window(TWO, 3600, NOW + 2000)
    assert 1960 <= window.watched <= 1963
    assert window.watched <= window.invocations <= window.watched + 6


HAPPENINGS = st.one_of(
    st.tuples(st.just("work"), st.sampled_from("gh"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("restart"), st.sampled_from("gh")),
    st.tuples(st.just("pass"), st.floats(0.01, 40)),
    st.tuples(st.just("break")),
)


@given(st.lists(HAPPENINGS, max_size=40), st.sampled_from([5, 60, 900]))
def test_a_window_holds_what_was_done_in_it_whatever_gateways_go_through(happenings, wanted):
    meter, now, since = Meter(), NOW, NOW
    meter.watch(TWO, NOW)
    totals, done = {"g": [0, 0], "h": [0, 0]}, []
    for gateway in totals:
        meter.feed(gateway, KEY, counts(0), NOW)
    for what, *how in happenings:
        if what == "pass":
            now += how[0]
        elif what == "break":
            meter.unheard(now)
            since, done = now, []
        else:
            gateway, *more = how
            total = totals[gateway] = [old + new for old, new in zip(totals[gateway], more)] if more else [0, 0]
            done.append((now, *(more or (0, 0))))
            meter.feed(gateway, KEY, counts(*total), now)
        window = meter.window(TWO, wanted, now)
        assert window.watched == pytest.approx(min(wanted, now - since))
        begin, early = now - wanted, 1 if window.watched <= 600 else 6
        for place, found in ((1, window.invocations), (2, window.errors)):
            at_least = sum(each[place] for each in done if each[0] > begin)
            at_most = sum(each[place] for each in done if each[0] > begin - early)
            assert at_least <= found <= at_most

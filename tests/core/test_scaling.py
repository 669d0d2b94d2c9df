"""How many environments should a function have? A table, and a simulation with the real rules."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.core.scaling import Report, ScalingSettings, ScalingState, Snapshot, decide, refused
from lambent.model.environments import Demand, EnvironmentPod, IdleEnvironment, Key, PodFailure

NOW = 1000.0
KEY, OLD = Key("f", "latest", "new"), Key("f", "latest", "old")
SETTINGS = ScalingSettings()
CRASH = PodFailure("Error", "", 1)


def pod(name, key=KEY, **fields):
    fields = {"running": True, **fields}
    return EnvironmentPod("a", name, f"uid-{name}", key, "nonce", "2026-01-01T00:00:00Z", **fields)


def pending(name, **fields):
    return pod(name, running=False, **fields)


def ended(name, failure=None, **fields):
    return pod(name, running=False, finished=True, blocked=failure, **fields)


def report(key=KEY, gateway="g", ago=0.0, in_flight=0, waiting=0, starting=0, **idle):
    """Idle environments as name=seconds."""
    each = tuple(IdleEnvironment(name, int(seconds * 1000)) for name, seconds in idle.items())
    return Report(gateway, Demand(1, key, in_flight, waiting, starting, each), NOW - ago)


def since(**facts):
    """A state in which facts have been true for so many seconds: kind__subject=seconds."""
    return ScalingState(since={tuple(fact.split("__")): NOW - seconds for fact, seconds in facts.items()}, at=NOW)


def snapshot(pods=(), reports=(), **fields):
    return Snapshot(
        **{"now": NOW, "current": KEY, "may_create": True, "pods": tuple(pods), "reports": tuple(reports), **fields}
    )


def many(number, make=pod):
    return [make(f"p{index}") for index in range(number)]


FAILED_ONCE = ScalingState(at=NOW, failing=KEY, failures=1, not_before=NOW + 1)
TRIED_AGAIN = replace(FAILED_ONCE, not_before=NOW - 1)

CREATE = {
    "nobody asks": (snapshot(), ScalingState(), 0),
    "one waits": (snapshot(reports=[report(waiting=1)]), ScalingState(), 1),
    "three wait, one is served": (snapshot(many(1), [report(in_flight=1, waiting=3)]), ScalingState(), 3),
    "those created count already": (snapshot(many(3, pending), [report(waiting=3)]), ScalingState(), 0),
    "gateways add up": (snapshot(many(1), [report(waiting=1), report(gateway="h", in_flight=2)]), ScalingState(), 2),
    "pods on their way out do not count": (snapshot([pod("p", deleting=True)], [report(waiting=1)]), ScalingState(), 1),
    "finished pods do not count": (snapshot([ended("p")], [report(waiting=1)]), ScalingState(), 1),
    "pods of an old revision do not count": (snapshot([pod("p", OLD)], [report(waiting=1)]), ScalingState(), 1),
    "demand for an old revision creates nothing": (snapshot(reports=[report(OLD, waiting=5)]), ScalingState(), 0),
    "a lost gateway's word counts for a while": (snapshot(reports=[report(ago=14, waiting=2)]), ScalingState(), 2),
    "but not for ever": (snapshot(reports=[report(ago=16, waiting=2)]), ScalingState(), 0),
    "at most fifty are pending": (snapshot(many(20, pending), [report(waiting=900)]), ScalingState(), 30),
    "the governor has a burst of a thousand": (
        snapshot(reports=[report(waiting=5000)]),
        ScalingState(),
        1000,
        {"max_pending": 9999},
    ),
    "and refills by a hundred a second": (
        snapshot(reports=[report(waiting=5000)]),
        ScalingState(tokens=0, at=NOW - 2.5),
        250,
        {"max_pending": 9999},
    ),
    "and accrues nothing beyond": (
        snapshot(reports=[report(waiting=5000)]),
        ScalingState(tokens=900, at=0),
        1000,
        {"max_pending": 9999},
    ),
    "nothing is created of what cannot be built": (
        snapshot(reports=[report(waiting=1)], may_create=False),
        ScalingState(),
        0,
    ),
    "nothing is created without a revision": (snapshot(reports=[report(waiting=1)], current=None), ScalingState(), 0),
    "after a failure it waits": (snapshot(reports=[report(waiting=9)]), FAILED_ONCE, 0),
    "then tries one": (snapshot(reports=[report(waiting=9)]), TRIED_AGAIN, 1),
    "and no second beside it": (snapshot([pending("p")], [report(waiting=9)]), TRIED_AGAIN, 0),
    "and all when one serves": (snapshot(many(1), [report(in_flight=1, waiting=9)]), TRIED_AGAIN, 9),
    "another revision is not to blame": (snapshot(reports=[report(waiting=3)]), replace(FAILED_ONCE, failing=OLD), 3),
    "a crash at boot starts the wait": (snapshot([ended("p", CRASH)], [report(waiting=3)]), ScalingState(), 0),
    "an orderly end does not": (
        snapshot([ended("p", PodFailure("Completed", "", 0))], [report(waiting=3)]),
        ScalingState(),
        3,
    ),
    "out of memory does not": (
        snapshot([ended("p", PodFailure("OOMKilled", "", 137))], [report(waiting=3)]),
        ScalingState(),
        3,
    ),
    "eviction does not": (snapshot([ended("p", PodFailure("Evicted", ""))], [report(waiting=3)]), ScalingState(), 3),
    "a crash is counted once": (
        snapshot([ended("p", CRASH)], [report(waiting=3)]),
        ScalingState(at=NOW, counted=frozenset({"uid-p"})),
        3,
    ),
}


@pytest.mark.parametrize("row", CREATE.values(), ids=CREATE.keys())
def test_environments_are_created_when(row):
    """Up, at once, within the caps."""
    seen, state, expected, *changes = row
    assert decide(seen, replace(SETTINGS, **(changes[0] if changes else {})), state).create == expected


TAKE_AWAY = {
    "idle for long enough": (snapshot(many(2), [report(p0=300, p1=299)]), ScalingState(), ("p0",), ()),
    "never while somebody waits": (snapshot(many(2), [report(waiting=1, p0=400)]), ScalingState(), (), ()),
    "never in doubt: its word is old": (snapshot(many(1), [report(ago=4, p0=400)]), ScalingState(), (), ()),
    "never in doubt: a gateway is lost": (
        snapshot(many(1), [report(p0=400)], gateways_heard=False),
        ScalingState(),
        (),
        (),
    ),
    "of an old revision, as soon as idle": (
        snapshot([pod("p0", OLD)], [report(OLD, p0=3)]),
        ScalingState(),
        ("p0",),
        (),
    ),
    "but not the moment it was used": (snapshot([pod("p0", OLD)], [report(OLD, p0=1)]), ScalingState(), (), ()),
    "what is gone already is not": (snapshot([pod("p0", deleting=True)], [report(p0=400)]), ScalingState(), (), ()),
    "said twice, taken once": (
        snapshot(many(1), [report(p0=400), report(gateway="h", p0=400)]),
        ScalingState(),
        ("p0",),
        (),
    ),
    "nobody speaks of it": (snapshot(many(1)), since(unused__p0=300), ("p0",), ()),
    "not yet": (snapshot(many(1)), since(unused__p0=299), (), ()),
    "it may be the one in use": (snapshot(many(1), [report(in_flight=1)]), since(unused__p0=900), (), ()),
    "it may be starting": (snapshot(many(1), [report(starting=1)]), since(unused__p0=900), (), ()),
    "no gateway to ask": (snapshot(many(1), gateways_heard=False), since(unused__p0=900), (), ()),
    "finished and seen": (snapshot([ended("p0")]), since(finished__p0=5), (), ("p0",)),
    "finished a moment ago": (snapshot([ended("p0")]), since(finished__p0=4), (), ()),
    "finished, whatever gateways do": (
        snapshot([ended("p0")], gateways_heard=False),
        since(finished__p0=5),
        (),
        ("p0",),
    ),
    "pending and not wanted any more": (snapshot(many(2, pending)), since(**{f"surplus__{KEY}": 30}), (), ("p1", "p0")),
    "pending, one is wanted": (
        snapshot(many(2, pending), [report(waiting=1)]),
        since(**{f"surplus__{KEY}": 30}),
        (),
        ("p1",),
    ),
    "pending, wanted again": (
        snapshot(many(2, pending), [report(waiting=2)]),
        since(**{f"surplus__{KEY}": 30}),
        (),
        (),
    ),
    "pending, not wanted for a moment": (snapshot(many(2, pending)), since(**{f"surplus__{KEY}": 29}), (), ()),
    "pending, and no gateway to say whether it is wanted": (
        snapshot(many(1, pending), gateways_heard=False),
        since(**{f"surplus__{KEY}": 90}),
        (),
        (),
    ),
    "pending of an old revision": (snapshot([pending("p0", key=OLD)]), since(**{f"surplus__{OLD}": 30}), (), ("p0",)),
}


@pytest.mark.parametrize("row", TAKE_AWAY.values(), ids=TAKE_AWAY.keys())
def test_environments_are_taken_away_when(row):
    """Down, never what may be in use."""
    seen, state, retire, delete = row
    step = decide(seen, SETTINGS, state)
    assert (step.retire, step.delete) == (retire, delete)


LOOK_AGAIN = {
    "nothing to wait for": (snapshot(), ScalingState(), None),
    "an idle time that will be over": (snapshot(many(1), [report(p0=295)]), ScalingState(), 5),
    "a finished pod": (snapshot([ended("p0")]), since(finished__p0=3), 2),
    "a pod nobody speaks of": (snapshot(many(1)), since(unused__p0=100), 200),
    "a pending pod nobody wants": (snapshot(many(1, pending)), since(**{f"surplus__{KEY}": 20}), 10),
    "the wait after a failure": (snapshot(), FAILED_ONCE, 1),
    "a word that will be old": (snapshot(many(1), [report(ago=5, in_flight=1)]), ScalingState(), 10.1),
    "the governor": (snapshot(reports=[report(waiting=9)]), ScalingState(tokens=0, at=NOW), 0.01),
}


@pytest.mark.parametrize("row", LOOK_AGAIN.values(), ids=LOOK_AGAIN.keys())
def test_it_looks_again_when_time_alone_changes_the_answer(row):
    """No polling otherwise."""
    seen, state, expected = row
    step = decide(seen, SETTINGS, state)
    assert step.look_again == (None if expected is None else pytest.approx(expected))


def test_what_is_created_is_taken_from_the_governor():
    """Twice in one moment is not twice the burst."""
    generous = replace(SETTINGS, max_pending=9999)
    seen = snapshot(reports=[report(waiting=700)])
    first = decide(seen, generous, ScalingState())
    assert (first.create, decide(seen, generous, first.state).create) == (700, 300)


def test_failures_double_their_wait_up_to_a_minute():
    """1, 2, 4 … 60 seconds."""
    state, waits = ScalingState(), []
    for _ in range(8):
        state = refused(state, SETTINGS, KEY, NOW)
        waits.append(state.not_before - NOW)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_failure_that_nobody_repeats_is_forgotten():
    """What caused it may be mended."""
    state = replace(FAILED_ONCE, not_before=NOW - 301)
    assert decide(snapshot(), SETTINGS, state).state.failures == 0


# --- a simulation ---------------------------------------------------------------------------------------------------


class Cluster:
    """Pods that boot or fail, a gateway that lends them, a controller that only calls decide()."""

    def __init__(self, random, max_pending=5):
        self.random = random
        self.settings = ScalingSettings(idle=20, max_pending=max_pending, governor_burst=10, governor_per_second=2)
        self.state = ScalingState()
        self.now = 1000.0
        self.pods = {}
        self.ready_at = {}
        self.busy = {}
        """Pod name → when its request ends."""
        self.idle = {}
        self.waiting = 0
        self.made = []
        self.broken = False
        self.silent_until = 0.0
        self.last = None
        self.count = 0

    def arrive(self, number):
        self.waiting += number

    def step(self, seconds=0.5):
        self.now += seconds
        self._kubelet()
        self._gateway()
        self._controller()

    def _kubelet(self):
        for name, one in list(self.pods.items()):
            if not one.running and not one.finished and self.now >= self.ready_at[name]:
                failed = self.broken
                self.pods[name] = replace(one, running=not failed, finished=failed, blocked=CRASH if failed else None)

    def _gateway(self):
        for name in [name for name, end in self.busy.items() if end <= self.now]:
            del self.busy[name]
            self.idle[name] = self.now
        for name, one in self.pods.items():
            if one.running and name not in self.busy:
                self.idle.setdefault(name, self.now)
        while self.waiting and self.idle:
            name = max(self.idle, key=lambda each: self.idle[each])
            del self.idle[name]
            self.busy[name] = self.now + self.random.uniform(0.1, 8)
            self.waiting -= 1

    def _controller(self):
        if self.now >= self.silent_until:
            idle = tuple(IdleEnvironment(name, int((self.now - at) * 1000)) for name, at in self.idle.items())
            self.last = Report("g", Demand(1, KEY, len(self.busy), self.waiting, 0, idle), self.now)
        seen = Snapshot(
            now=self.now,
            current=KEY,
            may_create=True,
            pods=tuple(self.pods.values()),
            reports=(self.last,) if self.last else (),
            gateways_heard=self.now >= self.silent_until,
        )
        step = decide(seen, self.settings, self.state)
        self.state = step.state
        self._check(step)
        for name in step.retire:
            if name in self.idle:  # the gateway refuses what is busy
                del self.idle[name]
                del self.pods[name]
        for name in step.delete:
            self.pods.pop(name)
        for _ in range(step.create):
            self.count += 1
            name = f"p{self.count:05d}"
            self.pods[name] = replace(pending(name), created=f"{self.now:09.1f}")
            self.ready_at[name] = self.now + self.random.uniform(0.2, 3)
            self.made.append(self.now)

    def _check(self, step):
        assert not set(step.delete) & self.busy.keys(), "a busy environment was deleted"
        assert not set(step.delete) & self.idle.keys(), "an environment was deleted behind the gateway's back"
        if self.now < self.silent_until:
            assert not step.retire, "something was taken away in doubt"
        waiting_pods = sum(not one.running and not one.finished for one in self.pods.values())
        assert waiting_pods + step.create <= self.settings.max_pending or not step.create
        recent = [at for at in self.made if at > self.now - 10]
        assert len(recent) + step.create <= self.settings.governor_burst + 10 * self.settings.governor_per_second


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["", "", "", "break", "mend", "silence"])), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_it_serves_everybody_breaks_no_cap_and_comes_back_to_zero(events, random):
    """Whatever happens: busy environments live, caps hold, everybody is served, and in the end nothing is left."""
    cluster = Cluster(random)
    for arrivals, event in events:
        cluster.arrive(arrivals)
        if event:
            cluster.broken = event == "break" or (cluster.broken and event != "mend")
        if event == "silence":
            cluster.silent_until = cluster.now + 5
        cluster.step()
    cluster.broken = False
    for _ in range(1200):
        cluster.step()
        if not cluster.waiting and not cluster.busy:
            break
    assert not cluster.waiting, "somebody waits for ever"
    for _ in range(200):
        cluster.step()
    assert cluster.pods == {}, "environments are left over"


def test_failing_environments_are_not_made_in_a_tight_loop():
    """Ten minutes of crashes at boot cost a dozen pods and more, not thousands."""
    import random

    cluster = Cluster(random.Random(1), max_pending=50)
    cluster.broken = True
    cluster.arrive(30)
    for _ in range(1200):
        cluster.step()
    assert 10 <= len(cluster.made) <= 10 + 16  # the first burst, then one at a time

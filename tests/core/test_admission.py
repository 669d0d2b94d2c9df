"""Who gets which environment: examples first, then a model that tries everything."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from lambent.core.admission import Account, Admission


def ready(*environments: str) -> Admission[str, str]:
    admission: Admission[str, str] = Admission()
    for now, environment in enumerate(environments):
        admission.starts(environment)
        assert admission.ready(environment, now) is None
    return admission


def test_the_most_recently_used_environment_is_lent_first():
    """The tail goes cold and can be retired exactly."""
    admission = ready("a", "b", "c")
    assert admission.lend() == "c"
    admission.ready("c", 10)
    assert [admission.lend(), admission.lend(), admission.lend(), admission.lend()] == ["c", "b", "a", None]


def test_waiters_are_served_in_the_order_of_arrival():
    """First come, first served, whichever environment is ready."""
    admission = ready("a")
    admission.lend()
    for waiter in ("x", "y", "z"):
        admission.wait(waiter)
    assert admission.gone("y")
    assert [admission.ready("a", 1), admission.ready("b", 2), admission.ready("c", 3)] == ["x", "z", None]
    assert (admission.in_flight, admission.waiting, admission.idle_count) == (2, 0, 1)


def test_nobody_may_wait_while_an_environment_is_idle():
    """A caller that forgot to ask is told."""
    with pytest.raises(ValueError, match="idle"):
        ready("a").wait("x")


def test_a_lent_environment_is_not_retired():
    """Victims are idle or starting only."""
    admission = ready("a", "b")
    assert admission.lend() == "b"
    admission.starts("c")
    assert [admission.retire(environment) for environment in ("a", "b", "c")] == [True, False, True]
    assert (admission.idle_count, admission.in_flight, admission.starting) == (0, 1, 0)


def test_retargeted_waiters_come_before_those_who_came_later():
    """They waited longest; whoever is idle under the new key is lent at once."""
    old, new = ready(), ready("a")
    for waiter in ("x", "y", "z"):
        old.wait(waiter)
    assert new.lend() == "a"
    new.wait("later")
    new.ready("b", 1)  # serves `later`
    new.wait("latest")
    assert new.admit_waiters(old.take_waiters()) == []
    assert [new.ready(each, 2) for each in ("c", "d", "e", "f")] == ["x", "y", "z", "latest"]
    idle = ready("g")
    assert idle.admit_waiters(["p", "q"]) == [("p", "g")]
    assert idle.waiting == 1


def test_idle_since_is_when_it_became_idle():
    """The longest unused comes first."""
    assert ready("a", "b").idle() == [("a", 0), ("b", 1)]


def test_an_account_admits_up_to_its_limit():
    """And again when somebody left."""
    account = Account(2)
    assert [account.enter(), account.enter(), account.enter()] == [True, True, False]
    account.leave()
    assert (account.enter(), account.taken) == (True, 2)


class Lending(RuleBasedStateMachine):
    """Two keys; requests arrive, end, give up and follow their function; environments come, die and are retired."""

    environments = Bundle("environments")
    waiters = Bundle("waiters")

    def __init__(self) -> None:
        super().__init__()
        self.keys = [Admission[int, int](), Admission[int, int]()]
        self.where: dict[int, int] = {}
        self.state: dict[int, str] = {}
        self.queue: list[list[int]] = [[], []]
        self.count = 0

    def serve(self, key: int, environment: int, waiter: int | None) -> None:
        """The model's view of `ready`."""
        if waiter is None:
            assert not self.queue[key], "an environment went idle while somebody waits"
            self.state[environment] = "idle"
        else:
            assert waiter == self.queue[key].pop(0), "not the one who waited longest"
            self.state[environment] = "lent"

    def new(self) -> int:
        self.count += 1
        return self.count

    @rule(target=environments, key=st.integers(0, 1))
    def environment_starts(self, key):
        environment = self.new()
        self.where[environment], self.state[environment] = key, "starting"
        self.keys[key].starts(environment)
        return environment

    @rule(environment=environments)
    def environment_is_ready(self, environment):
        """Also again, when it is idle already: nothing changes."""
        if environment not in self.state:
            return
        key = self.where[environment]
        waiter = self.keys[key].ready(environment, self.count)
        if self.state[environment] == "idle":
            assert waiter is None
        else:
            self.serve(key, environment, waiter)

    @rule(environment=environments)
    def environment_starts_again(self, environment):
        """Known already: nothing changes."""
        if environment in self.state:
            self.keys[self.where[environment]].starts(environment)

    @rule(environment=consumes(environments))
    def environment_is_lost(self, environment):
        self.keys[self.where[environment]].lost(environment)
        self.state.pop(environment, None)

    @rule(environment=environments)
    def environment_is_retired(self, environment):
        retired = self.keys[self.where[environment]].retire(environment)
        assert retired == (self.state.get(environment) != "lent")
        if retired:
            self.state.pop(environment, None)

    @rule(target=waiters, key=st.integers(0, 1))
    def request_arrives(self, key):
        environment = self.keys[key].lend()
        if environment is not None:
            assert self.state[environment] == "idle", "lent twice"
            assert self.where[environment] == key
            self.state[environment] = "lent"
            return multiple()
        waiter = self.new()
        self.keys[key].wait(waiter)
        self.queue[key].append(waiter)
        return waiter

    @rule(waiter=consumes(waiters))
    def waiter_gives_up(self, waiter):
        for key in (0, 1):
            there = waiter in self.queue[key]
            assert self.keys[key].gone(waiter) == there
            if there:
                self.queue[key].remove(waiter)

    @rule(old=st.integers(0, 1))
    def function_changes(self, old):
        new = 1 - old
        waiters = self.keys[old].take_waiters()
        assert waiters == self.queue[old]
        self.queue[old] = []
        served = self.keys[new].admit_waiters(waiters)
        assert [waiter for waiter, _ in served] == waiters[: len(served)]
        for _, environment in served:
            assert self.state[environment] == "idle", "lent twice"
            self.state[environment] = "lent"
        self.queue[new] = waiters[len(served) :] + self.queue[new]

    @invariant()
    def counts_are_exact(self):
        for key, admission in enumerate(self.keys):
            mine = [state for environment, state in self.state.items() if self.where[environment] == key]
            assert admission.in_flight == mine.count("lent")
            assert admission.starting == mine.count("starting")
            assert admission.idle_count == mine.count("idle") == len(admission.idle())
            assert admission.waiting == len(self.queue[key])
            assert admission.active == bool(mine or self.queue[key])

    @invariant()
    def nobody_waits_while_an_environment_is_idle(self):
        for admission in self.keys:
            assert not (admission.waiting and admission.idle_count)


TestLending = Lending.TestCase
TestLending.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)

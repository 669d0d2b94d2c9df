"""Which environments have finished their init and still have more CPU than they are entitled to?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.core.narrowing import Candidate, NarrowingState, decide
from lambent.core.scaling import Report, Snapshot
from lambent.model.environments import Demand, EnvironmentPod, IdleEnvironment, Key

NOW, FRESH = 1000.0, 3.0
KEY, OTHER = Key("f", "latest", "r"), Key("f", "latest", "other")


def pod(name, limit=1000, entitled=72, key=KEY, **fields):
    fields = {"running": True, **fields}
    return EnvironmentPod(
        "a", name, f"uid-{name}", key, "nonce", "then", cpu_limit=limit, cpu_entitled=entitled, **fields
    )


def report(in_flight=0, waiting=0, starting=0, idle=(), key=KEY, gateway="g", ago=0.5):
    each = tuple(IdleEnvironment(name, 0) for name in idle)
    return Report(gateway, Demand(1, key, in_flight, waiting, starting, each), NOW - ago)


def snapshot(pods=(), reports=(), **fields):
    return Snapshot(**{"now": NOW, "current": KEY, "may_create": True, "pods": pods, "reports": reports, **fields})


def seen_before(*names, ago=1.0):
    """Pods that were running and wide so many seconds ago."""
    return NarrowingState({f"uid-{name}": Candidate(NOW - ago) for name in names})


P, Q = pod("p"), pod("q")
SEEN = seen_before("p", "q")

RULE = {
    "idle: its claim was answered": ([P], [report(idle=["p"])], SEEN, ["p"]),
    "idle, at first sight (a restarted controller)": ([P], [report(idle=["p"])], NarrowingState(), ["p"]),
    "idle, by a word that is old: it stays true": ([P], [report(idle=["p"], ago=14)], SEEN, ["p"]),
    "idle while others start": ([P, Q], [report(idle=["p"], starting=1)], SEEN, ["p"]),
    "idle while others wait": ([P, Q], [report(idle=["p"], waiting=1)], SEEN, ["p"]),
    "in use, the only one": ([P], [report(in_flight=1)], SEEN, ["p"]),
    "in use, both": ([P, Q], [report(in_flight=2)], SEEN, ["p", "q"]),
    "in use beside an idle one": ([P, Q], [report(in_flight=1, idle=["q"])], SEEN, ["p", "q"]),
    "in use by two gateways": ([P, Q], [report(in_flight=1), report(in_flight=1, gateway="h")], SEEN, ["p", "q"]),
    "in use while more is wanted": ([P], [report(in_flight=1, waiting=3)], SEEN, ["p"]),
    "in use while a pod is pending": ([P, replace(Q, running=False)], [report(in_flight=1)], SEEN, ["p"]),
    "in use, of an old revision": ([pod("p", key=OTHER)], [report(in_flight=1, key=OTHER)], SEEN, ["p"]),
    "nobody speaks of it": ([P], [], SEEN, []),
    "somebody waits, and gateways have not seen the pod": ([P], [report(waiting=1)], SEEN, []),
    "it is being claimed": ([P], [report(waiting=1, starting=1)], SEEN, []),
    "one of two is claimed, which is unknown": ([P, Q], [report(in_flight=1, waiting=1)], SEEN, []),
    "one of two starts": ([P, Q], [report(in_flight=2, starting=1)], SEEN, []),
    "one of two is in use and on its way out": ([P, replace(Q, deleting=True)], [report(in_flight=1)], SEEN, []),
    "another gateway starts it": ([P], [report(in_flight=1), report(starting=1, gateway="h")], SEEN, []),
    "in use, of another revision": ([P], [report(in_flight=1, key=OTHER)], SEEN, []),
    "in use, by a word that is old": ([P], [report(in_flight=1, ago=4)], seen_before("p", ago=9), []),
    "in use, by a word older than its first sight": ([P], [report(in_flight=1, ago=2)], SEEN, []),
    "in use, at first sight": ([P], [report(in_flight=1)], NarrowingState(), []),
    "narrow already": ([pod("p", limit=72)], [report(idle=["p"])], SEEN, []),
    "with less than it is entitled to": ([pod("p", limit=50)], [report(idle=["p"])], SEEN, []),
    "without a limit": ([pod("p", limit=None)], [report(idle=["p"])], SEEN, []),
    "of a controller that wrote no entitlement": ([pod("p", entitled=None)], [report(idle=["p"])], SEEN, []),
    "pending": ([replace(P, running=False)], [report(idle=["p"])], SEEN, []),
    "on its way out": ([replace(P, deleting=True)], [report(idle=["p"])], SEEN, []),
    "ended": ([replace(P, running=False, finished=True)], [report(idle=["p"])], SEEN, []),
}


@pytest.mark.parametrize("row", RULE.values(), ids=RULE.keys())
def test_an_environment_is_narrowed_when_it_was_claimed_for_certain(row):
    """Named idle, or everything that runs is in use."""
    pods, reports, state, expected = row
    assert list(decide(snapshot(tuple(pods), tuple(reports)), FRESH, state).narrow) == expected


def test_while_a_gateway_is_not_heard_what_is_in_use_stays():
    """It may be starting one of them."""
    silent = snapshot((P,), (report(in_flight=1),), gateways_heard=False)
    assert decide(silent, FRESH, SEEN).narrow == ()
    assert decide(replace(silent, reports=(report(idle=["p"]),)), FRESH, SEEN).narrow == ("p",)


def test_a_pod_in_use_at_first_sight_is_looked_at_again_when_gateways_have_spoken():
    """Their word, once a second, nudges nobody when it is the same word."""
    first = decide(snapshot((P,), (report(in_flight=1),)), FRESH, NarrowingState())
    assert (first.narrow, first.look_again) == ((), 1.0)
    later = replace(snapshot((P,)), now=NOW + 1, reports=(report(in_flight=1, ago=-0.5),))
    assert decide(later, FRESH, first.state).narrow == ("p",)


def test_a_pod_that_nobody_uses_is_not_looked_at_for_ever():
    """Only an event can make it interesting."""
    assert decide(snapshot((P,), (report(waiting=1),)), FRESH, SEEN).look_again is None
    assert decide(snapshot((P,)), FRESH, SEEN).look_again is None


def test_a_refused_pod_is_tried_again_less_and_less_often():
    """What came of a try is not asked: the pod is as wide as before, so it was in vain."""
    state, now, tries = NarrowingState(), NOW, []
    for _ in range(9):
        step = decide(snapshot((P,), (report(idle=["p"]),), now=now), FRESH, state)
        assert step.narrow == ("p",)
        at_once = decide(snapshot((P,), (report(idle=["p"]),), now=now), FRESH, step.state)
        assert (at_once.narrow, at_once.look_again) == ((), step.look_again)
        tries.append(step.look_again)
        state, now = step.state, now + step.look_again
    assert tries == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_narrowed_pod_is_forgotten_and_one_that_is_gone_too():
    """What is remembered is of pods that are there."""
    state = decide(snapshot((P, Q), (report(idle=["p", "q"]),)), FRESH, NarrowingState()).state
    assert state.candidates.keys() == {"uid-p", "uid-q"}
    after = decide(snapshot((pod("p", limit=72),), (report(idle=["p"]),)), FRESH, state)
    assert (after.narrow, after.state, after.look_again) == ((), NarrowingState(), None)


def test_a_node_that_refuses_is_told_once():
    """The specification is narrow, so there is nothing to try again."""
    stuck = pod("p", limit=72, resize_refused="no")
    first = decide(snapshot((stuck,)), FRESH, NarrowingState())
    assert (first.narrow, first.refused) == ((), ("p",))
    assert decide(snapshot((stuck,)), FRESH, first.state).refused == ()
    assert decide(snapshot(()), FRESH, first.state).state == NarrowingState()


@given(
    running=st.integers(1, 6),
    lent=st.integers(0, 6),
    idle=st.integers(0, 6),
    known=st.integers(0, 6),
)
def test_an_unclaimed_pod_is_never_narrowed(running, lent, idle, known):
    """However many environments a gateway has claimed, lends, and is starting: those it did not claim stay as they are."""
    names = [f"p{index}" for index in range(running)]
    idle, lent = min(idle, running), min(lent, running - min(idle, running))
    claimed, rest = names[: idle + lent], names[idle + lent :]
    starting = min(known, len(rest))  # the others run, and their gateway has not seen it yet
    word = report(in_flight=lent, starting=starting, idle=names[:idle])
    step = decide(snapshot(tuple(map(pod, names)), (word,)), FRESH, seen_before(*names))
    assert set(step.narrow) <= set(claimed)
    assert set(names[:idle]) <= set(step.narrow)
    assert rest or set(step.narrow) == set(names)

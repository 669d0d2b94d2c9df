"""Which environments ended because the function used up what it may, and what is told of it."""

import pytest

from lambent.core.exhaustion import decide
from lambent.model.environments import EnvironmentPod, Key, PodFailure
from lambent.model.functions import FunctionSpec

SPEC = FunctionSpec.model_validate({"runtime": "r", "handler": "h", "code": {"inline": "x"}, "memorySize": 256})
KILLED = PodFailure("OOMKilled", "", 137)
FULL = PodFailure("Evicted", 'Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". ', 137)


def pod(blocked, uid="u", **fields):
    return EnvironmentPod("a", uid, uid, Key("f", "latest", "r"), "n", "", blocked=blocked, **fields)


TOLD = {
    "out of memory": (pod(KILLED, finished=True), "OutOfMemory", "memorySize is 256 MB"),
    "evicted": (
        pod(FULL, finished=True),
        "EphemeralStorageExceeded",
        'exceeds the limit "512Mi". (ephemeralStorage.size is 512 MB)',
    ),
    "evicted before it is over": (pod(PodFailure("Evicted", FULL.message), running=True), None, ""),
    "evicted for its node": (
        pod(PodFailure("Evicted", "The node was low on resource: memory. "), finished=True),
        None,
        "",
    ),
    "ended otherwise": (pod(PodFailure("Error", "", 1), finished=True), None, ""),
    "well": (pod(None, running=True), None, ""),
}


@pytest.mark.parametrize("row", TOLD.values(), ids=TOLD.keys())
def test_what_the_function_used_up_is_told(row):
    """With the limit, and what to do; nothing of what a node did."""
    seen, reason, words = row
    told = decide([seen], SPEC, frozenset()).told
    assert [each for each, _ in told] == ([reason] if reason else [])
    assert all(words in note and len(note) <= 1024 for _, note in told)


def test_each_end_is_told_once():
    """As long as its pod is there; afterwards nothing is remembered."""
    first = decide([pod(KILLED, "one", finished=True)], SPEC, frozenset())
    second = decide([pod(KILLED, "one", finished=True), pod(KILLED, "two", finished=True)], SPEC, first.state)
    assert (len(first.told), len(second.told)) == (1, 1)
    assert decide([], SPEC, second.state) == decide([], SPEC, frozenset())


def test_the_same_thing_said_again_is_the_same():
    """No pod is named, so that a thousand of them are one Event with a count."""
    notes = {decide([pod(KILLED, uid, finished=True)], SPEC, frozenset()).told for uid in ("one", "two")}
    assert len(notes) == 1

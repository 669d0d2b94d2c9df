"""What was observed, and what comes late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.controller.observed import Malformed
from lambent.controller.store import Store
from lambent.model import names


def function(name="f", uid=None, version=1, created="2026-01-01T00:00:00Z", **spec):
    return {
        "metadata": {
            "name": name,
            "namespace": "a",
            "uid": uid or f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(version),
            "creationTimestamp": created,
        },
        "spec": {"runtime": "python3.11", "handler": "i.h", "code": {"inline": "x"}, **spec},
    }


def pod(name="p", version=1, of="uid-f", **metadata):
    return {
        "metadata": {
            "name": name,
            "namespace": "a",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {names.LABEL_FUNCTION_UID: of, names.LABEL_VERSION: "latest", names.LABEL_POD_REVISION: "r"},
            "annotations": {names.ANNOTATION_NONCE: "n"},
            **metadata,
        },
        "status": {"phase": "Running"},
    }


@pytest.fixture
def nudged():
    return []


@pytest.fixture
def store(nudged):
    return Store(nudged.append)


def test_what_changes_nudges_and_what_repeats_does_not(store, nudged):
    """A new resourceVersion alone is no news about the function."""
    store.put_function(function(version=1))
    store.put_function(function(version=2))
    store.put_function(function(version=3, memorySize=256))
    assert nudged == ["uid-f", "uid-f"]


def test_an_event_behind_our_own_write_changes_nothing(store, nudged):
    """The answer to a write is newer than what the watch still delivers."""
    store.put_function(function(version=1))
    store.put_function(function(version=5, memorySize=256), quiet=True)
    store.put_function(function(version=3, memorySize=512))
    assert store.function("uid-f").spec.memory_size == 256
    assert nudged == ["uid-f"]


def test_what_is_gone_does_not_come_back_with_a_late_list(store):
    """Only another object of that name may."""
    store.put_function(function(version=1))
    store.drop_function("uid-f")
    store.keep_functions(store.put_functions([function(version=1)]), 1)
    assert store.function("uid-f") is None
    assert store.is_gone("uid-f")
    store.put_function(function(uid="another", version=9))
    assert store.function("another") is not None


def test_a_list_takes_away_what_it_lacks_but_not_what_is_newer(store, nudged):
    """kopf does not tell what was deleted while its watch was broken."""
    store.put_pod(pod("old", version=1))
    store.put_pod(pod("new", version=20))
    store.keep_pods(store.put_pods([pod("listed", version=5)]), 10)
    assert {one.name for one in store.pods(("uid-f", "latest"))} == {"new", "listed"}


def test_pods_that_are_none_of_ours_are_ignored(store):
    """A pod without our labels, whatever the selector says."""
    store.put_pod({"metadata": {"name": "x", "namespace": "a", "uid": "u", "resourceVersion": "1", "labels": {}}})
    assert store.pods(("u", "latest")) == ()


def test_a_pod_that_we_deleted_is_on_its_way_out_before_the_watch_says_so(store):
    """Deleting twice would be noise."""
    store.put_pod(pod())
    store.mark_deleting(store.pods(("uid-f", "latest"))[0])
    assert store.pods(("uid-f", "latest"))[0].deleting


def test_a_malformed_object_is_kept_apart_and_its_values_are_not_told(store):
    """What is wrong, never what was written there."""
    store.put_function(function(handler=None, environment={"variables": "s3cr3t"}, timeout="s3cr3t"))
    broken = store.function("uid-f")
    assert isinstance(broken, Malformed)
    assert "timeout" in broken.message
    assert "s3cr3t" not in broken.message
    store.put_function(function(version=2))
    assert not isinstance(store.function("uid-f"), Malformed)


OLDER = {
    "the only one": ([function("f")], "f", None),
    "by time": ([function("f", created="2026-01-02"), function("g", functionName="f", created="2026-01-01")], "f", "g"),
    "by name when born together": ([function("f"), function("e", functionName="f")], "f", "e"),
    "never the younger": ([function("f"), function("g", functionName="f")], "f", None),
    "another name": ([function("f"), function("e")], "f", None),
}


@pytest.mark.parametrize("row", OLDER.values(), ids=OLDER.keys())
def test_the_older_object_of_a_function_name_is_known(store, row):
    """In a namespace."""
    bodies, name, expected = row
    for body in bodies:
        store.put_function(body)
    assert store.older(store.function(f"uid-{name}")) == expected


def test_an_account_that_changes_nudges_its_functions(store, nudged):
    """Their ARNs change with it."""
    store.put_function(function())
    store.put_namespace({"metadata": {"name": "a", "uid": "n"}})
    before = store.account("a")
    store.put_namespace({"metadata": {"name": "a", "uid": "n", "annotations": {names.ANNOTATION_ACCOUNT_ID: "1" * 12}}})
    assert (store.account("a"), before != "1" * 12) == ("1" * 12, True)
    assert nudged == ["uid-f"] * 3


MOVES = st.lists(st.tuples(st.sampled_from(["put", "drop"]), st.sampled_from("pqr")), max_size=30)


@given(MOVES, st.randoms(use_true_random=False))
def test_late_and_repeated_events_end_in_the_same_picture(moves, random):
    """Old news, delivered again at any time, changes nothing."""
    store, version, alive, bodies, number = Store(lambda _: None), 0, {}, [], 0
    for what, name in moves:
        version += 1
        if what == "put":
            if name not in alive:
                number += 1
                alive[name] = f"{name}{number}"  # a pod made anew has another uid
            body = pod(alive[name], version)
            bodies.append(body)
            store.put_pod(body)
        elif name in alive:
            store.drop_pod(f"uid-{alive.pop(name)}")
        if bodies:
            store.put_pod(random.choice(bodies))
    assert {one.name for one in store.pods(("uid-f", "latest"))} == set(alive.values())

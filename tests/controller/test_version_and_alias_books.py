"""Who holds a number, who refers to it, and who hears of a change: the books of Versions and Aliases."""

from __future__ import annotations

import itertools

import pytest

from lambent.controller.observed import Malformed
from lambent.controller.store import Store

SNAPSHOT = {"codeSha256": "c29tZQ==", "codeSize": 1, "revision": "0011223344556677", "runtime": "python3.11"}
_clock = itertools.count(100)


@pytest.fixture
def nudged():
    return []


@pytest.fixture
def store(nudged):
    return Store(nudged.append)


def metadata(name, **more):
    return {
        "name": name,
        "namespace": "a",
        "uid": f"uid-{name}",
        "resourceVersion": str(next(_clock)),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **more,
    }


def function(name="hello", **more):
    spec = {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x = 1"}}
    return {"metadata": metadata(name, **more), "spec": spec}


def version(name, number=None, *, of="hello", **more):
    status = {"functionUid": f"uid-{of}", "version": number, "snapshot": SNAPSHOT} if number else {}
    return {"metadata": metadata(name, **more), "spec": {"functionName": of}, "status": status}


def alias(name, spec, *, of="hello", status=None, **more):
    return {"metadata": metadata(name, **more), "spec": {"functionName": of, **spec}, "status": status or {}}


def test_the_oldest_object_of_a_number_holds_it_and_the_next_one_after_it(store):
    store.versions.put_version(version("younger", "1", creationTimestamp="2026-01-02T00:00:00Z"))
    store.versions.put_version(version("older", "1"))
    assert store.owner(("uid-hello", "1")) == "uid-older"
    store.versions.put_version(version("older", "1", deletionTimestamp="2026-01-03T00:00:00Z"))
    assert store.owner(("uid-hello", "1")) == "uid-younger"
    store.versions.drop_version("uid-younger")
    assert store.owner(("uid-hello", "1")) is None


def test_environments_of_latest_belong_to_the_function(store):
    assert store.owner(("uid-hello", "latest")) == "uid-hello"


def test_an_owner_reference_makes_nobody_a_version_of_a_function(store):
    """Anybody may write one; whose version it is stands in the status."""
    owner = {"apiVersion": "lambent.dev/v1alpha1", "kind": "Function", "name": "hello", "uid": "uid-hello"}
    forged = version("forged", "1", of="mine", ownerReferences=[owner])
    store.versions.put_version(forged)
    assert store.owner(("uid-hello", "1")) is None
    assert store.owner(("uid-mine", "1")) == "uid-forged"


@pytest.mark.parametrize("field", ["functionUid", "version", "snapshot"])
def test_half_a_publication_is_none(store, field):
    body = version("half", "1")
    del body["status"][field]
    store.versions.put_version(body)
    assert store.versions.version("uid-half").number is None
    assert store.owner(("uid-hello", "1")) is None


def test_a_publication_is_heard_of_by_function_aliases_and_who_waits_for_a_number(store, nudged):
    store.put_function(function())
    store.put_function(function("other"))
    store.versions.put_version(version("published", "1"))
    store.versions.put_version(version("waiting"))
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "2"}))
    store.aliases.put_alias(alias("other.live", {"functionVersion": "2"}, of="other"))
    nudged.clear()
    store.versions.put_version(version("next", "2"))
    assert set(nudged) == {"uid-next", "uid-hello", "uid-waiting", "uid-hello.live"}


def test_a_change_of_the_function_is_heard_of_by_versions_that_are_not_published_yet(store, nudged):
    store.put_function(function(generation=1))
    store.versions.put_version(version("published", "1"))
    store.versions.put_version(version("waiting"))
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "1"}))
    nudged.clear()
    store.put_function(function(generation=2))
    assert set(nudged) == {"uid-hello", "uid-waiting"}


def test_a_function_that_comes_or_goes_is_heard_of_by_all(store, nudged):
    store.versions.put_version(version("published", "1"))
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "1"}))
    nudged.clear()
    store.put_function(function())
    assert {"uid-published", "uid-hello.live"} <= set(nudged)
    nudged.clear()
    store.drop_function("uid-hello")
    assert {"uid-published", "uid-hello.live"} <= set(nudged)


def test_a_status_of_a_version_that_says_nothing_new_to_others_nudges_nobody_else(store, nudged):
    store.put_function(function())
    store.versions.put_version(version("published", "1"))
    nudged.clear()
    body = version("published", "1")
    body["status"]["environments"] = 3
    store.versions.put_version(body, quiet=True)
    assert nudged == []


REFERENCES = {
    "as specified": ({"functionVersion": "1"}, {}, {"1"}),
    "with a weight": (
        {"functionVersion": "1", "routingConfig": {"additionalVersionWeights": {"2": 0.1}}},
        {},
        {"1", "2"},
    ),
    "to $LATEST": ({"functionVersion": "$LATEST"}, {}, set()),
    "in force": (
        {"latestPublished": True},
        {"routing": {"functionVersion": "3", "additionalVersionWeights": {"4": 0.5}}},
        {"3", "4"},
    ),
    "the target that is not in force yet": ({"versionRef": {"name": "x"}}, {"targetVersion": "5"}, {"5"}),
    "what a rollout goes back to": (
        {"functionVersion": "7"},
        {
            "rollout": {
                "deploymentId": "d-ABCDEFGHI",
                "fromVersion": "6",
                "toVersion": "7",
                "generation": 1,
                "strategy": "AllAtOnce",
                "phase": "BeforeAllowTraffic",
                "startedAt": "2026-01-01T00:00:00Z",
            }
        },
        {"6", "7"},
    ),
}


@pytest.mark.parametrize("row", REFERENCES)
def test_an_alias_refers_to(store, row):
    spec, status, numbers = REFERENCES[row]
    store.aliases.put_alias(alias("hello.live", spec, status=status))
    assert store.aliases.references("a", "hello") == dict.fromkeys(numbers, ("live",))


def test_a_rollout_that_ended_keeps_no_version(store):
    status = {
        "routing": {"functionVersion": "6"},
        "rollout": {
            "deploymentId": "d-ABCDEFGHI",
            "fromVersion": "6",
            "toVersion": "7",
            "generation": 1,
            "strategy": "AllAtOnce",
            "phase": "RolledBack",
            "startedAt": "2026-01-01T00:00:00Z",
        },
    }
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "6"}, status=status))
    assert set(store.aliases.references("a", "hello")) == {"6"}


def test_versions_hear_of_aliases_that_come_to_refer_to_them_and_of_those_that_cease_to(store, nudged):
    for number in ("1", "2", "3"):
        store.versions.put_version(version(f"v{number}", number))
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "1"}))
    nudged.clear()
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "2"}))
    assert set(nudged) == {"uid-hello.live", "uid-v1", "uid-v2"}
    nudged.clear()
    store.aliases.drop_alias("uid-hello.live")
    assert set(nudged) == {"uid-hello.live", "uid-v2"}


def test_of_two_objects_that_are_one_alias_the_older_is_it(store, nudged):
    store.aliases.put_alias(alias("hello.live", {"functionVersion": "1"}, creationTimestamp="2026-01-02T00:00:00Z"))
    store.aliases.put_alias(alias("live", {"functionVersion": "2"}))
    younger, older = store.aliases.alias("uid-hello.live"), store.aliases.alias("uid-live")
    assert (store.aliases.older(younger), store.aliases.older(older)) == ("live", None)
    nudged.clear()
    store.aliases.drop_alias("uid-live")
    assert "uid-hello.live" in nudged
    assert store.aliases.older(younger) is None


def test_what_is_no_version_is_kept_with_the_reason(store):
    body = version("broken")
    body["spec"] = {"functionName": 7}
    store.versions.put_version(body)
    found = store.versions.version("uid-broken")
    assert isinstance(found, Malformed)
    assert "functionName" in found.message


def test_a_late_list_brings_nothing_back(store):
    body = version("gone", "1")
    store.versions.put_version(body)
    store.versions.drop_version("uid-gone")
    store.versions.put_version(version("gone", "1"))
    assert store.owner(("uid-hello", "1")) is None
    assert store.versions.is_gone("uid-gone")

"""Which route a published version has: who holds a number, under which name, and when it goes."""

from __future__ import annotations

import pytest
from tests.gateway.clusters import condition, function
from tests.gateway.publications import version

from lambent.core.routes import Change
from lambent.core.routing import UNKNOWN_ACCOUNT, RoutingTable
from lambent.model.arns import account_id, parse_function_reference
from lambent.model.environments import Key
from lambent.model.errors import EFSMountFailure, ResourceConflict, ResourceNotFound
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject

UID = "uid-default-hello"
HELLO = function()


@pytest.fixture
def table():
    table = RoutingTable("us-east-1", "default")
    table.observe_namespace("default", "uid-1", "2026-01-01", None)
    return table


def observe(table: RoutingTable, body: dict) -> list[Change]:
    if body.get("kind") == "Version":
        return table.observe_version(VersionObject.from_kubernetes(body))
    return table.observe_function(FunctionObject.from_kubernetes(body))


def forget(table: RoutingTable, body: dict) -> list[Change]:
    return table.forget_version(body["metadata"]["namespace"], body["metadata"]["name"])


def resolve(table: RoutingTable, qualifier: str, text: str = "hello", namespace: str | None = None):
    return table.resolve(parse_function_reference(text), qualifier, namespace, 0.0)


def test_a_version_runs_what_was_published_whatever_the_function_is_now(table):
    observe(table, HELLO)
    (change,) = observe(table, version(HELLO, 3, timeout=7, handler="old.handler"))
    observe(table, function(timeout=9, revision="rev2", generation=2, status={"observedGeneration": 2}))
    route = resolve(table, "3")
    assert change == Change(UID, "3", None, route)
    assert route.key == Key(UID, "3", "pod-revision-3")
    assert (route.version, route.timeout_ms, route.handler, route.revision) == ("3", 7000, "old.handler", "snapshot-3")
    assert route.arn == f"arn:aws:lambda:us-east-1:{account_id('uid-1')}:function:hello"
    assert route.arn_as_invoked("3") == route.arn + ":3"
    assert table.route_of(route.key) is route
    assert resolve(table, "$LATEST").timeout_ms == 9000


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 0},
        {"podRevision": None, "conditions": [condition("Stalled", "True", "InvalidCode", "no")]},
    ],
    ids=["pending", "stalled"],
)
def test_a_version_is_invocable_while_latest_is_not(table, status):
    observe(table, function(status=status))
    observe(table, version(HELLO, 1))
    assert resolve(table, "1").version == "1"
    with pytest.raises(ResourceConflict):
        resolve(table, "$LATEST")


def test_a_version_seen_before_its_function_is_routed_when_the_function_comes(table):
    assert observe(table, version(HELLO, 1)) == []
    assert table.route_of(Key(UID, "1", "")) is None
    latest, one = observe(table, HELLO)
    assert (latest.version, one.version) == ("latest", "1")
    assert one.after == resolve(table, "1")


def test_a_version_seen_before_its_namespace_gets_its_account_later(table):
    late = function(namespace="late")
    observe(table, version(late, 1))
    observe(table, late)
    before = resolve(table, "1", namespace="late")
    assert before.account == UNKNOWN_ACCOUNT
    changes = table.observe_namespace("late", "uid-9", "2026-01-09", None)
    after = resolve(table, "1", namespace="late")
    assert Change("uid-late-hello", "1", before, after) in changes
    assert (after.key, after.account) == (before.key, account_id("uid-9"))
    assert account_id("uid-9") in after.arn


def test_the_name_is_the_function_objects(table):
    named = function("object", function_name="Lambdas_Name")
    observe(table, version(named, 1))
    observe(table, named)
    route = resolve(table, "1", "Lambdas_Name")
    assert (route.function_name, route.arn.rpartition(":")[2]) == ("Lambdas_Name", "Lambdas_Name")


def test_the_oldest_object_of_a_number_holds_it_and_the_next_one_takes_over(table):
    observe(table, HELLO)
    old = version(HELLO, 1, "old", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})
    young = version(
        HELLO, 1, "young", metadata={"creationTimestamp": "2026-01-02T00:00:00Z"}, status={"podRevision": "other"}
    )
    observe(table, young)
    (change,) = observe(table, old)
    assert (change.before.key.pod_revision, change.after.key.pod_revision) == ("other", "pod-revision-1")
    (change,) = forget(table, old)
    assert (change.after.key.pod_revision, change.gone) == ("other", False)
    (change,) = forget(table, young)
    assert (change.after, change.gone) == (None, True)
    with pytest.raises(ResourceNotFound):
        resolve(table, "1")


def test_a_new_holder_whose_status_is_not_complete_loses_no_request(table):
    """It is the same version: its route stays until the controller has said what its environments are."""
    observe(table, HELLO)
    old, young = version(HELLO, 1, "a"), version(HELLO, 1, "b", status={"podRevision": None})
    observe(table, old)
    before = resolve(table, "1")
    observe(table, young)
    assert forget(table, old) == []
    assert resolve(table, "1") is before
    (change,) = observe(table, version(HELLO, 1, "b", status={"podRevision": "new"}))
    assert (change.before, change.after.key.pod_revision) == (before, "new")


def test_a_version_that_is_being_deleted_is_gone(table):
    observe(table, HELLO)
    body = version(HELLO, 1)
    observe(table, body)
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert [change.gone for change in observe(table, body)] == [True]
    assert observe(table, body) == []
    assert forget(table, body) == []


def test_with_the_function_go_its_versions(table):
    """Whatever becomes of their own objects; the function made again has none of them."""
    observe(table, HELLO)
    observe(table, version(HELLO, 1))
    changes = table.forget_function("default", "hello")
    assert [(change.version, change.gone) for change in changes] == [("latest", True), ("1", True)]
    assert table.route_of(Key(UID, "1", "")) is None
    observe(table, function(uid="second"))
    with pytest.raises(ResourceNotFound):
        resolve(table, "1")


def test_a_version_in_another_namespace_is_not_the_functions(table):
    """Whoever wrote its status: the two live in one namespace."""
    observe(table, HELLO)
    rogue = version(HELLO, 1, metadata={"namespace": "theirs", "creationTimestamp": "2000-01-01T00:00:00Z"})
    assert observe(table, rogue) == []
    with pytest.raises(ResourceNotFound):
        resolve(table, "1")
    observe(table, version(HELLO, 1))
    assert resolve(table, "1").namespace == "default"
    assert forget(table, rogue) == []
    assert resolve(table, "1").namespace == "default"


INCOMPLETE = {
    "no number": ({"version": None}, ResourceNotFound, "Function not found: {arn}:1"),
    "no snapshot": ({"snapshot": None}, ResourceNotFound, "Function not found: {arn}:1"),
    "no podRevision": ({"podRevision": None}, ResourceConflict, "{state}: Pending"),
    "stalled": (
        {"podRevision": None, "conditions": [condition("Stalled", "True", "CodeUnavailable", "no")]},
        ResourceConflict,
        "{state}: Failed",
    ),
    "no file system": (
        {"podRevision": None, "conditions": [condition("Ready", "False", "EFSMountFailure", "could not mount")]},
        EFSMountFailure,
        "could not mount",
    ),
}


@pytest.mark.parametrize("row", INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_what_is_not_published_completely_is_refused_in_lambdas_words(table, row):
    status, kind, message = row
    observe(table, HELLO)
    assert observe(table, version(HELLO, 1, status=status)) == []
    arn = f"arn:aws:lambda:us-east-1:{account_id('uid-1')}:function:hello"
    state = "The operation cannot be performed at this time. The function is currently in the following state"
    with pytest.raises(kind) as raised:
        resolve(table, "1")
    assert raised.value.message == message.format(arn=arn, state=state)


@pytest.mark.parametrize("digest", ["%%%", "aGVsbG8="], ids=["nonsense", "a short digest"])
def test_a_snapshot_without_a_digest_is_not_routed(table, digest):
    observe(table, HELLO)
    assert observe(table, version(HELLO, 1, codeSha256=digest)) == []


def test_a_version_of_an_image_needs_no_digest_of_a_package(table):
    observe(table, HELLO)
    observe(table, version(HELLO, 1, packageType="Image", codeSha256="0" * 64))
    assert resolve(table, "1").code_sha256 == ""


def test_conditions_are_those_of_the_holder(table):
    observe(table, HELLO)
    observe(table, version(HELLO, 1, status={"conditions": [condition("Ready", "False", "Unschedulable")]}))
    assert [each.reason for each in table.conditions_of(Key(UID, "1", ""))] == ["Unschedulable"]
    assert table.conditions_of(Key(UID, "2", "")) == ()


def test_the_objects_that_are_known_are_told_for_relists(table):
    observe(table, version(HELLO, 1))
    observe(table, version(HELLO, 2, status={"version": None}))
    assert sorted(table.version_objects()) == [("default", "hello.1"), ("default", "hello.2")]

"""Which function a request means, and which configuration it runs with."""

from __future__ import annotations

import base64

import pytest
from tests.gateway.clusters import CODE_SHA256, condition, function

from lambent.core.routes import Change, LayerBlob
from lambent.core.routing import UNKNOWN_ACCOUNT, RoutingTable
from lambent.model.arns import account_id, parse_function_reference
from lambent.model.environments import Key
from lambent.model.errors import EFSMountFailure, ResourceConflict, ResourceNotFound
from lambent.model.functions import FunctionObject


@pytest.fixture
def table():
    table = RoutingTable("us-east-1", "default")
    table.observe_namespace("default", "uid-1", "2026-01-01", None)
    return table


def observe(table: RoutingTable, body: dict) -> list[Change]:
    return table.observe_function(FunctionObject.from_kubernetes(body))


def resolve(table: RoutingTable, text: str = "hello", qualifier: str = "$LATEST", namespace: str | None = None):
    return table.resolve(parse_function_reference(text), qualifier, namespace, 0.0)


def test_a_ready_function_is_routed_with_its_configuration(table):
    """Everything that claiming and invoking need, parsed once."""
    changes = observe(table, function(timeout=7))
    route = resolve(table)
    assert changes == [Change("uid-default-hello", "latest", None, route)]
    assert str(route.key) == "uid-default-hello/latest/rev0000000000001"
    account = account_id("uid-1")
    assert (route.account, route.arn) == (account, f"arn:aws:lambda:us-east-1:{account}:function:hello")
    assert (route.timeout_ms, route.handler, route.code_sha256) == (7000, "index.handler", CODE_SHA256)
    assert route.environment == {"STAGE": "test"}
    assert route.arn_as_invoked("$LATEST") == route.arn + ":$LATEST"
    assert route.arn_as_invoked(None) == route.arn


SAID = {
    "nothing": ({}, {}, "PassThrough", ()),
    "a JSON log": (
        {"loggingConfig": {"logFormat": "JSON", "systemLogLevel": "WARN"}},
        {"logFormat": "JSON", "applicationLogLevel": "INFO", "systemLogLevel": "WARN"},
        "PassThrough",
        (),
    ),
    "a log group": ({"loggingConfig": {"logGroup": "/a"}}, {"logGroup": "/a"}, "PassThrough", ()),
    "traces": ({"tracingConfig": {"mode": "Active"}}, {}, "Active", ()),
    "a file system": (
        {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/a"}]},
        {},
        "PassThrough",
        ("data",),
    ),
}


@pytest.mark.parametrize("row", SAID.values(), ids=SAID.keys())
def test_a_route_says_how_to_log_and_trace_and_what_is_mounted(table, row):
    """Nothing where everything is as by default."""
    spec, logging, mode, systems = row
    observe(table, function(spec=spec))
    route = resolve(table)
    assert (dict(route.logging), route.tracing_mode, route.file_systems) == (logging, mode, systems)


def test_a_function_that_waits_for_its_file_system_says_so(table):
    """Lambda's error for it, not a state that passes."""
    ready = condition("Ready", "False", "EFSMountFailure", "The function could not mount …")
    observe(table, function(status={"podRevision": None, "conditions": [ready]}))
    with pytest.raises(EFSMountFailure, match="could not mount"):
        resolve(table)


def test_the_same_object_again_changes_nothing(table):
    """Also with another status around the same configuration."""
    observe(table, function())
    assert observe(table, function(status={"environments": 7})) == []


def test_layers_are_routed_as_the_status_tells_them(table):
    """Digests in hex, in their order; whoever has none has none."""
    layers = [
        {
            "arn": f"arn:{n}",
            "codeSha256": base64.b64encode(bytes([n]) * 32).decode(),
            "codeSize": n,
            "codeUnzippedSize": 9,
        }
        for n in (2, 1)
    ]
    observe(table, function(status={"layers": layers}))
    assert resolve(table).layers == (LayerBlob("02" * 32, 2), LayerBlob("01" * 32, 1))
    observe(table, function())
    assert resolve(table).layers == ()


@pytest.mark.parametrize(
    ("row", "status", "state"),
    [
        (
            "a layer with a short digest",
            {"layers": [{"arn": "a", "codeSha256": "aGVsbG8=", "codeSize": 1, "codeUnzippedSize": 1}]},
            "Pending",
        ),
        ("nothing yet", {"observedGeneration": None}, "Pending"),
        ("older generation", {"observedGeneration": 0}, "Pending"),
        ("no pod revision", {"podRevision": None}, "Pending"),
        ("no digest", {"codeSha256": None}, "Pending"),
        ("nonsense for a digest", {"codeSha256": "%%%"}, "Pending"),
        ("a short digest", {"codeSha256": "aGVsbG8="}, "Pending"),
        ("stalled", {"conditions": [condition("Stalled", "True", "InvalidCode")]}, "Failed"),
        ("not stalled", {"podRevision": None, "conditions": [condition("Stalled", "False", "X")]}, "Pending"),
    ],
)
def test_without_a_snapshot_the_state_is_a_conflict(table, row, status, state):
    """409 in Lambda's words."""
    assert [change.after for change in observe(table, function(status=status))] == []
    with pytest.raises(ResourceConflict, match=f"currently in the following state: {state}$"):
        resolve(table)
    observe(table, function())
    good = resolve(table)
    assert observe(table, function(status=status)) == []
    assert resolve(table) is good, row


def test_a_new_configuration_replaces_the_old_one(table):
    """The change carries both, so that waiters can follow."""
    observe(table, function())
    before = resolve(table)
    (change,) = observe(table, function(generation=2, revision="rev2", status={"observedGeneration": 2}))
    assert (change.before, change.after) == (before, resolve(table))
    assert change.after.key.pod_revision == "rev2"


def test_a_function_made_again_is_another_function(table):
    """Same name, other UID: the old snapshot is not kept for it."""
    observe(table, function())
    changes = observe(table, function(uid="second", status={"observedGeneration": None}))
    assert [(change.uid, change.gone) for change in changes] == [("uid-default-hello", True)]
    with pytest.raises(ResourceConflict):
        resolve(table)


def test_a_function_that_is_being_deleted_is_gone(table):
    """The finalizers of others do not keep it invocable."""
    observe(table, function())
    body = function()
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert [change.gone for change in observe(table, body)] == [True]
    with pytest.raises(ResourceNotFound):
        resolve(table)
    assert observe(table, body) == []
    assert table.route_of(Key("uid-default-hello", "latest", "")) is None


def test_of_two_objects_with_one_function_name_the_older_wins(table):
    """And when it goes, the other one takes over."""
    older = function("one", function_name="same", created="2026-01-01T00:00:00Z")
    observe(table, function("two", function_name="same", created="2026-01-02T00:00:00Z"))
    observe(table, older)
    assert resolve(table, "same").key.function_uid == "uid-default-one"
    table.forget_function("default", "one")
    assert resolve(table, "same").key.function_uid == "uid-default-two"
    table.forget_function("default", "two")
    assert table.forget_function("default", "two") == []
    with pytest.raises(ResourceNotFound):
        resolve(table, "same")


@pytest.mark.parametrize(
    ("text", "qualifier", "namespace", "message"),
    [
        ("nope", "$LATEST", None, "Function not found: arn:aws:lambda:us-east-1:{here}:function:nope"),
        ("nope", "3", None, "Function not found: arn:aws:lambda:us-east-1:{here}:function:nope:3"),
        ("hello", "live", None, "Function not found: arn:aws:lambda:us-east-1:{here}:function:hello:live"),
        ("hello", "$LATEST", "else", f"Function not found: arn:aws:lambda:us-east-1:{UNKNOWN_ACCOUNT}:function:hello"),
        (
            "arn:aws:lambda:us-east-1:999999999999:function:hello",
            "$LATEST",
            "default",
            "Function not found: arn:aws:lambda:us-east-1:999999999999:function:hello",
        ),
        (
            "arn:aws:lambda:eu-west-1:{here}:function:hello",
            "$LATEST",
            None,
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
    ],
)
def test_what_is_not_there_is_not_found(table, text, qualifier, namespace, message):
    """With the ARN that was meant."""
    observe(table, function())
    here = account_id("uid-1")
    with pytest.raises(ResourceNotFound) as raised:
        resolve(table, text.replace("{here}", here), qualifier, namespace)
    assert raised.value.message == message.replace("{here}", here)


def test_an_account_names_its_namespace(table):
    """The ARN's account decides, whatever the header says."""
    table.observe_namespace("team", "uid-2", "2026-01-02", "111122223333")
    observe(table, function(namespace="team"))
    route = resolve(table, "111122223333:function:hello", namespace="default")
    assert (route.namespace, route.account) == ("team", "111122223333")
    assert resolve(table, namespace="team") is route


def test_of_two_namespaces_with_one_account_the_older_keeps_it(table):
    """A collision is refused: the younger namespace is not reachable by account."""
    table.observe_namespace("young", "uid-3", "2026-01-03", "111122223333")
    table.observe_namespace("old", "uid-2", "2026-01-02", "111122223333")
    for namespace in ("old", "young"):
        observe(table, function(namespace=namespace))
    assert resolve(table, "111122223333:function:hello").namespace == "old"
    table.forget_namespace("old")
    assert resolve(table, "111122223333:function:hello").namespace == "young"


def test_a_function_seen_before_its_namespace_gets_its_account_later(table):
    """The route changes, its key does not: environments stay."""
    observe(table, function(namespace="late"))
    before = resolve(table, namespace="late")
    assert before.account == UNKNOWN_ACCOUNT
    (change,) = table.observe_namespace("late", "uid-9", "2026-01-09", None)
    after = resolve(table, namespace="late")
    assert (change.before, change.after) == (before, after)
    assert (after.key, after.account) == (before.key, account_id("uid-9"))
    assert account_id("uid-9") in after.arn
    assert table.observe_namespace("late", "uid-9", "2026-01-09", None) == []


def test_variables_never_show_in_a_routes_comparison_but_travel_with_it(table):
    """What the revision digests is not compared again."""
    observe(table, function(variables={"A": "1"}))
    assert resolve(table).environment == {"A": "1"}


def test_conditions_are_kept_for_explanations(table):
    """The newest status, also when the snapshot is older."""
    observe(table, function(status={"conditions": [condition("Ready", "False", "Progressing")]}))
    assert [each.reason for each in table.conditions_of(Key("uid-default-hello", "latest", ""))] == ["Progressing"]
    assert table.conditions_of(Key("nobody", "latest", "")) == ()

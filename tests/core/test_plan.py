"""What is to be done for one function? Observations in, actions out."""

from dataclasses import replace

import pytest

from lambent.core.housing import (
    CreatePods,
    DeletePods,
    HousingState,
    NarrowPods,
    RecordEvent,
    RetirePods,
    Seen,
    TellNotNarrowed,
)
from lambent.core.plan import Installation, Observation, ObtainCode, WriteStatus, plan
from lambent.core.readiness import Problem, ResolvedImage, StoredCode
from lambent.core.references import Reference
from lambent.core.scaling import Report, ScalingSettings, ScalingState
from lambent.model.conditions import Reason
from lambent.model.environments import Demand, EnvironmentPod, IdleEnvironment, Key, PodFailure
from lambent.model.functions import FunctionObject

INSTALLATION = Installation("eu-test-1", {"python3.11": "registry/python:3.11"}, ScalingSettings(), "registry/agent:1")
STORED = StoredCode("ab" * 32, "q6ur", 142)
AWAY = Problem(Reason.CODE_STORE_UNAVAILABLE, "away")
BROKEN = Problem(Reason.INVALID_CODE, "not a zip archive")
NOW = 1000.0


def function(status=None, deleting=False, generation=1, **spec):
    metadata = {"name": "f", "namespace": "a", "uid": "u", "generation": generation}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return FunctionObject.from_kubernetes(
        {
            "metadata": metadata,
            "spec": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}, **spec},
            "status": status.model_dump(by_alias=True, mode="json", exclude_none=True) if status else {},
        }
    )


def seen(of=None, **fields):
    fields = {"code": STORED, "pods": (), "reports": (), "older": None, "refusal": None, "versions": {}, **fields}
    seen = Seen(*(fields.pop(name) for name in ("pods", "reports")), True, fields.pop("refusal"), NOW)
    return Observation(
        function=of or function(),
        account="123456789012",
        environments=seen,
        timestamp="2026-01-01T00:00:00Z",
        since_status=1000.0,
        **fields,
    )


def decided(observation, state=ScalingState()):
    return plan(observation, INSTALLATION, HousingState(state)).actions


def status_written(actions):
    [status] = [action.status for action in actions if isinstance(action, WriteStatus)]
    return status


READY = status_written(decided(seen()))
KEY = Key("u", "latest", READY.pod_revision)


def pod(name, key=KEY, **fields):
    return EnvironmentPod("a", name, f"uid-{name}", key, "n", "2026-01-01T00:00:00Z", **{"running": True, **fields})


def waits(number, key=KEY, idle=()):
    return (Report("g", Demand(1, key, 0, number, 0, idle), NOW),)


def kinds(actions):
    return [type(action).__name__ for action in actions]


PLANS = {
    "code nobody looked at is stored first": (seen(code=None), ["ObtainCode"]),
    "a new function gets its status and is told of": (seen(), ["WriteStatus", "RecordEvent"]),
    "a quiet function gets nothing": (seen(function(READY)), []),
    "a request gets an environment": (seen(function(READY), reports=waits(1)), ["CreatePods"]),
    "an idle environment is retired": (
        seen(function(READY), pods=(pod("p"),), reports=waits(0, idle=(IdleEnvironment("p", 300_000),))),
        ["RetirePods", "WriteStatus"],
    ),
    "a function on its way out takes its pods along": (
        seen(function(READY, deleting=True), pods=(pod("p"), pod("q", deleting=True))),
        ["DeletePods"],
    ),
    "and needs nothing more": (seen(function(READY, deleting=True)), []),
    "what can never work is not packaged": (
        seen(function(runtime="python9"), code=None),
        ["WriteStatus", "RecordEvent"],
    ),
    "broken code creates nothing": (seen(code=BROKEN, reports=waits(1)), ["WriteStatus", "RecordEvent"]),
    "unstored code creates nothing": (seen(code=AWAY, reports=waits(1)), ["WriteStatus", "RecordEvent"]),
}


@pytest.mark.parametrize("row", PLANS.values(), ids=PLANS.keys())
def test_actions_follow_from_what_was_seen(row):
    """In the order in which they are to be applied."""
    assert kinds(decided(row[0])) == row[1]


def test_pods_are_created_before_the_status_is_written():
    """Somebody waits for the pod, nobody for the status."""
    blocked = seen(function(READY), reports=waits(1), pods=(pod("p", running=True, key=Key("u", "latest", "old")),))
    assert kinds(decided(blocked)) == ["CreatePods", "WriteStatus"]


def test_created_pods_are_of_the_revision_that_the_status_names():
    """Gateways find them by it."""
    [create] = decided(seen(function(READY), reports=waits(3)))
    assert create == CreatePods(3, create.facts)
    assert (create.facts.key, create.facts.image) == (KEY, "registry/python:3.11")


def test_while_new_code_cannot_be_stored_the_old_revision_lives_on():
    """Its environments serve, idle away as ever, and no new ones can be built."""
    changed = function(READY, generation=2, memorySize=256)
    serving = seen(changed, code=AWAY, pods=(pod("p"),), reports=waits(1, idle=(IdleEnvironment("p", 5000),)))
    actions = decided(serving)
    assert not [action for action in actions if isinstance(action, CreatePods | RetirePods | DeletePods)]
    assert status_written(actions).pod_revision == READY.pod_revision


def test_a_new_revision_retires_the_idle_environments_of_the_old():
    """They would never be used again."""
    changed = function(READY, generation=2, memorySize=256)
    [retire, *_] = decided(seen(changed, pods=(pod("p"),), reports=waits(0, idle=(IdleEnvironment("p", 5000),))))
    assert retire == RetirePods(("p",))


def test_environments_are_narrowed_after_everything_that_somebody_waits_for():
    """And what is decided is remembered: the same plan again is another one."""
    wide = {"cpu_limit": 1000, "cpu_entitled": 72}
    pods = (pod("p", **wide), pod("q", cpu_limit=72, cpu_entitled=72, resize_refused="no"))
    observed = seen(function(READY), pods=pods, reports=waits(3, idle=(IdleEnvironment("p", 0),)))
    first = plan(observed, INSTALLATION, HousingState())
    assert kinds(first.actions) == ["CreatePods", "NarrowPods", "TellNotNarrowed", "WriteStatus"]
    assert first.actions[1:3] == (NarrowPods(("p",)), TellNotNarrowed(("q",)))
    assert not {"NarrowPods", "TellNotNarrowed"} & set(kinds(plan(observed, INSTALLATION, first.state).actions))


def test_a_refusal_is_in_the_status_while_it_is_tried_again():
    """Ready says why nobody can be served."""
    state = ScalingState(at=NOW, failing=KEY, failures=1, not_before=NOW + 1)
    refusal = Problem(Reason.QUOTA_EXCEEDED, "exceeded quota")
    actions = decided(seen(function(READY), reports=waits(1), refusal=refusal), state)
    assert kinds(actions) == ["WriteStatus", "RecordEvent"]
    assert actions[1] == RecordEvent(True, Reason.QUOTA_EXCEEDED, "exceeded quota")
    again = decided(seen(function(status_written(actions)), reports=waits(1)), state)
    assert again == ()  # said already, and remembered even when the refusal itself is not


def test_milestones_are_told_once():
    """An event is a change, not a state."""
    broken = status_written(decided(seen(code=BROKEN)))
    [told] = [action for action in decided(seen(code=BROKEN)) if isinstance(action, RecordEvent)]
    assert told == RecordEvent(True, Reason.INVALID_CODE, "not a zip archive")
    assert decided(seen(function(broken), code=BROKEN)) == ()
    [_, mended] = decided(seen(function(broken, generation=2)))
    assert mended.reason == Reason.AVAILABLE


def test_samples_wait_their_turn_and_wake_the_loop():
    """At most one write in ten seconds."""
    busy = replace(seen(function(READY), pods=(pod("p"),), reports=waits(0)), since_status=4.0)
    step = plan(busy, INSTALLATION, HousingState())
    assert step.actions == ()
    assert step.look_again == pytest.approx(6.0)


def test_store_code_is_never_mixed_with_anything_else():
    """Everything else depends on its outcome."""
    assert decided(seen(code=None, reports=waits(9), pods=(pod("p"),))) == (ObtainCode(),)


def test_deleting_takes_everything_that_is_not_going_already():
    """Busy or not: the agent lets a request in flight finish."""
    leaving = seen(function(READY, deleting=True), pods=(pod("p"), pod("q", running=False)))
    assert decided(leaving) == (DeletePods(("p", "q")),)


SECRET = Reference("Secret", "s")
REFERRING = {"environment": {"valueFrom": [{"name": "KEY", "secretKeyRef": {"name": "s", "key": "k"}}]}}


def condition(status, kind):
    return next((one for one in status.conditions if one.type == kind), None)


def test_a_missing_secret_is_waited_for():
    """Not stalled: it is picked up when it appears; no environment is made that the kubelet could not start."""
    actions = decided(seen(function(**REFERRING), reports=waits(1)))
    status = status_written(actions)
    assert condition(status, "Ready").reason == "ReferenceNotFound"
    assert "Secret s" in condition(status, "Ready").message
    assert condition(status, "Stalled") is None
    assert not any(isinstance(action, CreatePods) for action in actions)
    assert (
        condition(status_written(decided(seen(function(**REFERRING), versions={SECRET: "7"}))), "Ready").status
        == "True"
    )


MOUNTING = {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/a"}]}


def test_a_missing_file_system_is_waited_for():
    """Not stalled, and no pod that would hang without a volume; it is picked up when the claim appears."""
    actions = decided(seen(function(**MOUNTING), reports=waits(1)))
    ready = condition(status_written(actions), "Ready")
    assert (ready.status, ready.reason) == ("False", "EFSMountFailure")
    assert condition(status_written(actions), "Stalled") is None
    assert not any(isinstance(action, CreatePods) for action in actions)
    claim = {Reference("PersistentVolumeClaim", "data"): "7"}
    assert condition(status_written(decided(seen(function(**MOUNTING), versions=claim))), "Ready").status == "True"


def test_an_environment_that_ran_out_of_memory_is_told_and_nothing_is_unhealthy():
    """The function's doing: an Event, once; the next environment is made as ever."""
    ended = pod("p", running=False, finished=True, blocked=PodFailure("OOMKilled", "", 137))
    first = plan(seen(function(READY), pods=(ended,), reports=waits(1)), INSTALLATION, HousingState())
    assert [each.reason for each in first.actions if isinstance(each, RecordEvent)] == [Reason.OUT_OF_MEMORY]
    assert any(isinstance(action, CreatePods) for action in first.actions)
    again = plan(seen(function(READY), pods=(ended,), reports=waits(1)), INSTALLATION, first.state)
    assert not any(isinstance(action, RecordEvent) for action in again.actions)


def test_a_changed_secret_brings_new_environments_and_nothing_new_to_publish():
    """The resource version is part of an environment's identity, not of the publish's."""
    before, after = (
        status_written(decided(seen(function(**REFERRING), versions={SECRET: version}))) for version in ("7", "8")
    )
    assert before.pod_revision != after.pod_revision
    assert before.revision == after.revision


IMAGE = ResolvedImage("registry/app@sha256:" + "cd" * 32, "cd" * 32, 7, ("/entry",), ("app.handler",), "/srv")
IMAGE_SPEC = {"packageType": "Image", "code": {"imageUri": "registry/app:1"}, "runtime": None, "handler": None}
PROGRAMS = {
    "the image's own": ({}, ("/entry", "app.handler"), "/srv"),
    "another ENTRYPOINT": ({"entryPoint": ["/other"]}, ("/other", "app.handler"), "/srv"),
    "another CMD": ({"command": ["b.handler"]}, ("/entry", "b.handler"), "/srv"),
    "another directory": ({"workingDirectory": "/w"}, ("/entry", "app.handler"), "/w"),
    "everything": ({"entryPoint": ["/o"], "command": [], "workingDirectory": "/"}, ("/o", "app.handler"), "/"),
}


@pytest.mark.parametrize("row", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_container_image_runs(row):
    """Each part by imageConfig, else as the registry showed it."""
    config, arguments, directory = row
    of = function(**IMAGE_SPEC, **({"imageConfig": config} if config else {}))
    status = status_written(decided(seen(of, code=IMAGE)))
    reports = waits(1, Key("u", "latest", status.pod_revision))
    [created] = [one for one in decided(seen(of, code=IMAGE, reports=reports)) if isinstance(one, CreatePods)]
    assert created.facts.image == IMAGE.resolved_uri
    assert (created.facts.program.arguments, created.facts.program.directory) == (arguments, directory)


def test_the_status_of_an_image_tells_what_runs():
    """The digest as Lambda spells it, and the repository with it."""
    status = status_written(decided(seen(function(**IMAGE_SPEC), code=IMAGE)))
    assert status.code_sha256 == "cd" * 32
    assert status.image.resolved_uri == IMAGE.resolved_uri
    assert status.image.entry_point == ["/entry"]


def test_an_image_that_says_nothing_to_run_is_stalled():
    """Lambda's Runtime.InvalidEntrypoint, but before any environment is made."""
    bare = ResolvedImage(IMAGE.resolved_uri, IMAGE.digest_hex, 7)
    status = status_written(decided(seen(function(**IMAGE_SPEC), code=bare)))
    assert condition(status, "Stalled").reason == "InvalidImage"
    given = function(**IMAGE_SPEC, imageConfig={"entryPoint": ["/run"]})
    assert condition(status_written(decided(seen(given, code=bare))), "Ready").status == "True"


def test_an_image_that_says_too_much_to_run_is_stalled():
    """What no process can be started with."""
    status = status_written(
        decided(seen(function(**IMAGE_SPEC, imageConfig={"command": ["x" * 4096] * 17}), code=IMAGE))
    )
    assert condition(status, "Stalled").reason == "InvalidImage"
    assert "more than 65536 bytes" in condition(status, "Stalled").message


@pytest.mark.parametrize("reason", [Reason.CODE_UNAVAILABLE, Reason.IMAGE_UNAVAILABLE])
def test_what_may_come_back_is_no_reason_to_stall(reason):
    """Somebody else's server is away: told, tried again."""
    status = status_written(decided(seen(code=Problem(reason, "away"))))
    assert condition(status, "Ready").reason == reason
    assert condition(status, "Reconciling").status == "True"
    assert condition(status, "Stalled") is None


def test_the_source_of_the_code_is_remembered():
    """So that a restarted controller fetches nothing again."""
    stored = StoredCode("ab" * 32, "q6ur", 142, "feed" * 4)
    assert status_written(decided(seen(code=stored))).code_source == "feed" * 4


def test_work_in_progress_is_no_warning():
    """An Event of type Warning is for what somebody may have to look at."""
    [told] = [one for one in decided(seen(code=Problem(Reason.PROGRESSING, "at it"))) if isinstance(one, RecordEvent)]
    assert (told.warning, told.reason) == (False, Reason.PROGRESSING)

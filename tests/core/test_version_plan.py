"""What is to be done for one published version?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambent.core import version_plan
from lambent.core.housing import HousingState, Seen
from lambent.core.plan import Installation
from lambent.core.readiness import Problem
from lambent.core.references import Reference
from lambent.core.scaling import Report, ScalingSettings
from lambent.core.version_plan import Observation
from lambent.model.conditions import Reason
from lambent.model.environments import Demand, EnvironmentPod, IdleEnvironment, Key, PodFailure
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject

INSTALLATION = Installation("eu-test-1", {"python3.11": "registry/python:3.11"}, ScalingSettings(), "registry/agent:1")
NOW, STAMP = 1000.0, "2026-01-01T00:00:00Z"
SNAPSHOT = {
    "runtime": "python3.11",
    "handler": "index.handler",
    "codeSha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "codeSize": 7,
    "revision": "0123456789abcdef",
}
IMAGE = {
    "packageType": "Image",
    "codeSha256": "ab" * 32,
    "codeSize": 7,
    "revision": "0123456789abcdef",
    "image": {"resolvedUri": "registry/own@sha256:ab", "entryPoint": ["/entry"], "command": ["cmd"]},
}
OWNER = {"apiVersion": "lambent.dev/v1alpha1", "kind": "Function", "name": "hello", "uid": "u"}
FUNCTION = FunctionObject.from_kubernetes(
    {
        "metadata": {"name": "hello", "namespace": "a", "uid": "u"},
        "spec": {"runtime": "python3.11", "handler": "i.h", "code": {"inline": "x"}},
    }
)


def version(status=None, *, snapshot=None, **metadata):
    given = {"functionUid": "u", "version": "3", "snapshot": snapshot or SNAPSHOT, "publishedAt": STAMP}
    return VersionObject.from_kubernetes(
        {
            "metadata": {
                "name": "v",
                "namespace": "a",
                "uid": "uid-v",
                "generation": 1,
                "labels": {"lambent.dev/function-uid": "u", "lambent.dev/version": "3"},
                "ownerReferences": [OWNER],
                **metadata,
            },
            "spec": {"functionName": "hello"},
            "status": {**given, **(status or {})},
        }
    )


def seen(of=None, pods=(), reports=(), refusal=None, **fields):
    of = of or version()
    fields = {
        "shown": of.status,
        "alive": True,
        "function": FUNCTION,
        "holder": "v",
        "versions": {},
        "unknown": None,
        "referenced_by": (),
        "since_status": 1000.0,
        **fields,
    }
    environments = Seen(tuple(pods), tuple(reports), True, refusal, NOW)
    return Observation(version=of, account="123456789012", environments=environments, timestamp=STAMP, **fields)


def planned(observation, installation=INSTALLATION):
    return version_plan.plan(observation, installation, HousingState())


def settled(of=None, **fields):
    """The version with the status that its first plan writes."""
    of = of or version()
    status = planned(seen(of, **fields)).status
    return of.model_copy(update={"status": status})


READY = settled()
KEY = Key("u", "3", READY.status.pod_revision)


def pod(name, key=KEY, **fields):
    return EnvironmentPod("a", name, f"uid-{name}", key, "n", STAMP, **{"running": True, **fields})


def wants(number, key=KEY, idle=()):
    return (Report("g", Demand(1, key, 0, number, 0, idle), NOW),)


def kinds(observation):
    return [type(action).__name__ for action in planned(observation).actions]


def conditions(status):
    return {one.type: (one.status, one.reason) for one in status.conditions}


PLANS = {
    "a version without a status gets one": (seen(), ["WriteStatus", "RecordEvent"]),
    "a quiet version gets nothing": (seen(READY), []),
    "a request gets an environment": (seen(READY, reports=wants(1)), ["CreatePods"]),
    "an idle environment is retired": (
        seen(READY, pods=[pod("p")], reports=wants(0, idle=(IdleEnvironment("p", 300_000),))),
        ["RetirePods", "WriteStatus"],
    ),
    "what is not the holder makes no environment": (
        seen(settled(holder="other"), holder="other", reports=wants(1)),
        [],
    ),
    "nor touches those that there are": (
        seen(settled(holder="other"), holder="other", pods=[pod("p")], alive=False),
        [],
    ),
    "a deleted function's version makes none": (seen(READY, alive=False, function=None, reports=wants(1)), []),
    "and takes those along that there are": (
        seen(READY, alive=False, function=None, pods=[pod("p"), pod("q", deleting=True)]),
        ["DeletePods"],
    ),
    "so does the last object of a number": (
        seen(READY.model_copy(update={"deleting": True}), holder=None, pods=[pod("p")]),
        ["DeletePods"],
    ),
    "but not one after which another holds it": (
        seen(READY.model_copy(update={"deleting": True}), holder="other", pods=[pod("p")]),
        [],
    ),
    "a lost owner reference is written again": (seen(READY.model_copy(update={"owner_uid": ""})), ["Adopt"]),
    "and so are labels": (seen(READY.model_copy(update={"marks": ("u", "")})), ["Adopt"]),
    "not while the function has another shape": (
        seen(READY.model_copy(update={"owner_uid": ""}), function=None),
        [],
    ),
    "without owner and function it says so": (
        seen(READY.model_copy(update={"owner_uid": ""}), alive=False, function=None),
        ["WriteStatus", "RecordEvent"],
    ),
}


@pytest.mark.parametrize(("observation", "actions"), PLANS.values(), ids=PLANS)
def test_actions_follow_from_what_was_seen(observation, actions):
    """In the order in which they are to be applied."""
    assert kinds(observation) == actions


CONDITIONS = {
    "good": (seen(), {"Ready": ("True", "Available")}),
    "a runtime that is not installed": (
        seen(version(snapshot={**SNAPSHOT, "runtime": "python3.9"})),
        {"Ready": ("False", "RuntimeNotInstalled"), "Stalled": ("True", "RuntimeNotInstalled")},
    ),
    "a Secret that is not there": (
        seen(
            version(
                snapshot={
                    **SNAPSHOT,
                    "environment": {"valueFrom": [{"name": "KEY", "secretKeyRef": {"name": "s", "key": "k"}}]},
                }
            )
        ),
        {"Ready": ("False", "ReferenceNotFound")},
    ),
    "what may not be looked up": (
        seen(unknown=Problem(Reason.REFERENCE_NOT_FOUND, "no right")),
        {"Ready": ("False", "ReferenceNotFound")},
    ),
    "environments that cannot start": (
        seen(READY, pods=[pod("p", running=False, blocked=PodFailure("ErrImagePull", "404"))]),
        {"Ready": ("False", "ImagePullFailed"), "EnvironmentsHealthy": ("False", "ImagePullFailed")},
    ),
    "one that runs beside it": (
        seen(READY, pods=[pod("p", running=False, blocked=PodFailure("ErrImagePull", "404")), pod("q")]),
        {
            "Ready": ("True", "Available"),
            "EnvironmentsHealthy": ("False", "ImagePullFailed"),
            "Active": ("True", "EnvironmentsRunning"),
        },
    ),
}


@pytest.mark.parametrize(("observation", "shown"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions_say_whether_it_can_be_invoked(observation, shown):
    """Those of environments are there besides."""
    always = {"EnvironmentsHealthy": ("True", "Healthy"), "Active": ("False", "ScaledToZero")}
    assert conditions(planned(observation).status) == always | shown


def test_number_and_snapshot_stay_whatever_happens():
    """All that is written is what is true now."""
    for observation, _ in CONDITIONS.values():
        status = planned(observation).status
        before = observation.version.status
        assert (status.version, status.snapshot, status.function_uid) == (
            before.version,
            before.snapshot,
            before.function_uid,
        )
        assert status.function_arn == "arn:aws:lambda:eu-test-1:123456789012:function:hello:3"


def test_a_duplicate_says_whose_number_it_is_and_has_no_environments():
    status = planned(seen(holder="other", referenced_by=("live",))).status
    assert conditions(status) == {"Ready": ("True", "Available"), "Duplicate": ("True", "Unchanged")}
    assert (status.environments, status.referenced_by) == (None, [])
    assert status.pod_revision == READY.status.pod_revision  # so that it can take over at once


def test_aliases_stand_in_the_status_of_the_holder_as_many_as_the_kind_takes():
    names = tuple(f"alias-{number:04}" for number in range(1200))
    assert planned(seen(referenced_by=names)).status.referenced_by == list(names[:1000])


def test_environments_of_an_image_run_what_the_snapshot_resolved():
    """A tag that moved since is another version's."""
    of = settled(version(snapshot=IMAGE))
    key = Key("u", "3", of.status.pod_revision)
    [create] = planned(seen(of, reports=wants(1, key))).actions
    assert create.facts.image == "registry/own@sha256:ab"
    assert create.facts.program.arguments == ("/entry", "cmd")
    offered = replace(INSTALLATION, agent_image="")
    assert conditions(planned(seen(of), offered).status)["Stalled"] == ("True", "InvalidImage")


def test_a_version_has_environments_of_its_own():
    """Of $LATEST with the same configuration, of another number, of a changed Secret."""
    other = version({"version": "4"})
    assert settled(other).status.pod_revision != READY.status.pod_revision
    source = {"environment": {"valueFrom": [{"name": "KEY", "secretKeyRef": {"name": "s", "key": "k"}}]}}
    of = version(snapshot={**SNAPSHOT, **source})
    found = {
        planned(seen(of, versions={Reference("Secret", "s"): resource})).status.pod_revision for resource in ("1", "2")
    }
    assert len(found) == 2


def test_environments_go_on_while_what_they_refer_to_is_away():
    """The last key is served, and nothing is made anew."""
    source = {"environment": {"valueFrom": [{"name": "KEY", "secretKeyRef": {"name": "s", "key": "k"}}]}}
    of = settled(version(snapshot={**SNAPSHOT, **source}), versions={Reference("Secret", "s"): "1"})
    key = Key("u", "3", of.status.pod_revision)
    decided = planned(seen(of, pods=[pod("p", key=key)], reports=wants(2, key)))
    assert "CreatePods" not in {type(action).__name__ for action in decided.actions}
    assert not any(type(action).__name__ in ("DeletePods", "RetirePods") for action in decided.actions)
    assert decided.status.pod_revision == of.status.pod_revision


EVENTS = {
    "published": (seen(shown=version({"version": None, "snapshot": None}).status), [(False, "VersionPublished")]),
    "a duplicate": (
        seen(shown=version({"version": None, "snapshot": None}).status, holder="other"),
        [(False, "Unchanged")],
    ),
    "nothing new": (seen(READY), []),
    "not ready any more": (
        seen(READY, unknown=Problem(Reason.REFERENCE_NOT_FOUND, "gone")),
        [(True, "ReferenceNotFound")],
    ),
}


@pytest.mark.parametrize(("observation", "told"), EVENTS.values(), ids=EVENTS)
def test_events_tell_of(observation, told):
    actions = planned(observation).actions
    events = [(one.warning, str(one.reason)) for one in actions if type(one).__name__ == "RecordEvent"]
    assert events == told


def test_a_sample_waits_for_its_turn():
    """How many environments there are is written every ten seconds."""
    observation = seen(READY, pods=[pod("p")], reports=wants(1), since_status=2.0)
    decided = planned(observation)
    assert "WriteStatus" not in {type(action).__name__ for action in decided.actions}
    assert decided.look_again is not None
    assert decided.look_again <= 8.0

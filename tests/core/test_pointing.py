"""What does an alias's specification mean? Every way to say it, and everything that can be in the way."""

import pytest

from lambent.core.pointing import Known, Target, VersionFacts, point
from lambent.core.readiness import Problem
from lambent.model.alias_statuses import AliasStatus
from lambent.model.aliases import AliasObject, AliasSpec, RoutingConfig
from lambent.model.conditions import Reason
from lambent.model.rollouts import Rollout

ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"
ROLE = "arn:aws:iam::123456789012:role/reader"
KNOWN = {
    "arn": ARN,
    "versions": {
        "1": VersionFacts("reader"),
        "2": VersionFacts(ROLE),
        "3": VersionFacts(),
        "4": VersionFacts("writer"),
    },
    "by_object": {"hello.2": "2"},
    "latest": "4",
}
STEPS = {"steps": [{"percentage": 10, "seconds": 60}]}


def alias(status=None, name="hello.live", **spec):
    return AliasObject(
        name=name, namespace="a", uid="u", generation=1, created="2026-01-01T00:00:00Z", deleting=False, owner_uid="f",
        spec=AliasSpec.model_validate({"functionName": "hello", **spec}), status=AliasStatus.model_validate(status or {}),
    )  # fmt: skip


def pointed(one, **known):
    return point(one, Known(**{**KNOWN, **known}))


def weighing(**weights):
    return {"routingConfig": {"additionalVersionWeights": {key.strip("v"): value for key, value in weights.items()}}}


def routed(version, **rollout):
    return {"routing": {"functionVersion": version}, **({"rollout": rolling(**rollout)} if rollout else {})}


def rolling(old, new, phase):
    return {
        "deploymentId": "d-AAAAAAAAA", "fromVersion": old, "toVersion": new, "generation": 1, "strategy": "steps",
        "phase": phase, "startedAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip


TARGETS = {
    "a number": (alias(functionVersion="2"), Target("2")),
    "$LATEST": (alias(functionVersion="$LATEST"), Target("$LATEST")),
    "a Version object": (alias(versionRef={"name": "hello.2"}), Target("2")),
    "the newest published version": (alias(latestPublished=True), Target("4")),
    "two versions with one role": (alias(functionVersion="1", **weighing(v2=0.1)), Target("1", {"2": 0.1})),
    "a share of nothing": (alias(functionVersion="1", **weighing(v2=0)), Target("1", {"2": 0.0})),
    "a share of everything": (alias(functionVersion="1", **weighing(v2=1)), Target("1", {"2": 1.0})),
    "an empty map of weights": (alias(functionVersion="1", **weighing()), Target("1")),
    "the newest one, which is the additional one too": (alias(latestPublished=True, **weighing(v4=0.1)), Target("4")),
    "an object, which is the additional one too": (alias(versionRef={"name": "hello.2"}, **weighing(v2=0.5)), Target("2")),
    "a step to a version with another role, at once": (
        alias(routed("1"), functionVersion="4", rollout={"strategy": "AllAtOnce"}),
        Target("4"),
    ),
    "a move to a version with another role, without a rollout": (alias(routed("1"), functionVersion="4"), Target("4")),
    "the first version, step by step": (alias(functionVersion="4", rollout=STEPS), Target("4")),
    "steps to the same role": (alias(routed("1"), functionVersion="2", rollout=STEPS), Target("2")),
    "steps from $LATEST, of which none is taken": (alias(routed("$LATEST"), functionVersion="4", rollout=STEPS), Target("4")),
    "steps from a version that is gone": (alias(routed("9"), functionVersion="4", rollout=STEPS), Target("4")),
    "steps that are done, to a version that had another role": (
        alias(routed("4", old="1", new="4", phase="Succeeded"), functionVersion="4", rollout=STEPS),
        Target("4"),
    ),
    "a name with digits in it": (alias(functionVersion="1", name="hello.v2"), Target("1")),
}  # fmt: skip


@pytest.mark.parametrize("row", TARGETS)
def test_an_alias_points_to(row):
    one, expected = TARGETS[row]
    assert pointed(one) == expected


MISSING = f"Function not found: {ARN}"
PROBLEMS = {
    "no function": (
        alias(functionVersion="1"), {"function_exists": False},
        Reason.FUNCTION_NOT_FOUND, f"{MISSING}; the alias waits for it to be created",
    ),
    "no function, and $LATEST": (
        alias(functionVersion="$LATEST"), {"function_exists": False},
        Reason.FUNCTION_NOT_FOUND, f"{MISSING}; the alias waits for it to be created",
    ),
    "no such version": (
        alias(functionVersion="9"), {},
        Reason.VERSION_NOT_FOUND, f"{MISSING}:9; the alias waits for version 9 to be published",
    ),
    "no such additional version": (
        alias(functionVersion="1", **weighing(v9=0.1)), {},
        Reason.VERSION_NOT_FOUND, f"{MISSING}:9; the alias waits for version 9 to be published",
    ),
    "an object that is not published yet": (
        alias(versionRef={"name": "hello.5"}), {},
        Reason.VERSION_NOT_FOUND, f"{MISSING}: the alias waits for the Version hello.5 of this namespace to be published",
    ),
    "an object whose version is being deleted": (
        alias(versionRef={"name": "hello.2"}), {"versions": {}},
        Reason.VERSION_NOT_FOUND, f"{MISSING}:2; the alias waits for version 2 to be published",
    ),
    "nothing published": (
        alias(latestPublished=True), {"latest": None},
        Reason.VERSION_NOT_FOUND, f"{MISSING}: no version is published; the alias waits for the first one",
    ),
    "an older object of the same name": (
        alias(functionVersion="1"), {"older": "first"},
        Reason.DUPLICATE_ALIAS_NAME,
        f"Alias already exists: {ARN}:live is the Alias first of this namespace, which is older",
    ),
    "two roles": (
        alias(functionVersion="1", **weighing(v4=0.1)), {},
        Reason.ROLE_MISMATCH,
        "versions that share an alias must have the same role: version 4 has writer and version 1 has reader",
    ),
    "a role and none": (
        alias(functionVersion="1", **weighing(v3=0.1)), {},
        Reason.ROLE_MISMATCH,
        "versions that share an alias must have the same role: version 3 has none and version 1 has reader",
    ),
    "steps to another role": (
        alias(routed("1"), functionVersion="4", rollout=STEPS), {},
        Reason.ROLE_MISMATCH,
        "versions that share an alias must have the same role: version 1 has reader and version 4 has writer; move at "
        "once, with the strategy AllAtOnce or without spec.rollout",
    ),
    "steps to another role than that of the version before a rollout that goes on": (
        alias(routed("4", old="1", new="4", phase="AllowTraffic"), functionVersion="4", rollout=STEPS), {},
        Reason.ROLE_MISMATCH,
        "versions that share an alias must have the same role: version 1 has reader and version 4 has writer; move at "
        "once, with the strategy AllAtOnce or without spec.rollout",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", PROBLEMS)
def test_an_alias_cannot_point_when_there_is(row):
    one, known, reason, message = PROBLEMS[row]
    assert pointed(one, **known) == Problem(reason, message)


def stored(**fields):
    """As stored before a rule was: what the model would refuse."""
    return alias(functionVersion="1").model_copy(
        update={"spec": AliasSpec.model_construct(**{"function_name": "hello", "function_version": "1", **fields})}
    )


def config(**weights):
    return RoutingConfig.model_construct(
        additional_version_weights={key.strip("v"): each for key, each in weights.items()}
    )


REFUSED = {
    "weights on $LATEST": (alias(functionVersion="$LATEST", **weighing(v1=0.1)), "$LATEST is not supported for an alias"),
    "a weight below 0": (stored(routing_config=config(v2=-0.1)), "the weight of version 2 is -0.1, not within 0 and 1"),
    "a weight above 1": (stored(routing_config=config(v2=1.5)), "the weight of version 2 is 1.5, not within 0 and 1"),
    "a weight that is no number": (stored(routing_config=config(v2=float("nan"))), "the weight of version 2 is nan"),
    "three versions": (alias(functionVersion="1", **weighing(v2=0.1, v3=0.1)), "at most two versions"),
    "a weight for the version itself": (alias(functionVersion="1", **weighing(v1=0.1)), "names functionVersion itself"),
    "a weight for an alias": (alias(functionVersion="1", **weighing(live=0.1)), "names what is no published version: li"),
    "a name of digits": (alias(functionVersion="1", name="hello.2"), "failed to satisfy constraint"),
    "a given name of digits": (stored(name="7"), "failed to satisfy constraint"),
    "nothing to point to": (stored(function_version=None), "give exactly one of functionVersion, versionRef and"),
    "two things to point to": (alias(functionVersion="1", latestPublished=True), "give exactly one of functionVersion"),
    "a rollout and weights": (
        alias(functionVersion="1", rollout=STEPS, **weighing(v2=0.1)), "give rollout or routingConfig, not both",
    ),
    "a rollout of nothing": (alias(functionVersion="1", rollout={}), "give exactly one of strategy and steps"),
    "a rollout in two ways": (
        alias(functionVersion="1", rollout={"strategy": "AllAtOnce", **STEPS}), "give exactly one of strategy and steps",
    ),
    "a strategy of nobody": (
        stored(rollout=Rollout.model_construct(strategy="Boldly", steps=None)), "no such strategy: Boldly",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_what_admission_refuses_is_no_target_either(row):
    one, words = REFUSED[row]
    found = pointed(one)
    assert isinstance(found, Problem)
    assert found.reason == Reason.INVALID_SPEC
    assert words in found.message


def test_a_version_that_appears_is_picked_up():
    one = alias(functionVersion="9")
    assert isinstance(pointed(one), Problem)
    assert pointed(one, versions={"9": VersionFacts()}) == Target("9")

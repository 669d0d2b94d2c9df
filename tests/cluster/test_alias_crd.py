"""The Alias kind at a real API server: what it takes, what it refuses, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_objects import Objects, definitions, namespace, words
from kubernetes import config

from lambent.model.aliases import NAME_REFUSED, WEIGHTS_AND_LATEST
from lambent.model.rollouts import STRATEGY_NAMES

pytestmark = pytest.mark.cluster

SPEC: dict[str, Any] = {"functionName": "hello", "functionVersion": "7"}
LATEST: dict[str, Any] = {"functionName": "hello", "latestPublished": True}
NAME = "hello.live"
ALARM: dict[str, Any] = {"name": "errors", "metric": "ErrorRate", "threshold": 5}


def weighted(weights: dict[str, float], **spec: Any) -> dict[str, Any]:
    return {**SPEC, **spec, "routingConfig": {"additionalVersionWeights": weights}}


def rolled(**rollout: Any) -> dict[str, Any]:
    return {**LATEST, "rollout": rollout}


def alarmed(**alarm: Any) -> dict[str, Any]:
    """ALARM with other fields; None removes one."""
    fields = {key: value for key, value in {**ALARM, **alarm}.items() if value is not None}
    return rolled(strategy="AllAtOnce", alarms=[fields])


def hooked(**hook: Any) -> dict[str, Any]:
    return rolled(strategy="AllAtOnce", hooks={"preTraffic": hook})


@pytest.fixture(scope="module")
def aliases(kubeconfig: str) -> Iterator[Objects]:
    api = config.new_client_from_config(kubeconfig)
    with definitions(api), namespace(api) as name:
        yield Objects(api, name, "Alias", "aliases")


ACCEPTED = {
    "a version": SPEC,
    "$LATEST": {**SPEC, "functionVersion": "$LATEST"},
    "the newest version": LATEST,
    "a Version object": {"functionName": "hello", "versionRef": {"name": "hello.7"}},
    "a name of Lambda's": {**SPEC, "name": "Live_2-b"},
    "weights": weighted({"8": 0.25}),
    "all of it for the additional version": weighted({"8": 1}),
    "none of it for the additional version": weighted({"8": 0}),
    "no weights": weighted({}),
    "$LATEST without weights": weighted({}, functionVersion="$LATEST"),
    "a rollout without weights": {**weighted({}), "rollout": {"strategy": "AllAtOnce"}},
    "free-form steps": rolled(steps=[{"percentage": 50, "seconds": 1}, {"percentage": 20, "seconds": 604800}]),
    "hooks": rolled(
        strategy="AllAtOnce",
        hooks={
            "preTraffic": {"functionName": "check", "timeoutSeconds": 86400},
            "postTraffic": {
                "functionName": "arn:aws:lambda:us-east-1:123456789012:function:check:live",
                "answerByResult": True,
            },
        },
    ),
    "alarms": rolled(
        strategy="AllAtOnce",
        bakeSeconds=604800,
        alarms=[
            {**ALARM, "period": 3600, "minimumSamples": 1, "treatMissingData": "breaching"},
            {"name": "queue", "prometheus": {"query": "sum(up)"}, "threshold": -1.5},
        ],
    ),
}
REFUSED = {
    "nowhere to point": ({"functionName": "hello"}, "give exactly one of functionVersion, versionRef and"),
    "not even the newest version": (
        {"functionName": "hello", "latestPublished": False},
        "give exactly one of functionVersion, versionRef and latestPublished",
    ),
    "two places to point": ({**SPEC, "versionRef": {"name": "hello.7"}}, "give exactly one of functionVersion"),
    "a version and the newest": ({**SPEC, "latestPublished": True}, "give exactly one of functionVersion"),
    "no function": ({"functionVersion": "7"}, "spec.functionName: Required value"),
    "another alias": ({**SPEC, "functionVersion": "live"}, "spec.functionVersion in body should match"),
    "version nought": ({**SPEC, "functionVersion": "0"}, "spec.functionVersion in body should match"),
    "a number that is no string": ({**SPEC, "functionVersion": 7}, "must be of type string"),
    "a name of digits": ({**SPEC, "name": "123"}, NAME_REFUSED),
    "the name $LATEST": ({**SPEC, "name": "$LATEST"}, "spec.name in body should match"),
    "a name that is too long": ({**SPEC, "name": "n" * 129}, "Too long: may not be more than 128"),
    "a description that is too long": ({**SPEC, "description": "d" * 257}, "Too long: may not be more than 256"),
    "$LATEST with weights": (weighted({"8": 0.1}, functionVersion="$LATEST"), WEIGHTS_AND_LATEST),
    "weights for $LATEST": (weighted({"$LATEST": 0.1}), "additionalVersionWeights names what is no version"),
    "weights for an alias": (weighted({"live": 0.1}), "additionalVersionWeights names what is no version"),
    "weights for the version itself": (weighted({"7": 0.1}), "additionalVersionWeights names functionVersion itself"),
    "three versions": (weighted({"8": 0.1, "9": 0.1}), "an alias can point to at most two versions"),
    "very many versions": (weighted({str(n): 0.1 for n in range(8, 17)}), "must have at most 8 items"),
    "a weight below nought": (weighted({"8": -0.1}), "should be greater than or equal to 0"),
    "a weight above one": (weighted({"8": 1.1}), "should be less than or equal to 1"),
    "a weight in percent": (weighted({"8": 10}), "should be less than or equal to 1"),
    "a weight of words": (
        {**SPEC, "routingConfig": {"additionalVersionWeights": {"8": "0.1"}}},
        "must be of type number",
    ),
    "weights and a rollout": (
        {**weighted({"8": 0.1}), "rollout": {"strategy": "AllAtOnce"}},
        "give rollout or routingConfig, not both",
    ),
    "neither strategy nor steps": (rolled(bakeSeconds=1), "give exactly one of strategy and steps"),
    "strategy and steps": (
        rolled(strategy="AllAtOnce", steps=[{"percentage": 1, "seconds": 1}]),
        "give exactly one of strategy and steps",
    ),
    "an unknown strategy": (rolled(strategy="Canary10Percent5Minutes"), "no such strategy; there are AllAtOnce"),
    "a strategy of EC2's": (rolled(strategy="CodeDeployDefault.OneAtATime"), "no such strategy; there are AllAtOnce"),
    "no steps": (rolled(steps=[]), "should have at least 1 items"),
    "too many steps": (
        rolled(steps=[{"percentage": n, "seconds": 1} for n in range(1, 22)]),
        "must have at most 20 items",
    ),
    "two steps of one percentage": (
        rolled(steps=[{"percentage": 10, "seconds": 1}, {"percentage": 10, "seconds": 2}]),
        "two steps have the same percentage",
    ),
    "a step of all traffic": (rolled(steps=[{"percentage": 100, "seconds": 1}]), "should be less than or equal to 99"),
    "a step of no traffic": (rolled(steps=[{"percentage": 0, "seconds": 1}]), "should be greater than or equal to 1"),
    "a step without time": (rolled(steps=[{"percentage": 1, "seconds": 0}]), "should be greater than or equal to 1"),
    "an alarm on nothing": (alarmed(metric=None), "give exactly one of metric and prometheus"),
    "an alarm on two things": (
        alarmed(prometheus={"query": "up"}),
        "give exactly one of metric and prometheus",
    ),
    "an alarm on an unknown metric": (alarmed(metric="Cost"), 'Unsupported value: "Cost"'),
    "an alarm without a threshold": (alarmed(threshold=None), "threshold: Required value"),
    "an alarm with an unknown comparison": (alarmed(comparisonOperator=">"), 'Unsupported value: ">"'),
    "an alarm that ignores": (alarmed(treatMissingData="ignore"), 'Unsupported value: "ignore"'),
    "an alarm of no time": (alarmed(period=4), "should be greater than or equal to 5"),
    "two alarms of one name": (rolled(strategy="AllAtOnce", alarms=[ALARM, ALARM]), "Duplicate value"),
    "too many alarms": (
        rolled(strategy="AllAtOnce", alarms=[{**ALARM, "name": f"a{n}"} for n in range(11)]),
        "must have at most 10 items",
    ),
    "a hook by address": (hooked(functionName="https://example.com"), "functionName in body should match"),
    "a hook that is never waited for": (hooked(functionName="f", timeoutSeconds=0), "greater than or equal to 1"),
    "a hook that is waited for too long": (
        hooked(functionName="f", timeoutSeconds=86401),
        "less than or equal to 86400",
    ),
}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_an_alias_is_accepted(aliases: Objects, spec: dict[str, Any]) -> None:
    """Whether function and version exist is a condition, not admission."""
    stored = aliases.dry_run(spec, NAME)["spec"]
    assert {key: stored[key] for key in spec if key != "rollout"} == {
        key: value for key, value in spec.items() if key != "rollout"
    }


@pytest.mark.parametrize("strategy", STRATEGY_NAMES)
def test_a_strategy_of_codedeploys_is_accepted(aliases: Objects, strategy: str) -> None:
    """With and without its prefix."""
    assert aliases.dry_run(rolled(strategy=strategy), NAME)["spec"]["rollout"]["strategy"] == strategy


@pytest.mark.parametrize(("spec", "told"), REFUSED.values(), ids=REFUSED)
def test_an_alias_is_refused(aliases: Objects, spec: dict[str, Any], told: str) -> None:
    """Before it is stored, in Lambda's words where it has any."""
    assert told in aliases.refusal(spec, NAME)


@pytest.mark.parametrize("name", ["123", "hello.7", "shop.hello.0"])
def test_an_object_name_may_not_end_like_a_number(aliases: Objects, name: str) -> None:
    """The alias would be taken for a version; with a name of its own it may."""
    assert NAME_REFUSED in aliases.refusal(SPEC, name)
    aliases.dry_run({**SPEC, "name": "live"}, name)


def test_an_object_name_that_is_too_long_needs_a_name(aliases: Objects) -> None:
    """Lambda's have at most 128 characters."""
    assert "metadata.name is over 128 characters: give spec.name" in aliases.refusal(SPEC, "n" * 129)
    aliases.dry_run({**SPEC, "name": "live"}, "n" * 129)
    aliases.dry_run(SPEC, "n" * 128)


RENAMED = {
    "its function": (SPEC, {"functionName": "other"}, "functionName is immutable"),
    "its name": ({**SPEC, "name": "live"}, {"name": "blue"}, "name is immutable"),
    "its name, gone": ({**SPEC, "name": "live"}, {"name": None}, "name is immutable"),
    "its name, given later": (SPEC, {"name": "live"}, "name is immutable"),
}


@pytest.mark.parametrize(("spec", "changes", "told"), RENAMED.values(), ids=RENAMED)
def test_what_an_alias_is_called_never_changes(
    aliases: Objects, spec: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    """It is part of the ARN."""
    assert told in words(lambda: aliases.replace(aliases.create(spec), **changes))


def test_where_an_alias_points_changes(aliases: Objects) -> None:
    """From any way to say it to any other."""
    made = aliases.create(SPEC)
    newest = aliases.replace(made, functionVersion=None, latestPublished=True)
    named = aliases.replace(newest, latestPublished=None, versionRef={"name": "hello.7"})
    assert aliases.replace(named, versionRef=None, functionVersion="8")["spec"]["functionVersion"] == "8"


def test_the_routing_in_force_has_at_most_two_versions(aliases: Objects) -> None:
    """Not even the controller can let a third one run."""
    made = aliases.create(SPEC)
    routing = {"functionVersion": "7", "additionalVersionWeights": {"8": 0.1}}
    made = aliases.write_status(made, {"routing": routing})
    assert made["status"]["routing"] == routing
    third = {"functionVersion": "7", "additionalVersionWeights": {"8": 0.1, "9": 0.1}}
    assert "must have at most 1 item" in words(lambda: aliases.write_status(made, {"routing": third}))


def test_a_status_does_not_touch_the_specification(aliases: Objects) -> None:
    """A rollout moves the traffic, and Git sees no difference."""
    made = aliases.create(LATEST)
    routing = {"functionVersion": "7", "additionalVersionWeights": {"8": 0.1}}
    written = aliases.write_status({**made, "spec": SPEC}, {"routing": routing})
    assert written["spec"] == made["spec"]
    assert written["metadata"]["generation"] == made["metadata"]["generation"]


def test_aliases_are_selectable_by_function(aliases: Objects) -> None:
    """`kubectl get fna --field-selector spec.functionName=only` works."""
    made = aliases.create({**SPEC, "functionName": "only"})
    aliases.create(SPEC)
    assert aliases.selected("spec.functionName=only") == {made["metadata"]["name"]}


def test_a_new_one_says_that_nobody_has_looked(aliases: Objects) -> None:
    """Tools that go by kstatus would take it for current else."""
    assert aliases.create(SPEC)["status"] == {"observedGeneration": -1}

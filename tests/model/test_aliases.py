"""Aliases as they come from the API server."""

from __future__ import annotations

import copy

import pytest
from pydantic import ValidationError

from lambent.model import names
from lambent.model.alias_statuses import ENDED, AliasStatus, RolloutStatus
from lambent.model.aliases import AliasObject

BODY = {
    "apiVersion": names.API_VERSION,
    "kind": "Alias",
    "metadata": {
        "name": "hello.live",
        "namespace": "shop",
        "uid": "a-1",
        "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {"functionName": "Hello", "functionVersion": "7"},
}
ROLLOUT = {
    "deploymentId": "d-ABCDEFGH1",
    "fromVersion": "6",
    "toVersion": "7",
    "generation": 2,
    "strategy": "LambdaCanary10Percent5Minutes",
    "steps": [{"percentage": 10, "seconds": 300}],
    "phase": "AllowTraffic",
    "step": 1,
    "stepStartedAt": "2026-01-01T00:00:00Z",
    "paused": False,
    "promoted": False,
    "startedAt": "2026-01-01T00:00:00Z",
    "hooks": [
        {
            "lifecycleEvent": "BeforeAllowTraffic",
            "functionName": "check",
            "executionIdSha256": "ab" * 32,
            "state": "Succeeded",
            "startedAt": "2026-01-01T00:00:00Z",
            "message": "",
        }
    ],
    "alarms": [{"name": "errors", "state": "OK", "message": "0 % is not above 5 %"}],
    "reason": "RolloutInProgress",
    "message": "10 %",
}


def body(**changes):
    changed = copy.deepcopy(BODY)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return changed


def test_the_least_alias_moves_at_once_and_has_no_weights():
    """As Lambda's do."""
    alias = AliasObject.from_kubernetes(BODY)
    assert (alias.name, alias.namespace, alias.uid, alias.generation) == ("hello.live", "shop", "a-1", 2)
    assert (alias.spec.function_name, alias.spec.function_version) == ("Hello", "7")
    assert (alias.spec.weights, alias.spec.rollout, alias.spec.latest_published) == ({}, None, False)
    assert (alias.owner_uid, alias.request, alias.deleting) == ("", "", False)
    assert alias.status == AliasStatus()
    assert alias.status.routing is None


@pytest.mark.parametrize(
    ("object_name", "spec", "name"),
    [
        ("live", {}, "live"),
        ("hello.live", {}, "live"),
        ("dev-hello.live", {}, "live"),
        ("shop.hello.live", {}, "live"),
        ("hello.live", {"name": "Live_2"}, "Live_2"),
        ("hello.7", {"name": "seven"}, "seven"),
    ],
)
def test_an_alias_is_called_what_follows_the_last_dot(object_name, spec, name):
    """Kubernetes' names are unique in a namespace, Lambda's aliases within their function."""
    changed = body(metadata__name=object_name, **{f"spec__{key}": value for key, value in spec.items()})
    assert AliasObject.from_kubernetes(changed).alias_name == name


@pytest.mark.parametrize(
    ("annotations", "request_"),
    [
        (None, ""),
        ({}, ""),
        ({"team": "a"}, ""),
        *(({names.ANNOTATION_ROLLOUT: one}, one) for one in ("pause", "abort")),
    ],
    ids=str,
)
def test_people_ask_by_annotation(annotations, request_):
    """The specification is what Git has."""
    assert AliasObject.from_kubernetes(body(metadata__annotations=annotations)).request == request_


def test_an_alias_goes_with_the_function_that_owns_it():
    """The garbage collector's business: anybody may write an owner reference."""
    owner = {"apiVersion": names.API_VERSION, "kind": "Function", "name": "hello", "uid": "f-1"}
    assert AliasObject.from_kubernetes(body(metadata__ownerReferences=[owner])).owner_uid == "f-1"


def test_weights_are_those_of_the_additional_version():
    """`functionVersion` gets the rest."""
    alias = AliasObject.from_kubernetes(body(spec__routingConfig={"additionalVersionWeights": {"8": 0.25}}))
    assert alias.spec.weights == {"8": 0.25}


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"functionVersion": "7"}},
        {"spec__functionVersion": "0"},
        {"spec__functionVersion": "live"},
        {"spec__functionVersion": "$latest"},
        {"spec__functionVersion": 7},
        {"spec__name": "a b"},
        {"spec__name": "n" * 129},
        {"spec__description": "d" * 257},
        {"spec__versionRef": {"name": "Hello"}},
        {"spec__routingConfig": {"additionalVersionWeights": {"8": -0.1}}},
        {"spec__routingConfig": {"additionalVersionWeights": {"8": 1.1}}},
        {"status__rollout": {**ROLLOUT, "phase": "Nowhere"}},
        {"status__rollout": {**ROLLOUT, "deploymentId": "d-1"}},
        {"status__routing": {"functionVersion": "live"}},
    ],
    ids=str,
)
def test_what_the_kind_does_not_allow_does_not_parse(changes):
    """A definition that is older than the process may have let it in."""
    with pytest.raises(ValidationError):
        AliasObject.from_kubernetes(body(**changes))


def test_a_status_comes_back_as_it_was_written():
    """Everything that a restarted controller goes on with."""
    status = {
        "observedGeneration": 2,
        "conditions": [],
        "targetVersion": "7",
        "routing": {"functionVersion": "6", "additionalVersionWeights": {"7": 0.1}},
        "rollout": ROLLOUT,
        "history": [],
        "hookResults": [
            {"executionIdSha256": "ab" * 32, "status": "Succeeded", "reportedAt": "2026-01-01T00:00:00Z"},
        ],
    }
    parsed = AliasObject.from_kubernetes(body(status=status)).status
    assert parsed.model_dump(by_alias=True, exclude_none=True) == status


@pytest.mark.parametrize(
    ("phase", "ended"),
    [
        ("BeforeAllowTraffic", False),
        ("AllowTraffic", False),
        ("AfterAllowTraffic", False),
        ("Succeeded", True),
        ("RolledBack", True),
        ("Stopped", True),
        ("Superseded", True),
    ],
)
def test_a_rollout_is_over_when_its_phase_says_how_it_ended(phase, ended):
    """The others are CodeDeploy's life-cycle events."""
    assert RolloutStatus.model_validate({**ROLLOUT, "phase": phase}).ended is ended
    assert (phase in ENDED) is ended


def test_fields_of_a_later_release_are_ignored():
    """An older process must work while a newer definition is installed."""
    AliasObject.from_kubernetes(body(spec__mirror="x", status__newer=1))

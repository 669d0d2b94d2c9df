"""The Version kind at a real API server: what it refuses, and that nobody changes what was published."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from api_objects import Objects, definitions, namespace, words
from kubernetes import config

pytestmark = pytest.mark.cluster

SPEC = {"functionName": "hello"}
IMMUTABLE = "a version is immutable: publish another"
SNAPSHOT: dict[str, Any] = {
    "runtime": "python3.11",
    "handler": "index.handler",
    "environment": {"variables": {"GREETING": "Hello"}},
    "codeSha256": "A" * 43 + "=",
    "codeSize": 142,
    "revision": "0123456789abcdef",
    "layersInUse": [
        {
            "arn": "arn:aws:lambda:us-east-1:123456789012:layer:libs:1",
            "codeSha256": "B" * 43 + "=",
            "codeSize": 7,
            "codeUnzippedSize": 9,
        }
    ],
}
PUBLISHED: dict[str, Any] = {
    "observedGeneration": 1,
    "functionUid": "f-1",
    "version": "7",
    "snapshot": SNAPSHOT,
    "referencedBy": ["live"],
}


@pytest.fixture(scope="module")
def versions(kubeconfig: str) -> Iterator[Objects]:
    api = config.new_client_from_config(kubeconfig)
    with definitions(api), namespace(api) as name:
        yield Objects(api, name, "Version", "versions")


@pytest.fixture
def published(versions: Objects) -> dict[str, Any]:
    return versions.write_status(versions.create(SPEC), PUBLISHED)


ACCEPTED = {
    "the least": SPEC,
    "everything said": {
        "functionName": "Hello_World-2",
        "description": "d" * 256,
        "codeSha256": "A" * 43 + "=",
        "revisionId": "0123456789abcdef",
    },
    "an image's digest": {**SPEC, "codeSha256": "ab" * 32},
}
REFUSED = {
    "no function": ({}, "spec.functionName: Required value"),
    "a function with a qualifier": ({"functionName": "hello:7"}, "spec.functionName in body should match"),
    "a function's ARN": (
        {"functionName": "arn:aws:lambda:us-east-1:123456789012:function:hello"},
        "spec.functionName in body should match",
    ),
    "a name that is too long": ({"functionName": "h" * 65}, "Too long: may not be more than 64"),
    "a description that is too long": ({**SPEC, "description": "d" * 257}, "Too long: may not be more than 256"),
    "a digest that is none": ({**SPEC, "codeSha256": "abc"}, "spec.codeSha256 in body should match"),
    "a revision that is none": ({**SPEC, "revisionId": "a b"}, "spec.revisionId in body should match"),
    "a number": ({**SPEC, "version": "7"}, 'unknown field "spec.version"'),
    "configuration": ({**SPEC, "memorySize": 256}, 'unknown field "spec.memorySize"'),
}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_a_version_is_accepted(versions: Objects, spec: dict[str, Any]) -> None:
    """Whether the function exists is a condition, not admission."""
    assert versions.dry_run(spec)["spec"].items() >= spec.items()


@pytest.mark.parametrize(("spec", "told"), REFUSED.values(), ids=REFUSED)
def test_a_version_is_refused(versions: Objects, spec: dict[str, Any], told: str) -> None:
    """Before it is stored: number and configuration are the controller's to say."""
    assert told in versions.refusal(spec)


@pytest.mark.parametrize(
    "changes",
    [
        {"functionName": "other"},
        {"description": "new"},
        {"codeSha256": "A" * 43 + "="},
        {"revisionId": "0123"},
    ],
    ids=str,
)
def test_a_specification_never_changes(versions: Objects, changes: dict[str, Any]) -> None:
    """Also before it is published: what is asked for is not what will be there."""
    assert IMMUTABLE in words(lambda: versions.replace(versions.create(SPEC), **changes))


def test_the_same_again_changes_nothing(versions: Objects, published: dict[str, Any]) -> None:
    """GitOps applies the same file all day."""
    again = versions.replace(published)
    assert again["metadata"]["generation"] == published["metadata"]["generation"]
    assert again["metadata"]["resourceVersion"] == published["metadata"]["resourceVersion"]


def test_metadata_may_change(versions: Objects, published: dict[str, Any]) -> None:
    """An owner goes, a label comes."""
    labelled = copy.deepcopy(published)
    labelled["metadata"]["labels"] = {"mine": "yes"}
    assert versions.replace(labelled)["metadata"]["labels"] == {"mine": "yes"}


STATUSES = {
    "another number": ({**PUBLISHED, "version": "8"}, "the number of a version never changes"),
    "no number": (
        {key: value for key, value in PUBLISHED.items() if key != "version"},
        "the number of a version never changes",
    ),
    "no snapshot": ({key: value for key, value in PUBLISHED.items() if key != "snapshot"}, IMMUTABLE),
    "other code": ({**PUBLISHED, "snapshot": {**SNAPSHOT, "codeSha256": "C" * 43 + "="}}, IMMUTABLE),
    "another variable": (
        {**PUBLISHED, "snapshot": {**SNAPSHOT, "environment": {"variables": {"GREETING": "Bye"}}}},
        IMMUTABLE,
    ),
    "other layers": ({**PUBLISHED, "snapshot": {**SNAPSHOT, "layersInUse": []}}, IMMUTABLE),
    "another function": ({**PUBLISHED, "functionUid": "f-2"}, "a version belongs to one function for ever"),
    "nothing at all": ({}, "the number of a version never changes"),
}


@pytest.mark.parametrize(("status", "told"), STATUSES.values(), ids=STATUSES)
def test_what_was_published_never_changes(
    versions: Objects, published: dict[str, Any], status: dict[str, Any], told: str
) -> None:
    """Whoever may write statuses may not either: not even the controller."""
    assert told in words(lambda: versions.write_status(published, status))
    assert versions.read(published)["status"]["version"] == "7"


def test_number_and_snapshot_come_once(versions: Objects) -> None:
    """The number first, the snapshot perhaps later."""
    made = versions.create(SPEC)
    numbered = versions.write_status(made, {"version": "7"})
    taken = versions.write_status(numbered, PUBLISHED)
    assert taken["status"]["snapshot"]["codeSha256"] == SNAPSHOT["codeSha256"]


def test_all_else_of_a_status_changes(versions: Objects, published: dict[str, Any]) -> None:
    """Environments come and go, aliases too."""
    status = {**published["status"], "environments": 3, "referencedBy": []}
    assert versions.write_status(published, status)["status"]["environments"] == 3


@pytest.mark.parametrize("number", ["0", "07", "$LATEST", "live", "1" * 19])
def test_a_number_is_a_number(versions: Objects, number: str) -> None:
    """From one, without leading noughts."""
    told = words(lambda: versions.write_status(versions.create(SPEC), {"version": number}))
    assert "status.version: Invalid value" in told or "status.version: Too long" in told


def test_versions_are_selectable_by_function(versions: Objects) -> None:
    """`kubectl get fnv --field-selector spec.functionName=only` works."""
    made = versions.create({"functionName": "only"})
    versions.create(SPEC)
    assert versions.selected("spec.functionName=only") == {made["metadata"]["name"]}


def test_a_new_one_says_that_nobody_has_looked(versions: Objects) -> None:
    """Tools that go by kstatus would take it for current else."""
    assert versions.create(SPEC)["status"] == {"observedGeneration": -1}

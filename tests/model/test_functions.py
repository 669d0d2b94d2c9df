"""Functions as they come from the API server."""

from __future__ import annotations

import copy

import pytest
from pydantic import ValidationError

from lambent.model.functions import FunctionObject, FunctionSpec, FunctionStatus

BODY = {
    "apiVersion": "lambent.dev/v1alpha1",
    "kind": "Function",
    "metadata": {
        "name": "resize",
        "namespace": "photos",
        "uid": "0b5cfb4e",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "resourceVersion": "12",
        "managedFields": [],
    },
    "spec": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "def handler(e, c): return e"}},
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


def test_the_least_function_has_lambdas_defaults():
    """Also for an object that was stored before a default existed."""
    function = FunctionObject.from_kubernetes(BODY)
    assert (function.name, function.namespace, function.uid, function.generation) == ("resize", "photos", "0b5cfb4e", 3)
    assert function.function_name == "resize"
    assert not function.deleting
    spec = function.spec
    assert (spec.package_type, spec.memory_size, spec.timeout, spec.ephemeral_storage.size) == ("Zip", 128, 3, 512)
    assert spec.architectures == ["x86_64"]
    assert spec.environment is None
    assert function.status == FunctionStatus()


def test_a_function_name_wins_over_the_objects_name():
    """Lambda's name is the one in ARNs."""
    assert FunctionObject.from_kubernetes(body(spec__functionName="Re_Size")).function_name == "Re_Size"


def test_a_function_that_is_being_deleted_says_so():
    """Routers stop, the garbage collector cleans up."""
    assert FunctionObject.from_kubernetes(body(metadata__deletionTimestamp="2026-01-02T00:00:00Z")).deleting


def test_names_are_camel_case_outside_and_snake_case_inside():
    """One mental model for kubectl and boto3; Python inside."""
    spec = FunctionObject.from_kubernetes(
        body(spec__ephemeralStorage={"size": 1024}, spec__environment={"variables": {"AB": "c"}}, spec__memorySize=256)
    ).spec
    assert (spec.ephemeral_storage.size, spec.memory_size) == (1024, 256)
    assert spec.environment.variables == {"AB": "c"}
    dumped = spec.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    assert dumped["ephemeralStorage"] == {"size": 1024}


def test_fields_of_a_later_release_are_ignored():
    """An older process must work while a newer definition is installed."""
    FunctionObject.from_kubernetes(body(spec__snapStart={"applyOn": "None"}, status__newer=1))


def test_a_status_comes_back_as_it_was_written():
    """The controller compares what is there with what should be."""
    status = {
        "observedGeneration": 3,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "reason": "Available",
                "message": "",
            }
        ],
        "codeSha256": "x" * 44,
        "codeSize": 7,
        "environments": 0,
    }
    parsed = FunctionObject.from_kubernetes(body(status=status)).status
    assert parsed.model_dump(by_alias=True, exclude_none=True) == status


@pytest.mark.parametrize(
    ("role", "account"),
    [
        (None, None),
        ("reader", "reader"),
        ("arn:aws:iam::123456789012:role/reader", "reader"),
        ("arn:aws-cn:iam::123456789012:role/service-role/deep/reader", "reader"),
    ],
)
def test_a_role_means_a_service_account(role, account):
    """By ARN, with or without a path, or by its bare name."""
    assert FunctionObject.from_kubernetes(body(spec__role=role)).spec.service_account == account


@pytest.mark.parametrize(
    "changes",
    [
        {"spec__memorySize": 127},
        {"spec__memorySize": 10241},
        {"spec__timeout": 0},
        {"spec__timeout": 901},
        {"spec__ephemeralStorage": {"size": 511}},
        {"spec__architectures": ["x86_64", "arm64"]},
        {"spec__packageType": "Wasm"},
        {"spec__role": "arn:aws:iam::1:role/x"},
        {"spec__handler": "two words"},
        {"spec__code": None},
    ],
    ids=str,
)
def test_what_the_kind_does_not_allow_does_not_parse(changes):
    """A definition that is older than the process may have let it in."""
    with pytest.raises(ValidationError):
        FunctionObject.from_kubernetes(body(**changes))


def test_what_was_parsed_does_not_change():
    """Loops share these values."""
    with pytest.raises(ValidationError):
        FunctionSpec.model_validate(BODY["spec"]).memory_size = 256

"""Which objects a function refers to, and what it means when one is missing."""

import pytest

from lambent.core.references import Reference, find_missing, identities, of
from lambent.model.functions import FunctionSpec

BASE = {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}}
EFS = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/data"
CLAIM = Reference("PersistentVolumeClaim", "data")
SECRET = Reference("Secret", "s")
VARIABLE = {"valueFrom": [{"name": "KEY", "secretKeyRef": {"name": "s", "key": "k"}}]}


def spec(**changes):
    return FunctionSpec.model_validate({**BASE, **changes})


def mounts(arn="data"):
    return [{"arn": arn, "localMountPath": "/mnt/a"}]


REFERS = {
    "nothing": ({}, set()),
    "a claim by name": ({"fileSystemConfigs": mounts()}, {CLAIM}),
    "a claim by ARN": ({"fileSystemConfigs": mounts(EFS)}, {CLAIM}),
    "a claim and a Secret": ({"fileSystemConfigs": mounts(), "environment": VARIABLE}, {CLAIM, SECRET}),
}


@pytest.mark.parametrize("row", REFERS.values(), ids=REFERS.keys())
def test_a_function_refers_to(row):
    """A change of any of them is a reason to look at it."""
    assert of(spec(**row[0])) == row[1]


@pytest.mark.parametrize("arn", ["data", EFS])
def test_a_missing_claim_is_said_in_lambdas_words(arn):
    """With the name that the function uses, and the object that is meant."""
    problem = find_missing(spec(fileSystemConfigs=mounts(arn)), {})
    assert problem.reason == "EFSMountFailure"
    assert problem.message == (
        f"The function could not mount the EFS file system with access point {arn}. "
        "PersistentVolumeClaim data does not exist in this namespace."
    )


def test_a_claim_that_exists_is_enough():
    """Whether it is bound is the scheduler's to say: some are bound when the first pod comes."""
    assert find_missing(spec(fileSystemConfigs=mounts()), {CLAIM: "1"}) is None


def test_the_state_of_a_claim_makes_no_other_environment():
    """A claim changes when it is bound, annotated or resized; its environments go on."""
    function = spec(fileSystemConfigs=mounts(), environment=VARIABLE)
    assert identities(function, {CLAIM: "1", SECRET: "2"}) == {"Secret s": "2"}

"""Which layers environments of a function get, and what stands in the way."""

from __future__ import annotations

import base64

import pytest

from lambent.core import layer_use
from lambent.core.layer_use import Account
from lambent.core.readiness import Problem, StoredCode
from lambent.model.conditions import Reason
from lambent.model.function_statuses import FunctionStatus, LayerInUse
from lambent.model.functions import FunctionSpec
from lambent.model.layer_versions import LayerVersionSpec

HERE = Account("eu-test-1", "123456789012")
ARN = "arn:aws:lambda:eu-test-1:123456789012:layer"
NOTHING = FunctionStatus()
LIMIT = 262_144_000


def sha(fill: int) -> str:
    return base64.b64encode(bytes([fill]) * 32).decode()


def spec(*layers: str, **more: object) -> FunctionSpec:
    base = {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}, "layers": list(layers)}
    return FunctionSpec.model_validate({**base, **more})


def version(name: str, number: int, **more: object) -> LayerVersionSpec:
    fields = {
        "layerName": name,
        "version": number,
        "layerVersionArn": f"{ARN}:{name}:{number}",
        "codeSha256": sha(number),
        "codeSize": 100,
        "codeUnzippedSize": 1000,
        "revision": "0" * 16,
        "createdDate": "2026-01-01T00:00:00Z",
    }
    return LayerVersionSpec.model_validate({**fields, **more})


KNOWN = {("libs", 1): version("libs", 1), ("libs", 2): version("libs", 2), ("data", 3): version("data", 3)}


def used(name: str, number: int) -> LayerInUse:
    return LayerInUse(arn=f"{ARN}:{name}:{number}", code_sha256=sha(number), code_size=100, code_unzipped_size=1000)


def resolve(function: FunctionSpec, status: FunctionStatus = NOTHING, known=KNOWN):
    return layer_use.resolve(function, HERE, known, status)


@pytest.mark.parametrize("written", ["libs:2", f"{ARN}:libs:2"], ids=["short", "ARN"])
def test_a_version_is_named_shortly_or_by_its_arn(written):
    """Both are the same layer."""
    assert layer_use.in_use(resolve(spec(written))) == (used("libs", 2),)


def test_layers_keep_the_order_in_which_they_are_named():
    """Later ones are merged over earlier ones."""
    assert layer_use.in_use(resolve(spec("libs:1", "data:3"))) == (used("libs", 1), used("data", 3))
    assert layer_use.in_use(resolve(spec("data:3", "libs:1"))) == (used("data", 3), used("libs", 1))


def test_a_version_that_does_not_exist_is_waited_for_in_lambdas_words():
    """It is picked up when it appears, so nobody need do anything to the function."""
    found = resolve(spec("libs:1", "libs-two:9", "gone:1"))
    assert found == Problem(
        Reason.REFERENCE_NOT_FOUND,
        f"Layer version {ARN}:libs-two:9 does not exist. Layer version {ARN}:gone:1 does not exist.",
    )
    assert layer_use.missing(found) == found
    assert layer_use.refusal(found, None) is None
    assert layer_use.in_use(found) == ()


def test_a_deleted_version_does_not_break_who_uses_it_already():
    """What stands in the status stays."""
    status = FunctionStatus(layers=[used("libs", 1)])
    assert layer_use.in_use(resolve(spec("libs:1"), status, {})) == (used("libs", 1),)
    assert isinstance(resolve(spec("libs:2"), status, {}), Problem)


REFUSED = {
    "two versions of a layer": (
        ("libs:1", "libs:2"),
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        f"{ARN}:libs:1 and {ARN}:libs:2 are versions of the same layer.",
    ),
    "one version twice, in both ways": (
        ("libs:1", f"{ARN}:libs:1"),
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        f"{ARN}:libs:1 and {ARN}:libs:1 are versions of the same layer.",
    ),
    "more than five": (tuple(f"l{n}:1" for n in range(6)), "Cannot reference more than 5 layers."),
    "another account's": (
        ("arn:aws:lambda:eu-test-1:999999999999:layer:libs:1",),
        "arn:aws:lambda:eu-test-1:999999999999:layer:libs:1: layers of other accounts and regions cannot be used. "
        f"This namespace's own would be {ARN}:libs:1",
    ),
    "another region's": (
        ("arn:aws:lambda:us-east-1:123456789012:layer:libs:1",),
        "arn:aws:lambda:us-east-1:123456789012:layer:libs:1: layers of other accounts and regions cannot be used. "
        f"This namespace's own would be {ARN}:libs:1",
    ),
}


@pytest.mark.parametrize(("layers", "words"), REFUSED.values(), ids=REFUSED)
def test_what_can_never_be_used_stalls_the_function(layers, words):
    """In Lambda's words where it has any."""
    found = resolve(spec(*layers))
    assert found == Problem(Reason.INVALID_SPEC, words)
    assert layer_use.refusal(found, None) == found
    assert layer_use.missing(found) is None


def test_image_functions_have_no_layers():
    """What admission refuses too."""
    function = spec("libs:1", runtime=None, handler=None, packageType="Image", code={"imageUri": "r/i:1"})
    found = resolve(function)
    assert isinstance(found, Problem)
    assert found.message.startswith("Please don't provide Handler or Runtime or Layer")


@pytest.mark.parametrize(("code", "refused"), [(LIMIT - 2000, False), (LIMIT - 1999, True)], ids=["fits", "one over"])
def test_code_and_layers_share_one_limit_unzipped(code, refused):
    """262,144,000 bytes exactly."""
    stored = StoredCode("ab" * 32, "", 7, unzipped=code)
    found = layer_use.refusal(resolve(spec("libs:1", "data:3")), stored)
    if not refused:
        assert found is None
        return
    assert found == Problem(
        Reason.INVALID_CODE,
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. "
        "The actual size is 262144001 bytes.",
    )


WARNED = {
    "another runtime": ({"compatibleRuntimes": ["nodejs22.x"]}, "the runtime python3.11 (it is for nodejs22.x)"),
    "another architecture": ({"compatibleArchitectures": ["arm64"]}, "the architecture x86_64 (it is for arm64)"),
    "many other runtimes": (
        {"compatibleRuntimes": [f"java{n}" for n in range(6)]},
        "the runtime python3.11 (it is for java0, java1, java2, java3, …)",
    ),
}


@pytest.mark.parametrize(("said", "words"), WARNED.values(), ids=WARNED)
def test_an_incompatible_layer_is_used_and_told_of_once(said, words):
    """Lambda lets a function have it; when it came with this status, an Event says so."""
    layers = resolve(spec("libs:1"), known={("libs", 1): version("libs", 1, **said)})
    new = FunctionStatus(layers=list(layer_use.in_use(layers)))
    assert layer_use.warnings(layers, NOTHING, new) == [f"{ARN}:libs:1 does not name as compatible {words}"]
    assert layer_use.warnings(layers, new, new) == []


def test_a_layer_that_names_the_runtime_or_nothing_is_compatible():
    """Most name nothing."""
    said = {"compatibleRuntimes": ["python3.11"], "compatibleArchitectures": ["arm64", "x86_64"]}
    for known in ({("libs", 1): version("libs", 1, **said)}, KNOWN):
        layers = resolve(spec("libs:1"), known=known)
        assert layer_use.warnings(layers, NOTHING, FunctionStatus(layers=list(layer_use.in_use(layers)))) == []


def test_what_a_function_names_is_known_whether_or_not_it_may_be_used():
    """Whoever waits for a version is told when it appears."""
    assert layer_use.named(spec("libs:1", f"{ARN}:data:3")) == {("libs", 1), ("data", 3)}

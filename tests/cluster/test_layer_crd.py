"""The Layer and LayerVersion kinds at a real API server, and what it refuses of a Function's layers."""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).resolve().parents[2] / "crds"
GROUP, VERSION = "lambent.dev", "v1alpha1"
CONTENT = {"zipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}
LAYER: dict[str, Any] = {"content": CONTENT}
FUNCTION: dict[str, Any] = {
    "runtime": "python3.11",
    "handler": "index.handler",
    "code": {"inline": "def handler(e, c): return e"},
}
PUBLISHED: dict[str, Any] = {
    "layerName": "libs",
    "version": 1,
    "layerVersionArn": "arn:aws:lambda:us-east-1:123456789012:layer:libs:1",
    "codeSha256": "A" * 43 + "=",
    "codeSize": 7,
    "codeUnzippedSize": 9,
    "revision": "0123456789abcdef",
    "createdDate": "2026-01-01T00:00:00Z",
}
ARN = "arn:aws:lambda:us-east-1:123456789012:layer"


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Any:
    return config.new_client_from_config(kubeconfig)


@pytest.fixture(scope="module", autouse=True)
def _definitions(api: Any) -> Iterator[None]:
    """They are there: a release's, else ours for these tests (a release could not adopt those we left)."""
    extensions = client.ApiextensionsV1Api(api)
    there = {stored.metadata.name for stored in extensions.list_custom_resource_definition().items}
    ours = [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]
    made = [one for one in ours if one["metadata"]["name"] not in there]
    for one in made:
        extensions.create_custom_resource_definition(one)
    deadline = time.monotonic() + 30
    for one in made:
        while not _established(extensions, one["metadata"]["name"]):
            assert time.monotonic() < deadline, "a definition was not established within 30 s"
            time.sleep(0.2)
    yield
    for one in made:
        extensions.delete_custom_resource_definition(one["metadata"]["name"])


def _established(extensions: Any, name: str) -> bool:
    conditions = extensions.read_custom_resource_definition(name).status.conditions or []
    return any(condition.type == "Established" and condition.status == "True" for condition in conditions)


@pytest.fixture(scope="module")
def objects(api: Any) -> Any:
    return client.CustomObjectsApi(api)


@pytest.fixture(scope="module")
def namespace(api: Any) -> Iterator[str]:
    core, name = client.CoreV1Api(api), f"lambent-test-layers-{secrets.token_hex(4)}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


def body_of(kind: str, spec: dict[str, Any], name: str = "libs") -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def dry_run(objects: Any, namespace: str, kind: str, spec: dict[str, Any], name: str = "libs") -> Any:
    plural = f"{kind.lower()}s"
    return objects.create_namespaced_custom_object(
        GROUP, VERSION, namespace, plural, body_of(kind, spec, name), dry_run="All", field_validation="Strict"
    )


def refusal(objects: Any, namespace: str, kind: str, spec: dict[str, Any], name: str = "libs") -> str:
    with pytest.raises(client.ApiException) as refused:
        dry_run(objects, namespace, kind, spec, name)
    assert refused.value.status in (400, 422)
    return str(json.loads(refused.value.body)["message"])


def without(spec: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name != field}


ACCEPTED = {
    "the least": LAYER,
    "a name of Lambda's": {**LAYER, "layerName": "Libs_for-Everybody"},
    "everything said": {
        **LAYER,
        "description": "d" * 256,
        "licenseInfo": "l" * 512,
        "compatibleRuntimes": [f"python3.{minor}" for minor in range(15)],
        "compatibleArchitectures": ["x86_64", "arm64"],
    },
    "an address": {"content": {"url": "https://example.com/l.zip", "sha256": "0" * 64}},
    "a bucket": {"content": {"s3Bucket": "bucket", "s3Key": "key"}},
    "an artifact": {"content": {"artifactUri": "registry.example/l:1"}, "imagePullSecrets": ["a"]},
    "a ConfigMap": {"content": {"configMapRef": {"name": "held", "key": "l.zip"}}},
}
REFUSED = {
    "no content": ({"content": {}}, "Please provide a source for layer content."),
    "two sources": ({"content": {**CONTENT, "artifactUri": "r/l:1"}}, "Exactly one of zipFile, url, s3Bucket,"),
    "a source of one file": ({"content": {"inline": "x"}}, 'unknown field "spec.content.inline"'),
    "an image": ({"content": {"imageUri": "r/i:1"}}, 'unknown field "spec.content.imageUri"'),
    "an address without a digest": (
        {"content": {"url": "https://example.com/l.zip"}},
        "content.url needs content.sha256",
    ),
    "a description that is too long": ({**LAYER, "description": "d" * 257}, "Too long: may not be more than 256"),
    "a licence that is too long": ({**LAYER, "licenseInfo": "l" * 513}, "Too long: may not be more than 512"),
    "too many runtimes": ({**LAYER, "compatibleRuntimes": [f"a{n}" for n in range(16)]}, "must have at most 15 items"),
    "another architecture": ({**LAYER, "compatibleArchitectures": ["riscv64"]}, 'Unsupported value: "riscv64"'),
    "a name with a dot": ({**LAYER, "layerName": "a.b"}, "spec.layerName in body should match"),
    "a name that is too long": ({**LAYER, "layerName": "n" * 141}, "Too long: may not be more than 140"),
}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_a_layer_is_accepted(objects: Any, namespace: str, spec: dict[str, Any]) -> None:
    """Everything that Lambda takes."""
    assert dry_run(objects, namespace, "Layer", spec)["spec"].items() >= spec.items()


@pytest.mark.parametrize(("spec", "words"), REFUSED.values(), ids=REFUSED)
def test_a_layer_is_refused(objects: Any, namespace: str, spec: dict[str, Any], words: str) -> None:
    """Before it is stored."""
    assert words in refusal(objects, namespace, "Layer", spec)


def test_an_object_name_that_is_none_of_lambdas_needs_a_layer_name(objects: Any, namespace: str) -> None:
    """And one that leaves no room for a version's number is refused."""
    words = "metadata.name is over 140 characters or has a dot"
    for name in ("with.dot", "n" * 141):
        assert words in refusal(objects, namespace, "Layer", LAYER, name)
        assert dry_run(objects, namespace, "Layer", {**LAYER, "layerName": "n"}, name)
    assert "more than 230 characters" in refusal(objects, namespace, "Layer", {**LAYER, "layerName": "n"}, "n" * 231)


def test_the_name_of_a_layer_is_immutable(objects: Any, namespace: str) -> None:
    """It is part of the ARN, and the number's key."""
    made = objects.create_namespaced_custom_object(
        GROUP, VERSION, namespace, "layers", body_of("Layer", {**LAYER, "layerName": "first"}, "renamed")
    )
    for changed in ({**LAYER, "layerName": "second"}, LAYER):
        made["spec"] = changed
        with pytest.raises(client.ApiException) as refused:
            objects.replace_namespaced_custom_object(GROUP, VERSION, namespace, "layers", "renamed", made)
        assert "layerName is immutable" in json.loads(refused.value.body)["message"]


def test_a_layer_version_is_immutable(objects: Any, namespace: str) -> None:
    """Every field of it; its metadata may change (an owner goes, a label comes)."""
    made = objects.create_namespaced_custom_object(
        GROUP, VERSION, namespace, "layerversions", body_of("LayerVersion", PUBLISHED, "libs.1")
    )
    for field, value in {"codeSha256": "B" * 43 + "=", "description": "new", "version": 2}.items():
        changed = copy.deepcopy(made)
        changed["spec"][field] = value
        with pytest.raises(client.ApiException) as refused:
            objects.replace_namespaced_custom_object(GROUP, VERSION, namespace, "layerversions", "libs.1", changed)
        assert "a layer version is immutable: publish another" in json.loads(refused.value.body)["message"]
    made["metadata"]["labels"] = {"mine": "yes"}
    objects.replace_namespaced_custom_object(GROUP, VERSION, namespace, "layerversions", "libs.1", made)


@pytest.mark.parametrize("field", PUBLISHED)
def test_a_layer_version_says_everything(objects: Any, namespace: str, field: str) -> None:
    """None of it can be added later."""
    assert field in refusal(objects, namespace, "LayerVersion", without(PUBLISHED, field))


FUNCTIONS_ACCEPTED = {
    "short names": ["libs:1", "data:999999999999999999"],
    "ARNs": [f"{ARN}:libs:1", f"{ARN}:Data_2:7"],
    "five": [f"l{number}:1" for number in range(5)],
}
FUNCTIONS_REFUSED = {
    "six": ([f"l{number}:1" for number in range(6)], "Cannot reference more than 5 layers."),
    "two versions of one": (["libs:1", "libs:2"], "Two different versions of the same layer are not allowed to be"),
    "one twice": (["libs:1", "libs:1"], "Two different versions of the same layer are not allowed to be referenced"),
    "one twice in both ways": ([f"{ARN}:libs:1", "libs:2"], "Two different versions of the same layer are not allowed"),
    "no number": (["libs"], "spec.layers[0] in body should match"),
    "a word for a number": (["libs:latest"], "spec.layers[0] in body should match"),
    "the number nought": (["libs:0"], "spec.layers[0] in body should match"),
    "a function's ARN": (["arn:aws:lambda:us-east-1:123456789012:function:f:1"], "in body should match"),
    "seventeen": ([f"l{number}:1" for number in range(17)], "must have at most 16 items"),
}


@pytest.mark.parametrize("layers", FUNCTIONS_ACCEPTED.values(), ids=FUNCTIONS_ACCEPTED)
def test_a_function_names_layers(objects: Any, namespace: str, layers: list[str]) -> None:
    """Whether they exist is a condition, not admission."""
    assert dry_run(objects, namespace, "Function", {**FUNCTION, "layers": layers})["spec"]["layers"] == layers


@pytest.mark.parametrize(("layers", "words"), FUNCTIONS_REFUSED.values(), ids=FUNCTIONS_REFUSED)
def test_a_functions_layers_are_refused(objects: Any, namespace: str, layers: list[str], words: str) -> None:
    """In Lambda's words where it has any."""
    assert words in refusal(objects, namespace, "Function", {**FUNCTION, "layers": layers})


def test_layers_and_versions_are_selectable_by_name(objects: Any, namespace: str) -> None:
    """`kubectl get fnlv --field-selector spec.layerName=libs` works."""
    for plural, kind in (("layers", "LayerList"), ("layerversions", "LayerVersionList")):
        found = objects.list_namespaced_custom_object(
            GROUP, VERSION, namespace, plural, field_selector="spec.layerName=libs"
        )
        assert found["kind"] == kind

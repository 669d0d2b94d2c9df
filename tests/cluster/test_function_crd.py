"""The Function kind at a real API server: what it fills in, what it refuses, and in which words."""

from __future__ import annotations

import base64
import copy
import json
import secrets
import time
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config

from lambent.model import environment_variables as env

pytestmark = pytest.mark.cluster

CRD = Path(__file__).resolve().parents[2] / "crds" / "functions.yaml"
GROUP, VERSION, PLURAL = "lambent.dev", "v1alpha1", "functions"
ZIP = base64.b64encode(b"PK\x05\x06" + bytes(18)).decode()
SPEC = {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "def handler(e, c): return e"}}


@pytest.fixture(scope="module")
def api(kubeconfig):
    return config.new_client_from_config(kubeconfig)


@pytest.fixture(scope="module", autouse=True)
def _definition(api):
    """The definition is there: a release's, else ours for these tests (a release could not adopt one we left)."""
    extensions = client.ApiextensionsV1Api(api)
    definition = yaml.safe_load(CRD.read_text())
    name = definition["metadata"]["name"]
    if any(stored.metadata.name == name for stored in extensions.list_custom_resource_definition().items):
        yield
        return
    extensions.create_custom_resource_definition(definition)
    deadline = time.monotonic() + 30
    while not _established(extensions, name):
        assert time.monotonic() < deadline, "the definition was not established within 30 s"
        time.sleep(0.2)
    yield
    extensions.delete_custom_resource_definition(name)


def _established(extensions, name):
    conditions = extensions.read_custom_resource_definition(name).status.conditions or []
    return any(condition.type == "Established" and condition.status == "True" for condition in conditions)


@pytest.fixture(scope="module")
def functions(api):
    return client.CustomObjectsApi(api)


@pytest.fixture(scope="module")
def namespace(api):
    """One namespace for the whole table: almost all of it is dry runs."""
    core, name = client.CoreV1Api(api), f"lambent-test-crd-{secrets.token_hex(4)}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


def dry_run(functions, namespace, spec, name="fn"):
    """What the API server would store."""
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Function", "metadata": {"name": name}, "spec": spec}
    return functions.create_namespaced_custom_object(
        GROUP, VERSION, namespace, PLURAL, body, dry_run="All", field_validation="Strict"
    )


def refusal(functions, namespace, spec, name="fn"):
    """The words in which the API server refuses a specification."""
    with pytest.raises(client.ApiException) as refused:
        dry_run(functions, namespace, spec, name)
    assert refused.value.status in (400, 422)
    return json.loads(refused.value.body)["message"]


def changed(**fields):
    """SPEC with other fields; None removes one."""
    spec = copy.deepcopy(SPEC) | fields
    return {name: value for name, value in spec.items() if value is not None}


def variables(**values):
    return changed(environment={"variables": values})


def variables_from(*sources, **values):
    return changed(environment={"valueFrom": list(sources), "variables": values})


SECRET = {"name": "PASSWORD", "secretKeyRef": {"name": "database", "key": "password"}}
CONFIG = {"name": "MODE", "configMapKeyRef": {"name": "settings", "key": "mode"}}
IMAGE = {"packageType": "Image", "code": {"imageUri": "registry.example/app:1"}}

ACCEPTED = {
    "the least that a function needs": SPEC,
    "a zip archive": changed(code={"zipFile": ZIP}, handler="app.main.handler"),
    "a custom runtime with a zip archive": changed(
        code={"zipFile": ZIP}, runtime="provided.al2023", handler="bootstrap"
    ),
    "the least memory": changed(memorySize=128),
    "memory in steps of 1 MB": changed(memorySize=1769),
    "the most memory": changed(memorySize=10240),
    "the shortest timeout": changed(timeout=1),
    "the longest timeout": changed(timeout=900),
    "the largest /tmp": changed(ephemeralStorage={"size": 10240, "medium": "Disk"}),
    "/tmp in memory": changed(ephemeralStorage={"size": 1024, "medium": "Memory"}),
    "a file system by name": changed(
        fileSystemConfigs=[{"arn": "data", "localMountPath": "/mnt/data.v1", "readOnly": False}]
    ),
    "a file system by ARN, for reading": changed(
        fileSystemConfigs=[
            {
                "arn": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/data",
                "localMountPath": "/mnt/data",
                "readOnly": True,
            }
        ]
    ),
    "a JSON log with levels": changed(
        loggingConfig={"logFormat": "JSON", "applicationLogLevel": "ERROR", "systemLogLevel": "WARN", "logGroup": "/a"}
    ),
    "a text log with a group of its own": changed(loggingConfig={"logFormat": "Text", "logGroup": "/team/a#b"}),
    "traces": changed(tracingConfig={"mode": "Active"}),
    "arm64": changed(architectures=["arm64"]),
    "a role by ARN with a path": changed(role="arn:aws:iam::123456789012:role/service-role/reader"),
    "a bare role": changed(role="reader"),
    "Lambda's names where Kubernetes has none": changed(functionName="Order_Handler-1"),
    "variables of exactly 4,096 bytes as JSON": variables(AB="x" * (4096 - 9)),
    "variables that only look reserved": variables(AWS_LAMBDA_EXEC_WRAPPER="/opt/w", PATH="/bin", TZ="UTC"),
    "an empty map of variables": variables(),
    "fifty tags": changed(tags={f"tag-{n}": "v" for n in range(50)}),
    "placement from the allowlist": changed(
        placement={
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
            "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}],
            "runtimeClassName": "gvisor",
            "imagePullSecrets": ["registry"],
        }
    ),
    "a container image": IMAGE,
    "a container image by digest": IMAGE | {"code": {"imageUri": f"host:5000/team/app@sha256:{'0' * 64}"}},
    "a container image that runs something else": IMAGE
    | {"imageConfig": {"entryPoint": ["/run"], "command": ["a", "b"], "workingDirectory": "/srv"}},
    "code from an address": changed(code={"url": "https://example.com/code.zip?v=1", "sha256": "0" * 64}),
    "code from a bucket": changed(code={"s3Bucket": "my-bucket", "s3Key": "a/b c.zip"}),
    "a version of an object in a store of one's own": changed(
        code={
            "s3Bucket": "my-bucket",
            "s3Key": "code.zip",
            "s3ObjectVersion": "3",
            "s3Endpoint": "https://store.example:9000",
            "s3CredentialsSecretRef": {"name": "store"},
            "sha256": "0" * 64,
        }
    ),
    "code from a ConfigMap": changed(code={"configMapRef": {"name": "code"}}),
    "code from one entry of a ConfigMap": changed(code={"configMapRef": {"name": "code", "key": "index.py"}}),
    "a variable from a Secret beside one from a ConfigMap": variables_from(SECRET, CONFIG),
}

AT = "1 validation error detected: Value at"
REFUSED = {
    "memory below 128 MB": (
        changed(memorySize=127),
        f"{AT} 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
    ),
    "memory above 10,240 MB": (
        changed(memorySize=10241),
        f"{AT} 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 10240",
    ),
    "a timeout of nothing": (
        changed(timeout=0),
        f"{AT} 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    "a timeout over 15 minutes": (
        changed(timeout=901),
        f"{AT} 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
    ),
    "a /tmp below 512 MB": (changed(ephemeralStorage={"size": 511}), "should be greater than or equal to 512"),
    "a /tmp above 10,240 MB": (changed(ephemeralStorage={"size": 10241}), "should be less than or equal to 10240"),
    "a /tmp on tape": (changed(ephemeralStorage={"medium": "Tape"}), 'Unsupported value: "Tape"'),
    **{
        f"a file system at {path}": (
            changed(fileSystemConfigs=[{"arn": "data", "localMountPath": path}]),
            "localMountPath in body should match",
        )
        for path in ("/data", "/mnt/", "/mnt/..", "/mnt/.", "/mnt/a/b", "/mnt/a:b", "mnt/a")
    },
    "a file system without a name": (
        changed(fileSystemConfigs=[{"arn": "", "localMountPath": "/mnt/a"}]),
        "fileSystemConfigs[0].arn",
    ),
    "two file systems": (
        changed(fileSystemConfigs=[{"arn": name, "localMountPath": f"/mnt/{name}"} for name in "ab"]),
        "must have at most 1 item",
    ),
    "a log level with text": (changed(loggingConfig={"applicationLogLevel": "DEBUG"}), "logFormat must be JSON"),
    "an unknown log level": (
        changed(loggingConfig={"logFormat": "JSON", "systemLogLevel": "TRACE"}),
        'Unsupported value: "TRACE"',
    ),
    "a log group with a space": (changed(loggingConfig={"logGroup": "a b"}), "logGroup in body should match"),
    "traces of another kind": (changed(tracingConfig={"mode": "On"}), 'Unsupported value: "On"'),
    "no code": (changed(code=None), "spec.code: Required value"),
    "code without a source": (changed(code={}), "Please provide a source for function code."),
    "two sources of code": (
        changed(code={"inline": "x = 1", "zipFile": ZIP}),
        "Please do not provide other FunctionCode parameters when providing a ZipFile.",
    ),
    "no handler": (
        changed(handler=None),
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    "no runtime": (
        changed(runtime=None),
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    "a handler with a space": (changed(handler="index handler"), "spec.handler in body should match"),
    "inline code for a runtime that is not Python": (
        changed(runtime="provided.al2023"),
        "code.inline is for Python and Node.js runtimes",
    ),
    "inline code with a handler in another file": (
        changed(handler="app.handler"),
        "the handler must be index.<function>",
    ),
    "a container image without its address": (
        changed(packageType="Image", runtime=None, handler=None),
        "Please provide ImageUri when creating a function with packageType Image.",
    ),
    "a container image with a runtime": (
        IMAGE | {"runtime": "python3.11"},
        "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
    ),
    "an image configuration without an image": (
        changed(imageConfig={"command": ["a"]}),
        "Please don't provide ImageConfig when creating a function with packageType Zip.",
    ),
    "an image with a space in its address": (
        IMAGE | {"code": {"imageUri": "a b"}},
        "spec.code.imageUri in body should",
    ),
    "a relative working directory": (
        IMAGE | {"imageConfig": {"workingDirectory": "srv"}},
        "spec.imageConfig.workingDirectory in body should match",
    ),
    "an address without a digest": (changed(code={"url": "https://example.com/c.zip"}), "code.url needs code.sha256"),
    "an address of a file": (
        changed(code={"url": "file:///etc/passwd", "sha256": "0" * 64}),
        "spec.code.url in body should match",
    ),
    "an address with a user in it": (
        changed(code={"url": "https://u:p@example.com/c.zip", "sha256": "0" * 64}),
        "spec.code.url in body should match",
    ),
    "a digest in upper case": (
        changed(code={"url": "https://example.com/c.zip", "sha256": "A" * 64}),
        "spec.code.sha256 in body should match",
    ),
    "a digest of code that is at hand": (
        changed(code={"inline": "x", "sha256": "0" * 64}),
        "sha256 goes with url or s3Bucket",
    ),
    "a bucket without a key": (changed(code={"s3Bucket": "my-bucket"}), "s3Bucket and s3Key belong together"),
    "a key without a bucket": (changed(code={"s3Key": "code.zip"}), "Please provide a source for function code."),
    "an endpoint without a bucket": (
        changed(code={"inline": "x", "s3Endpoint": "https://example.com"}),
        "s3ObjectVersion, s3Endpoint and s3CredentialsSecretRef need s3Bucket and s3Key",
    ),
    "a ConfigMap without a name": (changed(code={"configMapRef": {}}), "spec.code.configMapRef.name: Required value"),
    "a variable from nowhere": (
        variables_from({"name": "MODE"}),
        "give exactly one of secretKeyRef and configMapKeyRef",
    ),
    "a variable from two places": (
        variables_from(SECRET | {"configMapKeyRef": {"name": "c", "key": "k"}}),
        "give exactly one of secretKeyRef and configMapKeyRef",
    ),
    "a variable said and referred to": (
        variables_from(SECRET, PASSWORD="x"),
        "a variable stands in variables or in valueFrom, not in both",
    ),
    "a reserved variable from a Secret": (
        variables_from(SECRET | {"name": "AWS_REGION"}),
        f"{env.RESERVED_REFUSED}AWS_REGION",
    ),
    "a variable referred to twice": (variables_from(SECRET, SECRET), "Duplicate value"),
    "a container image in a Zip function": (
        changed(code={"imageUri": "registry.example/app:1"}),
        "Please do not provide ImageUri when creating a function with packageType Zip.",
    ),
    "an unknown package type": (changed(packageType="Wasm"), 'supported values: "Zip", "Image"'),
    "variables over 4 KB": (variables(AB="x" * (4096 - 8)), env.SIZE_REFUSED),
    "variables over 4 KB together": (variables(**{f"NAME_{n:02}": "x" * 100 for n in range(40)}), env.SIZE_REFUSED),
    "variables over 4 KB in bytes, not in characters": (variables(AB="ä" * 2044), env.SIZE_REFUSED),
    "variables over 4 KB by their escapes": (variables(AB='"' * 2044), env.SIZE_REFUSED),
    "the costliest variables that fit the schema": (
        variables(**{f"NAME_{n:03}": '\\"' * 500 for n in range(256)}),
        env.SIZE_REFUSED,
    ),
    "a variable of one letter": (variables(A="1"), env.NAME_REFUSED),
    "a variable with a hyphen": (variables(**{"MY-NAME": "1"}), env.NAME_REFUSED),
    "a variable that starts with an underscore": (variables(_HANDLER="x"), env.NAME_REFUSED),
    "a reserved variable": (variables(AWS_REGION="eu-west-1"), f"{env.RESERVED_REFUSED}AWS_REGION"),
    "reserved variables, all of them by name": (
        variables(AWS_REGION="eu-west-1", LAMBDA_TASK_ROOT="/x", MINE="1"),
        f"{env.RESERVED_REFUSED}AWS_REGION, LAMBDA_TASK_ROOT",
    ),
    "a variable that is no string": (variables(COUNT=1), 'must be of type string: "integer"'),
    "more than fifty tags": (changed(tags={f"tag-{n}": "v" for n in range(51)}), "must have at most 50 items"),
    "two architectures": (changed(architectures=["x86_64", "arm64"]), "must have at most 1 item"),
    "an unknown architecture": (changed(architectures=["riscv"]), 'supported values: "x86_64", "arm64"'),
    "a function name that Lambda refuses": (changed(functionName="a.b"), "spec.functionName in body should match"),
    "a function name over 64 characters": (changed(functionName="a" * 65), "may not be more than 64"),
    "a role that is no name": (changed(role="arn:aws:iam::1:role/x"), "spec.role in body should match"),
    "a field that does not exist": (changed(memory=128), 'unknown field "spec.memory"'),
    "a field of pods outside the allowlist": (
        changed(placement={"hostNetwork": True}),
        'unknown field "spec.placement.hostNetwork"',
    ),
}


def test_the_api_server_accepts_the_definition_as_it_is_committed(api, kubeconfig):
    """Structure, CEL types and CEL cost are judged when the definition is written."""
    definition = yaml.safe_load(CRD.read_text())
    extensions = client.ApiextensionsV1Api(api)
    stored = extensions.patch_custom_resource_definition(
        definition["metadata"]["name"],
        definition,
        field_manager="lambent-tests",
        force=True,
        field_validation="Strict",
        dry_run="All",
        _content_type="application/apply-patch+yaml",
    )
    conditions = {condition.type: condition.status for condition in stored.status.conditions or []}
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert conditions["Established"] == "True"


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(functions, namespace, spec):
    """What Lambda accepts is accepted, and nothing of it is dropped."""
    stored = dry_run(functions, namespace, spec)["spec"]
    assert stored["packageType"] == spec.get("packageType", "Zip")
    assert {name: stored[name] for name in spec} == spec | {
        "placement": stored["placement"] for _ in [0] if "placement" in spec
    }


@pytest.mark.parametrize(("spec", "words"), REFUSED.values(), ids=REFUSED)
def test_refuses(functions, namespace, spec, words):
    """What Lambda refuses is refused at admission, in its words where it has words."""
    assert words in refusal(functions, namespace, spec)


def test_the_api_server_fills_in_lambdas_defaults(functions, namespace):
    """An object in the cluster says everything that is true of it; empty values stay absent."""
    assert dry_run(functions, namespace, SPEC)["spec"] == SPEC | {
        "packageType": "Zip",
        "memorySize": 128,
        "timeout": 3,
        "ephemeralStorage": {"size": 512, "medium": "Disk"},
        "architectures": ["x86_64"],
        "publish": False,
    }


@pytest.mark.parametrize("name", ["a" * 65, "my.function"])
def test_an_object_whose_name_lambda_does_not_allow_needs_a_function_name(functions, namespace, name):
    """metadata.name is the function's name by default, so it has to be one."""
    assert "give spec.functionName" in refusal(functions, namespace, SPEC, name)
    assert dry_run(functions, namespace, changed(functionName="mine"), name)


@pytest.mark.parametrize(
    ("before", "after"),
    [({"functionName": "one"}, {"functionName": "two"}), ({"functionName": "one"}, {}), ({}, {"functionName": "one"})],
    ids=["changed", "removed", "added"],
)
def test_a_function_name_never_changes(functions, namespace, before, after):
    """The name is part of the ARN."""
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Function",
        "metadata": {"generateName": "named-"},
        "spec": SPEC | before,
    }
    created = functions.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)
    name = created["metadata"]["name"]
    try:
        created["spec"] = SPEC | after
        with pytest.raises(client.ApiException) as refused:
            functions.replace_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, created)
        assert "functionName is immutable" in json.loads(refused.value.body)["message"]
        created["spec"] = SPEC | before | {"memorySize": 256}
        functions.replace_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, created)
    finally:
        functions.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)


def test_a_package_type_never_changes(functions, namespace):
    """As in Lambda: another package type is another function."""
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Function",
        "metadata": {"generateName": "packaged-"},
        "spec": SPEC,
    }
    created = functions.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)
    name = created["metadata"]["name"]
    try:
        created["spec"] = IMAGE
        with pytest.raises(client.ApiException) as refused:
            functions.replace_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, created)
        assert "packageType is immutable" in json.loads(refused.value.body)["message"]
    finally:
        functions.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)


def test_spec_and_status_have_writers_of_their_own(functions, namespace):
    """A write to the object does not touch status, a write to status does not raise the generation."""
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Function",
        "metadata": {"generateName": "status-"},
        "spec": SPEC,
        "status": {"environments": 7},
    }
    created = functions.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)
    name = created["metadata"]["name"]
    try:
        assert created["status"] == {"observedGeneration": -1}, "nobody has looked"
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "Available",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        patched = functions.patch_namespaced_custom_object_status(
            GROUP, VERSION, namespace, PLURAL, name, {"status": {"observedGeneration": 1, "conditions": [condition]}}
        )
        assert patched["metadata"]["generation"] == 1
        assert patched["status"]["conditions"] == [condition]
    finally:
        functions.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)


def test_functions_are_selectable_by_runtime(functions, namespace):
    """`kubectl get fn --field-selector spec.runtime=python3.11` works."""
    listed = functions.list_namespaced_custom_object(
        GROUP, VERSION, namespace, PLURAL, field_selector="spec.runtime=python3.11"
    )
    assert listed["kind"] == "FunctionList"

"""Layers and artifacts on a real cluster: published, merged into /opt, kept for whoever uses them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from driving import Driver, eventually, zipped
from registries import Registry

USES = """
import sys, os
sys.path.insert(0, "/opt/python")
import helper
def handler(event, context):
    return {"value": helper.VALUE, "files": sorted(os.listdir("/opt/python"))}
"""


def helper(value: str, **more: str) -> str:
    """A layer's archive, base64."""
    return zipped({"python/helper.py": f"VALUE = {value!r}\n", **more})


@pytest.fixture
def publish(driver: Driver) -> Iterator[Callable[..., str]]:
    """Applies a Layer; its name."""
    applied: list[str] = []

    def apply(name: str | None = None, **spec: Any) -> str:
        name = name or f"l-{secrets.token_hex(4)}"
        metadata = {"name": name, "namespace": driver.namespace}
        body = {"apiVersion": "lambent.dev/v1alpha1", "kind": "Layer", "metadata": metadata, "spec": spec}
        driver.cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))
        applied.append(name)
        return name

    yield apply
    for name in set(applied):
        driver.cluster.run_kubectl("delete", "-n", driver.namespace, f"fnl/{name}", "--ignore-not-found", check=False)


def layer(driver: Driver, name: str) -> dict[str, Any]:
    return driver.cluster.get("fnl", name, "-n", driver.namespace)


def newest(driver: Driver, name: str) -> int | None:
    """The number of the newest version, once the status is about the present specification."""
    found = layer(driver, name)
    status = found.get("status", {})
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    return status.get("latestVersion") if current else None


def versions(driver: Driver, name: str) -> list[int]:
    found = driver.cluster.get("fnlv", "-n", driver.namespace, "--field-selector", f"spec.layerName={name}")
    return sorted(one["spec"]["version"] for one in found["items"])


def test_two_functions_share_a_layer_and_its_changes_are_versions(driver: Driver, publish: Callable[..., str]) -> None:
    """Each names the version that it wants; the same again publishes nothing."""
    name = publish(content={"zipFile": helper("one")}, compatibleRuntimes=["python3.11"])
    first = driver.apply(USES, layers=[f"{name}:1"])
    driver.wait_ready(first)
    assert driver.invoke(first).json["value"] == "one"
    publish(name, content={"zipFile": helper("two")}, compatibleRuntimes=["python3.11"])
    eventually(lambda: newest(driver, name) == 2)
    publish(name, content={"zipFile": helper("two")}, compatibleRuntimes=["python3.11"])
    second = driver.function(USES, layers=[f"{name}:2"])
    assert driver.invoke(second).json["value"] == "two"
    assert driver.invoke(first).json["value"] == "one"
    assert versions(driver, name) == [1, 2]
    status = driver.get(second)["status"]
    [used] = status["layers"]
    published = driver.cluster.get("fnlv", f"{name}.2", "-n", driver.namespace)["spec"]
    assert used["arn"] == published["layerVersionArn"]
    assert used["codeSha256"] == published["codeSha256"]


def test_layers_are_merged_in_order_and_cannot_be_written(driver: Driver, publish: Callable[..., str]) -> None:
    """The later file wins; what was executable is."""
    base = publish(content={"zipFile": helper("base", **{"python/base.py": ""})})
    tool = "#!/bin/sh\necho ran\n"
    over = publish(
        content={
            "zipFile": zipped({"python/helper.py": "VALUE = 'over'\n", "bin/tool": tool}, modes={"bin/tool": 0o100755})
        }
    )
    source = """
    import os, subprocess, sys
    sys.path.insert(0, "/opt/python")
    import helper
    def handler(event, context):
        said = subprocess.run(["/opt/bin/tool"], capture_output=True, text=True).stdout
        writable = [folder for folder, _, _ in os.walk("/opt/python") if os.access(folder, os.W_OK)]
        return {"value": helper.VALUE, "files": sorted(os.listdir("/opt/python")), "said": said, "writable": writable}
    """
    name = driver.function(source, layers=[f"{base}:1", f"{over}:1"])
    assert driver.invoke(name).json == {
        "value": "over",
        "files": ["base.py", "helper.py"],
        "said": "ran\n",
        "writable": [],
    }
    other = driver.function(source, layers=[f"{over}:1", f"{base}:1"])
    assert driver.invoke(other).json["value"] == "base"


def test_a_function_waits_for_its_layer(driver: Driver, publish: Callable[..., str]) -> None:
    """Lambda's words, and picked up when it appears."""
    name = f"l-{secrets.token_hex(4)}"
    function = driver.apply(USES, layers=[f"{name}:1"])
    ready = eventually(lambda: driver.condition(function, "Ready"))
    assert (ready["status"], ready["reason"]) == ("False", "ReferenceNotFound")
    assert ready["message"].endswith(f":layer:{name}:1 does not exist.")
    publish(name, content={"zipFile": helper("late")})
    driver.wait_ready(function)
    assert driver.invoke(function).json["value"] == "late"


def test_a_deleted_layer_breaks_nobody_who_uses_it(driver: Driver, publish: Callable[..., str]) -> None:
    """New environments start with it; nobody else gets it; its number does not come again."""
    name = publish(content={"zipFile": helper("kept")})
    function = driver.function(USES, layers=[f"{name}:1"])
    driver.cluster.run_kubectl("delete", "-n", driver.namespace, f"fnl/{name}")
    eventually(lambda: versions(driver, name) == [])
    driver.apply(USES, function, layers=[f"{name}:1"], memorySize=512)  # other environments
    driver.wait_ready(function)
    assert driver.invoke(function).json["value"] == "kept"
    late = driver.apply(USES, layers=[f"{name}:1"])
    assert eventually(lambda: driver.condition(late, "Ready"))["reason"] == "ReferenceNotFound"
    publish(name, content={"zipFile": helper("again")})
    eventually(lambda: newest(driver, name) == 2)
    assert versions(driver, name) == [2]


def test_a_layer_may_bring_the_runtime(driver: Driver, publish: Callable[..., str]) -> None:
    """A custom runtime's bootstrap in /opt, the code beside it."""
    bootstrap = """#!/usr/bin/python3
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
greeting = open(os.environ["LAMBDA_TASK_ROOT"] + "/greeting", "rb").read()
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    event = api.getresponse()
    _, request_id = event.read(), event.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", greeting)
    api.getresponse().read()
"""
    name = publish(content={"zipFile": zipped({"bootstrap": bootstrap}, {"bootstrap": 0o100755})})
    function = driver.function(
        runtime="provided.al2023",
        handler="any",
        code={"zipFile": zipped({"greeting": '"from the code"'})},
        layers=[f"{name}:1"],
    )
    assert driver.invoke(function).json == "from the code"


def test_an_extension_of_a_layer_is_started(driver: Driver, publish: Callable[..., str]) -> None:
    """External extensions lie in /opt/extensions; this one registers, which the function sees."""
    extension = """#!/usr/bin/env python3
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension"
def call(path, body=None, **headers):
    data = json.dumps(body).encode() if body is not None else None
    return urllib.request.urlopen(urllib.request.Request(base + path, data, headers))
name = os.path.basename(__file__)
answer = call("/register", {"events": ["INVOKE", "SHUTDOWN"]}, **{"Lambda-Extension-Name": name})
identifier = answer.headers["Lambda-Extension-Identifier"]
open("/tmp/registered", "w").write(name)
while json.loads(call("/event/next", **{"Lambda-Extension-Identifier": identifier}).read())["eventType"] != "SHUTDOWN":
    pass
"""
    archive = zipped({"extensions/watcher": extension}, modes={"extensions/watcher": 0o100755})
    name = publish(content={"zipFile": archive})
    source = """
    def handler(event, context):
        return open("/tmp/registered").read()
    """
    function = driver.function(source, layers=[f"{name}:1"])
    answer = driver.invoke(function)
    assert answer.error is None, answer
    assert answer.json == "watcher"


def test_an_incompatible_layer_is_an_event(driver: Driver, publish: Callable[..., str]) -> None:
    """It works all the same, as in Lambda."""
    name = publish(content={"zipFile": helper("x")}, compatibleRuntimes=["nodejs22.x"])
    eventually(lambda: newest(driver, name) == 1)
    function = driver.function(USES, layers=[f"{name}:1"])
    assert driver.invoke(function).json["value"] == "x"
    eventually(lambda: "LayerIncompatible" in {event["reason"] for event in driver.events(function)})


def test_layers_of_another_account_are_refused_in_words(driver: Driver) -> None:
    """Sharing between namespaces comes later."""
    arn = "arn:aws:lambda:us-east-1:999999999999:layer:libs:1"
    function = driver.apply(USES, layers=[arn])
    stalled = eventually(lambda: driver.condition(function, "Stalled"))
    assert stalled["reason"] == "InvalidSpec"
    assert stalled["message"].startswith(f"{arn}: layers of other accounts and regions cannot be used.")


def test_code_and_layers_come_from_a_registry(driver: Driver, publish: Callable[..., str], registry: Registry) -> None:
    """A tag of a real registry; a new push changes nothing until the specification does."""
    code = registry.push_archive(base64.b64decode(zipped({"index.py": USES})), "code/uses", "v1")
    content = registry.push_archive(base64.b64decode(helper("artifact")), "layers/helper", "v1")
    name = publish(content={"artifactUri": content})
    function = driver.function(code={"artifactUri": code}, layers=[f"{name}:1"])
    assert driver.invoke(function).json["value"] == "artifact"
    registry.push_archive(base64.b64decode(helper("moved")), "layers/helper", "v1")
    assert newest(driver, name) == 1
    publish(name, content={"artifactUri": content}, description="look again")
    eventually(lambda: newest(driver, name) == 2)
    driver.apply(None, function, code={"artifactUri": code}, layers=[f"{name}:2"])
    driver.wait_ready(function)
    assert driver.invoke(function).json["value"] == "moved"


def test_an_image_is_no_artifact(driver: Driver, registry: Registry) -> None:
    """The message says what is wanted."""
    uri = registry.push_archive(b"a tar", "code/tar", "v1", "application/vnd.oci.image.layer.v1.tar+gzip")
    function = driver.apply(code={"artifactUri": uri})
    stalled = eventually(lambda: driver.condition(function, "Stalled"))
    assert stalled["reason"] == "InvalidCode"
    assert "it takes exactly one layer of application/zip" in stalled["message"]

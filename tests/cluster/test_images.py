"""Functions of packageType Image through the gateway, with a real registry: a user's own image, untouched.

The release has to know the registries of these tests (registries.OPEN and the others) as plain HTTP, and their address
as allowed; the node's containerd has to read their folder.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import registries
import samples
from driving import Driver, eventually
from local.state import State
from registries import ImageFiles, Registry


@pytest.fixture(scope="module")
def guarded(state: State) -> Iterator[Registry]:
    """Needs credentials."""
    with registries.running(state, authenticated=True) as running:
        sample = samples.build(str(state.root))["go"]
        running.push(ImageFiles.of_archive(sample.archive), "private/go")
        yield running


def spec_of(uri: str, **spec: Any) -> dict[str, Any]:
    return {"packageType": "Image", "code": {"imageUri": uri}, "runtime": None, "handler": None, **spec}


def image(driver: Driver, uri: str, **spec: Any) -> str:
    """A function of this image, Ready; its name."""
    name = driver.apply(**spec_of(uri, **spec))
    driver.wait_ready(name, seconds=90)
    return name


@pytest.mark.parametrize("kind", samples.STARTS)
def test_each_kind_of_image_answers(driver, registry, kind):
    """AWS's own client, the gateway, a pod, the image's program: as uid 993."""
    name = image(driver, registry.reference(f"sample/{kind}"))
    answer = driver.invoke(name, {"hello": kind})
    assert answer.error is None, answer
    assert (answer.json["event"], answer.json["uid"]) == ({"hello": kind}, 993)


def test_the_root_is_read_only_and_the_environment_is_the_images(driver, registry):
    """/tmp alone can be written; nothing of the platform's own variables is seen."""
    variables = {"GREETING_2": "of the function"}
    name = image(driver, registry.reference("sample/python"), environment={"variables": variables})
    said = driver.invoke(name).json
    assert (said["root"], said["greeting"], said["folder"]) == (
        "Read-only file system",
        "from the image",
        "/function",
    )
    assert "GREETING_2" in said["names"]
    assert [name for name in said["names"] if name.startswith(("LAMBENT_", "KUBERNETES_SERVICE"))] == []


def test_entry_point_command_and_working_directory_can_be_overridden(driver, registry):
    """Each part of imageConfig on its own wins over the image's."""
    uri = registry.reference("sample/python")
    handler = image(driver, uri, imageConfig={"command": ["function.app.handler"], "workingDirectory": "/"})
    # in / the client is not on the path: what imports is the entry point's matter
    assert driver.invoke(handler).error == "Unhandled"
    other = image(
        driver,
        uri,
        imageConfig={
            "entryPoint": ["/usr/bin/env", "COLOUR=blue", "python3", "-m", "awslambdaric"],
            "command": ["app.handler"],
        },
    )
    assert "COLOUR" in driver.invoke(other).json["names"]


WORDS = {
    "the image is not there": ("sample/nothing", {}, "nothing"),
    "the tag is not there": ("sample/go:other", {}, "other"),
}


@pytest.mark.parametrize("row", WORDS.values(), ids=WORDS)
def test_an_image_that_does_not_exist_is_named(driver, registry, row):
    """The Function says so, no pod is made, and an invocation says what state it is in."""
    place, spec, word = row
    name = driver.apply(**spec_of(f"{registry.host}/{place}", **spec))
    ready = eventually(lambda: (c := driver.condition(name, "Ready")).get("status") == "False" and c)
    assert word in ready["message"]
    assert not driver.pods(name)


def test_an_image_that_needs_credentials_needs_a_pull_secret(driver, guarded):
    """Without imagePullSecrets the Function says so; with them it runs."""
    uri = guarded.reference("private/go")
    name = driver.apply(**spec_of(uri))
    ready = eventually(lambda: (c := driver.condition(name, "Ready")).get("status") == "False" and c)
    assert registries.PASSWORD not in json.dumps(driver.get(name))
    assert any(word in ready["message"].lower() for word in ("credential", "unauthorized", "401", "denied"))
    secret = f"pull-{secrets.token_hex(4)}"
    driver.cluster.run_kubectl(
        "create", "-n", driver.namespace, "-f", "-", stdin=json.dumps(guarded.pull_secret(secret))
    )
    try:
        driver.apply(name=name, **spec_of(uri, placement={"imagePullSecrets": [secret]}))
        driver.wait_ready(name, seconds=90)
        assert driver.invoke(name, {"a": 1}).json["event"] == {"a": 1}
        assert registries.PASSWORD not in json.dumps([driver.get(name), driver.events(name), driver.pods(name)])
    finally:
        driver.cluster.run_kubectl("delete", "secret", secret, "-n", driver.namespace)


CANNOT = {
    "there is no shell": (
        "sample/distroless",
        {"entryPoint": ["/bin/sh", "-c"], "command": ["x"]},
        "InvalidEntrypoint",
    ),
    "the entry point exits": ("sample/shell", {"entryPoint": ["false"]}, "ExitError"),
    "the folder is not there": ("sample/go", {"workingDirectory": "/no/such"}, "InvalidWorkingDir"),
    "AWS's entry point has no handler": (
        "sample/aws-base",
        {"entryPoint": ["/lambda-entrypoint.sh", "a", "b"]},
        "ExitError",
    ),
}


@pytest.mark.parametrize("row", CANNOT.values(), ids=CANNOT)
def test_an_image_that_cannot_start_answers_as_lambda_does(driver, registry, row):
    """Each invocation gets the error, and the gateway stays well."""
    place, config, error_type = row
    name = image(driver, registry.reference(place), imageConfig=config)
    for _ in range(2):
        answer = driver.invoke(name)
        assert (answer.error, answer.json["errorType"]) == ("Unhandled", f"Runtime.{error_type}")


def test_an_image_of_another_architecture_is_refused(driver, registry):
    """Before any pod, in words that name both."""
    registry.push(ImageFiles.of_files({"x": b"\x7fELF"}, architecture="arm64", Entrypoint=["/x"]), "other/arm")
    name = driver.apply(**spec_of(registry.reference("other/arm")))
    stalled = eventually(lambda: (c := driver.condition(name, "Ready")).get("status") == "False" and c)
    assert "arm64" in stalled["message"]
    assert not driver.pods(name)


def test_an_image_without_an_entry_point_is_told_so(driver, registry):
    """Neither ENTRYPOINT nor CMD: the Function or its invocation says it; with imageConfig it works."""
    go = ImageFiles.of_archive(samples.build(driver.cluster.state)["go"].archive)
    plain = {**go.config, "config": {}}
    registry.push(ImageFiles(plain, go.layers), "other/plain")
    uri = registry.reference("other/plain")
    name = driver.apply(**spec_of(uri))
    eventually(lambda: driver.condition(name, "Ready").get("status"))
    if driver.condition(name, "Ready")["status"] == "True":
        assert driver.invoke(name).json["errorType"] == "Runtime.InvalidEntrypoint"
    else:
        assert "ENTRYPOINT" in driver.condition(name, "Ready")["message"].upper()
    driver.apply(name=name, **spec_of(uri, imageConfig={"entryPoint": ["/bootstrap"]}))
    driver.wait_ready(name)
    assert driver.invoke(name, {"a": 1}).json["event"] == {"a": 1}


def test_a_tag_that_moves_changes_nothing_until_the_spec_does(driver, registry):
    """A function runs the digest that its tag named when it was created or changed."""
    registry.push(ImageFiles.of_archive(samples.build(driver.cluster.state)["go"].archive), "moving/image")
    uri = registry.reference("moving/image")
    name = image(driver, uri)
    before = driver.get(name)["status"]["image"]["resolvedUri"]
    registry.push(ImageFiles.of_archive(samples.build(driver.cluster.state)["shell"].archive), "moving/image")
    driver.cluster.run_kubectl("annotate", "-n", driver.namespace, f"fn/{name}", f"example.com/n={time.time()}")
    assert "handler" not in driver.invoke(name).json
    assert driver.get(name)["status"]["image"]["resolvedUri"] == before
    driver.apply(name=name, **spec_of(uri, description="changed", imageConfig={"command": ["second"]}))
    eventually(lambda: driver.get(name)["status"]["image"]["resolvedUri"] != before)
    driver.wait_ready(name)
    assert eventually(lambda: driver.invoke(name).json.get("handler")) == "second"


def test_a_slow_pull_does_not_delay_another_functions_start(driver, state, registry):
    """While the layers of one image do not come, another function's cold start is served."""
    registry.push(ImageFiles.of_files({"slow": secrets.token_bytes(2000)}, Entrypoint=["/slow"]), "slow/image")
    quick = driver.apply(**spec_of(registry.reference("sample/go")))
    driver.wait_ready(quick)
    with registries.stalling(state, registry) as (front, go_on):
        # Its configuration is a blob too: the controller may read it only once.
        go_on.set()
        slow = driver.apply(**spec_of(front.reference("slow/image")))
        driver.wait_ready(slow)
        go_on.clear()
        waiting = threading.Thread(target=lambda: _invoke_quietly(driver, slow), daemon=True)
        waiting.start()
        eventually(lambda: driver.pods(slow))
        assert driver.invoke(quick, {"a": 1}).json["event"] == {"a": 1}
        assert not [pod for pod in driver.pods(slow) if pod["status"].get("phase") == "Running"]
        go_on.set()
        waiting.join(60)


def _invoke_quietly(driver: Driver, name: str) -> None:
    """What comes of it does not matter."""
    try:
        driver.invoke(name)
    except Exception as error:  # a thread of a test that is about somebody else
        print(error)

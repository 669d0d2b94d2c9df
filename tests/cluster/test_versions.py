"""Versions on a real cluster: published in each way, kept while aliases refer to them, gone with their function."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from driving import Answer, Driver, eventually

SHOW = "import os\ndef handler(event, context):\n    return os.environ['KEY']\n"
SOURCE = "def handler(event, context):\n    return {value!r}\n"


class Versions:
    """One test's versions and aliases."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.cluster = driver.cluster

    def apply(self, kind: str, name: str, /, **spec: Any) -> str:
        metadata = {"name": name, "namespace": self.driver.namespace}
        body = {"apiVersion": "lambent.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        self.cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))
        return name

    def publish(self, function: str, name: str | None = None, **spec: Any) -> str:
        """Apply a Version and wait for its number; the object's name."""
        name = self.apply("Version", name or f"v-{secrets.token_hex(4)}", functionName=function, **spec)
        eventually(lambda: self.number(name))
        return name

    def get(self, name: str) -> dict[str, Any]:
        return self.cluster.get("fnv", name, "-n", self.driver.namespace)

    def status(self, name: str) -> dict[str, Any]:
        return self.get(name).get("status", {})

    def number(self, name: str) -> str | None:
        return self.status(name).get("version")

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        return next((one for one in self.status(name).get("conditions", []) if one["type"] == kind), {})

    def of(self, function: str) -> dict[str, str | None]:
        """Object → number, of all that there are."""
        found = self.cluster.get(
            "fnv", "-n", self.driver.namespace, "--field-selector", f"spec.functionName={function}"
        )
        return {one["metadata"]["name"]: one.get("status", {}).get("version") for one in found["items"]}

    def refused(self, *arguments: str) -> str:
        """What kubectl says of something that is refused."""
        command = self.cluster.kubectl_command(*arguments)
        environment = self.cluster.environment()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def delete(self, *names: str) -> None:
        self.cluster.run_kubectl("delete", "-n", self.driver.namespace, *names)


@pytest.fixture
def versions(driver: Driver) -> Iterator[Versions]:
    """The functions take their versions and aliases along."""
    yield Versions(driver)


def test_a_version_is_a_snapshot_with_a_number(driver: Driver, versions: Versions) -> None:
    """The same again has the same number; a change the next; what was published stays as it was."""
    name = driver.function(SOURCE.format(value="one"), description="first")
    first = versions.publish(name)
    status = versions.status(first)
    assert status["version"] == "1"
    assert status["functionArn"] == f"{driver.get(name)['status']['functionArn']}:1"
    assert versions.condition(first, "Ready")["status"] == "True"
    twin = versions.publish(name, description="other words")
    assert versions.number(twin) == "1"
    duplicates = eventually(lambda: [one for one in (first, twin) if versions.condition(one, "Duplicate")])
    assert len(duplicates) == 1
    driver.function(SOURCE.format(value="two"), name)
    second = versions.publish(name)
    assert versions.number(second) == "2"
    assert versions.status(first)["snapshot"] == status["snapshot"]
    assert versions.status(second)["snapshot"]["codeSha256"] != status["snapshot"]["codeSha256"]
    eventually(lambda: driver.get(name)["status"].get("latestVersion") == "2")


def test_a_version_runs_what_was_published_beside_latest(driver: Driver, versions: Versions) -> None:
    """By number and by ARN, in environments of its own, which go with it; $LATEST goes on."""
    name = driver.function(SOURCE.format(value="one"))
    version = versions.publish(name)
    driver.function(SOURCE.format(value="two"), name)
    for called, said, ran in (
        (f"{name}:1", "one", "1"),
        (f"{driver.get(name)['status']['functionArn']}:1", "one", "1"),
        (name, "two", "$LATEST"),
        (f"{name}:$LATEST", "two", "$LATEST"),
    ):
        answer = eventually(lambda called=called: ran_or_none(driver, called))
        assert (answer.json, answer.version) == (said, ran), called

    def owners() -> list[str]:
        selector = f"lambent.dev/function-uid={driver.get(name)['metadata']['uid']}"
        found = versions.cluster.get("pod", "-n", driver.namespace, "-l", selector)["items"]
        alive = [one for one in found if not one["metadata"].get("deletionTimestamp")]
        return sorted(one["metadata"]["ownerReferences"][0]["kind"] for one in alive)

    assert owners() == ["Function", "Version"]
    versions.delete(f"fnv/{version}")
    eventually(lambda: owners() == ["Function"])
    assert driver.invoke(name).json == "two"
    with pytest.raises(driver.client.exceptions.ResourceNotFoundException):
        driver.invoke(f"{name}:1")


def ran_or_none(driver: Driver, called: str) -> Answer | None:
    """An answer, once the gateway knows of what is called."""
    try:
        return driver.invoke(called)
    except driver.client.exceptions.ResourceNotFoundException:
        return None


def test_what_was_published_cannot_be_changed(driver: Driver, versions: Versions) -> None:
    """Neither the specification nor, by whoever may write it, the status."""
    name = driver.function(SOURCE.format(value="one"))
    version = versions.publish(name)
    where = ("-n", driver.namespace, f"fnv/{version}", "--type=merge")
    spec = json.dumps({"spec": {"description": "another"}})
    assert "a version is immutable" in versions.refused("patch", *where, "-p", spec)
    for change, words in (
        ({"version": "7"}, "the number of a version never changes"),
        ({"functionUid": "other"}, "a version belongs to one function for ever"),
        ({"snapshot": {"memorySize": 128}}, "a version is immutable: publish another"),
    ):
        patch = json.dumps({"status": change})
        assert words in versions.refused("patch", *where, "--subresource=status", "-p", patch)


def test_a_failed_precondition_is_told_in_lambdas_words(driver: Driver, versions: Versions) -> None:
    """And a version waits for its function."""
    name = f"t-{secrets.token_hex(4)}"
    waiting = versions.apply("Version", f"v-{secrets.token_hex(4)}", functionName=name)
    eventually(lambda: versions.condition(waiting, "Ready").get("reason") == "FunctionNotFound")
    driver.function(SOURCE.format(value="one"), name)
    eventually(lambda: versions.number(waiting) == "1")
    other = "A" * 43 + "="
    refused = versions.apply("Version", f"v-{secrets.token_hex(4)}", functionName=name, codeSha256=other)
    ready = eventually(lambda: (one := versions.condition(refused, "Ready")).get("reason") and one)
    actual = driver.get(name)["status"]["codeSha256"]
    assert ready["reason"] == "PreconditionFailed"
    assert ready["message"] == (
        f"CodeSHA256 ({other}) is different from current CodeSHA256 in $LATEST ({actual}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )


def test_publish_makes_a_version_of_every_change_and_retention_lets_the_old_ones_go(
    driver: Driver, versions: Versions
) -> None:
    """But for one that an alias refers to."""
    name = driver.function(SOURCE.format(value=1), publish=True)
    eventually(lambda: versions.of(name) == {f"{name}.1": "1"})
    versions.apply("Alias", f"{name}.live", functionName=name, name="live", functionVersion="1")
    eventually(lambda: versions.status(f"{name}.1").get("referencedBy") == ["live"])
    for number in (2, 3, 4):
        driver.function(SOURCE.format(value=number), name, publish=True)
        eventually(lambda number=number: f"{name}.{number}" in versions.of(name))
    driver.function(SOURCE.format(value=4), name, publish=True, versionRetention={"keepLast": 1})
    eventually(lambda: set(versions.of(name)) == {f"{name}.1", f"{name}.4"})
    versions.delete(f"fna/{name}.live")
    eventually(lambda: set(versions.of(name)) == {f"{name}.4"})


def test_a_version_that_an_alias_refers_to_cannot_be_deleted(driver: Driver, versions: Versions) -> None:
    """In Lambda's words; deleting the function overrides, and numbers go on when it is made again."""
    name = driver.function(SOURCE.format(value="one"))
    version = versions.publish(name)
    for alias in ("next", "live"):
        versions.apply("Alias", f"{name}.{alias}", functionName=name, name=alias, functionVersion="1")
    eventually(lambda: versions.status(version).get("referencedBy") == ["live", "next"])
    words = "Unable to delete version because the following aliases reference it: [live, next]"
    assert words in versions.refused("delete", "-n", driver.namespace, f"fnv/{version}")
    every = ("delete", "-n", driver.namespace, "fnv", "--field-selector", f"spec.functionName={name}")
    assert words in versions.refused(*every)
    assert versions.number(version) == "1"
    driver.delete(name)
    eventually(lambda: not versions.of(name))
    driver.function(SOURCE.format(value="one"), name)
    again = versions.publish(name)
    assert versions.number(again) == "2"


@pytest.fixture
def guarded(versions: Versions, namespace: str) -> Iterator[str]:
    """A fresh namespace that no release watches, guarded by a copy of the release's policy."""
    made = []
    for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
        found = versions.cluster.get(kind, "lambent-lambent-test-system-version-references")
        found["metadata"] = {"name": namespace}
        found.pop("status", None)
        if kind == "validatingadmissionpolicy":
            [only] = found["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
            only["values"] = [namespace]
        else:
            found["spec"]["policyName"] = namespace
        versions.cluster.run_kubectl("create", "-f", "-", stdin=json.dumps(found))
        made.append(f"{kind}/{namespace}")
    yield namespace
    versions.cluster.run_kubectl("delete", *made)


def test_a_namespace_takes_its_versions_along(versions: Versions, guarded: str) -> None:
    """Also those that aliases refer to, as their status says for ever: nobody keeps it here."""
    spec = {"functionName": "hello"}
    body = {"apiVersion": "lambent.dev/v1alpha1", "kind": "Version", "metadata": {"namespace": guarded}, "spec": spec}
    words = "Unable to delete version because the following aliases reference it: [live]"
    status = json.dumps({"status": {"referencedBy": ["live"]}})

    def is_guarded() -> bool:
        """A policy takes a moment to be in force."""
        name = f"v-{secrets.token_hex(4)}"
        body["metadata"] = {"name": name, "namespace": guarded}
        versions.cluster.run_kubectl("create", "-f", "-", stdin=json.dumps(body))
        where = ("-n", guarded, f"fnv/{name}")
        versions.cluster.run_kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", status)
        said = versions.cluster.run_kubectl("delete", "-n", guarded, f"fnv/{name}", "--dry-run=server", check=False)
        return not said  # nothing was deleted

    eventually(is_guarded)
    assert words in versions.refused("delete", "-n", guarded, "fnv", "--all")
    versions.cluster.run_kubectl("delete", "namespace", guarded, "--timeout=60s")
    versions.cluster.run_kubectl("create", "namespace", guarded)  # for the fixture, which deletes it


def test_a_changed_secret_is_another_pod_revision_of_the_same_version(driver: Driver, versions: Versions) -> None:
    """What stands in a Secret is no part of a snapshot."""
    secret = f"s-{secrets.token_hex(4)}"

    def put(value: str) -> None:
        metadata = {"name": secret, "namespace": driver.namespace}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": value}}
        driver.cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))

    put("one")
    source = {"name": "KEY", "secretKeyRef": {"name": secret, "key": "key"}}
    name = driver.function(SHOW, environment={"valueFrom": [source]})
    version = versions.publish(name)
    assert eventually(lambda: ran_or_none(driver, f"{name}:1")).json == "one"
    before = eventually(lambda: (one := versions.status(version)).get("podRevision") and one)
    put("two")
    after = eventually(lambda: (one := versions.status(version))["podRevision"] != before["podRevision"] and one)
    assert after["snapshot"] == before["snapshot"]
    assert eventually(lambda: driver.invoke(f"{name}:1").json == "two")
    driver.cluster.run_kubectl("delete", "-n", driver.namespace, f"secret/{secret}")
    eventually(lambda: versions.condition(version, "Ready").get("reason") == "ReferenceNotFound")

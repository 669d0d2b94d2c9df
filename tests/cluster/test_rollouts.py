"""Rollouts on a real cluster: from changed code to shifted traffic, and back again when it goes wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from driving import Driver, eventually
from releases import Release

GOOD = """
def handler(event, context):
    return {{"said": {0!r}, "version": context.function_version}}
"""
BAD = """
def handler(event, context):
    raise ValueError("this one should not be out")
"""
REPORTS = """
import json, os, urllib.request
def handler(event, context):
    report = {
        "deploymentId": event["DeploymentId"],
        "lifecycleEventHookExecutionId": event["LifecycleEventHookExecutionId"],
        "status": os.environ["STATUS"],
    }
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus",
    }
    request = urllib.request.Request(os.environ["GATEWAY"], json.dumps(report).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
"""


@dataclass
class Shop:
    """A function that publishes every change, and an alias `live` of it."""

    driver: Driver
    name: str

    @classmethod
    def open(cls, driver: Driver) -> Shop:
        shop = cls(driver, driver.function(GOOD.format("one"), publish=True))
        shop.published(1)
        shop.point(functionVersion="1")
        eventually(lambda: shop.routing == {"functionVersion": "1"})
        return shop

    def change(self, source: str) -> None:
        """New code: the next version."""
        self.driver.apply(source, self.name, publish=True)

    def published(self, number: int) -> None:
        eventually(lambda: number in [int(one["status"].get("version", 0)) for one in self._versions()])

    def _versions(self) -> list[dict[str, Any]]:
        selector = f"spec.functionName={self.name}"
        found = self.driver.cluster.get("fnv", "-n", self.driver.namespace, "--field-selector", selector)
        return [one for one in found["items"] if "status" in one]

    def point(self, **spec: Any) -> None:
        """What a repository's file says."""
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Alias",
            "metadata": {"name": f"{self.name}.live", "namespace": self.driver.namespace},
            "spec": {"functionName": self.name, **spec},
        }
        self.driver.cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))

    def annotate(self, text: str) -> None:
        arguments = ("annotate", "fna", f"{self.name}.live", "-n", self.driver.namespace, text, "--overwrite")
        self.driver.cluster.run_kubectl(*arguments)

    @property
    def alias(self) -> dict[str, Any]:
        return self.driver.cluster.get("fna", f"{self.name}.live", "-n", self.driver.namespace)

    @property
    def status(self) -> dict[str, Any]:
        return self.alias.get("status", {})

    @property
    def routing(self) -> dict[str, Any]:
        return self.status.get("routing", {})

    @property
    def rollout(self) -> dict[str, Any]:
        return self.status.get("rollout", {})

    def reason(self, kind: str) -> str | None:
        found = [one for one in self.status.get("conditions", []) if one["type"] == kind and one["status"] == "True"]
        return found[0]["reason"] if found else None

    def call(self, times: int = 1) -> Counter[str]:
        """Which versions ran."""
        return Counter(self.driver.invoke(self.name, Qualifier="live").version for _ in range(times))

    def called_until(self, question: Callable[[], bool]) -> Counter[str]:
        """Which versions ran until something is so."""
        ran: Counter[str] = Counter()

        def ask() -> bool:
            ran.update(self.call(5))
            return question()

        eventually(ask, 120, pause=0.05)
        return ran


@pytest.fixture
def shop(driver: Driver) -> Shop:
    return Shop.open(driver)


def test_changed_code_is_published_and_gets_its_traffic_step_by_step(shop: Shop) -> None:
    """Nobody writes a number down, and nobody but the controller's status changes: the repository stays as it is."""
    rollout = {"steps": [{"percentage": 30, "seconds": 3}, {"percentage": 60, "seconds": 3}]}
    shop.point(latestPublished=True, rollout=rollout)
    shop.call()
    before = shop.alias["spec"]
    shop.change(GOOD.format("two"))
    ran = shop.called_until(lambda: shop.rollout.get("phase") == "Succeeded")
    assert ran.keys() == {"1", "2"}
    assert shop.routing == {"functionVersion": "2"}
    eventually(lambda: shop.call(5).keys() == {"2"})
    assert shop.call(20) == {"2": 20}
    assert shop.alias["spec"] == before
    assert shop.reason("Ready") == "Available"
    shop.change(GOOD.format("three"))  # the weights of the first rollout are gone, those of the second come and go
    shop.called_until(lambda: shop.routing == {"functionVersion": "3"})
    assert [one["toVersion"] for one in shop.status["history"]] == ["3", "2"]


def test_a_version_that_fails_loses_its_traffic_by_itself(shop: Shop) -> None:
    """By what the gateway counts; nobody has a Prometheus here."""
    alarm = {"name": "errors", "metric": "ErrorRate", "threshold": 10, "period": 10, "minimumSamples": 5}
    steps = [{"percentage": 50, "seconds": 600}]
    shop.change(BAD)
    shop.published(2)
    shop.point(functionVersion="2", rollout={"steps": steps, "alarms": [alarm]})
    shop.called_until(lambda: shop.rollout.get("phase") == "RolledBack")
    assert shop.routing == {"functionVersion": "1"}
    assert shop.rollout["reason"] == "Alarm"
    assert (shop.reason("Stalled"), shop.reason("Ready")) == ("RolledBack", None)
    eventually(lambda: shop.call(5).keys() == {"1"})
    assert shop.call(30) == {"1": 30}
    reasons = {event["reason"] for event in shop.driver.events(f"{shop.name}.live")}
    assert {"RolloutStarted", "RolloutStepped", "RolledBack"} <= reasons
    shop.change(GOOD.format("three"))
    shop.published(3)
    shop.point(functionVersion="3")
    eventually(lambda: shop.call(5).keys() == {"3"})
    assert shop.reason("Ready") == "Available"


@pytest.mark.parametrize(("said", "phase", "version"), [("Succeeded", "Succeeded", "2"), ("Failed", "RolledBack", "1")])
def test_a_hook_reports_with_codedeploys_call(
    shop: Shop, release: Release, said: str, phase: str, version: str
) -> None:
    """From an environment, at the gateway's Service; what it reported stays under the gateway's field manager."""
    driver = shop.driver
    gateway = f"http://{release.name}-gateway.{release.namespace}.svc:8080"
    hook = driver.function(REPORTS, environment={"variables": {"GATEWAY": gateway, "STATUS": said}}, timeout=60)
    shop.change(GOOD.format("two"))
    shop.published(2)
    hooks = {"preTraffic": {"functionName": hook, "timeoutSeconds": 120}}
    shop.point(functionVersion="2", rollout={"strategy": "AllAtOnce", "hooks": hooks})
    eventually(lambda: shop.rollout.get("phase") == phase, 120)
    assert shop.routing == {"functionVersion": version}
    [asked], [result] = shop.rollout["hooks"], shop.status["hookResults"]
    assert (asked["state"], result["status"]) == (said, said)
    assert asked["executionIdSha256"] == result["executionIdSha256"]
    command = ("fna", f"{shop.name}.live", "-n", driver.namespace, "--show-managed-fields")
    managed = {
        one["manager"]: one["fieldsV1"].get("f:status", {})
        for one in driver.cluster.get(*command)["metadata"]["managedFields"]
        if one.get("subresource") == "status"
    }
    assert managed.keys() == {"lambent-controller", "lambent-gateway"}
    assert managed["lambent-gateway"].keys() == {"f:hookResults"}
    assert "f:hookResults" not in managed["lambent-controller"]


def test_a_rollout_goes_on_when_its_controller_is_gone(shop: Shop, release: Release) -> None:
    """Where it was, under the id that it had."""
    shop.change(GOOD.format("two"))
    shop.published(2)
    shop.point(
        functionVersion="2", rollout={"steps": [{"percentage": 20, "seconds": 5}, {"percentage": 50, "seconds": 5}]}
    )
    eventually(lambda: shop.rollout.get("step") == 1)
    deployment = shop.rollout["deploymentId"]
    selector = "app.kubernetes.io/component=controller"
    shop.driver.cluster.run_kubectl("delete", "pod", "-n", release.namespace, "-l", selector)
    ran = shop.called_until(lambda: shop.rollout["phase"] == "Succeeded")
    assert ran.keys() <= {"1", "2"}
    assert shop.rollout["deploymentId"] == deployment
    assert shop.routing == {"functionVersion": "2"}


def test_people_pause_and_abort_by_annotation(shop: Shop) -> None:
    """A pause is there until it is taken away; an abort is taken away when it is done."""
    shop.change(GOOD.format("two"))
    shop.published(2)
    shop.annotate("lambent.dev/rollout=pause")
    shop.point(functionVersion="2", rollout={"steps": [{"percentage": 50, "seconds": 600}]})
    eventually(lambda: shop.reason("Reconciling") == "RolloutPaused")
    assert shop.call(10) == {"1": 10}
    shop.annotate("lambent.dev/rollout-")
    eventually(lambda: shop.rollout.get("step", 0) >= 1)
    shop.annotate("lambent.dev/rollout=pause")
    shop.annotate("lambent.dev/rollout=abort")
    eventually(lambda: "lambent.dev/rollout" not in shop.alias["metadata"].get("annotations", {}))
    assert (shop.rollout["phase"], shop.routing) == ("Stopped", {"functionVersion": "1"})


def test_deleting_the_function_takes_its_aliases_along(shop: Shop) -> None:
    """By the owner reference that the controller wrote."""
    [owner] = shop.alias["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Function", shop.name)
    shop.driver.delete(shop.name)
    command = ("get", "fna", f"{shop.name}.live", "-n", shop.driver.namespace, "--ignore-not-found", "-o", "name")
    eventually(lambda: not shop.driver.cluster.run_kubectl(*command))

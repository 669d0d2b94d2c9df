"""Kubernetes' ordinary disruptions: eviction, drain, quotas, limit ranges, full nodes. Nothing else notices."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from driving import eventually

SLEEPER = "import time\ndef handler(e, c):\n    time.sleep(e.get('sleep', 0))\n    return e\n"


@pytest.fixture
def limited(cluster, driver):
    """Applies an object to the namespace under test for the length of a test."""
    applied = []

    def apply(kind: str, spec: dict) -> None:
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "limited", "namespace": driver.namespace}}
        cluster.run_kubectl("apply", "-f", "-", stdin=json.dumps({**body, "spec": spec}))
        applied.append(f"{kind.lower()}/limited")

    yield apply
    for each in applied:
        cluster.run_kubectl("delete", each, "-n", driver.namespace)


def evict(driver, pod) -> None:
    """As `kubectl drain` does."""
    name = pod["metadata"]["name"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": driver.namespace},
    }
    path = f"/api/v1/namespaces/{driver.namespace}/pods/{name}/eviction"
    driver.cluster.run_kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def test_an_evicted_environment_finishes_its_request_and_is_replaced(driver):
    """The agent drains on SIGTERM; the next request gets another environment."""
    name = driver.function(SLEEPER, timeout=30)
    driver.invoke(name)
    [pod] = driver.pods(name)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(driver.invoke, name, {"sleep": 3})
        time.sleep(1)
        evict(driver, pod)
        assert driver.invoke(name, {"second": 1}).json == {"second": 1}
        assert running.result().json == {"sleep": 3}
    eventually(lambda: pod["metadata"]["name"] not in {each["metadata"]["name"] for each in driver.pods(name)})


def test_kubectl_drain_takes_environments_without_force(driver):
    """Every environment has an owner, so drain asks for no `--force`; requests go on when the node is back."""
    name = driver.function(SLEEPER)
    driver.invoke(name)
    [pod] = driver.pods(name)
    node = pod["spec"]["nodeName"]
    try:
        driver.cluster.run_kubectl(
            "drain",
            node,
            "--pod-selector=app.kubernetes.io/component=environment",
            "--delete-emptydir-data",
            "--timeout=90s",
        )
        # another may already wait for a node: what was in use a moment ago is kept in number for a while
        left = {each["metadata"]["name"] for each in driver.pods(name)}
        assert pod["metadata"]["name"] not in left
    finally:
        driver.cluster.run_kubectl("uncordon", node)
    assert driver.invoke(name, {"a": 1}).json == {"a": 1}


def test_no_environment_is_without_an_owner(driver):
    """The garbage collector and `kubectl drain` know what to do with each."""
    driver.invoke(driver.function(SLEEPER))
    found = driver.cluster.get("pods", "-n", driver.namespace, "-l", "app.kubernetes.io/component=environment")
    assert found["items"]
    for pod in found["items"]:
        [owner] = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("Function", True)


def test_a_quota_is_named_in_ready_and_in_the_error_and_is_tried_again(driver, limited):
    """And what the quota allows later, is made later."""
    name = driver.function(SLEEPER)
    limited("ResourceQuota", {"hard": {"pods": "0"}})
    with pytest.raises(ClientError, match="exceeded quota: limited"):
        driver.invoke(name)
    ready = eventually(lambda: (c := driver.condition(name, "Ready")).get("status") == "False" and c)
    assert ready["reason"] == "QuotaExceeded"
    assert "limited" in ready["message"]
    driver.cluster.run_kubectl(
        "patch", "resourcequota", "limited", "-n", driver.namespace, "-p", '{"spec":{"hard":{"pods":"50"}}}'
    )
    eventually(lambda: _answers(driver, name), 90)
    eventually(lambda: driver.condition(name, "Ready").get("status") == "True")


def test_a_limit_range_is_named_in_ready(driver, limited):
    """A maximum below what the function needs."""
    name = driver.function(SLEEPER, memorySize=1024)
    limited("LimitRange", {"limits": [{"type": "Container", "max": {"memory": "512Mi"}}]})
    with pytest.raises(ClientError, match="maximum memory usage per Container is 512Mi"):
        driver.invoke(name)
    ready = eventually(lambda: (c := driver.condition(name, "Ready")).get("status") == "False" and c)
    assert ready["reason"] == "QuotaExceeded"


def test_a_cpu_limit_range_costs_only_the_generosity(driver, limited):
    """The CPU that a start gets beyond its share is never the reason why there is no environment."""
    name = driver.function(SLEEPER, memorySize=512, timeout=30)
    limited("LimitRange", {"limits": [{"type": "Container", "max": {"cpu": "500m"}}]})
    assert driver.invoke(name, {"a": 1}).json == {"a": 1}
    [pod] = driver.pods(name)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "289m"


def test_an_environment_that_fits_no_node_is_named_in_ready(driver):
    """After the first request asked for one."""
    name = driver.function(SLEEPER, placement={"nodeSelector": {"no-such": "node"}})
    with pytest.raises(ClientError):
        driver.invoke(name)
    ready = eventually(lambda: (c := driver.condition(name, "Ready")).get("status") == "False" and c)
    assert ready["reason"] == "Unschedulable"
    assert "no node can take the environment" in ready["message"]


def _answers(driver, name) -> bool:
    try:
        return driver.invoke(name, {}).error is None
    except ClientError:
        return False

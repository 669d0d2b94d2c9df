"""What breaks is repaired, and what went in comes out: processes are killed in the middle of work."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from driving import Driver, eventually

SLEEPER = "import time\ndef handler(e, c):\n    time.sleep(e.get('sleep', 0))\n    return e\n"


def system_pods(driver: Driver, component: str) -> list[dict]:
    found = driver.cluster.get("pods", "-n", driver.release.namespace, "-l", f"app.kubernetes.io/component={component}")
    return [pod for pod in found["items"] if not pod["metadata"].get("deletionTimestamp")]


def kill_pod(driver: Driver, component: str) -> None:
    for pod in system_pods(driver, component):
        driver.cluster.run_kubectl(
            "delete",
            "pod",
            pod["metadata"]["name"],
            "-n",
            driver.release.namespace,
            "--grace-period=0",
            "--force",
            "--wait=true",
        )


def ready_again(driver: Driver, component: str) -> bool:
    pods = system_pods(driver, component)
    return bool(pods) and all(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) for pod in pods
    )


def restarts(driver: Driver, component: str) -> int:
    return sum(
        container.get("restartCount", 0)
        for pod in system_pods(driver, component)
        for container in pod["status"].get("containerStatuses", [])
    )


def stay_warm(driver: Driver, name: str, seconds: float) -> None:
    """Invoke now and then, so that the environment does not go idle for too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        driver.invoke(name)
        time.sleep(1)


def host_pids(pod: dict, *, init: bool) -> list[int]:
    """Processes of a pod's environment container on this host, told apart by their PID in the container."""
    uid = pod["metadata"]["uid"]
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if uid not in (proc / "cgroup").read_text():
                continue
            inside = (proc / "status").read_text().split("NSpid:")[1].splitlines()[0].split()
            command = (proc / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if b"python" in command and (inside[-1] == "1") == init:
            found.append(int(proc.name))
    return found


@pytest.fixture
def on_this_host(driver: Driver) -> None:
    if driver.cluster.kind != "node":
        pytest.fail("this test looks at the processes of the local node; run it with the one-binary node")


def test_the_controller_killed_in_the_middle_of_a_creation_finishes_it_after_its_restart(driver):
    names = [driver.apply(SLEEPER) for _ in range(3)]
    kill_pod(driver, "controller")
    names += [driver.apply(SLEEPER) for _ in range(3)]
    for name in names:
        driver.wait_ready(name, 90)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda name: driver.invoke(name, {"name": name}), names))
    assert [answer.json["name"] for answer in answers] == names


def test_warm_requests_are_served_while_the_controller_is_gone(driver):
    name = driver.function(SLEEPER)
    driver.invoke(name)
    controller = f"deployment/{driver.release.name}-controller"
    driver.cluster.run_kubectl("scale", controller, "--replicas=0", "-n", driver.release.namespace)
    try:
        eventually(lambda: not system_pods(driver, "controller"))
        for i in range(20):
            assert driver.invoke(name, {"i": i}).json == {"i": i}
    finally:
        driver.cluster.run_kubectl("scale", controller, "--replicas=1", "-n", driver.release.namespace)
        eventually(lambda: ready_again(driver, "controller"), 90)


def test_a_restarted_controller_writes_nothing_when_nothing_changed(driver):
    name = driver.function(SLEEPER)
    stay_warm(driver, name, 12)  # let the sampled count of environments settle
    before = driver.get(name)["metadata"]["resourceVersion"]
    pods = {pod["metadata"]["name"] for pod in driver.pods(name)}
    kill_pod(driver, "controller")
    eventually(lambda: driver.invoke(name) and ready_again(driver, "controller"), 90)
    stay_warm(driver, name, 12)
    assert driver.get(name)["metadata"]["resourceVersion"] == before
    assert {pod["metadata"]["name"] for pod in driver.pods(name)} == pods


def test_a_rolling_restart_of_the_gateway_keeps_environments_and_loses_no_request(driver):
    name = driver.function(SLEEPER)
    pod_before = [driver.invoke(name)] and {pod["metadata"]["name"] for pod in driver.pods(name)}
    done, sent, failures = threading.Event(), [], []

    def load() -> None:
        i = 0
        while not done.is_set():
            i += 1
            sent.append(i)
            try:
                answer = driver.invoke(name, {"i": i})
                assert answer.json == {"i": i}
            except Exception as error:
                failures.append(repr(error))

    thread = threading.Thread(target=load)
    thread.start()
    gateway = f"deployment/{driver.release.name}-gateway"
    try:
        driver.cluster.run_kubectl("rollout", "restart", gateway, "-n", driver.release.namespace)
        driver.cluster.run_kubectl("rollout", "status", gateway, "-n", driver.release.namespace, "--timeout=120s")
        time.sleep(2)
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert len(sent) > 10
    assert pod_before & {pod["metadata"]["name"] for pod in driver.pods(name)}


def test_a_codestore_restart_loses_no_code(driver):
    name = driver.function(SLEEPER)
    kill_pod(driver, "codestore")
    eventually(lambda: ready_again(driver, "codestore"), 90)
    assert driver.invoke(name, {"a": 1}).json == {"a": 1}


def test_out_of_memory_is_reported_and_the_next_request_is_served(driver):
    name = driver.function(
        "def handler(e, c):\n    return len(bytearray(e['mb'] * 1024 * 1024))\n", memorySize=256, timeout=30
    )
    assert driver.invoke(name, {"mb": 1}).json == 1024 * 1024
    answer = driver.invoke(name, {"mb": 2000})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] in ("Runtime.ExitError", "Runtime.OutOfMemory")
    assert answer.json["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert driver.invoke(name, {"mb": 1}).json == 1024 * 1024


def test_a_container_lost_in_the_middle_is_a_function_error_and_is_replaced(driver, on_this_host):
    name = driver.function(SLEEPER, timeout=30)
    driver.invoke(name)
    [pod] = driver.pods(name)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(driver.invoke, name, {"sleep": 20})
        time.sleep(1)
        [agent] = host_pids(pod, init=True)
        os.kill(agent, signal.SIGKILL)
        answer = running.result()
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.ExitError"
    assert driver.invoke(name, {"after": True}).json == {"after": True}
    assert pod["metadata"]["name"] not in {
        p["metadata"]["name"] for p in driver.pods(name) if p["status"]["phase"] == "Running"
    }


def test_a_deleted_pod_finishes_its_request_and_is_replaced(driver):
    name = driver.function(SLEEPER, timeout=30)
    driver.invoke(name)
    [pod] = driver.pods(name)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(driver.invoke, name, {"sleep": 4})
        time.sleep(1)
        driver.cluster.run_kubectl("delete", "pod", pod["metadata"]["name"], "-n", driver.namespace, "--wait=false")
        assert driver.invoke(name, {"second": 1}).json == {"second": 1}
        assert running.result().json == {"sleep": 4}


def test_metrics_count_every_invocation(driver):
    name = driver.function(SLEEPER)
    for _ in range(5):
        driver.invoke(name)
    [pod] = system_pods(driver, "gateway")
    raw = driver.cluster.run_kubectl(
        "get",
        "--raw",
        f"/api/v1/namespaces/{driver.release.namespace}/pods/{pod['metadata']['name']}:9090/proxy/metrics",
    )
    counted = [
        float(line.rsplit(" ", 1)[1])
        for line in raw.splitlines()
        if line.startswith("lambent_invocations_total{") and f'function="{name}"' in line
    ]
    assert sum(counted) == 5


def test_logs_of_every_process_are_json(driver):
    for component in ("controller", "gateway", "codestore"):
        text = driver.cluster.run_kubectl(
            "logs", f"deployment/{driver.release.name}-{component}", "-n", driver.release.namespace, "--tail=50"
        )
        for line in text.splitlines():
            assert "message" in json.loads(line)
        assert restarts(driver, component) == 0

"""From `kubectl apply` to an answer, through real pods: what the README promises of a Function."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from driving import Driver, eventually, zipped

ECHO = """
    import os, time
    def handler(event, context):
        print("handling", context.aws_request_id)
        time.sleep(event.get("sleep", 0))
        return {"event": event, "pid": os.getpid(), "host": os.uname().nodename,
                "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb,
                "left": context.get_remaining_time_in_millis(), "env": dict(os.environ),
                "uid": os.getuid(), "client": getattr(context.client_context, "custom", None)}
"""


@pytest.fixture(scope="module")
def echo(cluster, release, lambda_client):
    """One echo function for the tests that only read."""
    driving = Driver(cluster, release, lambda_client, "lambent-test")
    name = driving.function(ECHO, environment={"variables": {"STAGE": "test"}}, timeout=30)
    yield name
    driving.clean_up()


def test_an_applied_function_answers_through_a_real_pod(driver, echo):
    answer = driver.invoke(echo, {"hello": "world"})
    assert answer.error is None
    assert answer.status == 200
    assert answer.version == "$LATEST"
    assert answer.json["event"] == {"hello": "world"}
    [pod] = driver.pods(echo)
    assert pod["metadata"]["name"].endswith(answer.json["host"])


def test_the_environment_is_lambdas(driver, echo):
    seen = driver.invoke(echo).json
    env = seen["env"]
    assert env["STAGE"] == "test"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == echo
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "1024"
    assert env["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert env["LAMBDA_TASK_ROOT"] == "/var/task"
    assert env["_HANDLER"] == "index.handler"
    assert env["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert not [name for name in env if name.startswith("LAMBENT_")]
    assert seen["uid"] == 993
    assert 25_000 < seen["left"] <= 30_000
    assert seen["arn"].endswith(f":function:{echo}")
    assert not [value for value in env.values() if "token" in value.lower()]


def test_a_warm_request_uses_the_same_process(driver, echo):
    assert driver.invoke(echo).json["pid"] == driver.invoke(echo).json["pid"]


def test_the_log_tail_holds_start_output_end_and_report(driver, echo):
    answer = driver.invoke(echo)
    request_id = answer.headers["x-amzn-requestid"]
    lines = answer.log.splitlines()
    assert f"START RequestId: {request_id} Version: $LATEST" in lines
    assert f"handling {request_id}" in lines
    assert f"END RequestId: {request_id}" in lines
    report = lines[-1]
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "Memory Size: 1024 MB\tMax Memory Used: " in report


def test_the_client_context_reaches_the_handler(driver, echo):
    context = base64.b64encode(json.dumps({"custom": {"tenant": "a"}}).encode()).decode()
    assert driver.invoke(echo, ClientContext=context).json["client"] == {"tenant": "a"}


def test_a_dry_run_runs_nothing(driver, echo):
    assert driver.client.invoke(FunctionName=echo, InvocationType="DryRun")["StatusCode"] == 204


def test_the_arn_names_the_function_too(driver, echo):
    arn = driver.get(echo)["status"]["functionArn"]
    assert driver.invoke(arn, {"by": "arn"}).json["event"] == {"by": "arn"}
    assert driver.invoke(f"{arn}:$LATEST").json["arn"] == f"{arn}:$LATEST"


def test_a_function_that_does_not_exist_is_not_found(driver):
    with pytest.raises(driver.client.exceptions.ResourceNotFoundException, match="Function not found: arn:aws:lambda:"):
        driver.invoke("no-such-function")


def test_sixteen_requests_at_once_get_an_environment_each_and_none_fails(driver):
    name = driver.function(ECHO, timeout=30, memorySize=512)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: driver.invoke(name, {"i": i, "sleep": 0.3}), range(16)))
    assert [answer.error for answer in answers] == [None] * 16
    assert sorted(answer.json["event"]["i"] for answer in answers) == list(range(16))
    assert len(driver.pods(name)) <= 17


def test_provided_runs_the_users_bootstrap(driver):
    bootstrap = """#!/usr/bin/python3
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    event = api.getresponse()
    body, request_id = event.read(), event.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", body.upper())
    api.getresponse().read()
"""
    name = driver.function(
        runtime="provided.al2023",
        handler="whatever",
        code={"zipFile": zipped({"bootstrap": bootstrap}, {"bootstrap": 0o755})},
    )
    assert driver.invoke(name, "shout").payload == b'"SHOUT"'


def test_a_zip_holds_packages_beside_the_handler(driver):
    code = {
        "zipFile": zipped(
            {
                "app.py": "from pkg.words import WORD\ndef run(event, _):\n    return WORD\n",
                "pkg/words.py": "WORD = 'hi'\n",
            }
        )
    }
    name = driver.function(handler="app.run", code=code)
    assert driver.invoke(name).json == "hi"
    status = driver.get(name)["status"]
    archive = base64.b64decode(code["zipFile"])
    assert status["codeSize"] == len(archive)
    assert status["codeSha256"] == base64.b64encode(hashlib.sha256(archive).digest()).decode()


def test_changed_code_brings_new_environments_and_lets_requests_in_flight_finish(driver):
    source = """
        import time
        def handler(event, _):
            time.sleep(event.get("sleep", 0))
            return "{answer}"
    """
    name = driver.function(source.replace("{answer}", "old"), timeout=30)
    assert driver.invoke(name).json == "old"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(driver.invoke, name, {"sleep": 6})
        time.sleep(1)
        driver.function(source.replace("{answer}", "new"), name, timeout=30)
        assert eventually(lambda: driver.invoke(name).json == "new", 30)
        assert slow.result().json == "old"
    revision = driver.get(name)["status"]["podRevision"]
    eventually(lambda: {p["metadata"]["labels"]["lambent.dev/pod-revision"] for p in driver.pods(name)} == {revision})


def test_changed_configuration_brings_new_environments(driver):
    name = driver.function(ECHO, environment={"variables": {"STAGE": "one"}})
    assert driver.invoke(name).json["env"]["STAGE"] == "one"
    driver.function(ECHO, name, environment={"variables": {"STAGE": "two"}}, memorySize=640)
    seen = eventually(lambda: (got := driver.invoke(name).json)["env"]["STAGE"] == "two" and got, 30)
    assert seen["memory"] == "640"


def test_idle_environments_go_to_zero_and_the_function_stays_ready(driver):
    name = driver.function(ECHO)
    driver.invoke(name)
    assert driver.pods(name)
    eventually(lambda: not driver.pods(name), 90, 1)
    assert driver.condition(name, "Ready")["status"] == "True"
    assert driver.invoke(name).error is None


def test_deleting_a_function_leaves_no_object_and_no_pod(driver):
    name = driver.function(ECHO)
    driver.invoke(name)
    driver.delete(name)
    eventually(lambda: not driver.pods(name), 60)
    assert driver.cluster.run_kubectl("get", "fn", name, "-n", driver.namespace, "--ignore-not-found") == ""
    with pytest.raises(driver.client.exceptions.ResourceNotFoundException):
        driver.invoke(name)


def test_a_function_deleted_and_applied_again_within_a_second_answers_with_the_new_code(driver):
    name = driver.function("def handler(e, c): return 'first'")
    assert driver.invoke(name).json == "first"
    driver.delete(name, wait=False)
    driver.function("def handler(e, c): return 'second'", name)
    assert eventually(lambda: driver.invoke(name).json == "second", 30)
    uid = driver.get(name)["metadata"]["uid"]
    eventually(lambda: {p["metadata"]["labels"]["lambent.dev/function-uid"] for p in driver.pods(name)} == {uid})


def test_memory_and_cpu_follow_lambdas_proportion(driver):
    name = driver.function(ECHO, memorySize=1769, ephemeralStorage={"size": 1024})
    driver.invoke(name)
    [pod] = driver.pods(name)
    [container] = pod["spec"]["containers"]
    assert container["resources"]["limits"]["cpu"] == "1"
    [tmp] = [v for v in pod["spec"]["volumes"] if v["name"] == "tmp"]
    assert tmp["emptyDir"]["sizeLimit"] == "1Gi"
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_small_function_starts_with_more_cpu_and_is_narrowed_to_its_share(driver):
    """In place: the same pod, the same process, not restarted."""
    name = driver.function(ECHO, memorySize=128)
    first = driver.invoke(name)
    [pod] = driver.pods(name)
    assert pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "7m"

    def cpu(part):
        return part["resources"]["limits"]["cpu"]

    def narrowed():
        [now] = driver.pods(name)
        shown = (cpu(now["spec"]["containers"][0]), cpu(now["status"]["containerStatuses"][0]))
        return shown == ("72m", "72m") and now

    after = eventually(narrowed, 30)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["metadata"]["annotations"]["lambent.dev/cpu-millicores"] == "72"
    assert after["status"]["qosClass"] == "Burstable"
    [status], [before] = after["status"]["containerStatuses"], pod["status"]["containerStatuses"]
    assert (status["restartCount"], status["containerID"]) == (0, before["containerID"])
    again = driver.invoke(name)
    assert (again.json["pid"], again.json["host"]) == (first.json["pid"], first.json["host"])


def test_kubectl_shows_and_explains(driver, echo):
    driver.invoke(echo)
    table = driver.cluster.run_kubectl("get", "fn", echo, "-n", driver.namespace)
    header, row = table.splitlines()
    assert header.split() == ["NAME", "RUNTIME", "MEMORY", "READY", "REASON", "ENVS", "AGE"]
    assert row.split()[:5] == [echo, "python3.11", "1024", "True", "Available"]
    explained = driver.cluster.run_kubectl("explain", "fn.spec", "--recursive")
    for field in ("functionName", "memorySize", "ephemeralStorage", "placement", "handler"):
        assert field in explained
    assert "Memory in MB" in driver.cluster.run_kubectl("explain", "fn.spec.memorySize")


def test_milestones_are_events(driver):
    name = driver.function(ECHO)
    assert "Available" in {event["reason"] for event in eventually(lambda: driver.events(name))}

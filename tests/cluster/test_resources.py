"""What a function may use of its environment on a real node, and what happens at each limit."""

from __future__ import annotations

import json
import re
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from driving import Driver, eventually

FILES = """
import os
def handler(event, context):
    path = event["path"]
    if "write" in event:
        with open(path, "w") as file:
            file.write(event["write"])
    with open(path) as file:
        return {"text": file.read(), "gid": os.stat(path).st_gid, "host": os.uname().nodename}
"""
FILLER = """
import time
def handler(event, context):
    try:
        with open("/tmp/filling", "ab") as file:
            for _ in range(event.get("mb", 0)):
                file.write(bytes(1 << 20))
    except OSError as error:
        return [error.errno, error.strerror]
    time.sleep(event.get("sleep", 0))
    return "written"
"""


@pytest.fixture
def claim(cluster, driver):
    """Makes PersistentVolumeClaims and removes them afterwards."""
    made = []

    def make(name: str | None = None) -> str:
        name = name or f"files-{secrets.token_hex(4)}"
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": driver.namespace},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
        }
        cluster.run_kubectl("apply", "-f", "-", stdin=json.dumps(body))
        made.append(name)
        return name

    yield make
    for name in made:
        cluster.run_kubectl("delete", "pvc", name, "-n", driver.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture(params=["Zip", "Image"])
def both(request, driver) -> Driver:
    """Functions as archives, and the same as container images."""
    if request.param == "Image":
        driver.image_uri = request.getfixturevalue("registry").reference("sample/python")
    return driver


def mounted(arn: str, **more) -> dict:
    return {"fileSystemConfigs": [{"arn": arn, "localMountPath": "/mnt/files", **more}]}


# --- file systems -------------------------------------------------------------------------------------------------


def test_environments_share_a_file_system(both: Driver, claim):
    """What one function writes, another one reads, in another pod; neither is root, and the group is the sandbox's."""
    driver, name = both, claim()
    arn = f"arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/{name}"
    writer, reader = driver.function(FILES, **mounted(name)), driver.function(FILES, **mounted(arn, readOnly=True))
    written = driver.invoke(writer, {"path": "/mnt/files/a", "write": "hello"}).json
    read = driver.invoke(reader, {"path": "/mnt/files/a"}).json
    assert (written["text"], read["text"]) == ("hello", "hello")
    assert written["gid"] == 990
    assert written["host"] != read["host"]
    refused = driver.invoke(reader, {"path": "/mnt/files/b", "write": "x"})
    assert refused.json["errorType"] == "OSError"
    assert "Read-only file system" in refused.json["errorMessage"]


def test_a_missing_file_system_is_said_in_lambdas_words_and_picked_up(driver: Driver, claim):
    """In Ready, to whoever invokes, at once; and the function works as soon as the claim is there."""
    arn = f"files-{secrets.token_hex(4)}"
    name = driver.apply(FILES, **mounted(arn))
    ready = eventually(lambda: driver.condition(name, "Ready"))
    assert (ready["status"], ready["reason"]) == ("False", "EFSMountFailure")
    assert ready["message"].startswith(
        f"The function could not mount the EFS file system with access point {arn}. PersistentVolumeClaim {arn} "
    )
    with pytest.raises(ClientError) as refused:
        driver.invoke(name, {"path": "/mnt/files/a"})
    assert refused.value.response["Error"]["Code"] == "EFSMountFailureException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    claim(arn)
    driver.wait_ready(name)
    assert driver.invoke(name, {"path": "/mnt/files/a", "write": "x"}).json["text"] == "x"


# --- /tmp ---------------------------------------------------------------------------------------------------------


def events_of(driver: Driver, name: str, reason: str) -> list[str]:
    return [event["message"] for event in driver.events(name) if event["reason"] == reason]


def test_who_writes_more_than_tmp_on_disk_holds_is_evicted_and_it_is_said(driver: Driver):
    """The request in it gets Lambda's error, the Function an Event; the next request is served by another pod."""
    name = driver.function(FILLER, timeout=100)
    assert driver.invoke(name, {"mb": 1}).json == "written"
    [before] = driver.pods(name)
    answer = driver.invoke(name, {"mb": 600, "sleep": 95})
    assert answer.error == "Unhandled", answer.payload
    assert answer.json["errorType"] == "Runtime.ExitError"
    assert answer.json["errorMessage"].endswith(
        "Error: Runtime exited with error: signal: killed (no space left on device: /tmp is full)"
    )
    assert "Status: error\tError Type: Runtime.ExitError" in answer.log
    [note] = eventually(lambda: events_of(driver, name, "EphemeralStorageExceeded"))
    assert 'Usage of EmptyDir volume "tmp" exceeds the limit "512Mi"' in note
    assert driver.invoke(name, {"mb": 1}).json == "written"
    running = [pod for pod in driver.pods(name) if pod["status"]["phase"] == "Running"]
    assert before["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in running}
    assert driver.condition(name, "Ready")["status"] == "True"


def test_who_writes_more_than_tmp_in_memory_holds_gets_enospc(both: Driver):
    """At once, as in Lambda; the environment lives, and memorySize is still there for the function."""
    driver = both
    name = driver.function(FILLER, timeout=60, memorySize=256, ephemeralStorage={"size": 512, "medium": "Memory"})
    assert driver.invoke(name, {"mb": 400}).json == "written"
    assert driver.invoke(name, {"mb": 200}).json == [28, "No space left on device"]
    assert driver.invoke(name).json == "written"
    [pod] = driver.pods(name)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == f"{256 + 64 + 512}Mi"


# --- memory and CPU -----------------------------------------------------------------------------------------------

HOG = "def handler(e, c):\n    return len(bytearray(e['mb'] << 20))\n"


def test_out_of_memory_is_reported_as_lambda_reports_it(driver: Driver):
    """Error, log and REPORT, whoever of function and agent survived."""
    name = driver.function(HOG, memorySize=256, timeout=30)
    assert driver.invoke(name, {"mb": 100}).json == 100 << 20
    answer = driver.invoke(name, {"mb": 2000})
    request = answer.headers["x-amzn-requestid"]
    message = f"RequestId: {request} Error: Runtime exited with error: signal: killed"
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json == {"errorType": "Runtime.ExitError", "errorMessage": message}
    assert f"{message}\nRuntime.ExitError\nEND RequestId: {request}\n" in answer.log
    assert re.search(r"Memory Size: 256 MB\tMax Memory Used: \d+ MB\t.*Error Type: Runtime.OutOfMemory\t", answer.log)
    assert driver.invoke(name, {"mb": 1}).json == 1 << 20


def test_a_small_function_has_its_share_of_a_cpu(driver: Driver):
    """After init: 1,769 MB are one CPU, so 885 MB are half of one, and the kernel sees to it."""
    source = """
    import time
    def handler(event, context):
        wall, used = time.monotonic(), time.process_time()
        while time.monotonic() - wall < event["seconds"]:
            pass
        return (time.process_time() - used) / (time.monotonic() - wall)
    """
    name = driver.function(source, memorySize=885, timeout=30)
    driver.invoke(name, {"seconds": 0})

    def narrowed() -> bool:
        [pod] = driver.pods(name)
        limits = pod["status"]["containerStatuses"][0].get("resources", {}).get("limits", {})
        return limits.get("cpu") == "500m"

    eventually(narrowed)
    assert driver.invoke(name, {"seconds": 3}).json < 0.65


# --- log, traces, context -----------------------------------------------------------------------------------------

SPEAKER = """
import json, logging, os
def handler(event, context):
    logging.getLogger().info("too quiet")
    logging.getLogger().error("loud enough")
    names = ("AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_XRAY_CONTEXT_MISSING",
             "AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_PORT", "_X_AMZN_TRACE_ID")
    return {"variables": {name: os.environ.get(name) for name in names}, "group": context.log_group_name}
"""


def test_a_json_log_is_json_in_kubectl_logs(driver: Driver):
    """Every line an object; the function's below its level are not there; the platform's records are."""
    logging = {"logFormat": "JSON", "applicationLogLevel": "ERROR", "systemLogLevel": "INFO", "logGroup": "/team/a"}
    name = driver.function(SPEAKER, loggingConfig=logging)
    answer = driver.invoke(name)
    assert answer.json["group"] == "/team/a"
    assert answer.json["variables"]["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    [pod] = driver.pods(name)

    def records() -> list[dict]:
        text = driver.cluster.run_kubectl("logs", pod["metadata"]["name"], "-n", driver.namespace)
        found = [json.loads(line) for line in text.splitlines()]
        return found if any(record.get("type") == "platform.report" for record in found) else []

    found = eventually(records)
    said = [record.get("message") for record in found]
    assert "loud enough" in said
    assert "too quiet" not in said
    [report] = [record for record in found if record.get("type") == "platform.report"]
    assert report["record"]["requestId"] == answer.headers["x-amzn-requestid"]


def test_tracing_variables_are_there_and_the_trace_goes_through(driver: Driver):
    """The caller's trace reaches the function."""
    name = driver.function(SPEAKER, tracingConfig={"mode": "Active"})
    variables = driver.invoke(name).json["variables"]
    assert variables["AWS_XRAY_CONTEXT_MISSING"] == "LOG_ERROR"
    address = variables["AWS_XRAY_DAEMON_ADDRESS"]
    assert address == f"{variables['_AWS_XRAY_DAEMON_ADDRESS']}:{variables['_AWS_XRAY_DAEMON_PORT']}"
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", variables["_X_AMZN_TRACE_ID"])


def test_two_environments_write_to_one_file_system_at_once(driver: Driver, claim):
    """Two pods of one function, both of which have it."""
    source = FILES.replace(
        "def handler(event, context):", "def handler(event, context):\n    import time; time.sleep(2)"
    )
    name = driver.function(source, **mounted(claim()))
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda n: driver.invoke(name, {"path": f"/mnt/files/{n}", "write": str(n)}).json, range(2))
        )
    assert len({answer["host"] for answer in answers}) == 2
    assert [answer["text"] for answer in answers] == ["0", "1"]

"""The whole path with nothing fake between client and handler: gateway, real agents, AWS's runtime client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal

import pytest
from tests.agent.driving import TOKEN, Agent, zipped
from tests.gateway.clusters import function, pod_of

from lambent.model.environments import Key

SOURCE = """
import os, time
count = 0
def handler(event, context):
    global count
    count += 1
    if event.get("exit"):
        os.kill(os.getppid(), 9)
        time.sleep(5)
    if event.get("raise"):
        raise ValueError("as asked")
    time.sleep(event.get("sleep", 0))
    print("seen", context.aws_request_id)
    return {"n": event.get("n"), "count": count, "pid": os.getpid(), "arn": context.invoked_function_arn,
            "stage": os.environ["STAGE"], "trace": os.environ["_X_AMZN_TRACE_ID"],
            "identity": context.identity and [context.identity.cognito_identity_id,
                                              context.identity.cognito_identity_pool_id],
            "left": context.get_remaining_time_in_millis(), "custom": (context.client_context.custom if context.client_context else None)}
"""


@pytest.fixture
def start(make_house, tmp_path):
    """`await start(n)`: a gateway with n real environments of one Python function."""
    agents: list[Agent] = []

    async def begin(count: int = 1):
        house = await make_house()
        house.cluster.token = TOKEN
        code = zipped({"index.py": SOURCE})
        digest = hashlib.sha256(code)
        house.cluster.blobs[digest.hexdigest()] = code
        encoded = base64.b64encode(digest.digest()).decode()
        house.hello = house.cluster.apply(function(status={"codeSha256": encoded, "codeSize": len(code)}))
        for number in range(count):
            folder = tmp_path / f"agent-{len(agents)}"
            folder.mkdir()
            agents.append(await asyncio.to_thread(Agent, folder))
            house.cluster.run(house.hello, f"pod-{number}", agents[-1].port)
        house.real = agents
        return house

    yield begin
    for agent in agents:
        agent.stop()


async def test_a_function_runs_cold_and_warm(start):
    """Static state survives; ARN, environment and client context arrive; the log tail comes back."""
    house = await start()
    first = await house.invoke({"n": 1})
    assert first.json()["count"] == 1
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    second = await house.invoke(
        {"n": 2}, query="?Qualifier=%24LATEST", X_Amz_Client_Context=context, X_Amz_Log_Type="Tail"
    )
    answer = second.json()
    assert (answer["n"], answer["count"], answer["stage"], answer["custom"]) == (2, 2, "test", {"a": "b"})
    assert answer["arn"].endswith(":function:hello:$LATEST")
    log = base64.b64decode(second.headers["X-Amz-Log-Result"]).decode()
    assert f"seen {second.headers['x-amzn-RequestId']}" in log
    assert "REPORT RequestId" in log


async def test_the_context_is_complete(start):
    """Trace and Cognito identity as the caller gave them; the deadline is the function's timeout."""
    house = await start()
    given = {"cognitoIdentityId": "us-east-1:i", "cognitoIdentityPoolId": "us-east-1:p"}
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:3"
    answer = await house.invoke(
        {"n": 1},
        X_Amz_Cognito_Identity=base64.b64encode(json.dumps(given).encode()).decode(),
        X_Amzn_Trace_Id=trace,
    )
    assert (answer.json()["trace"], answer.json()["identity"]) == (trace, ["us-east-1:i", "us-east-1:p"])
    assert answer.headers["X-Amzn-Trace-Id"] == trace
    assert 0 < answer.json()["left"] <= 3000
    assert (await house.invoke({"n": 2})).json()["identity"] == [None, None]


async def test_a_function_decides_on_traces_that_its_caller_left_open(start):
    """Active: the first of each second; PassThrough: none, and a caller's own decision stands in both."""
    house = await start()
    assert (await house.invoke({})).json()["trace"].endswith(";Sampled=0")
    house.hello["spec"]["tracingConfig"] = {"mode": "Active"}
    house.cluster.apply(house.hello)
    uid = house.hello["metadata"]["uid"]
    await house.eventually(lambda: house.gateway.table.route_of(Key(uid, "latest", "")).tracing_mode == "Active")
    assert (await house.invoke({})).json()["trace"].endswith(";Sampled=1")
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    assert (await house.invoke({}, traceparent=traceparent)).json()["trace"] == (
        "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=0"
    )


async def test_a_handlers_exception_is_a_function_error(start):
    """With the runtime client's own payload."""
    house = await start()
    answer = await house.invoke({"raise": True})
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert (answer.json()["errorType"], answer.json()["errorMessage"]) == ("ValueError", "as asked")


async def test_thirty_requests_share_two_environments(start):
    """Each handler runs every event it was given, once."""
    house = await start(2)
    answers = [
        each.json() for each in await asyncio.gather(*(house.invoke({"n": n, "sleep": 0.01}) for n in range(30)))
    ]
    assert [answer["n"] for answer in answers] == list(range(30))
    last = {answer["pid"]: max(each["count"] for each in answers if each["pid"] == answer["pid"]) for answer in answers}
    assert sum(last.values()) == 30


async def test_an_agent_killed_under_an_invocation_is_runtime_exit_error(start):
    """As after an out-of-memory kill of the container: derived from the container's end, never run again."""
    house = await start()
    await house.idle(house.hello)
    request = house.begin({"n": 1, "sleep": 20})
    await house.eventually(lambda: house.pool(house.hello).in_flight == 1)
    os.kill(house.real[0].process.pid, signal.SIGKILL)
    house.cluster.end(pod_of(house.hello, "pod-0"), "OOMKilled", 137)
    answer = await request
    assert (answer.status, answer.error, answer.json()["errorType"]) == (200, "Unhandled", "Runtime.ExitError")
    assert answer.json()["errorMessage"].endswith("Runtime exited with error: signal: killed")


async def test_a_second_gateway_takes_over_warm_environments(start, make_house):
    """The same processes answer, nobody is claimed again."""
    house = await start()
    first = (await house.invoke({"n": 1})).json()
    await house.gateway.stop()
    again = await make_house(house.cluster)
    second = (await again.invoke({"n": 2})).json()
    assert (second["pid"], second["count"]) == (first["pid"], 2)

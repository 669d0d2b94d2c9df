"""InvokeWithResponseStream: AWS's own client, the gateway, real agents and a runtime that streams."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.agent.driving import TOKEN, Agent, zipped
from tests.gateway.clusters import function, pod_of

from lambent.agent.protocol.states import State
from lambent.model.environments import Key

RUNTIME = f"#!{sys.executable} -SE\n{(Path(__file__).parent / 'streaming_runtime.py').read_text()}"
MEGABYTE = 1_048_576


class Client:
    """boto3 in threads: it blocks, the gateway is in this process."""

    def __init__(self, boto) -> None:
        self.boto = boto

    async def begin(self, event: dict, **more):
        payload = json.dumps(event).encode()
        return await asyncio.to_thread(
            self.boto.invoke_with_response_stream, FunctionName="hello", Payload=payload, **more
        )

    async def invoke(self, event: dict, **more) -> tuple[bytes, dict]:
        """The whole payload and what InvokeComplete said."""
        answer = await self.begin(event, **more)
        events = await asyncio.to_thread(list, answer["EventStream"])
        assert [list(each) for each in events[-1:]] == [["InvokeComplete"]]
        return b"".join(each["PayloadChunk"]["Payload"] for each in events[:-1]), events[-1]["InvokeComplete"]


@pytest.fixture
def client(boto):
    return Client(boto)


@pytest.fixture
async def house(make_house, boto_port, tmp_path):
    """A gateway with one real environment of the streaming function."""
    house = await make_house(port=boto_port)
    house.cluster.token = TOKEN
    code = zipped({"bootstrap": RUNTIME}, ("bootstrap",))
    digest = hashlib.sha256(code)
    house.cluster.blobs[digest.hexdigest()] = code
    status = {"codeSha256": base64.b64encode(digest.digest()).decode(), "codeSize": len(code)}
    body = function(status=status, timeout=60)
    body["spec"]["runtime"] = "provided.al2023"
    house.hello = house.cluster.apply(body)
    agent = await asyncio.to_thread(Agent, tmp_path, False)
    house.real = agent
    house.cluster.run(house.hello, "pod-0", agent.port)
    await house.idle(house.hello)
    yield house
    agent.stop()


async def test_pieces_reach_the_client_while_the_function_still_runs(house, client, tmp_path):
    """The function waits for the client, who has seen its first piece, before it sends its last."""
    gate, kind = tmp_path / "gate", "application/vnd.awslambda.http-integration-response"
    answer = await client.begin({"pieces": ["first", "last"], "gate": str(gate), "type": kind})
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-lambent-payload-content-type"] == kind
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    events = iter(answer["EventStream"])
    assert await asyncio.to_thread(next, events) == {"PayloadChunk": {"Payload": b"first"}}
    gate.touch()
    assert await asyncio.to_thread(list, events) == [{"PayloadChunk": {"Payload": b"last"}}, {"InvokeComplete": {}}]


async def test_the_environment_is_used_again(house, client):
    """Streams, whole answers and buffered calls take turns in it."""
    for number in range(5):
        assert await client.invoke({"pieces": [f"{number}"]}) == (b"%d" % number, {})
        assert await client.invoke({"whole": number}) == (b"%d" % number, {})
        answer = await house.invoke({"pieces": ["collected", f" {number}"]})
        assert (answer.status, answer.error, answer.body) == (200, None, b"collected %d" % number)


async def test_the_log_comes_with_the_last_event(house, client):
    """Only when asked for."""
    payload, completion = await client.invoke({"pieces": ["a"], "n": 7}, LogType="Tail")
    log = base64.b64decode(completion["LogResult"]).decode()
    assert (payload, "seen 7" in log, "REPORT RequestId" in log) == (b"a", True, True)


async def may_take(house, seconds: int) -> None:
    """The function's timeout, from the next invocation on."""
    house.hello["spec"]["timeout"] = seconds
    house.cluster.apply(house.hello)
    uid = house.hello["metadata"]["uid"]
    await house.eventually(lambda: house.gateway.table.route_of(Key(uid, "latest", "")).timeout_ms == seconds * 1000)


FAILURES = {
    "an error in the trailers": (
        {"pieces": ["half"], "fail": {"errorType": "Runtime.Broken", "errorMessage": "m"}},
        (b"half", "Runtime.Broken", '{"errorType": "Runtime.Broken", "errorMessage": "m"}'),
    ),
    "an error before the first byte": (
        {"raise": {"errorType": "ValueError", "errorMessage": "as asked"}},
        (b"", "Unhandled", '{"errorType": "ValueError", "errorMessage": "as asked"}'),
    ),
    "a runtime that ends": ({"pieces": ["half"], "exit": 3}, (b"half", "Runtime.ExitError", "exit status 3")),
    "a runtime that ends at once": ({"exit": 0}, (b"", "Runtime.ExitError", "without providing a reason")),
    "a timeout": ({"pieces": ["half"], "sleep": 30}, (b"half", "Sandbox.Timedout", "timed out after 1.00 seconds")),
}


@pytest.mark.parametrize(("event", "expected"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_is_told_by_the_last_event(house, client, event, expected):
    """After whatever was sent; the environment works again."""
    await may_take(house, 1 if "sleep" in event else 60)
    payload, completion = await client.invoke(event)
    assert (payload, completion["ErrorCode"]) == expected[:2]
    assert expected[2] in completion["ErrorDetails"]
    await may_take(house, 60)
    assert await client.invoke({"pieces": ["again"]}) == (b"again", {})


async def test_an_agent_killed_under_a_stream_is_runtime_exit_error(house, client, tmp_path):
    """Explained by the container's end, as for a buffered call."""
    answer = await client.begin({"pieces": ["half", "never"], "gate": str(tmp_path / "never")})
    events = iter(answer["EventStream"])
    await asyncio.to_thread(next, events)
    house.real.stop()  # with all that it has started, as a container ends
    house.cluster.end(pod_of(house.hello, "pod-0"), "OOMKilled", 137)
    ((completion,),) = [tuple(each.values()) for each in await asyncio.to_thread(list, events)]
    assert completion["ErrorCode"] == "Runtime.ExitError"
    assert "signal: killed" in completion["ErrorDetails"]


async def test_a_large_answer_is_complete(house, client):
    """Ten times what a buffered one may have."""
    payload, completion = await client.invoke({"megabytes": 60})
    assert completion == {}
    assert len(payload) == 60 * MEGABYTE
    assert all(payload[n * MEGABYTE] == n == payload[(n + 1) * MEGABYTE - 1] for n in range(60))


def stream_under_way(house):
    """The stream of the one invocation that runs."""
    for invocation in house.gateway.environments.running:
        return invocation._answer and invocation._answer.stream
    return None


async def raw(house, event: dict):
    """A client that reads when it likes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.ports["public"], limit=1024)
    body = json.dumps(event).encode()
    path = "/2021-11-15/functions/hello/response-streaming-invocations"
    writer.write(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
    return reader, writer


async def test_a_slow_client_costs_the_gateway_next_to_nothing(house):
    """What it does not read stays with the function, which waits."""
    reader, writer = await raw(house, {"megabytes": 100})
    stream = await house.eventually(lambda: stream_under_way(house))
    await house.eventually(lambda: stream.full)
    assert stream._size < 2 * MEGABYTE
    size = 0
    while size < 100 * MEGABYTE:
        size += len(await reader.read(65536))
        assert stream._size < 2 * MEGABYTE
    writer.close()
    await house.idle(house.hello)


async def test_a_client_that_goes_away_ends_nothing(house, client):
    """The function runs to its end, at its own pace, and its environment is lent again."""
    _, writer = await raw(house, {"megabytes": 100, "n": 1})
    stream = await house.eventually(lambda: stream_under_way(house))
    await house.eventually(lambda: stream.full)
    writer.transport.abort()
    await house.idle(house.hello)
    assert await client.invoke({"pieces": ["next"]}) == (b"next", {})
    await house.idle(house.hello)
    assert (await house.real.text()).count("REPORT") == 2
    assert "Status:" not in await house.real.text()


async def test_a_client_that_goes_away_before_the_first_byte_ends_nothing(house, tmp_path):
    """Nobody hears the answer, and it stops nobody."""
    gate = tmp_path / "gate"
    _, writer = await raw(house, {"pieces": ["only"], "gate": str(gate)})
    await house.eventually(lambda: house.pool(house.hello).in_flight == 1)
    writer.transport.abort()
    gate.touch()
    await house.idle(house.hello)


async def test_a_dry_run_runs_nothing(house, client):
    """204, as for Invoke."""
    answer = await client.begin({"pieces": ["a"]}, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert "seen" not in await house.real.text()


REFUSED = {
    "no such function": ({"FunctionName": "nobody"}, "ResourceNotFoundException"),
    "a client context that is none": ({"ClientContext": "e"}, "InvalidRequestContentException"),
    "no event": ({"Payload": b"{"}, "InvalidRequestContentException"),
}


@pytest.mark.parametrize(("change", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_before_the_first_byte_is_an_ordinary_error(house, boto, change, code):
    """The same words as for Invoke."""
    with pytest.raises(ClientError) as refused:
        await asyncio.to_thread(boto.invoke_with_response_stream, **{"FunctionName": "hello", **change})
    assert refused.value.response["Error"]["Code"] == code


async def test_an_agent_that_breaks_its_protocol_midway_is_a_service_error(make_house, boto_port, client):
    """Nobody knows what became of the invocation: the last event says so, and no second try is made."""
    house = await make_house(port=boto_port)
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    payload, completion = await client.invoke({"do": "partial"})
    assert (payload, completion["ErrorCode"]) == (b"only this", "ServiceException")
    assert len(agent.invocations()) == 1
    assert agent.state is State.BUSY

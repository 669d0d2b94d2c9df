"""One handler suite for every language: what a function may rely on under AWS's own, unmodified client."""

from __future__ import annotations

import json
import re

import pytest
from tests.runtimes.environments import ARN

from lambent.agent.protocol import names
from lambent.agent.protocol.http1 import BODY_END

pytestmark = pytest.mark.timeout(900)  # the first run on a machine fetches and compiles the clients

VALUES = {
    "an object": {"a": [1, 2.5, None, True], "grün": "🐑"},
    "a text": 'quotes " and \\ and\nlines',
    "a number": 9007199254740991,
    "nothing": None,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_what_the_handler_returns_is_the_answer(language, value):
    assert await language.result("echo", value=value) == value


async def test_one_process_serves_invocation_after_invocation(language):
    """Warm: the same process, and no second init in the log."""
    first = await language.result("pid")
    assert [await language.result("pid") for _ in range(3)] == [first] * 3


async def test_an_error_is_passed_on_with_its_type_and_the_process_lives(language):
    """The runtime's own words reach the caller; the client's stack trace, where it has one, too."""
    before = await language.result("pid")
    answer = await language.invoke("fail")
    said = answer.json()
    assert (answer.status, answer.error) == (200, b"Unhandled")
    assert (said["errorType"], said["errorMessage"]) == (language.language.error_type, "no such luck")
    if (stack := language.language.stack) is not None:
        assert said[stack], said
    assert await language.result("pid") == before


async def test_an_exit_is_told_and_the_next_invocation_has_a_new_process(language):
    before = await language.result("pid")
    answer = await language.invoke("exit")
    said = answer.json()
    assert (answer.error, said["errorType"]) == (b"Unhandled", "Runtime.ExitError")
    assert re.fullmatch(r"RequestId: request-\d+ Error: Runtime exited with error: exit status 3", said["errorMessage"])
    again = await language.invoke("pid")
    assert (again.error, again.json() != before) == (None, True)
    assert float(again.trailers[names.INIT_MS_KEY]) > 0


async def test_a_handler_that_hangs_is_timed_out(language, tmp_path):
    """The process is gone, what it left in /tmp is not, and the environment goes on with another."""
    kept = str(tmp_path / "kept")
    await language.result("write", path=kept, text="still here")
    before = await language.result("pid")
    answer = await language.invoke("hang", timeout_ms=500)
    assert answer.json()["errorType"] == "Sandbox.Timedout"
    assert answer.json()["errorMessage"].endswith("Error: Task timed out after 0.50 seconds")
    assert await language.result("read", path=kept) == "still here"
    assert await language.result("pid") != before


async def test_six_megabytes_come_in(language):
    """The largest event that Lambda takes."""
    size = 6_291_456 - len(json.dumps({"do": "measure", "value": ""}))
    assert await language.result("measure", value="x" * size) == size


async def test_six_megabytes_go_out_and_not_a_byte_more(language):
    """The largest buffered answer; one byte more is an error of the function (some clients end their process at it)."""
    answer = await language.invoke("pad", size=6_291_554)
    assert (answer.error, len(answer.body)) == (None, 6_291_556)
    answer = await language.invoke("pad", size=6_291_555)
    assert (answer.error, answer.json()["errorType"]) == (b"Unhandled", "Function.ResponseSizeTooLarge")
    assert await language.result("echo", value="fine") == "fine"


async def test_the_environment_is_lambdas(language):
    """Lambda's own variables, the function's, and none of the agent's."""
    one = language.language
    expected = {
        "COLOUR": "grün",
        "AWS_REGION": "eu-central-2",
        "AWS_LAMBDA_FUNCTION_NAME": "suite",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": None if one.runtime.startswith("provided") else f"AWS_Lambda_{one.runtime}",
        "_HANDLER": one.handler,
        "LAMBDA_TASK_ROOT": str(language.agent.task_root),
        "TZ": ":UTC",
        "LAMBENT_TOKEN_SHA256": None,
        "LAMBENT_CLAIM_FD": None,
    }
    found = await language.result("variables", names=list(expected))
    assert {name: found.get(name) for name in expected} == expected


async def test_what_runs_in_the_background_goes_on_in_the_next_invocation(language):
    """A thread or a timer that outlives its invocation; whether it runs in between is the freezer's business."""
    await language.result("tick")
    assert await language.result("ticks") is True


async def test_what_the_handler_prints_is_in_the_log_of_its_invocation(language):
    answer = await language.invoke("print", text="hello from the handler", headers={"Lambent_Log_Type": "Tail"})
    assert answer.error is None
    lines = answer.log.decode().splitlines()
    assert lines[0].startswith("START RequestId: request-")
    assert any("hello from the handler" in line for line in lines[1:-2]), lines
    assert lines[-2].startswith("END RequestId: request-")


async def test_the_context_tells_who_and_until_when(language):
    """Every field that the client offers, as the caller or the configuration gave it."""
    answer = await language.invoke(
        "context",
        timeout_ms=30_000,
        headers={
            "Lambent_Arn": f"{ARN}:live",
            "Lambent_Trace_Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "Lambent_Client_Context": "eyJjdXN0b20iOiB7ImEiOiAiMSJ9fQ==",
            "Lambent_Cognito_Identity": '{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}',
        },
    )
    said = answer.json()
    assert 0 < said.pop("remainingMs") <= 30_000
    assert re.fullmatch(r"request-\d+", said.pop("requestId"))
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}", said.pop("logStream"))
    assert said == {
        "functionName": "suite",
        "functionVersion": "7",
        "memoryMb": 512,
        "logGroup": "/aws/lambda/suite",
        "arn": f"{ARN}:live",
        "custom": {"a": "1"},
        "identity": "id",
        "traceId": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
    }


async def test_a_streamed_response_is_whole(streaming):
    """Chunk after chunk under the streaming response mode, collected for a caller who did not ask for a stream."""
    answer = await streaming.invoke("stream", chunks=["one ", "two ", "three"], pauseMs=5)
    assert answer.error is None, streaming.agent.log()[-2000:]
    assert answer.body == b"one two three" or answer.body.endswith(b"\0" * 8 + b"one two three")
    assert (await streaming.invoke("stream", chunks=["again"])).body.endswith(b"again")


async def test_a_stream_arrives_chunk_by_chunk(streaming):
    """For a caller who asks for it: the first chunk is there before the second was written."""
    caller = await streaming.agent.connect()
    event = {"do": "stream", "chunks": ["first ", "second"], "pauseMs": 300}
    caller.send_invoke(event, timeout_ms=60_000, Lambent_Response_Mode="streaming")
    await caller.event()
    body = b""
    while b"first " not in body:
        body += await caller.event()
    assert b"second" not in body
    while (data := await caller.event()) is not BODY_END:
        body += data
    assert body.endswith(b"first second")
    await caller.close()

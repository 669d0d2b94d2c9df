"""The Runtime API as a runtime sees it. The test is the runtime: the function's own bootstrap only sleeps."""

import asyncio
import json

import pytest
from tests.agent.driving import Answer, Caller, claim_of, zipped

from lambent.agent.protocol.states import State
from lambent.agent.protocol.writing import LAST_CHUNK, encode_chunk

PREFIX = b"/2018-06-01/runtime/invocation/"
NEXT = PREFIX + b"next"
NOT_ALLOWED = "Error: State transition is not allowed"


async def initialised(parties) -> tuple[Caller, Caller]:
    """The runtime waits for its first event."""
    _, caller, runtime = parties
    runtime.send(b"GET", NEXT, token=None, owner=None)
    assert json.loads((await caller.answer()).body)["state"] == "idle"
    return caller, runtime


async def post(runtime: Caller, path: bytes, body: bytes = b"", **headers) -> Answer:
    return await runtime.call(b"POST", path, body, token=None, owner=None, **headers)


def error(answer: Answer) -> tuple[int, str, str]:
    assert answer.body.endswith(b"\n")
    return answer.status, answer.json()["errorType"], answer.json()["errorMessage"]


async def test_ping_pongs(parties):
    """The only path that says nothing about a runtime."""
    answer = await parties[2].call(b"GET", b"/2018-06-01/ping", token=None, owner=None)
    assert (answer.status, answer.body) == (200, b"pong")


PATHS = {
    "unknown": (b"GET", b"/2018-06-01/nothing", 404, b"404 page not found\n"),
    "restore, without SnapStart": (b"GET", b"/2018-06-01/runtime/restore/next", 404, b"404 page not found\n"),
    "restore error": (b"POST", b"/2018-06-01/runtime/restore/error", 404, b"404 page not found\n"),
    "POST next": (b"POST", NEXT, 405, b""),
    "GET response": (b"GET", PREFIX + b"x/response", 405, b""),
    "GET init error": (b"GET", b"/2018-06-01/runtime/init/error", 405, b""),
}


@pytest.mark.parametrize(("method", "path", "status", "body"), PATHS.values(), ids=PATHS)
async def test_paths_and_methods(parties, method, path, status, body):
    """Go's mux, as in Lambda: plain text 404, empty 405."""
    answer = await parties[2].call(method, path, token=None, owner=None)
    assert (answer.status, answer.body) == (status, body)


async def test_an_event_comes_with_its_headers(parties):
    """Only those that are not empty; the body untouched."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(b"\x00not json", request_id="id-1", Lambent_Arn="arn:x", Lambent_Trace_Id="Root=1-2-3")
    answer = await runtime.answer()
    assert (answer.status, answer.body) == (200, b"\x00not json")
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers[b"lambda-runtime-aws-request-id"] == b"id-1"
    assert answer.headers[b"lambda-runtime-invoked-function-arn"] == b"arn:x"
    assert answer.headers[b"lambda-runtime-trace-id"] == b"Root=1-2-3"
    assert answer.headers[b"lambda-runtime-deadline-ms"].isdigit()
    assert answer.headers[b"lambda-runtime-invocation-id"]
    assert b"lambda-runtime-client-context" not in answer.headers
    assert b"lambda-runtime-cognito-identity" not in answer.headers


async def test_a_response_before_next_has_no_id_to_match(parties):
    """400, not 403: the id is checked before the state."""
    assert error(await post(parties[2], PREFIX + b"any/response")) == (400, "InvalidRequestID", "Invalid request ID")


async def test_the_order_of_calls_is_enforced(parties):
    """Wrong id 400; second response, error after response and init error in a run 403, in Lambda's words."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="right")
    await runtime.answer()
    assert error(await post(runtime, PREFIX + b"wrong/response"))[:2] == (400, "InvalidRequestID")
    assert error(await post(runtime, b"/2018-06-01/runtime/init/error")) == (
        403,
        "InvalidStateTransition",
        "State transition from Running to InitError failed for runtime. Error: State transition is not allowed",
    )
    accepted = await post(runtime, PREFIX + b"right/response", b"1")
    assert (accepted.status, accepted.json()) == (202, {"status": "OK"})
    for path, wanted in ((b"right/response", "InvocationResponse"), (b"right/error", "InvocationErrorResponse")):
        assert error(await post(runtime, PREFIX + path, b"2")) == (
            403,
            "InvalidStateTransition",
            f"State transition from RuntimeResponseSentState to {wanted} failed for runtime. {NOT_ALLOWED}",
        )
    assert await caller.head_and_body() is not None
    runtime.send(b"GET", NEXT, token=None, owner=None)
    await caller.event()
    assert (await caller.state()).state is State.IDLE


async def test_a_repeated_next_gives_the_same_event_again(parties):
    """A runtime that lost the event asks again before it has responded."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(b"event", request_id="one")
    first = await runtime.answer()
    again = await runtime.call(b"GET", NEXT, token=None, owner=None)
    assert (again.body, again.headers) == (first.body, first.headers)


async def test_two_nexts_that_wait_get_one_event_each_the_same(parties):
    """The first may have been given up: whoever answers first wins."""
    agent, _, _ = parties
    caller, runtime = await initialised(parties)
    second = Caller(*await asyncio.open_connection("127.0.0.1", agent.runtime_port))
    second.send(b"GET", NEXT, token=None, owner=None)
    await caller.state()  # both stand in line
    caller.send_invoke(b"event", request_id="one")
    first, again = await runtime.answer(), await second.answer()
    assert (first.body, again.body) == (b"event", b"event")
    assert (await post(second, PREFIX + b"one/response", b"1")).status == 202
    assert (await post(runtime, PREFIX + b"one/response", b"2")).status == 403


async def test_a_finished_request_id_is_nobodys(parties):
    """400 after the next request for an event, whatever is posted."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    await runtime.answer()
    assert (await post(runtime, PREFIX + b"one/response", b"1")).status == 202
    runtime.send(b"GET", NEXT, token=None, owner=None)
    await caller.answer()
    other = Caller(*await asyncio.open_connection("127.0.0.1", parties[0].runtime_port))
    for path in (b"one/response", b"one/error"):
        assert error(await post(other, PREFIX + path, b"2"))[:2] == (400, "InvalidRequestID")


async def test_a_runtime_that_never_asks_is_ended_at_the_limit(start):
    """At the claim after initTimeoutMs, in an invocation after the function's timeout, each with its log line."""
    agent = start(managed=False)
    caller = await agent.connect()
    code = zipped({"bootstrap": "#!/bin/sh\nexec sleep 1000\n"}, ("bootstrap",))
    claimed = await caller.claim(claim_of(code, runtime="provided.al2023", initTimeoutMs=100))
    assert (claimed.state, claimed.error["errorType"]) == (State.FAILED, "Sandbox.Timedout")
    assert (await caller.invoke(request_id="r1", timeout_ms=100)).json() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r1 Error: Task timed out after 0.10 seconds",
    }
    log = await agent.text()
    assert "Phase: init\tStatus: timeout\n" in log
    assert "Phase: invoke\tStatus: timeout\n" in log
    assert "r1 Task timed out after 0.10 seconds\n" in log


async def test_a_stale_invocation_id_is_refused(parties):
    """The same request id may come back in a retry; the opaque id tells the attempts apart."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    number = (await runtime.answer()).headers[b"lambda-runtime-invocation-id"].decode()
    stale = await post(runtime, PREFIX + b"one/response", b"1", Lambda_Runtime_Invocation_Id="0")
    assert error(stale)[:2] == (400, "InvalidRequestID")
    assert (await post(runtime, PREFIX + b"one/response", b"1", Lambda_Runtime_Invocation_Id=number)).status == 202


async def test_an_unknown_response_mode_may_be_corrected(parties):
    """400, and the invocation is still open (AWS's emulator hangs to the timeout here)."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    await runtime.answer()
    mode = {"Lambda_Runtime_Function_Response_Mode": "sideways"}
    answer = await post(runtime, PREFIX + b"one/response", b"1", **mode)
    assert error(answer) == (400, "InvalidFunctionResponseMode", "Invalid function response mode")
    assert (await post(runtime, PREFIX + b"one/response", b"")).status == 202
    runtime.send(b"GET", NEXT, token=None, owner=None)
    answer = await caller.answer()
    assert (answer.body, answer.error) == (b"", None)


MIDWAY = (
    b"Lambda-Runtime-Function-Error-Type: Runtime.Broken\r\n"
    b"Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJYIn0=\r\n"
)


async def test_a_stream_that_nobody_asked_for_is_collected(parties):
    """With its trailers; Go's client always declares those of an error."""
    caller, runtime = await initialised(parties)
    for number, (trailers, body, is_error) in enumerate(
        (
            (b"", b"hello world", None),
            (MIDWAY, b'{"errorType":"X"}', b"Unhandled"),
        )
    ):
        caller.send_invoke(request_id=f"r{number}")
        await runtime.answer()
        head = b"".join(
            (
                b"POST %br%d/response HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
                b"Lambda-Runtime-Function-Response-Mode: streaming\r\n",
                b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n",
            )
        )
        message = head % (PREFIX, number) + encode_chunk(b"hello ") + encode_chunk(b"world") + LAST_CHUNK + trailers
        for position in range(0, len(message), 7):
            runtime.writer.write(message[position : position + 7])
            await runtime.writer.drain()
        runtime.writer.write(b"\r\n")
        assert (await runtime.answer()).status == 202
        runtime.send(b"GET", NEXT, token=None, owner=None)
        answer = await caller.answer()
        assert (answer.body, answer.error) == (body, is_error)


CAUSES = {
    "only the known fields pass": (
        b'{"errorType":"T","errorMessage":"m","stackTrace":[],"errorCause":{}}',
        b'{"errorMessage":"m","errorType":"T","stackTrace":[]}',
    ),
    "what is no JSON becomes one sentence": (b"{", b'"Invalid error body"'),
}


@pytest.mark.parametrize(("body", "seen"), CAUSES.values(), ids=CAUSES)
async def test_an_error_with_cause_is_filtered(parties, body, seen):
    """Content type application/vnd.aws.lambda.error.cause+json; the X-Ray cause may have a megabyte."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    await runtime.answer()
    more = {
        "Content_Type": "application/vnd.aws.lambda.error.cause+json",
        "Lambda_Runtime_Function_XRay_Error_Cause": "x" * 1_000_000,
    }
    assert (await post(runtime, PREFIX + b"one/error", body, **more)).status == 202
    runtime.send(b"GET", NEXT, token=None, owner=None)
    answer = await caller.answer()
    assert (answer.body, answer.error) == (seen, b"Unhandled")


async def test_a_truncated_request_is_told(parties):
    """A body that breaks its own framing."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    await runtime.answer()
    runtime.writer.write(b"POST %bone/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % PREFIX)
    assert error(await runtime.answer()) == (400, "TruncatedHTTPRequest", "HTTP request detected as truncated")


async def test_an_oversized_response_is_413_and_the_runtime_goes_on(parties):
    """The caller gets Function.ResponseSizeTooLarge; the same process takes the next event."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    await runtime.answer()
    answer = await post(runtime, PREFIX + b"one/response", b"x" * 6_291_557)
    assert error(answer) == (413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
    runtime.send(b"GET", NEXT, token=None, owner=None)
    assert (await caller.answer()).json()["errorType"] == "Function.ResponseSizeTooLarge"
    caller.send_invoke(b"again")
    assert (await runtime.answer()).body == b"again"


async def test_a_response_after_the_timeout_is_refused(parties):
    """The invocation is over; its id is nobody's any more, and the runtime's connection with it."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="late", timeout_ms=100)
    await runtime.answer()
    assert (await caller.answer()).json()["errorType"] == "Sandbox.Timedout"
    with pytest.raises((EOFError, ConnectionResetError)):
        await post(runtime, PREFIX + b"late/response", b"1")


async def test_a_reported_init_error_is_the_claims_error(parties):
    """With the runtime's own body."""
    _, caller, runtime = parties
    body = b'{"errorType":"Runtime.Sad","errorMessage":"why","stackTrace":["a"]}'
    headers = {"Lambda_Runtime_Function_Error_Type": "Runtime.Sad"}
    assert (await post(runtime, b"/2018-06-01/runtime/init/error", body, **headers)).status == 202
    answer = (await caller.answer()).json()
    assert (answer["state"], answer["error"]) == ("failed", json.loads(body))

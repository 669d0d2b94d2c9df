"""Response streaming through the agent. The test is runtime and gateway: the function's own bootstrap only sleeps."""

import asyncio
import base64
import json
import os
import signal

import pytest
from tests.agent.driving import Caller
from tests.agent.test_runtime_api import NEXT, NOT_ALLOWED, PREFIX, error, initialised, post

from lambent.agent.protocol import names
from lambent.agent.protocol.http1 import BODY_END, BODY_FAILED, MessageEnd
from lambent.agent.protocol.states import State
from lambent.agent.protocol.writing import LAST_CHUNK, encode_chunk
from lambent.agent.response_streams import ResponseStream
from lambent.agent.supervising import descendants

MEGABYTE = 1024 * 1024
MODE = b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"


class Streaming:
    """One invocation whose response is being streamed: what the runtime writes and what the gateway hears."""

    def __init__(self, agent, caller, runtime) -> None:
        self.agent, self.caller, self.runtime = agent, caller, runtime

    async def begin(
        self, fields: bytes = b"Content-Type: text/event-stream\r\n", timeout_ms: int = 20_000, mode: bytes = MODE
    ) -> None:
        self.caller.send_invoke(request_id="one", timeout_ms=timeout_ms, Lambent_Response_Mode="streaming")
        await self.runtime.answer()
        self.write(
            b"POST %bone/response HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n%b%b\r\n"
            % (PREFIX, mode, fields)
        )

    def write(self, data: bytes) -> None:
        self.runtime.writer.write(data)

    async def next(self) -> None:
        self.runtime.send(b"GET", NEXT, token=None, owner=None)

    async def rest(self) -> tuple[bytes, object, dict[bytes, bytes]]:
        """What is left of the body, how it ends, and the trailers."""
        body = b""
        while isinstance(event := await self.caller.event(), bytes):
            body += event
        end = await self.caller.event()
        assert isinstance(end, MessageEnd)
        return body, event, end.trailers

    async def failed(self) -> tuple[bytes, str, dict]:
        """The same of a stream that failed: what came of it, the error's type and body."""
        body, event, trailers = await self.rest()
        assert (event, trailers[names.FUNCTION_ERROR_KEY]) == (BODY_FAILED, b"Unhandled")
        details = json.loads(base64.b64decode(trailers[names.ERROR_BODY_KEY]))
        return body, trailers[names.ERROR_TYPE_KEY].decode(), details

    async def another(self) -> Caller:
        """A second connection of the runtime."""
        return Caller(*await asyncio.open_connection("127.0.0.1", self.agent.runtime_port))


@pytest.fixture
async def stream(parties):
    caller, runtime = await initialised(parties)
    return Streaming(parties[0], caller, runtime)


async def test_pieces_arrive_as_they_are_written(stream):
    """The head with the runtime's content type comes with the first byte, the trailers when the runtime is idle again."""
    await stream.begin()
    head = await stream.caller.event()
    assert (head.status, head.headers[b"content-type"]) == (200, b"text/event-stream")
    assert names.ERROR_TYPE in head.headers[b"trailer"]
    for piece in (b"first", b"second"):
        stream.write(encode_chunk(piece))
        assert await stream.caller.event() == piece
    stream.write(LAST_CHUNK + b"\r\n")
    assert (await stream.runtime.answer()).json() == {"status": "OK"}
    assert await stream.caller.event() is BODY_END
    assert (await (await stream.agent.connect()).state()).state is State.BUSY
    await stream.next()
    trailers = (await stream.caller.event()).trailers
    assert float(trailers[names.DURATION_MS_KEY]) > 0
    assert names.FUNCTION_ERROR_KEY not in trailers
    assert (await stream.caller.state()).state is State.IDLE


async def test_chunks_are_streamed_although_the_runtime_names_no_mode(stream):
    """AWS's client for Go never does; what counts is that the caller wants them as they come."""
    await stream.begin(mode=b"")
    assert (await stream.caller.event()).status == 200
    stream.write(encode_chunk(b"first"))
    assert await stream.caller.event() == b"first"
    stream.write(LAST_CHUNK + b"\r\n")
    assert (await stream.runtime.answer()).json() == {"status": "OK"}
    assert await stream.caller.event() is BODY_END


async def test_the_next_invocation_may_be_buffered_again(stream):
    """The mode is the call's, not the environment's."""
    await stream.begin()
    stream.write(encode_chunk(b"streamed") + LAST_CHUNK + b"\r\n")
    await stream.runtime.answer()
    await stream.next()
    await stream.caller.event()
    assert (await stream.rest())[:2] == (b"streamed", BODY_END)
    stream.caller.send_invoke(request_id="two")
    await stream.runtime.answer()
    assert (await post(stream.runtime, PREFIX + b"two/response", b"whole")).status == 202
    await stream.next()
    assert (await stream.caller.answer()).body == b"whole"


async def test_a_caller_who_asked_for_a_stream_gets_a_whole_response_too(stream):
    """Most functions do not stream; an error's header is known before the body then."""
    for way, is_error in ((b"response", None), (b"error", b"Unhandled")):
        stream.caller.send_invoke(request_id="one", Lambent_Response_Mode="streaming")
        await stream.runtime.answer()
        assert (await post(stream.runtime, PREFIX + b"one/" + way, b'{"a":1}')).status == 202
        await stream.next()
        answer = await stream.caller.answer()
        assert (answer.body, answer.error) == (b'{"a":1}', is_error)


async def test_a_response_with_a_length_may_be_streamed_as_well(stream):
    """In one piece with its head, too; `Expect: 100-continue` is answered before the body."""
    stream.caller.send_invoke(request_id="one", Lambent_Response_Mode="streaming")
    await stream.runtime.answer()
    mode = {"Lambda_Runtime_Function_Response_Mode": "streaming"}
    assert (await post(stream.runtime, PREFIX + b"one/response", b"at once", **mode)).status == 202
    await stream.next()
    await stream.caller.event()
    assert (await stream.rest())[:2] == (b"at once", BODY_END)


async def test_a_runtime_that_waits_for_100_continue_is_told_to_go_on(stream):
    """curl does so with every chunked body."""
    await stream.begin(b"Expect: 100-continue\r\n")
    assert await stream.runtime.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_an_error_midway_comes_as_trailers(stream):
    """Its type, and what a buffered invocation would have been answered; the body ends as failed."""
    await stream.begin(b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n")
    stream.write(encode_chunk(b"half") + LAST_CHUNK)
    stream.write(b"Lambda-Runtime-Function-Error-Type: Runtime.Broken\r\n")
    stream.write(b"Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJYIn0=\r\n\r\n")
    assert (await stream.runtime.answer()).status == 202
    await stream.next()
    await stream.caller.event()
    assert await stream.failed() == (b"half", "Runtime.Broken", {"errorType": "X"})
    assert (await stream.caller.state()).state is State.IDLE


async def test_nothing_else_is_accepted_while_a_response_is_streamed(stream):
    """The runtime rests in InvocationResponse: 403, in Lambda's words."""
    await stream.begin()
    stream.write(encode_chunk(b"a"))
    await stream.caller.event()
    other = await stream.another()
    for way, wanted in ((b"response", "InvocationResponse"), (b"error", "InvocationErrorResponse")):
        words = f"State transition from InvocationResponse to {wanted} failed for runtime. {NOT_ALLOWED}"
        assert error(await post(other, PREFIX + b"one/" + way, b"b")) == (403, "InvalidStateTransition", words)
    assert error(await other.call(b"GET", NEXT, token=None, owner=None))[:2] == (403, "InvalidStateTransition")
    mode = {"Lambda_Runtime_Function_Response_Mode": "streaming"}
    assert error(await post(other, PREFIX + b"one/response", b"b", **mode))[0] == 403
    stream.write(LAST_CHUNK + b"\r\n")
    await stream.next()
    assert (await stream.rest())[:2] == (b"a", BODY_END)


async def test_a_timeout_ends_the_stream_with_its_error(stream):
    """Sandbox.Timedout after what was sent; the environment is reset."""
    await stream.begin(timeout_ms=700)
    stream.write(encode_chunk(b"so far"))
    await stream.caller.event()
    body, kind, details = await stream.failed()
    assert (body, kind) == (b"so far", "Sandbox.Timedout")
    assert details["errorMessage"] == "RequestId: one Error: Task timed out after 0.70 seconds"
    assert (await stream.caller.state()).state is State.FAILED


async def test_a_runtime_that_dies_midway_is_runtime_exit_error(stream):
    """Not a truncated response: the connection ends first, why it did is known a moment later."""
    await stream.begin()
    stream.write(encode_chunk(b"so far"))
    await stream.caller.event()
    assert await stream.caller.event() == b"so far"
    for pid in descendants(stream.agent.process.pid):
        os.kill(pid, signal.SIGKILL)
    stream.runtime.writer.close()
    body, kind, details = await stream.failed()
    assert (body, kind) == (b"", "Runtime.ExitError")
    assert details["errorMessage"].endswith("Runtime exited with error: signal: killed")


BROKEN = {
    "a chunk that is none": b"zz\r\n",
    "the end of what the runtime sends": None,
}


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
async def test_a_truncated_stream_is_told_to_both_sides(stream, how):
    """The runtime hears 400 and may go on; its caller hears of the truncation once it has."""
    await stream.begin()
    stream.write(encode_chunk(b"so far"))
    await stream.caller.event()
    if how is None:
        stream.runtime.writer.write_eof()
    else:
        stream.write(how)
    truncated = (400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
    assert error(await stream.runtime.answer()) == truncated
    stream.runtime = await stream.another()
    await stream.next()
    assert (await stream.failed())[:2] == (b"so far", "Runtime.TruncatedResponse")
    assert (await stream.caller.state()).state is State.IDLE


async def test_a_buffered_response_that_ends_in_the_middle_may_be_posted_again(parties):
    """The invocation is still open."""
    caller, runtime = await initialised(parties)
    caller.send_invoke(request_id="one")
    await runtime.answer()
    runtime.writer.write(b"POST %bone/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab" % PREFIX)
    runtime.writer.write_eof()
    assert error(await runtime.answer())[:2] == (400, "TruncatedHTTPRequest")
    again = Caller(*await asyncio.open_connection("127.0.0.1", parties[0].runtime_port))
    assert (await post(again, PREFIX + b"one/response", b"abc")).status == 202


async def test_a_stream_that_nobody_asked_for_has_the_limit_of_a_buffered_response(parties):
    """6,291,556 bytes, whatever the runtime calls it."""
    caller, runtime = await initialised(parties)
    mode = {"Lambda_Runtime_Function_Response_Mode": "streaming"}
    for size, status in ((6_291_556, 202), (6_291_557, 413)):
        caller.send_invoke(request_id="one")
        await runtime.answer()
        assert (await post(runtime, PREFIX + b"one/response", b"x" * size, **mode)).status == status
        runtime.send(b"GET", NEXT, token=None, owner=None)
        answer = await caller.answer()
        assert (len(answer.body) == size) == (answer.error is None) == (status == 202)
    assert answer.json()["errorType"] == "Function.ResponseSizeTooLarge"


def peak_mb(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


async def flood(stream, megabytes: int, sent: list[int]) -> None:
    chunk = encode_chunk(b"x" * MEGABYTE)
    for _ in range(megabytes):
        stream.write(chunk)
        await stream.runtime.writer.drain()
        sent.append(1)


async def stalled(stream, sent: list[int]) -> None:
    """Until the agent has answered others many times and read nothing of the runtime meanwhile."""
    other, before = await stream.agent.connect(), -1
    while len(sent) != before:
        before = len(sent)
        for _ in range(30):
            await other.state()
    await other.close()


async def test_a_slow_caller_slows_the_runtime_down(stream):
    """What the caller does not take stays with the runtime: the agent holds next to nothing of 48 MB."""
    before = peak_mb(stream.agent.process.pid)
    await stream.begin()
    sent: list[int] = []
    flooding = asyncio.create_task(flood(stream, 48, sent))
    await stalled(stream, sent)
    assert len(sent) < 32  # sockets hold some of it
    await stream.caller.event()
    size = 0
    while size < 48 * MEGABYTE:
        size += len(await stream.caller.event())
    await flooding
    assert peak_mb(stream.agent.process.pid) - before < 8
    stream.write(LAST_CHUNK + b"\r\n")
    await stream.next()
    assert (await stream.rest())[:2] == (b"", BODY_END)


async def test_a_caller_who_goes_away_stops_slowing_the_runtime_down(stream):
    """The invocation runs to its end and the environment is idle again."""
    await stream.begin()
    sent: list[int] = []
    flooding = asyncio.create_task(flood(stream, 48, sent))
    await stalled(stream, sent)
    stream.caller.writer.transport.abort()
    await flooding
    stream.write(LAST_CHUNK + b"\r\n")
    assert (await stream.runtime.answer()).status == 202
    await stream.next()
    other = await stream.agent.connect()
    while (await other.state()).state is not State.IDLE:
        await asyncio.sleep(0.005)


class Taker:
    def __init__(self):
        self.size, self.errors = 0, []

    def take(self, piece):
        self.size += len(piece)

    def end(self, error):
        self.errors.append(error)


def test_a_stream_ends_at_two_hundred_megabytes():
    """Lambda's limit: the caller hears at once, the rest is read and thrown away, the runtime hears at the end."""
    for size, too_large in ((names.MAX_STREAMED_BYTES, False), (names.MAX_STREAMED_BYTES + 1, True)):
        taker, over = Taker(), []
        stream = ResponseStream(taker, lambda _, error, over=over: over.append(error))
        piece = b"x" * MEGABYTE
        for _ in range(size // MEGABYTE):
            stream.take(piece)
        stream.take(b"x" * (size % MEGABYTE))
        stream.take(b"")
        stream.complete({})
        assert taker.size == names.MAX_STREAMED_BYTES
        assert [error and error.error_type for error in taker.errors] == [
            "Function.ResponseSizeTooLarge" if too_large else None
        ]
        assert over == taker.errors

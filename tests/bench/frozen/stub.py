"""FROZEN. An agent's door without an environment behind it: claims at once, echoes every invocation at once.

The backend of the gateway's and of the raw proxy's throughput. It speaks the protocol with the agent's own codecs and
passes the agent's contract suite (tests/bench_harness/test_stub.py), so that a gateway cannot tell the difference.
Events may ask for more: `{"sleep": s}` is busy for s seconds, `{"raise": true}` is an error of the function,
`{"stream": n}` is answered with n bytes in pieces, as fast as they are taken.
JSON settings on stdin: `host`, `doors` (each one environment: port and tokenSha256), and perhaps `ready`, a descriptor
for one JSON line with the ports.
"""

import asyncio
import base64
import hashlib
import json
import os
import signal
import sys
from collections import deque
from functools import partial
from typing import Any

from lambent.agent.protocol import names
from lambent.agent.protocol.claims import Claim, ClaimAnswer
from lambent.agent.protocol.heads import Headers, ProtocolError, RequestHead
from lambent.agent.protocol.http1 import Request, RequestDecoder
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.refusals import (
    AlreadyClaimed,
    BadRequest,
    MethodNotAllowed,
    NotClaimed,
    NotFound,
    NotIdle,
    Refusal,
    StaleOwner,
    TooLarge,
    Unauthorized,
)
from lambent.agent.protocol.states import EnvironmentState, State
from lambent.agent.protocol.writing import (
    CONTINUE,
    LAST_CHUNK,
    encode_chunk,
    encode_chunked_head,
    encode_response,
    encode_trailers,
)

JSON = ((b"Content-Type", b"application/json"),)
CLOSING = (*JSON, (b"Connection", b"close"))
FIELDS = ((b"Content-Type", b"application/octet-stream"), (b"Trailer", b", ".join(names.INVOKE_TRAILERS)))
HEAD = encode_chunked_head(200, FIELDS)
ERROR_HEAD = encode_chunked_head(200, (*FIELDS, (names.FUNCTION_ERROR, names.UNHANDLED)))
ERROR = b'{"errorMessage": "as asked", "errorType": "ValueError", "stackTrace": []}'
LOG = "START RequestId: {0} Version: $LATEST\nEND RequestId: {0}\nREPORT RequestId: {0}\tDuration: 1.00 ms\t\n"
WARM = ((names.DURATION_MS, b"1.000"), (names.BILLED_MS, b"1"), (names.MAX_MEMORY_MB, b"32"))
COLD = (
    (names.INIT_MS, b"1.000"),
    (names.DURATION_MS, b"1.000"),
    (names.BILLED_MS, b"2"),
    (names.MAX_MEMORY_MB, b"32"),
)
LIMITS = {
    (b"POST", names.INVOKE_PATH): names.MAX_EVENT_BYTES,
    (b"POST", names.CLAIM_PATH): names.MAX_CLAIM_BYTES,
    (b"POST", names.DRAIN_PATH): 4096,
    (b"GET", names.STATE_PATH): 0,
}
PATHS = {path for _, path in LIMITS}
LINGER = 1.0
PIECE = b"x" * 65536


class Stub:
    """What its connections share."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.accepted = b"\0"
        self.owner: Owner | None = None
        self.claim: Claim | None = None
        self.cold = False
        self.draining = False
        self.request_id: str | None = None
        self.quiet = asyncio.Event()
        self.quiet.set()
        self.ended = asyncio.Event()

    def authorize(self, value: bytes) -> None:
        """The value that was right once is compared with, as in the agent."""
        if value != self.accepted:
            token = value.removeprefix(b"Bearer ")
            if not value.startswith(b"Bearer ") or hashlib.sha256(token).hexdigest() != self.digest:
                raise Unauthorized("the door needs its bearer token")
            self.accepted = value

    def hear(self, header: bytes | None) -> None:
        owner = Owner.from_header(header)
        if self.owner is not None and owner < self.owner:
            raise StaleOwner("a newer owner has spoken", epoch=self.owner.epoch, owner=self.owner.gateway)
        self.owner = owner

    @property
    def state(self) -> State:
        if self.claim is None:
            return State.GENERIC
        return State.BUSY if self.request_id is not None else State.IDLE

    def describe(self) -> EnvironmentState:
        owner = self.owner or Owner(0, "")
        claim, revision = (self.claim.claimId, self.claim.revision) if self.claim else (None, None)
        return EnvironmentState(
            self.state, claim, revision, self.request_id, owner.epoch, owner.gateway, draining=self.draining
        )

    def take(self, body: bytes) -> bytes:
        """The one claim of its life."""
        claim = Claim.from_json(body)
        if self.claim is None:
            self.refuse_when_draining()
            self.claim, self.cold = claim, True
        elif self.claim.claimId != claim.claimId:
            raise AlreadyClaimed("this environment is claimed", claimId=self.claim.claimId)
        return ClaimAnswer(claim.claimId, State.IDLE, 1.0).to_json()

    def begin(self, headers: Headers) -> str:
        """The request id, once it is certain that the invocation may start."""
        request_id = headers.get(names.REQUEST_ID_KEY, b"").decode("ascii", "replace")
        if not request_id:
            raise BadRequest("Lambent-Request-Id must be 1 to 128 letters, digits and -_")
        if self.claim is None:
            raise NotClaimed("claim this environment before invoking it")
        self.refuse_when_draining()
        if self.request_id is not None:
            raise NotIdle("this environment is busy", state="busy")
        return request_id

    def refuse_when_draining(self) -> None:
        if self.draining:
            raise NotIdle("this environment is draining", state="draining")

    def answer(self, headers: Headers, body: bytes, request_id: str) -> bytes:
        """The whole answer to an invocation."""
        trailers, self.cold = (COLD if self.cold else WARM), False
        if headers.get(names.LOG_TYPE_KEY) == names.TAIL:
            trailers = ((names.LOG_RESULT, base64.b64encode(LOG.format(request_id).encode())), *trailers)
        head, body = (ERROR_HEAD, ERROR) if b'"raise"' in body[:64] else (HEAD, body)
        return head + encode_chunk(body) + LAST_CHUNK + encode_trailers(trailers)


class Connection(asyncio.Protocol):
    """Answers each request in the moment in which it is complete, unless it asks for more time."""

    transport: asyncio.Transport

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.decoder = RequestDecoder(self.admit)
        self.busy = False
        self.failed = False
        self.waiting: deque[Request] = deque()
        self.writable = asyncio.Event()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def admit(self, head: RequestHead) -> int:
        self.stub.authorize(head.headers.get(names.AUTHORIZATION_KEY, b""))
        if head.target not in PATHS:
            raise NotFound("no such path")
        limit = LIMITS.get((head.method, head.target))
        if limit is None:
            raise MethodNotAllowed("another method")
        if head.length > limit:
            raise TooLarge(f"more than {limit} bytes")
        return limit

    def data_received(self, data: bytes) -> None:
        if self.failed:
            return  # read on, or the kernel resets the connection and the answer is lost
        for request in self.decoder.feed(data):
            if self.busy:
                self.waiting.append(request)
            else:
                self.handle(request)
        if self.decoder.failure is not None:
            self.fail(self.decoder.failure)
        elif self.decoder.expects_continue:
            self.transport.write(CONTINUE)

    def handle(self, request: Request) -> None:
        try:
            answer = self.act(request)
        except Refusal as refusal:
            answer = encode_response(refusal.status, JSON, refusal.to_json())
        if answer is not None:
            self.transport.write(answer)

    def act(self, request: Request) -> bytes | None:
        """The answer; None when it comes later."""
        stub, headers, target = self.stub, request.head.headers, request.head.target
        if request.body is None:
            raise TooLarge("over the limit")
        owner = headers.get(names.OWNER_KEY)
        if target != names.STATE_PATH or owner is not None:
            stub.hear(owner)
        if target == names.INVOKE_PATH:
            request_id = stub.begin(headers)
            if b'"sleep"' in request.body[:64]:
                self.later(self.sleep(headers, request.body, request_id))
                return None
            if b'"stream"' in request.body[:64]:
                self.later(self.stream(request.body, request_id))
                return None
            return stub.answer(headers, request.body, request_id)
        if target == names.STATE_PATH:
            return encode_response(200, JSON, stub.describe().to_json())
        if target == names.CLAIM_PATH:
            return encode_response(200, JSON, stub.take(request.body))
        stub.draining = True
        self.later(self.drain())
        return None

    def later(self, work: Any) -> None:
        """One request at a time on a connection."""
        self.busy = True
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self.release)

    def release(self, task: "asyncio.Task[None]") -> None:
        task.result()
        self.busy = False
        while self.waiting and not self.busy:
            self.handle(self.waiting.popleft())

    async def sleep(self, headers: Headers, body: bytes, request_id: str) -> None:
        stub = self.stub
        stub.request_id = request_id
        stub.quiet.clear()
        await asyncio.sleep(json.loads(body)["sleep"])
        stub.request_id = None
        self.transport.write(stub.answer(headers, body, request_id))
        stub.quiet.set()

    async def stream(self, body: bytes, request_id: str) -> None:
        stub, left = self.stub, json.loads(body)["stream"]
        stub.request_id = request_id
        stub.quiet.clear()
        self.transport.write(HEAD)
        while left > 0 and not self.transport.is_closing():
            self.transport.write(encode_chunk(PIECE[:left]))
            left -= len(PIECE)
            await self.writable.wait()
        stub.request_id = None
        self.transport.write(LAST_CHUNK + encode_trailers(WARM))
        stub.quiet.set()

    async def drain(self) -> None:
        await self.stub.quiet.wait()
        self.transport.write(encode_response(200, JSON, b'{"drained":true}'))
        asyncio.get_running_loop().call_later(0.02, self.stub.ended.set)

    def fail(self, failure: Exception) -> None:
        self.failed = True
        told = failure if isinstance(failure, Refusal) else BadRequest(str(failure))
        status = failure.status if isinstance(failure, ProtocolError) else told.status
        self.transport.write(encode_response(status, CLOSING, told.to_json()))
        self.transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER, self.transport.abort)


def end(stubs: list[Stub]) -> None:
    """Every door, whether drained or not."""
    for stub in stubs:
        stub.ended.set()


async def serve(settings: dict[str, Any]) -> None:
    """Until every door is drained, or told to end."""
    loop, stubs, ports = asyncio.get_running_loop(), [], []
    for door in settings["doors"]:
        stub = Stub(door["tokenSha256"])
        server = await loop.create_server(partial(Connection, stub), settings["host"], door["port"], backlog=128)
        stubs.append(stub)
        ports.append(server.sockets[0].getsockname()[1])
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, end, stubs)
    if "ready" in settings:
        os.write(settings["ready"], json.dumps({"ports": ports}).encode() + b"\n")
        os.close(settings["ready"])
    for stub in stubs:
        await stub.ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(json.load(sys.stdin)))

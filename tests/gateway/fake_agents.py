"""An agent's door in this process: the real protocol, a scripted function behind it.

The event says what the function does, as `{"do": …}`:
echo (default) · error · sleep (seconds) · gate · die (close the connection) · die-late (after the answer) · hang · garbage ·
partial · fail-midway · oversized · twice · slow-next (idle only after `seconds`). "Function" state is plain attributes.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field

from lambent.agent.protocol import names
from lambent.agent.protocol.claims import Claim, ClaimAnswer
from lambent.agent.protocol.heads import ProtocolError, RequestHead
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
    LAST_CHUNK,
    LAST_CHUNK_FAILED,
    encode_chunk,
    encode_chunked_head,
    encode_response,
    encode_trailers,
)

LIMITS = {
    names.STATE_PATH: 0,
    names.CLAIM_PATH: names.MAX_CLAIM_BYTES,
    names.INVOKE_PATH: names.MAX_EVENT_BYTES,
    names.DRAIN_PATH: 4096,
}


@dataclass
class Seen:
    """One request that came in."""

    path: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass
class FakeAgent:
    """One environment. Started by `start`; `stop` is the container's end."""

    token: str | None = None
    state: State = State.GENERIC
    claim: Claim | None = None
    owner: Owner | None = None
    draining: bool = False
    init_seconds: float = 0.0
    init_fails: bool = False
    refuses_claims: int = 0
    """So many claims are refused as bad requests."""
    seen: list[Seen] = field(default_factory=list)
    running: int = 0
    most: int = 0
    """Most invocations that ever ran at the same time: more than one is the error this fake exists for."""
    connections: set[_Connection] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """What `{"do": "gate"}` waits for."""
    server: asyncio.Server | None = None
    port: int = 0

    async def start(self) -> FakeAgent:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Every connection is reset."""
        for connection in list(self.connections):
            connection.transport.abort()

    def invocations(self) -> list[Seen]:
        return [each for each in self.seen if each.path == names.INVOKE_PATH]

    def claims(self) -> list[Seen]:
        return [each for each in self.seen if each.path == names.CLAIM_PATH]

    def hear(self, header: bytes | None) -> None:
        owner = Owner.from_header(header)
        if self.owner is None or owner > self.owner:
            self.owner = owner
        elif owner < self.owner:
            raise StaleOwner("newer", epoch=self.owner.epoch, owner=self.owner.gateway)

    def describe(self) -> EnvironmentState:
        epoch, owner = (self.owner.epoch, self.owner.gateway) if self.owner else (0, "")
        claim = self.claim
        return EnvironmentState(
            self.state,
            claim.claimId if claim else None,
            claim.revision if claim else None,
            None,
            epoch,
            owner,
            self.draining,
        )


class _Connection(asyncio.Protocol):
    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent
        self.decoder = RequestDecoder(self.admit)
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.agent.connections.add(self)

    def connection_lost(self, exc) -> None:
        self.agent.connections.discard(self)

    def admit(self, head: RequestHead) -> int:
        if self.agent.token is not None and head.headers.get(b"authorization") != f"Bearer {self.agent.token}".encode():
            raise Unauthorized("no")
        if head.target not in LIMITS:
            raise NotFound("no such path")
        if (head.method == b"GET") != (head.target == names.STATE_PATH):
            raise MethodNotAllowed("no")
        if head.length > LIMITS[head.target]:
            raise TooLarge("no")
        return LIMITS[head.target]

    def data_received(self, data: bytes) -> None:
        for request in self.decoder.feed(data):
            task = asyncio.get_running_loop().create_task(self.answer(request))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        failure = self.decoder.failure
        if failure is not None:
            status = failure.status if isinstance(failure, (Refusal, ProtocolError)) else 500
            body = failure.to_json() if isinstance(failure, Refusal) else BadRequest(str(failure)).to_json()
            self.send(encode_response(status, ((b"Connection", b"close"),), body))
            self.transport.close()

    async def answer(self, request: Request) -> None:
        head, agent = request.head, self.agent
        agent.seen.append(Seen(head.target, head.headers, request.body))
        try:
            if request.body is None:
                raise TooLarge("no")
            if head.target == names.STATE_PATH:
                if names.OWNER_KEY in head.headers:
                    agent.hear(head.headers[names.OWNER_KEY])
                self.send(encode_response(200, (), agent.describe().to_json()))
            elif head.target == names.CLAIM_PATH:
                await self.claim(request)
            elif head.target == names.DRAIN_PATH:
                agent.hear(head.headers.get(names.OWNER_KEY))
                if agent.state is State.BUSY:
                    raise NotIdle("busy", state="busy")
                agent.draining = True
                self.send(encode_response(200, (), b"{}"))
            else:
                await self.invoke(request)
        except Refusal as refusal:
            self.send(encode_response(refusal.status, (), refusal.to_json()))

    async def claim(self, request: Request) -> None:
        agent = self.agent
        agent.hear(request.head.headers.get(names.OWNER_KEY))
        if agent.refuses_claims:
            agent.refuses_claims -= 1
            raise BadRequest("claim.handler must be better")
        claim = Claim.from_json(request.body)
        if agent.claim is not None and agent.claim.claimId != claim.claimId:
            raise AlreadyClaimed("taken", claimId=agent.claim.claimId)
        agent.claim, agent.state = claim, State.INIT
        await asyncio.sleep(agent.init_seconds)
        agent.state = State.FAILED if agent.init_fails else State.IDLE
        error = {"errorType": "Runtime.ImportModuleError", "errorMessage": "no"} if agent.init_fails else None
        answer = ClaimAnswer(claim.claimId, agent.state, agent.init_seconds * 1000, b"", error)
        self.send(encode_response(200, (), answer.to_json()))

    async def invoke(self, request: Request) -> None:
        agent = self.agent
        agent.hear(request.head.headers.get(names.OWNER_KEY))
        if agent.state is State.GENERIC:
            raise NotClaimed("no")
        if agent.state not in (State.IDLE, State.FAILED) or agent.draining:
            raise NotIdle("busy", state=str(agent.state))
        agent.state, agent.running = State.BUSY, agent.running + 1
        agent.most = max(agent.most, agent.running)
        try:
            await self.run(request)
        finally:
            agent.running -= 1

    async def run(self, request: Request) -> None:
        event = json.loads(request.body)
        script = event if isinstance(event, dict) else {}
        do, seconds = script.get("do", "echo"), script.get("seconds", 0.0)
        if do == "sleep":
            await asyncio.sleep(seconds)
        if do == "gate":
            await self.agent.gate.wait()
        if do == "hang":
            await asyncio.sleep(3600)
        if do == "die":
            self.transport.abort()
            return
        if do == "garbage":
            self.send(b"SSH-2.0-OpenSSH\r\n\r\n")
            return
        if do == "partial":
            self.send(encode_chunked_head(200, ()) + b"40\r\nonly this")
            await asyncio.sleep(0.01)
            self.transport.abort()
            return
        if do == "fail-midway":
            self.send(encode_chunked_head(200, ()) + encode_chunk(b"half") + LAST_CHUNK_FAILED)
            self.agent.state = State.IDLE
            failure = (
                (names.FUNCTION_ERROR, names.UNHANDLED),
                (names.ERROR_TYPE, b"Runtime.X"),
                (names.ERROR_BODY, b"e30="),
            )
            self.send(encode_trailers((*failure, *self.trailers(request))))
            return
        if do == "oversized":
            self.send(encode_chunked_head(200, ()))
            for _ in range(101):
                self.send(encode_chunk(b"x" * 65536))
            return
        self.send(self.head(do) + encode_chunk(self.body(do, script, request.body)) + LAST_CHUNK)
        if do == "die-late":
            await asyncio.sleep(0.01)
            self.transport.abort()
            return
        if do == "slow-next":
            await asyncio.sleep(seconds)
        self.agent.state = State.IDLE
        self.send(encode_trailers(self.trailers(request)))
        if do == "twice":
            self.send(encode_response(200, (), b"again"))

    def head(self, do: str) -> bytes:
        return encode_chunked_head(200, ((names.FUNCTION_ERROR, names.UNHANDLED),) if do == "error" else ())

    def body(self, do: str, script: dict, event: bytes) -> bytes:
        if do == "error":
            return b'{"errorMessage":"as asked","errorType":"ValueError"}'
        return script["answer"].encode() if "answer" in script else event

    def trailers(self, request: Request) -> list[tuple[bytes, bytes]]:
        fields = [(names.DURATION_MS, b"1.50"), (names.BILLED_MS, b"2"), (names.MAX_MEMORY_MB, b"40")]
        if request.head.headers.get(names.LOG_TYPE_KEY) == names.TAIL:
            fields.append((names.LOG_RESULT, base64.b64encode(b"START\nEND\nREPORT\n")))
        return fields

    def send(self, data: bytes) -> None:
        self.transport.write(data)

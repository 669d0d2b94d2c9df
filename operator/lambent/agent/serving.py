"""The door: what gateways may ask of this environment, over HTTP/1.1. Every call carries the token."""

import asyncio
import hashlib
import time
from _operator import _compare_digest as compare_digest
from typing import Final

from .connections import JSON, Connection, Peers
from .hosting import Host
from .invocations import read_invocation
from .protocol import names
from .protocol.claims import Claim, ClaimAnswer
from .protocol.heads import RequestHead
from .protocol.http1 import Request
from .protocol.owners import Owner
from .protocol.refusals import MethodNotAllowed, NotFound, Refusal, TooLarge, Unauthorized
from .protocol.states import State
from .protocol.writing import (
    LAST_CHUNK,
    LAST_CHUNK_FAILED,
    encode_chunk,
    encode_chunked_head,
    encode_response,
    encode_trailers,
)
from .response_streams import Source

_TRAILER: Final = b", ".join(names.INVOKE_TRAILERS)
_ANSWER: Final = encode_chunked_head(200, ((b"Content-Type", b"application/octet-stream"), (b"Trailer", _TRAILER)))
_ERROR_ANSWER: Final = encode_chunked_head(
    200,
    (
        (b"Content-Type", b"application/octet-stream"),
        (b"Trailer", _TRAILER),
        (names.FUNCTION_ERROR, names.UNHANDLED),
    ),
)
_STREAM_TRAILER: Final = b", ".join(names.STREAM_TRAILERS)
_UNNAMED: Final = b"application/octet-stream"
_MAX_CONTENT_TYPE: Final = 1024
_LARGE: Final = 64 * 1024  # from here on writing in pieces is cheaper than copying into one
_LIMITS: Final = {
    names.INVOKE_PATH: names.MAX_EVENT_BYTES,
    names.CLAIM_PATH: names.MAX_CLAIM_BYTES,
    names.DRAIN_PATH: 4096,
    names.STATE_PATH: 0,
}
_METHODS: Final = {
    names.INVOKE_PATH: b"POST",
    names.CLAIM_PATH: b"POST",
    names.DRAIN_PATH: b"POST",
    names.STATE_PATH: b"GET",
}


class Door:
    """What all connections share: the token, the host, and when an owner last spoke."""

    def __init__(self, host: Host, token_sha256: str) -> None:
        self.host = host
        self.connections: Peers = {}
        self.heard = time.monotonic()
        self._digest = token_sha256
        self._accepted = b"\0"  # no header value has a NUL
        self._owner = (b"", Owner(0, "-"))

    def connect(self) -> "DoorConnection":
        """A connection for the server."""
        return DoorConnection(self)

    def authorize(self, value: bytes) -> None:
        """`Bearer <token>`; the value that was right once is compared with, so that SHA-256 is taken once."""
        if compare_digest(value, self._accepted):
            return
        digest = hashlib.sha256(value.removeprefix(b"Bearer ")).hexdigest()
        if not value.startswith(b"Bearer ") or not compare_digest(digest, self._digest):
            raise Unauthorized("the door needs its bearer token")
        self._accepted = value

    def hear(self, header: bytes | None) -> None:
        """StaleOwner or BadRequest, or the caller is the owner and was heard now."""
        if header is None or header != self._owner[0]:
            owner = Owner.from_header(header)
            assert header is not None
            self._owner = (header, owner)
        self.host.lifecycle.hear(self._owner[1])
        self.heard = time.monotonic()


class DoorConnection(Connection):
    """One gateway's connection; also the `Exchange` of the invocation that came through it."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.connections)
        self._door = door
        self.streaming = False
        self._source: Source | None = None
        self._full = False

    def admit(self, head: RequestHead) -> int:
        """Token, path, method and size, before the body."""
        self._door.authorize(head.headers.get(names.AUTHORIZATION_KEY, b""))
        limit = _LIMITS.get(head.target)
        if limit is None:
            raise NotFound("no such path")
        if head.method != _METHODS[head.target]:
            raise MethodNotAllowed(f"use {_METHODS[head.target].decode()}")
        if head.length > limit:
            raise TooLarge(f"more than {limit} bytes")
        return limit

    def handle(self, request: Request) -> None:
        """One of the four calls."""
        target = request.head.target
        try:
            if request.body is None:
                raise TooLarge(f"more than {_LIMITS[target]} bytes")
            if target == names.INVOKE_PATH:
                self._invoke(request)
            elif target == names.STATE_PATH:
                self._state(request)
            elif target == names.CLAIM_PATH:
                self._claim(request)
            else:
                self._drain(request)
        except Refusal as refusal:
            self.refuse(refusal)

    def _invoke(self, request: Request) -> None:
        door = self._door
        door.hear(request.head.headers.get(names.OWNER_KEY))
        claim = door.host.claim
        self.streaming = request.head.headers.get(names.RESPONSE_MODE_KEY) == names.STREAMING
        timeout_ms, arn = (claim.timeoutMs, claim.arn.encode()) if claim is not None else (1, b"")
        door.host.invoke(read_invocation(request, timeout_ms, arn, self))

    def respond(self, body: bytes, *, is_error: bool) -> None:
        """Head, body and last chunk at once: the caller has the whole answer before the runtime is ready again."""
        head = _ERROR_ANSWER if is_error else _ANSWER
        if len(body) < _LARGE:
            self.send(b"%b%b%b" % (head, encode_chunk(body), LAST_CHUNK))
        else:
            self.send(b"%b%x\r\n" % (head, len(body)))
            self.send(body)
            self.send(b"\r\n" + LAST_CHUNK)

    def begin(self, content_type: bytes, source: Source) -> None:
        """The head goes out with what the runtime says of its body."""
        known = content_type if 0 < len(content_type) <= _MAX_CONTENT_TYPE else _UNNAMED
        self._source = source
        if self._full:
            source.pause()
        self.send(encode_chunked_head(200, ((b"Content-Type", known), (b"Trailer", _STREAM_TRAILER))))

    def pass_on(self, piece: bytes) -> None:
        """Each piece is a chunk; what the caller does not take pauses the runtime."""
        self.send(encode_chunk(piece))

    def end(self, *, failed: bool) -> None:
        """The last chunk; the runtime is read again in any case: it asks for its next event there."""
        self._let_go()
        self.send(LAST_CHUNK_FAILED if failed else LAST_CHUNK)

    def pause_writing(self) -> None:
        """The caller does not take what it gets."""
        self._full = True
        if self._source is not None:
            self._source.pause()

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        if self._source is not None:
            self._source.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The invocation goes on without a caller, and at its own pace."""
        self._let_go()
        super().connection_lost(exc)

    def _let_go(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.resume()

    def finish(self, trailers: list[tuple[bytes, bytes]]) -> None:
        """The trailers: idle from here on."""
        self._door.heard = time.monotonic()
        self.send(encode_trailers(trailers))
        self.release()

    def _state(self, request: Request) -> None:
        owner = request.head.headers.get(names.OWNER_KEY)
        if owner is not None:
            self._door.hear(owner)  # an owner may keep its warm environments alive this way
        self._answer(self._door.host.lifecycle.describe().to_json())

    def _claim(self, request: Request) -> None:
        self._door.hear(request.head.headers.get(names.OWNER_KEY))
        assert request.body is not None
        answer = self._door.host.claim_once(Claim.from_json(request.body))
        answer.add_done_callback(self._claimed)

    def _claimed(self, answer: "asyncio.Task[ClaimAnswer]") -> None:
        if answer.cancelled():
            self.abort()
        else:
            self._door.heard = time.monotonic()
            self._answer(answer.result().to_json())

    def _drain(self, request: Request) -> None:
        self._door.hear(request.head.headers.get(names.OWNER_KEY))
        draining = asyncio.get_running_loop().create_task(self._door.host.drain())
        draining.add_done_callback(self._drained)

    def _drained(self, draining: "asyncio.Task[None]") -> None:
        draining.result()
        self._answer(b'{"drained":true}')
        self._door.host.ended.set()

    def _answer(self, body: bytes) -> None:
        self.send(encode_response(200, JSON, body))
        self.release()


async def end_orphans(door: Door, patience: float) -> None:
    """Returns when this environment is claimed, not busy, and no owner has spoken to it for `patience` seconds."""
    while True:
        await asyncio.sleep(max(0.05, patience / 8))
        lifecycle = door.host.lifecycle
        occupied = lifecycle.state in {State.GENERIC, State.INIT, State.BUSY}
        if not occupied and time.monotonic() - door.heard > patience:
            return

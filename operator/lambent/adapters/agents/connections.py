"""One connection to an agent's door: one exchange at a time, its parts handed over as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from lambent.agent.protocol.heads import Headers, MessageEnd, ProtocolError, ResponseHead
from lambent.agent.protocol.http1 import BODY_END, BODY_FAILED, ResponseDecoder
from lambent.agent.protocol.names import MAX_ANSWER_HEAD_BYTES, MAX_STREAMED_BYTES

from .failures import AgentMisbehaved, AgentNotConnected, AgentUnavailable

SLICE_BYTES = 256 * 1024
_NOTHING = memoryview(b"")


class Listener(Protocol):
    """Whom an exchange belongs to. Either `ended` or `lost` is called, exactly once and last; neither may raise."""

    def answered(self, head: ResponseHead, body: bytes | bytearray) -> None:
        """The body is complete; trailers may still be to come."""

    def ended(self, trailers: Headers) -> None:
        """The whole answer is in; the connection is free again."""

    def lost(self, error: AgentUnavailable) -> None:
        """There will be no (further) answer. What was sent may have been acted on."""


class Streamer(Listener, Protocol):
    """A listener that takes bodies as they come."""

    def began(self, head: ResponseHead) -> bool:
        """Whether it takes this one so: then `took` follows, and `answered` with no body unless it fails midway."""

    def took(self, piece: bytes) -> None:
        """The next bytes of the body."""


class AgentConnection(asyncio.Protocol):
    """A kept connection. asyncio sets TCP_NODELAY on it by itself."""

    __slots__ = (
        "_body",
        "_decoder",
        "_head",
        "_limit",
        "_listener",
        "_lost",
        "_paused",
        "_rest",
        "_size",
        "_streamer",
        "_streaming",
        "_transport",
    )

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._decoder = ResponseDecoder(MAX_ANSWER_HEAD_BYTES)
        self._listener: Listener | None = None
        self._head: ResponseHead | None = None
        self._body: bytes | bytearray = b""
        self._size = 0
        self._limit = 0
        self._paused = False
        self._streamer: Streamer | None = None
        self._streaming = False
        self._rest: memoryview = _NOTHING
        """What of a large request was not written yet."""

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now."""
        return self._transport is not None and not self._transport.is_closing() and self._listener is None

    def send(self, request: bytes, listener: Listener, limit: int, rest: bytes | bytearray = b"") -> None:
        """Send one request, its end perhaps apart as `rest`; its answer's body may have at most `limit` bytes.

        Raises:
            AgentNotConnected: nothing was sent.
        """
        transport = self._transport
        if transport is None or self._listener is not None or transport.is_closing():
            raise AgentNotConnected("no free connection to the agent")
        self._listener, self._limit = listener, limit
        transport.write(request)
        if rest:
            self._rest = memoryview(rest)
            self._write_on()

    def stream_to(self, streamer: Streamer) -> None:
        """Ask the listener of the request that was just sent how it wants its answer."""
        self._streamer = streamer

    def pause(self) -> None:
        """Read nothing until `resume`, or the end of this exchange."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def _write_on(self) -> None:
        """A slice after the other, as the socket takes them: what it does not take is copied."""
        transport = self._transport
        while self._rest and not self._paused and transport is not None:
            piece, self._rest = self._rest[:SLICE_BYTES], self._rest[SLICE_BYTES:]
            transport.write(piece)

    def abort(self, error: AgentUnavailable) -> None:
        """Cut the connection; whoever waits for an answer is told `error`."""
        transport = self._transport
        if transport is not None:
            transport.abort()
        self._fail(error)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is up."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it went, it is gone
        """The transport is gone."""
        self._transport = None
        self._fail(AgentUnavailable("the connection to the agent was lost"))
        self._lost()

    def pause_writing(self) -> None:
        """The socket takes no more."""
        self._paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._paused = False
        self._write_on()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        if self._listener is None:
            self.abort(AgentMisbehaved("the agent spoke without being asked"))
            return
        try:
            events = self._decoder.feed(data)
        except ProtocolError as error:
            self.abort(AgentMisbehaved(f"not an answer of an agent: {error.message}"))
            return
        for event in events:
            if event.__class__ is bytes:
                self._take(event)
            elif event is BODY_END or event is BODY_FAILED:
                self._answered(failed=event is BODY_FAILED)
            elif event.__class__ is MessageEnd:
                self._ended(event.trailers)
            else:
                self._begin(event)  # type: ignore[arg-type]

    # --- one exchange -------------------------------------------------------------------------------------------

    def _begin(self, head: ResponseHead) -> None:
        if self._listener is None:  # a second answer in one piece with the first
            self.abort(AgentMisbehaved("the agent answered twice"))
        elif head.length > self._limit:
            self.abort(AgentMisbehaved(f"an answer of {head.length} bytes is over the limit of {self._limit}"))
        else:
            self._head = head
            streamer = self._streamer
            if streamer is not None and streamer.began(head):
                self._streaming, self._limit = True, MAX_STREAMED_BYTES

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            self.abort(AgentMisbehaved(f"the answer is over the limit of {self._limit} bytes"))
        elif not self._streaming:
            self._add(piece)
        elif self._streamer is not None:
            self._streamer.took(piece)

    def _add(self, piece: bytes) -> None:
        """One piece is the body; of several one is made that grows: a join at the end would take the memory twice."""
        if not self._body:
            self._body = piece
        elif isinstance(self._body, bytearray):
            self._body += piece
        else:
            self._body = bytearray(self._body)
            self._body += piece

    def _answered(self, *, failed: bool) -> None:
        listener, head, body = self._listener, self._head, self._body
        if failed and self._streaming:
            return  # the trailers say why
        if listener is not None and head is not None:
            listener.answered(head, body)

    def _ended(self, trailers: Headers) -> None:
        listener, head = self._listener, self._head
        if listener is None or head is None:
            return
        keep_alive = head.keep_alive and not self._rest  # answered before it had heard all: nothing fits behind that
        self._clear()
        if not keep_alive and self._transport is not None:
            self._transport.close()
        listener.ended(trailers)

    def _fail(self, error: AgentUnavailable) -> None:
        listener = self._listener
        self._clear()
        if listener is not None:
            listener.lost(error)

    def _clear(self) -> None:
        self._listener, self._head, self._body, self._size = None, None, b"", 0
        self._rest = _NOTHING
        if self._streamer is not None:
            self._streamer, self._streaming = None, False
            self.resume()

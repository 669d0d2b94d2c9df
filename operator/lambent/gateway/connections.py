"""HTTP/1.1 as the public door serves it: connections as callbacks over the codec that agents and bench share.

aiohttp's server gives each request two tasks and four rounds of the event loop; here a warm request is read, sent on,
and answered in the three rounds in which bytes arrive (docs/decisions: measured in P5). Requests of one connection
are answered one after the other; what else arrives meanwhile is bounded by not reading it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from lambent.agent.protocol.heads import ProtocolError, RequestHead
from lambent.agent.protocol.http1 import Request, RequestDecoder
from lambent.agent.protocol.writing import CONTINUE, encode_response
from lambent.model import limits
from lambent.model.errors import InvalidRequestContent, LambdaError
from lambent.wire import lambda_api

log = logging.getLogger(__name__)

Fields = list[tuple[bytes, bytes]]
Respond = Callable[[int, Fields, bytes], None]
"""Status, headers, body; called once, perhaps before `Begin` returns."""
Abandon = Callable[[], None]
"""The client went away."""
Begin = Callable[[Request, Respond], Abandon | None]

HEAD_BYTES_MAX = 32 * 1024
READ_BYTES_MAX = 4 * limits.REQUEST_BYTES_MAX
"""A longer body is refused at its head; one between the limit and this is read to its end and then refused."""
QUEUE_MAX = 2
IDLE_SECONDS = 3630.0
"""Longer than load balancers keep theirs."""
STALLED_SECONDS = 30.0
"""A request whose next byte does not come for so long is given up."""
LINGER_SECONDS = 3.0
"""After a refusal that leaves bytes unread: a reset would take the answer away from the client."""
_SWEEP_SECONDS = 15.0
_CLOSE = (b"Connection", b"close")


def admit(head: RequestHead) -> int:
    """The limit of a request's body. Raises RequestEntityTooLarge for one that will not even be read."""
    if head.length > READ_BYTES_MAX:
        raise lambda_api.too_large()
    return limits.REQUEST_BYTES_MAX


class HttpServer:
    """Listens and keeps its connections."""

    def __init__(self, begin: Begin, draining: Callable[[], bool]) -> None:
        self.begin = begin
        self.draining = draining
        self.connections: set[_Connection] = set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._dated = (0, b"")

    async def start(self, host: str | None, port: int) -> None:
        """Listen on one interface or all."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self, loop), host, port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def date(self) -> bytes:
        """The Date header's value, made once a second."""
        now = int(time.time())
        if now != self._dated[0]:
            self._dated = (now, formatdate(now, usegmt=True).encode())
        return self._dated[1]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self.connections):
            connection.judge(loop.time())
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def stop(self, seconds: float) -> None:
        """Accept no more; what is in flight may end within so many seconds."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.wind_down()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.connections and loop.time() < deadline:  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()


@dataclass(slots=True)
class _Current:
    """The request that is being answered."""

    head: RequestHead
    abandon: Abandon | None = None


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: HttpServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._decoder = RequestDecoder(admit, HEAD_BYTES_MAX)
        self._queue: deque[Request] = deque()
        self._current: _Current | None = None
        self._transport: asyncio.Transport
        self._blocked = self._paused = self._discarding = self._busy = False
        self._heard = loop.time()
        self._unfinished = 0
        """Bytes since the last whole request."""

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it went
        """The client went: whoever works for it may stop."""
        self._server.connections.discard(self)
        self._discarding = True
        self._queue.clear()
        current, self._current = self._current, None
        if current is not None and current.abandon is not None:
            current.abandon()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        if self._discarding:
            return
        self._heard = self._loop.time()
        requests = self._decoder.feed(data)
        self._unfinished = 0 if requests else self._unfinished + len(data)
        if self._unfinished > READ_BYTES_MAX + HEAD_BYTES_MAX:  # chunks without end
            self._refuse(lambda_api.too_large())
            return
        self._queue.extend(requests)
        if self._decoder.expects_continue and self._current is None and not self._queue:
            self._transport.write(CONTINUE)
        self._go_on()

    def pause_writing(self) -> None:
        """The client does not read: it gets no further answers until it does."""
        self._blocked = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked = False
        self._go_on()

    # --- one request after the other ----------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._busy:  # answered at once, inside `begin` below
            return
        self._busy = True
        while self._queue and self._current is None and not self._blocked and not self._discarding:
            request = self._queue.popleft()
            current = self._current = _Current(request.head)
            abandon = self._server.begin(request, self._respond)
            if self._current is current:
                current.abandon = abandon
        self._busy = False
        if self._decoder.failure is not None and self._current is None and not self._queue:
            self._refuse(self._decoder.failure)
        self._read_on_or_not()

    def _read_on_or_not(self) -> None:
        full = len(self._queue) >= QUEUE_MAX
        if full and not self._paused:
            self._transport.pause_reading()
        elif self._paused and not full and not self._transport.is_closing():
            self._transport.resume_reading()
        self._paused = full

    def _respond(self, status: int, fields: Fields, body: bytes) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        fields.append((b"Date", self._server.date()))
        keep = current.head.keep_alive and not self._server.draining()
        if not keep:
            fields.append(_CLOSE)
        answer = encode_response(status, fields, body)
        if current.head.method == b"HEAD":
            answer = answer[: len(answer) - len(body)]
        self._transport.write(answer)
        if not keep:
            self._discarding = True
            self._transport.close()
        elif self._queue or self._decoder.failure is not None:
            self._go_on()

    def _refuse(self, failure: Exception) -> None:
        """The client does not speak HTTP as agreed, or too much: one last answer."""
        if self._discarding:
            return
        self._discarding = True
        if isinstance(failure, LambdaError):
            error, status = failure, failure.status
        elif isinstance(failure, ProtocolError):
            error, status = InvalidRequestContent(f"The request cannot be read: {failure.message}"), failure.status
        else:
            log.error("a request failed in its decoder", exc_info=failure)
            error, status = InvalidRequestContent("The request cannot be read"), 400
        fields, body = lambda_api.encode_error(error, lambda_api.NO_REQUEST_ID)
        self._transport.write(encode_response(status, [*fields, _CLOSE], body))
        self._loop.call_later(LINGER_SECONDS, self.abort)

    # --- endings ------------------------------------------------------------------------------------------------

    def judge(self, now: float) -> None:
        """Close what has been silent for too long."""
        silence = now - self._heard
        if self._current is None and not self._queue:
            if self._decoder.partial and silence > STALLED_SECONDS:
                self.abort()
            elif silence > IDLE_SECONDS:
                self._transport.close()

    def wind_down(self) -> None:
        """Close now, or after the answer that is being worked on."""
        if self._current is None and not self._queue and not self._decoder.partial:
            self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._transport.abort()

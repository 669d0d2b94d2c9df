"""aiohttp's server, bounded against whoever reaches the port.

It knows HTTP. What it does not know: how long the head of a request may take, how long an answer may lie unread, how
many connections are too many. All of that is looked at once a second for all connections together; a request that
comes in one piece pays for two comparisons.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from multidict import CIMultiDict

from lambent.agent.protocol.writing import encode_response

Fields = list[tuple[bytes, bytes]]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
LastWords = Callable[[int], tuple[Fields, bytes]]
"""Headers and body of the answer to what is no request, by status; the connection closes behind it."""

# It prints the raw request line of whatever cannot be parsed, at the bidding of whoever reaches the port.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_FILES_KEPT = 256
"""Descriptors that are not for clients."""
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
"""A peer that is gone without a word is noticed within two minutes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one port bears."""

    head_seconds: float = 20.0
    """From the first byte of a request's head to its last."""
    head_bytes: int = 64 * 1024
    field_bytes: int = 16 * 1024
    """Of one header, or of the request line."""
    idle_seconds: float = 630.0
    """Between requests: longer than load balancers keep their connections."""
    unread_seconds: float = 30.0
    """An answer of which the client takes nothing for so long is given up …"""
    answer_seconds: float = 300.0
    """… and one that is not taken whole within this, too."""
    linger_seconds: float = 3.0
    """After a refusal that leaves bytes unread: a reset would take the answer away from the client."""
    connections: int = 4096
    """At most so many; fewer where the process may not open as many files."""

    @property
    def connections_max(self) -> int:
        """What the process can have."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return self.connections if soft < 0 else min(self.connections, max(16, soft - _FILES_KEPT))


class Connection(web.RequestHandler):
    """One client. Its bounds are kept by the server's look at all of them."""

    __slots__ = ("_bounds", "_words", "head_bytes", "head_since", "own_pace", "unsent")

    def __init__(self, server: BoundedServer, bounds: Bounds, words: LastWords, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._bounds = bounds
        self._words = words
        self.head_since = 0.0
        """By the loop's clock; 0 when no head is on its way."""
        self.head_bytes = 0
        self.own_pace = False
        """Whoever writes its answer bounds how long that may lie unread."""
        self.unsent: tuple[int, float, int, float] | None = None
        """Of an answer that the client does not take: request, since when, bytes at the last change, and its time."""

    @property
    def quiet_since(self) -> float | None:
        """Since when it waits for a request; None while one is worked on."""
        waiter = self._waiter
        if waiter is None or waiter.done() or self._messages:
            return None
        return self._next_keepalive_close_time - self._keepalive_timeout

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            for option, value in _KEEPALIVE:
                peer.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        """Bytes came in; notes whether they leave a head incomplete."""
        super().data_received(data)
        if not data:  # aiohttp's own way to go on with what it has
            return
        if self._messages or self._waiter is None:  # a whole head, or a body
            self.head_since = 0.0
            return
        if not self.head_since:
            self.head_since, self.head_bytes = self._loop.time(), 0
        self.head_bytes += len(data)
        if self.head_bytes > self._bounds.head_bytes:
            self.refuse(431)

    def refuse(self, status: int) -> None:
        """Last words to a client that has not sent a whole head."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            fields, body = self._words(status)
            transport.write(encode_response(status, [*fields, (b"Connection", b"close")], body))
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - there is none worth the name
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the bytes
    ) -> web.StreamResponse:
        """The answer to a request that cannot be read."""
        if isinstance(exc, LineTooLong):
            status = 431
        return last_words(self._words, status if status < 500 else 400)


def last_words(words: LastWords, status: int) -> web.Response:
    """An answer behind which the connection closes."""
    fields, body = words(status)
    named = CIMultiDict([(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in fields])
    response = web.Response(status=status, headers=named, body=body)
    response.force_close()
    return response


class BoundedServer(web.Server):
    """Serves `handler` within `bounds`. Give it to a `web.ServerRunner`."""

    def __init__(self, handler: Handler, words: LastWords, bounds: Bounds | None = None, **settings: Any) -> None:
        self.bounds = bounds = bounds or Bounds()
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,  # bytes are taken as they are; and what is packed small can be large
            keepalive_timeout=bounds.idle_seconds,
            lingering_time=bounds.linger_seconds,
            max_line_size=bounds.field_bytes,
            max_field_size=bounds.field_bytes,
            **settings,
        )
        self._words = words
        self._most = bounds.connections_max
        self._open: dict[Connection, asyncio.Transport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.turned_away = 0

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        return Connection(self, self.bounds, self._words, loop=self._loop, **self._kwargs)

    @property
    def open_connections(self) -> int:
        """Connections whose sockets are open."""
        return len(self._open)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count it in; where there are too many, who does nothing goes first, and else the newcomer."""
        super().connection_made(handler, transport)
        self._open[cast(Connection, handler)] = transport
        if len(self._open) > self._most:
            self._make_room()
            if len(self._open) > self._most:
                self.turned_away += 1
                transport.abort()
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Count it out."""
        self._open.pop(cast(Connection, handler), None)
        super().connection_lost(handler, exc)

    def _make_room(self) -> None:
        """Close a part of those that wait for a request, the quietest first: together, so that a flood costs little."""
        quiet = sorted(
            (since, index, connection)
            for index, connection in enumerate(self._open)
            if (since := connection.quiet_since) is not None
        )
        for _, _, connection in quiet[: max(1, self._most // 16)]:
            self.turned_away += 1
            self._open.pop(connection).abort()

    # --- once a second ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        now = self._loop.time()
        for connection, transport in list(self._open.items()):
            if connection.head_since and now - connection.head_since > self.bounds.head_seconds:
                connection.refuse(408)
            unsent = transport.get_write_buffer_size()
            if not unsent or connection.own_pace:
                connection.unsent = None
            elif self._unread(connection, unsent, now):
                transport.abort()
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look) if self._open else None

    def _unread(self, connection: Connection, unsent: int, now: float) -> bool:
        """Whether an answer was left unread for too long."""
        request, before = connection._request_count, connection.unsent  # noqa: SLF001 - ours
        if before is None or before[0] != request:
            connection.unsent = (request, now, unsent, now)
            return False
        _, since, bytes_then, moved = before
        if unsent != bytes_then:
            moved = now
        connection.unsent = (request, since, unsent, moved)
        return now - moved > self.bounds.unread_seconds or now - since > self.bounds.answer_seconds

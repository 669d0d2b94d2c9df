"""The public port: aiohttp's server, and nothing between it and the door but bodies, bounds and draining.

The low-level server without routing: the Lambda API is routed on the raw path, where ARNs are percent-encoded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from lambent.model import limits
from lambent.model.errors import InvalidRequestContent
from lambent.wire import lambda_api

Fields = list[tuple[bytes, bytes]]
Respond = Callable[[int, Fields, bytes], None]
"""Status, headers, body; called once, perhaps before `Begin` returns."""
Abandon = Callable[[], None]
"""The client went away."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole request."""

    method: str
    target: bytes
    """Path and query as they came, percent-encoded."""
    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    body: bytes | None
    """None when it is over the limit."""


Begin = Callable[[Asked, Respond], Abandon | None]

READ_BYTES_MAX: Final = 4 * limits.REQUEST_BYTES_MAX
"""A longer body is refused at its head; one between the limit and this is read to its end and then refused, because
clients that are still sending do not look for an answer."""
STALLED_SECONDS: Final = 30.0
"""A request whose next byte does not come for so long is given up."""
KEEPALIVE_SECONDS: Final = 630.0
"""Longer than load balancers keep theirs; also how long a connection may take to send its first request's head."""
LINGER_SECONDS: Final = 3.0
"""After a refusal that leaves bytes unread: a reset would take the answer away from the client."""
FIELD_BYTES_MAX: Final = 16 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# It prints the raw request line of whatever cannot be parsed, at the bidding of whoever reaches the port.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class _Connection(web.RequestHandler):
    """aiohttp's connection, whose last words to what is no HTTP are typed like every other error."""

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - there is none worth the name
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002 - it quotes the bytes
    ) -> web.StreamResponse:
        """The answer to a request that cannot be read."""
        return _unreadable(status if status < 500 else 400)


class _Server(web.Server):
    """aiohttp's server with these connections."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class HttpServer:
    """Listens, and hands whole requests to the door."""

    def __init__(self, begin: Begin, draining: Callable[[], bool]) -> None:
        self._begin = begin
        self._draining = draining
        self._under_way = 0
        self.port = 0
        self._server: _Server | None = None
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self, host: str | None, port: int) -> None:
        """Listen on one interface or all."""
        self._server = _Server(
            self._serve,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,  # Lambda takes bytes as they are; and what is packed small can be large
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=FIELD_BYTES_MAX,
            max_field_size=FIELD_BYTES_MAX,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, host, port, backlog=1024)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self, seconds: float) -> None:
        """Accept no more; what is in flight may end within so many seconds.

        aiohttp's own clean-up drops the bytes of bodies that are still coming in, so it begins when none is.
        """
        if self._runner is None or self._site is None or self._server is None:
            return
        await self._site.stop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._under_way and loop.time() < deadline:  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(0.02)
        self._server.pre_shutdown()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._under_way += 1
        try:
            return await self._answer(request)
        finally:
            self._under_way -= 1

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await _read(request)
        except TimeoutError:
            return _unreadable(408)
        answer: asyncio.Future[tuple[int, Fields, bytes]] = asyncio.get_running_loop().create_future()

        def respond(status: int, fields: Fields, body: bytes) -> None:
            if not answer.done():
                answer.set_result((status, fields, body))

        headers = {name.lower(): value for name, value in request.raw_headers}
        asked = Asked(request.method, request.raw_path.encode("utf-8", "surrogateescape"), headers, body)
        abandon = self._begin(asked, respond)
        try:
            status, fields, body = await answer
        except asyncio.CancelledError:
            if abandon is not None:
                abandon()
            raise
        response = web.Response(status=status, headers=_headers(fields), body=body)
        if self._draining() or not request.content.is_eof():
            response.force_close()
        return response


def _unreadable(status: int) -> web.StreamResponse:
    error = InvalidRequestContent("The request cannot be read.")
    fields, body = lambda_api.encode_error(error, lambda_api.NO_REQUEST_ID)
    response = web.Response(status=status, headers=_headers(fields), body=body)
    response.force_close()
    return response


def _headers(fields: Fields) -> CIMultiDict[str]:
    named = [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in fields]
    return CIMultiDict([*named, ("Server", "lambent")])  # not which versions of what


async def _read(request: web.BaseRequest) -> bytes | None:
    """The body; None over the limit."""
    content = request.content
    if content.is_eof():  # it came with the head, as nearly always
        return content.read_nowait()
    length = request.content_length
    if length is not None and length > READ_BYTES_MAX:
        return None
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
    pieces: list[bytes] = []
    size = 0
    while True:
        async with asyncio.timeout(STALLED_SECONDS):
            piece = await content.readany()
        if not piece:
            break
        size += len(piece)
        if size <= limits.REQUEST_BYTES_MAX:
            pieces.append(piece)
        elif size > READ_BYTES_MAX:
            return None
    return b"".join(pieces) if size <= limits.REQUEST_BYTES_MAX else None

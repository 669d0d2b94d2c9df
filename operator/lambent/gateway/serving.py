"""The public port: whole requests for the door, over a bounded server; bodies, memory for them, and draining.

The low-level server without routing: the Lambda API is routed on the raw path, where ARNs are percent-encoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import RawHeaders
from multidict import CIMultiDict

from lambent.adapters.http.servers import BoundedServer, Bounds, Connection, Fields, last_words
from lambent.model.errors import InvalidRequestContent, ServiceUnavailable
from lambent.wire import lambda_api

from .bodies import READ_BYTES_MAX, Body, Room

Content = bytes | bytearray


class Pieces(Protocol):
    """A body that is still being made."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Its bytes as they come."""

    def abandon(self) -> None:
        """Nobody wants (more of) it; harmless at its end."""


Respond = Callable[[int, Fields, Content | Pieces], None]
"""Status, headers, body; called once, perhaps before `Begin` returns."""
Abandon = Callable[[], None]
"""The client went away."""
Reply = tuple[int, Fields, Content]
Answered = tuple[int, Fields, Content | Pieces]


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole request."""

    method: str
    target: bytes
    """Path and query as they came, percent-encoded."""
    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    body: bytes | bytearray | None
    """None when it is over the limit."""


Begin = Callable[[Asked, Respond], Abandon | None]
Admit = Callable[[Asked], Awaitable[Reply | None]]
"""Asked of a request whose body is still to come (`body` is None); a reply means that nobody wants that body."""

TOGETHER_BYTES_MAX: Final = 32 * 1024
"""Up to this size an answer goes out with its head: one packet is worth a copy."""
_SLICE_BYTES: Final = 256 * 1024
_UNREAD_SECONDS: Final = 30.0
"""A streamed answer of which the client takes nothing for so long is given up."""
_SERVER: Final = (b"Server", b"lambent")
"""Not which versions of what."""


async def _everybody(head: Asked) -> Reply | None:  # noqa: ARG001 - as Admit
    return None


class HttpServer:
    """Listens, and hands whole requests to the door."""

    def __init__(
        self, begin: Begin, draining: Callable[[], bool], admit: Admit = _everybody, room: Room | None = None
    ) -> None:
        self._begin = begin
        self._draining = draining
        self._admit = admit
        self._room = room or Room(READ_BYTES_MAX)
        self._under_way = 0
        self.port = 0
        self.server: BoundedServer | None = None
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self, host: str | None, port: int, bounds: Bounds | None = None) -> None:
        """Listen on one interface or all."""
        self.server = BoundedServer(self._serve, unreadable, bounds)
        self._runner = web.ServerRunner(self.server, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, host, port, backlog=1024)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self, seconds: float) -> None:
        """Accept no more; what is in flight may end within so many seconds.

        aiohttp's own clean-up drops the bytes of bodies that are still coming in, so it begins when none is.
        """
        if self._runner is None or self._site is None or self.server is None:
            return
        await self._site.stop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._under_way and loop.time() < deadline:  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(0.02)
        self.server.pre_shutdown()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.version[0] != 1:
            return _unspeakable(request)
        self._under_way += 1
        try:
            content = request.content
            if content.is_eof():  # it came with the head, as nearly always
                return await self._answer(request, content.read_nowait())
            return await self._receive(request)
        finally:
            self._under_way -= 1

    async def _answer(self, request: web.BaseRequest, body: Content | None) -> web.StreamResponse:
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

        def respond(status: int, fields: Fields, body: Content | Pieces) -> None:
            if not answer.done():
                answer.set_result((status, fields, body))
            elif not isinstance(body, Content):
                body.abandon()

        asked = _asked(request, body)
        if asked is None:
            return last_words(unreadable, 400)
        abandon = self._begin(asked, respond)
        try:
            status, fields, content = await answer
        except asyncio.CancelledError:
            if abandon is not None:
                abandon()
            if answer.done() and not answer.cancelled():  # it came in the moment in which the client went
                respond(*answer.result())
            raise
        if not isinstance(content, Content):
            return await self._pass_on(request, (status, fields), content)
        if len(content) > TOGETHER_BYTES_MAX:
            return await self._stream(request, (status, fields, content))
        return self._response(request, (status, fields, content))

    def _response(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        status, fields, body = reply
        response = web.Response(status=status, headers=_headers(fields), body=body)
        if self._draining() or not request.content.is_eof():
            response.force_close()
        return response

    async def _stream(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """A large answer, as the socket takes it: what is written and not taken is copied, up to three times."""
        status, fields, body = reply
        response = web.StreamResponse(status=status, headers=_headers(fields))
        response.content_length = len(body)
        if self._draining() or not request.content.is_eof():
            response.force_close()
        await response.prepare(request)
        view = memoryview(body)
        for begin in range(0, len(body), _SLICE_BYTES):
            await response.write(view[begin : begin + _SLICE_BYTES])
        return response

    async def _pass_on(self, request: web.BaseRequest, head: tuple[int, Fields], pieces: Pieces) -> web.StreamResponse:
        """An answer that is still being made, as fast as the client takes it."""
        response = web.StreamResponse(status=head[0], headers=_headers(head[1]))
        if request.version >= HttpVersion11:
            response.enable_chunked_encoding()
        if self._draining() or not request.content.is_eof():
            response.force_close()
        connection = cast(Connection, request.protocol)
        connection.own_pace = True
        try:
            await response.prepare(request)
            async for piece in pieces:
                async with asyncio.timeout(_UNREAD_SECONDS):
                    await response.write(piece)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            connection.own_pace = False
            pieces.abandon()
        return response

    # --- bodies that are still to come --------------------------------------------------------------------------

    async def _receive(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = _asked(request, None)
        if asked is None:
            return last_words(unreadable, 400)
        refused = await self._admit(asked)
        body = Body(self._room, wanted=refused is None)
        try:
            try:
                await body.read(request)
            except TimeoutError:
                return last_words(unreadable, 408)
            if refused is None and body.crowded:
                refused = _crowded()
            if refused is not None:
                return self._response(request, refused)
            return await self._answer(request, body.data)
        finally:
            self._room.give(body.held)


def _asked(request: web.BaseRequest, body: Content | None) -> Asked | None:
    """None for a request that says twice what it may say once: a proxy before us may have believed the other."""
    raw = request.raw_headers
    headers = {name.lower(): value for name, value in raw}
    if len(headers) != len(raw) and len(_said_once(raw)) != len(set(_said_once(raw))):
        return None
    return Asked(request.method, request.raw_path.encode("utf-8", "surrogateescape"), headers, body)


def _said_once(headers: RawHeaders) -> list[bytes]:
    names = [name.lower() for name, _ in headers]
    return [name for name in names if name == b"authorization" or name.startswith((b"x-amz-", b"x-lambent-"))]


def unreadable(status: int) -> tuple[Fields, bytes]:  # noqa: ARG001 - the words are the same for all
    """Headers and body of the answer to what is no request."""
    error = InvalidRequestContent("The request cannot be read.")
    fields, body = lambda_api.encode_error(error, lambda_api.NO_REQUEST_ID)
    return [*fields, _SERVER], body


def _unspeakable(request: web.BaseRequest) -> web.StreamResponse:
    """An answer in HTTP/1.1: aiohttp would answer in the version of the request."""
    cast(Connection, request.protocol).refuse(505)
    return web.Response()  # is not sent any more


def _crowded() -> Reply:
    error = ServiceUnavailable("Too many large requests are on their way. Try again.")
    return error.status, *lambda_api.encode_error(error, lambda_api.NO_REQUEST_ID)


def _headers(fields: Fields) -> CIMultiDict[str]:
    named = [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in (*fields, _SERVER)]
    return CIMultiDict(named)

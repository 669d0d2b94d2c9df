"""The port: aiohttp's server with bounds on what a client may hold without saying anything.

A head is read within HEAD_SECONDS or its connection is closed, and so is a connection that is idle for as long; there
are at most CONNECTIONS_MAX. Bodies are bounded where they are read (`uploading`), answers where they are written.
"""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from .refusals import Refusal

HEAD_SECONDS = 30.0
"""Longer than our clients keep an idle connection, which is 15 s: so they close first and never meet a closed one."""
LINE_BYTES_MAX = 8 * 1024
CONNECTIONS_MAX = 4096
LINGER_SECONDS = 3.0
"""After a refusal that leaves bytes unread: a reset would take the answer away from the client."""
BACKLOG = 1024
"""Cold starts come in crowds."""


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it, before a byte is read."""
        cast("asyncio.Transport", transport).abort()


class _Connection(web.RequestHandler):
    """aiohttp's connection, which does not quote what it could not read."""

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 -- there is none worth the name
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002 -- the bytes that came, and with them a signature
    ) -> web.StreamResponse:
        """The answer to what is no request; nothing else of its connection is read."""
        response = Refusal(status if status < 500 else 400, "BadRequest", "this is no HTTP request").response()
        response.force_close()
        return response


class Port:
    """Listens until `close`; what has begun goes on until `clean_up`."""

    def __init__(self, application: web.Application, head_seconds: float = HEAD_SECONDS) -> None:
        self._runner = web.AppRunner(application, shutdown_timeout=LINGER_SECONDS)
        self._head_seconds = head_seconds
        self._server: asyncio.Server | None = None
        self.number = 0

    async def open(self, host: str | None, number: int, connections_max: int = CONNECTIONS_MAX) -> None:
        """Listen on one interface or all; 0 asks for any port."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None

        loop = asyncio.get_running_loop()

        def connected() -> asyncio.Protocol:
            if len(server.connections) >= connections_max:
                return _Refused()
            return _Connection(
                server,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # it would write signatures
                keepalive_timeout=self._head_seconds,
                lingering_time=LINGER_SECONDS,
                max_line_size=LINE_BYTES_MAX,
                max_field_size=LINE_BYTES_MAX,
            )

        self._server = await loop.create_server(connected, host, number, backlog=BACKLOG)
        self.number = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Accept nobody any more."""
        if self._server is not None:
            self._server.close()

    async def clean_up(self) -> None:
        """End every connection."""
        self.close()
        await self._runner.cleanup()

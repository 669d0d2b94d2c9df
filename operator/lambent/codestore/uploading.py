"""The body of an upload: counted, so that it cannot fill the volume, and timed, so that it cannot hold a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web_protocol import RequestPayloadError

from lambent.model.limits import MIB

from .refusals import Refusal

BLOB_BYTES_MAX = 250 * MIB
"""What a deployment package fetched from elsewhere may have."""
STALL_SECONDS = 30.0
"""How long an upload may bring nothing. A slow client is served, one that holds a file open is not."""

UPLOAD_SECONDS = 900.0
"""How long an upload may take in all: a byte now and then is no slow client, it holds a file open too."""


class Upload:
    """One request's body, in pieces. Refuses with 400, 408 or 413; `size` is what has come so far."""

    def __init__(self, request: web.Request, stall_seconds: float = STALL_SECONDS) -> None:
        if (request.content_length or 0) > BLOB_BYTES_MAX:
            raise _too_large()
        self._content = request.content
        self._stall_seconds = stall_seconds
        self._deadline = asyncio.get_running_loop().time() + UPLOAD_SECONDS
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._piece():
            self.size += len(piece)
            if self.size > BLOB_BYTES_MAX:
                raise _too_large()
            yield piece

    async def _piece(self) -> bytes:
        now = asyncio.get_running_loop().time()
        if now >= self._deadline:
            raise Refusal(408, "RequestTimeout", f"the body was not there after {UPLOAD_SECONDS:g} seconds")
        try:
            async with asyncio.timeout_at(min(now + self._stall_seconds, self._deadline)):
                return await self._content.readany()
        except TimeoutError as error:
            raise Refusal(408, "RequestTimeout", f"no byte for {self._stall_seconds:g} seconds") from error
        except (aiohttp.ClientError, BadHttpMessage, RequestPayloadError, ConnectionError) as error:
            raise Refusal(400, "TruncatedBody", "the body ended before its announced length") from error


def _too_large() -> Refusal:
    return Refusal(413, "TooLarge", f"a blob has at most {BLOB_BYTES_MAX} bytes")

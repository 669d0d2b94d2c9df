"""The code store as its clients see it: get, put, ask for, list and delete blobs by signed path.

The caller signs (`wire.signed_urls`) and verifies the digest of what it reads; this module carries bytes.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import BinaryIO

import aiohttp
from yarl import URL

from lambent.model.errors import InvalidCode, Unavailable

from .blobs import Blob, is_digest

_READ_BYTES = 256 * 1024
_ERROR_BYTES_MAX = 4096
_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=5, sock_read=30)
"""A lost code store must show within seconds, a large archive may take its time."""


class CodeStoreClient:
    """Speaks to one code store.

    Every method raises Unavailable when the store did not answer, answered 5xx (507: it is full) or refused
    the signature, which another attempt makes anew.
    """

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = session

    async def get(self, signed_path: str, limit: int) -> bytes:
        """The blob's bytes.

        Raises:
            InvalidCode: when the blob has more than `limit` bytes; no more than that is read.
        """
        async with self._request("GET", signed_path) as response:
            if response.status != HTTPStatus.OK:
                raise await self._failed(response)
            if (response.content_length or 0) > limit:
                raise InvalidCode(f"the blob has {response.content_length} bytes, more than {limit}")
            blob = bytearray()
            async for chunk in response.content.iter_chunked(_READ_BYTES):
                blob += chunk
                if len(blob) > limit:
                    raise InvalidCode(f"the blob has more than {limit} bytes")
            return bytes(blob)

    async def put(self, signed_path: str, data: bytes | BinaryIO) -> None:
        """Store a blob; one that is there already is as if it had just been put, and is not sent.

        Raises:
            InvalidCode: when the store will not take these bytes: the digest differs or they are too many.
        """
        async with self._request("PUT", signed_path, data) as response:
            if response.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
                raise InvalidCode(f"the code store took nothing: {await _reason(response)}")
            if response.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
                raise await self._failed(response)

    async def has(self, signed_path: str) -> bool:
        """Whether the blob is there. The path is signed for HEAD."""
        async with self._request("HEAD", signed_path) as response:
            if response.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
                raise await self._failed(response)
            return response.status == HTTPStatus.OK

    async def list(self, signed_path: str) -> AsyncIterator[Blob]:
        """Every blob. The path is signed for GET; what comes or goes meanwhile may be among them."""
        async with self._request("GET", signed_path) as response:
            if response.status != HTTPStatus.OK:
                raise await self._failed(response)
            while line := await _line(response):
                yield self._listed(line)

    async def delete(self, signed_path: str) -> bool:
        """Delete a blob if it is as old as the path says; whether it was this that removed it."""
        async with self._request("DELETE", signed_path) as response:
            if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED):
                return False
            if response.status != HTTPStatus.NO_CONTENT:
                raise await self._failed(response)
            return True

    def _listed(self, line: bytes) -> Blob:
        try:
            fields = json.loads(line)
            blob = Blob(str(fields["digest"]), int(fields["size"]), float(fields["ageSeconds"]))
        except (ValueError, KeyError, TypeError):
            blob = Blob("", 0)
        if not is_digest(blob.digest):
            raise Unavailable(f"the code store at {self._base_url} answered no list of blobs")
        return blob

    @asynccontextmanager
    async def _request(
        self, method: str, signed_path: str, data: bytes | BinaryIO | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(f"{self._base_url}{signed_path}", encoded=True)  # as signed: never quoted anew
        # sent in pieces; bytes would hold up the event loop
        body = io.BytesIO(data) if isinstance(data, bytes) else data
        try:
            async with self._session.request(
                method, url, data=body, timeout=_TIMEOUT, allow_redirects=False, auto_decompress=False
            ) as response:
                yield response
        except TimeoutError as error:
            raise Unavailable(f"the code store at {self._base_url} did not answer in time") from error
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise Unavailable(f"no answer from the code store at {self._base_url}: {_short(error)}") from error

    async def _failed(self, response: aiohttp.ClientResponse) -> Unavailable:
        if response.status == HTTPStatus.INSUFFICIENT_STORAGE:
            return Unavailable(f"the code store at {self._base_url} is full: {await _reason(response)}")
        return Unavailable(f"the code store at {self._base_url} answered {response.status}: {await _reason(response)}")


async def _line(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readline()
    except ValueError:
        return b"longer than any line of a list"


async def _reason(response: aiohttp.ClientResponse) -> str:
    """The answer's errorMessage, or the status' own phrase."""
    body = await response.content.read(_ERROR_BYTES_MAX)
    try:
        return str(json.loads(body)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return str(response.reason)


def _short(error: Exception) -> str:
    """Why, without the URL that the message of some client errors holds, and with it a signature."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # negative: the resolver's
    return type(error).__name__

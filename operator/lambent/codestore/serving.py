"""The code store's door. Each request is signed for its method and until its expiry.

- `GET`, `HEAD` and `PUT /v1/blobs/sha256/<digest>?exp=…&sig=…`
- `DELETE /v1/blobs/sha256/<digest>?olderThan=<seconds>&exp=…&sig=…`, the condition signed with the rest
- `GET /v1/blobs?exp=…&sig=…`: what there is, a JSON object a line

Nothing is looked up before the signature holds.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from lambent.adapters.code.blobs import Blob
from lambent.model.errors import Unavailable
from lambent.wire.signed_urls import (
    BLOB_PREFIX,
    LISTING_PATH,
    SignedRequest,
    blob_path,
    deletion_path,
    signature_holds,
)

from .draining import Traffic
from .metering import Metrics
from .refusals import Refusal, answered
from .uploading import STALL_SECONDS, Upload

log = logging.getLogger(__name__)

CLIENT_GONE = 499  # as nginx counts it: the client hung up first
LISTED_AT_ONCE = 500
_AGE_DIGITS = 9
_FOREVER = "private, max-age=31536000, immutable"  # private: the URL is a credential


class ReadableBlob(Protocol):
    """A blob being read."""

    blob: Blob

    def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Bytes `start` to before `stop`."""


class Blobs(Protocol):
    """What the door needs of a backend; its contract is tests/contracts/code."""

    async def put(self, digest: str, pieces: AsyncIterable[bytes]) -> bool:
        """Store; False when it was there. Raises WrongDigest, StoreFull, Unavailable."""

    async def stat(self, digest: str) -> Blob | None:
        """What is known, None when it is not there."""

    def open(self, digest: str) -> AbstractAsyncContextManager[ReadableBlob | None]:
        """The blob to read from, None when it is not there."""

    def list(self) -> AsyncIterator[Blob]:
        """Every blob."""

    async def delete(self, digest: str, older_than: float) -> bool:
        """Remove; False when it was not there. Raises TooYoung, Unavailable."""


@dataclass(frozen=True, slots=True)
class Door:
    """The handlers and what they need."""

    blobs: Blobs
    key: bytes
    now: Callable[[], float]
    metrics: Metrics
    stall_seconds: float = STALL_SECONDS
    traffic: Traffic = field(default_factory=Traffic)

    def application(self) -> web.Application:
        """The door as aiohttp serves it."""
        application = web.Application(middlewares=[self._counted])
        path = f"{BLOB_PREFIX}{{digest:[0-9a-f]{{64}}}}"
        application.router.add_get(path, self._get, allow_head=False)
        application.router.add_head(path, self._head)
        application.router.add_put(path, self._put)
        application.router.add_delete(path, self._delete)
        application.router.add_get(LISTING_PATH, self._list, allow_head=False)
        return application

    async def _get(self, request: web.Request) -> web.StreamResponse:
        digest = self._admitted(request, "GET")
        async with self.blobs.open(digest) as opened:
            if opened is None:
                raise _not_found(digest)
            response, start, stop = _framed(request, opened.blob)
            await response.prepare(request)
            try:
                async for piece in opened.read(start, stop):
                    await self._write(response, piece)
            except Unavailable as error:
                log.warning("blob broke off", extra={"digest": digest, "reason": str(error)})
                _break_off(request)
        return response

    async def _head(self, request: web.Request) -> web.StreamResponse:
        digest = self._admitted(request, "HEAD", "GET")  # whoever may read it may ask for its size
        blob = await self.blobs.stat(digest)
        if blob is None:
            raise _not_found(digest)
        return _framed(request, blob)[0]

    async def _put(self, request: web.Request) -> web.StreamResponse:
        digest = self._admitted(request, "PUT")
        upload = Upload(request, self.stall_seconds)
        created = await self.blobs.put(digest, upload)
        if created:
            self.metrics.stored(upload.size)
            log.info("blob stored", extra={"digest": digest, "size": upload.size})
        return web.Response(status=201 if created else 200, headers={"ETag": f'"{digest}"'})

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        digest, age = request.match_info["digest"], request.query.get("olderThan", "")
        older_than = int(age) if age.isascii() and age.isdigit() and len(age) <= _AGE_DIGITS else -1
        self._admit(request, deletion_path(digest, older_than), "DELETE")
        if not await self.blobs.delete(digest, older_than):
            raise _not_found(digest)
        log.info("blob deleted", extra={"digest": digest})
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._admit(request, LISTING_PATH, "GET")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        lines: list[str] = []
        try:
            async for blob in self.blobs.list():
                lines.append(json.dumps({"digest": blob.digest, "size": blob.size, "ageSeconds": round(blob.age, 3)}))
                if len(lines) >= LISTED_AT_ONCE:
                    await _prepare(response, request)
                    await self._write(response, ("\n".join(lines) + "\n").encode())
                    lines.clear()
        except Unavailable as error:
            if not response.prepared:
                raise
            log.warning("listing broke off", extra={"reason": str(error)})
            _break_off(request)
            return response
        await _prepare(response, request)
        await self._write(response, "".join(f"{line}\n" for line in lines).encode())
        return response

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        """A reader that takes nothing for so long holds a file open for nobody."""
        try:
            async with asyncio.timeout(self.stall_seconds):
                await response.write(piece)
        except TimeoutError:
            raise Unavailable(f"the client took nothing for {self.stall_seconds:g} seconds") from None

    def _admitted(self, request: web.Request, *methods: str) -> str:
        digest = request.match_info["digest"]
        self._admit(request, blob_path(digest), *methods)
        return digest

    def _admit(self, request: web.Request, path: str, *methods: str) -> None:
        expires, signature = request.query.get("exp", ""), request.query.get("sig", "")
        signed = (SignedRequest(method, path, expires, signature) for method in methods)
        now = self.now()
        if not any(signature_holds(self.key, candidate, now) for candidate in signed):
            raise Refusal(403, "AccessDenied", "the signature is wrong or has expired")

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status = CLIENT_GONE
        try:
            with self.traffic.request():
                response = await answered(handler(request))
            status = response.status
            if self.traffic.closing and not response.prepared:
                response.force_close()
            return response
        finally:
            self.metrics.answered(request.method, status)


async def _prepare(response: web.StreamResponse, request: web.Request) -> None:
    if not response.prepared:
        await response.prepare(request)


def _break_off(request: web.Request) -> None:
    """The status is out: only a broken connection can still tell that this was not all."""
    if request.transport is not None:
        request.transport.abort()


def _not_found(digest: str) -> Refusal:
    return Refusal(404, "NotFound", f"no blob {digest}")


def _framed(request: web.Request, blob: Blob) -> tuple[web.StreamResponse, int, int]:
    """The answer's head, and which bytes of the blob follow."""
    etag = f'"{blob.digest}"'
    headers = {"ETag": etag, "Cache-Control": _FOREVER, "Accept-Ranges": "bytes"}
    known = request.headers.get("If-None-Match", "")
    if known == "*" or etag in known:
        return web.Response(status=304, headers=headers), 0, 0
    status, start, stop = 200, 0, blob.size
    wanted = _range(request, etag)
    if wanted is not None:
        status, (start, stop, _) = 206, wanted.indices(blob.size)
        if start >= stop:
            raise _unsatisfiable(blob)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
    headers |= {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff"}
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = stop - start
    return response, start, stop


def _range(request: web.Request, etag: str) -> slice | None:
    """The one range that is asked for; several, or none that we understand, mean everything (RFC 9110, 14.2)."""
    if "Range" not in request.headers or request.headers.get("If-Range", etag) != etag:
        return None
    try:
        return request.http_range
    except ValueError:
        return None


def _unsatisfiable(blob: Blob) -> Refusal:
    refusal = Refusal(416, "RangeNotSatisfiable", f"the blob has {blob.size} bytes")
    refusal.headers["Content-Range"] = f"bytes */{blob.size}"
    return refusal

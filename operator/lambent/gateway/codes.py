"""The bytes of small deployment packages, kept in memory by digest, so that a cold start fetches nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Protocol

from lambent.model.errors import InvalidCode

CACHED_BYTES_MAX = 64 * 1024 * 1024


class BlobSource(Protocol):
    """Where code comes from (`adapters.code.client.CodeStoreClient`)."""

    async def get(self, signed_path: str, limit: int) -> bytes:
        """The blob's bytes, at most `limit`."""


class CodeCache:
    """Least recently used packages by digest, bounded in bytes. One fetch at a time for each digest."""

    def __init__(self, source: BlobSource, capacity: int = CACHED_BYTES_MAX) -> None:
        self._source = source
        self._capacity = capacity
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._fetches: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, sha256_hex: str, signed_path: str, limit: int) -> bytes:
        """The package with this digest.

        Raises:
            Unavailable: the code store did not answer.
            InvalidCode: what it answered is not that package.
        """
        blob = self._blobs.get(sha256_hex)
        if blob is not None:
            self._blobs.move_to_end(sha256_hex)
            return blob
        fetch = self._fetches.get(sha256_hex)
        if fetch is None:
            fetch = asyncio.get_running_loop().create_task(self._fetch(sha256_hex, signed_path, limit))
            self._fetches[sha256_hex] = fetch
            fetch.add_done_callback(lambda done: self._fetched(sha256_hex, done))
        return await asyncio.shield(fetch)  # one waiter's end is not the others'

    async def _fetch(self, sha256_hex: str, signed_path: str, limit: int) -> bytes:
        blob = await self._source.get(signed_path, limit)
        if hashlib.sha256(blob).hexdigest() != sha256_hex:
            raise InvalidCode("the code store answered bytes with another digest")
        return blob

    def _fetched(self, sha256_hex: str, fetch: asyncio.Task[bytes]) -> None:
        del self._fetches[sha256_hex]
        if fetch.cancelled() or fetch.exception() is not None:
            return
        blob = fetch.result()
        self._blobs[sha256_hex] = blob
        self._size += len(blob)
        while self._size > self._capacity:
            _, oldest = self._blobs.popitem(last=False)
            self._size -= len(oldest)

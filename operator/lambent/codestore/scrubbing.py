"""Rot: blobs whose bytes are no longer those of their digest are found by reading them, slowly, and removed.

Removed, because a put of a blob that is there reads nothing: only when the rotten one is gone can whoever needs it
store it again, which the controller does as soon as it misses it. Its readers refused it anyway.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from lambent.adapters.code.blobs import Blob, TooYoung
from lambent.model.errors import Unavailable

from .metering import Metrics

log = logging.getLogger(__name__)

ROUND_SECONDS = 6 * 3600.0
"""From the start of one round to the next; a round that takes longer is followed by the next at once."""
FIRST_ROUND_SECONDS = 60.0
"""After a start, cold starts need the disk more."""
ROUNDING_SECONDS = 2.0
"""Some backends know ages in whole seconds only."""


class ReadableBlob(Protocol):
    """A blob being read."""

    blob: Blob

    def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Bytes `start` to before `stop`."""


class Blobs(Protocol):
    """The part of a backend that is scrubbed."""

    def list(self) -> AsyncIterator[Blob]:
        """Every blob."""

    def open(self, digest: str) -> AbstractAsyncContextManager[ReadableBlob | None]:
        """The blob to read from, None when it is not there."""

    async def delete(self, digest: str, older_than: float) -> bool:
        """Remove. Raises TooYoung, Unavailable."""


class Scrubber:
    """Reads every blob in turn, so many bytes a second."""

    def __init__(self, blobs: Blobs, metrics: Metrics, rate: int, monotonic: Callable[[], float]) -> None:
        self._blobs = blobs
        self._metrics = metrics
        self._rate = rate
        self._monotonic = monotonic

    async def run(self) -> None:
        """Scrub until cancelled."""
        await asyncio.sleep(FIRST_ROUND_SECONDS)
        while True:
            began = self._monotonic()
            await self.scrub()
            await asyncio.sleep(max(FIRST_ROUND_SECONDS, ROUND_SECONDS - (self._monotonic() - began)))

    async def scrub(self) -> None:
        """One round. Whatever a blob or the volume does, the next blob has its turn."""
        try:
            digests = [blob.digest async for blob in self._blobs.list()]
        except Unavailable as error:
            log.warning("the blobs cannot be listed to be verified", extra={"reason": str(error)})
            return
        for digest in digests:
            try:
                await self._verify(digest)
            except Unavailable as error:  # perhaps only for now: nothing is removed for that
                self._metrics.scrubbed("unreadable")
                log.warning("blob cannot be read to be verified", extra={"digest": digest, "reason": str(error)})

    async def _verify(self, digest: str) -> None:
        began = self._monotonic()
        for _ in range(2):  # a second look: the way here may fail as well as the blob
            found = await self._digest_of(digest)
            if found is None:
                return  # deleted meanwhile
            if found == digest:
                self._metrics.scrubbed("sound")
                return
        try:  # what was stored anew since we began to read is another blob than the one we read
            removed = await self._blobs.delete(digest, self._monotonic() - began + ROUNDING_SECONDS)
        except TooYoung:
            return
        self._metrics.scrubbed("rotten")
        if removed:
            log.error("blob was rotten and is removed; the controller stores it again", extra={"digest": digest})

    async def _digest_of(self, digest: str) -> str | None:
        sha256 = hashlib.sha256()
        async with self._blobs.open(digest) as opened:
            if opened is None:
                return None
            async for piece in opened.read(0, opened.blob.size):
                sha256.update(piece)
                await asyncio.sleep(len(piece) / self._rate)
        return sha256.hexdigest()

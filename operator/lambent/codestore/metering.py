"""What operators see of the code store, and whether its volume can be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from lambent.adapters.code.blobs import Blob, StoreFull
from lambent.model.errors import Unavailable

log = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
PROBES_PER_COUNT = 6
"""Counting lists the whole volume; once a minute is plenty."""
STALE_SECONDS = 60.0
"""A volume that answers no probe for so long hangs."""
METHODS = frozenset({"GET", "HEAD", "PUT"})


class Volume(Protocol):
    """The part of a backend that is watched."""

    async def probe(self) -> None:
        """Raise StoreFull or Unavailable unless something can be written."""

    def list(self) -> AsyncIterator[Blob]:
        """Every blob."""


class Metrics:
    """The code store's metric families."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "lambent_codestore_requests", "Requests answered.", ("method", "status"), registry=registry
        )
        self.blobs = Gauge("lambent_codestore_blobs", "Blobs kept, counted once a minute.", registry=registry)
        self.bytes = Gauge("lambent_codestore_bytes", "Size of all blobs together.", registry=registry)

    def answered(self, method: str, status: int) -> None:
        """Count a request; a method nobody knows is not a label, or callers could make as many as they like."""
        self._requests.labels(method if method in METHODS else "other", str(status)).inc()

    def stored(self, size: int) -> None:
        """Count a new blob until the next listing does."""
        self.blobs.inc()
        self.bytes.inc(size)


class VolumeWatch:
    """Probes and counts the volume in the background, so that a health check never waits for a disk."""

    def __init__(self, volume: Volume, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self._volume = volume
        self._metrics = metrics
        self._monotonic = monotonic
        self._problem: str | None = "the volume has not been probed yet"
        self._probed_at = monotonic()

    def problem(self) -> str | None:
        """Why no requests should come here; None when all is well."""
        if self._problem is None and self._monotonic() - self._probed_at > STALE_SECONDS:
            return "the volume does not answer"
        return self._problem

    async def run(self) -> None:
        """Watch until cancelled."""
        turn = 0
        while True:
            await self.probe()
            if turn % PROBES_PER_COUNT == 0:
                await self.count()
            turn += 1
            await asyncio.sleep(PROBE_SECONDS)

    async def probe(self) -> None:
        """Find out whether the volume can be written."""
        before = self._problem
        try:
            await self._volume.probe()
        except StoreFull as error:
            self._problem = None  # full: what is there can still be read, and cold starts only read
            log.warning("the code store's volume is full", extra={"reason": str(error)})
        except Unavailable as error:
            self._problem = str(error)
        else:
            self._problem = None
        self._probed_at = self._monotonic()
        if before != self._problem:
            log.info("volume probed", extra={"problem": self._problem})

    async def count(self) -> None:
        """Set the gauges to what is really there."""
        blobs = size = 0
        try:
            async for blob in self._volume.list():
                blobs, size = blobs + 1, size + blob.size
        except Unavailable as error:
            log.warning("the code store's blobs cannot be counted", extra={"reason": str(error)})
            return
        self._metrics.blobs.set(blobs)
        self._metrics.bytes.set(size)

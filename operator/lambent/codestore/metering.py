"""What operators see of the code store, and whether its volume (or bucket) can be written."""

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
COUNT_SECONDS = 60.0
"""Counting lists everything; once a minute is plenty."""
STALE_SECONDS = 60.0
"""A volume that answers no probe for so long hangs."""
FAILURES_MAX = 3
"""So many probes in a row must fail before requests go elsewhere: there may be no elsewhere."""
METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})


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
        self.full = Gauge(
            "lambent_codestore_full", "1 while there is no room for new blobs; reads go on.", registry=registry
        )
        self._scrubbed = Counter(
            "lambent_codestore_scrubbed",
            "Blobs read to verify their digest: sound, rotten (removed) or unreadable.",
            ("outcome",),
            registry=registry,
        )

    def answered(self, method: str, status: int) -> None:
        """Count a request; a method nobody knows is not a label, or callers could make as many as they like."""
        self._requests.labels(method if method in METHODS else "other", str(status)).inc()

    def scrubbed(self, outcome: str) -> None:
        """Count a blob that was read to verify it."""
        self._scrubbed.labels(outcome).inc()

    def stored(self, size: int) -> None:
        """Count a new blob until the next listing does."""
        self.blobs.inc()
        self.bytes.inc(size)


class VolumeWatch:
    """Probes and counts the volume in the background, so that a health check never waits for a disk.

    A full volume is ready: what is there can be read, and cold starts only read.
    """

    def __init__(
        self,
        volume: Volume,
        metrics: Metrics,
        monotonic: Callable[[], float],
        count_seconds: float = COUNT_SECONDS,
    ) -> None:
        self._volume = volume
        self._metrics = metrics
        self._monotonic = monotonic
        self._count_seconds = count_seconds
        self._problem: str | None = "the volume has not been probed yet"
        self._probed_at = monotonic()
        self._failures = 0
        self._full = False

    def problem(self) -> str | None:
        """Why no requests should come here; None when all is well."""
        if self._problem is None and self._monotonic() - self._probed_at > STALE_SECONDS:
            return "the volume does not answer"
        return self._problem

    async def run(self) -> None:
        """Watch until cancelled."""
        counted = float("-inf")
        while True:
            await self.probe()
            if self._monotonic() - counted >= self._count_seconds:
                counted = self._monotonic()
                await self.count()
            await asyncio.sleep(PROBE_SECONDS)

    async def probe(self) -> None:
        """Find out whether the volume can be written."""
        try:
            await self._volume.probe()
        except StoreFull as error:
            self._is_well()
            self._is_full(str(error))
        except Unavailable as error:
            self._failures += 1
            log.warning("the volume failed a probe", extra={"reason": str(error), "failures": self._failures})
            if self._problem is not None or self._failures >= FAILURES_MAX:
                self._problem = str(error)
        else:
            self._is_well()
            self._is_full(None)
        self._probed_at = self._monotonic()

    def _is_well(self) -> None:
        if self._problem is not None or self._failures:
            log.info("the volume answers")
        self._problem, self._failures = None, 0

    def _is_full(self, reason: str | None) -> None:
        if reason is not None and not self._full:
            log.warning("the code store is full: new code is refused, old code is served", extra={"reason": reason})
        if reason is None and self._full:
            log.info("the code store has room again")
        self._full = reason is not None
        self._metrics.full.set(self._full)

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

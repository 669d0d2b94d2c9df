"""The collector: now and then, what the code store keeps for nobody is deleted.

`core.collecting` decides; here is the loop that lists, asks who needs what, and deletes one by one, asking again
before each.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from lambent.core.collecting import KeptBlob, Needs, Policy, decide
from lambent.model.errors import Unavailable
from lambent.wire.signed_urls import LISTING_PATH, deletion_path, sign_path

log = logging.getLogger(__name__)

SIGNATURE_SECONDS = 600
DONE, INCOMPLETE, FAILED = "done", "incomplete", "failed"


class ListedBlob(KeptBlob, Protocol):
    """A blob with its size."""

    @property
    def size(self) -> int:
        """In bytes."""


class BlobStore(Protocol):
    """The code store as the collector needs it (`adapters.code.client.CodeStoreClient`). Raises Unavailable."""

    def list(self, signed_path: str) -> AsyncIterator[ListedBlob]:
        """Every blob."""

    async def delete(self, signed_path: str) -> bool:
        """Delete a blob if it is as old as the path says; whether that removed it."""


class References(Protocol):
    """Who needs what, as known at the moment of asking; digests in hex."""

    def referenced(self) -> AbstractSet[str]:
        """Blobs that something refers to."""

    def busy(self) -> AbstractSet[str]:
        """Blobs that are being stored for something that does not refer to them yet."""

    def complete(self) -> bool:
        """Whether the code of every Function is known. False from the start until each has been judged."""


class CollectorMetrics:
    """What collecting shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.unreferenced = Gauge(
            "lambent_controller_code_unreferenced_blobs",
            "Blobs of the code store that nothing refers to; they go after the grace period.",
            registry=registry,
        )
        self.collected = Counter(
            "lambent_controller_code_collected_blobs", "Blobs deleted from the code store.", registry=registry
        )
        self.collected_bytes = Counter(
            "lambent_controller_code_collected_bytes", "Size of the blobs deleted.", registry=registry
        )
        self.rounds = Counter(
            "lambent_controller_code_collections",
            "Rounds of collecting: done, incomplete (some Function's code is unknown) or failed.",
            ["outcome"],
            registry=registry,
        )
        for outcome in (DONE, INCOMPLETE, FAILED):
            self.rounds.labels(outcome)


@dataclass(slots=True)
class Collector:
    """Deletes what nobody needs. What it remembers it may forget at any time: then blobs stay longer."""

    store: BlobStore
    url_key: bytes = field(repr=False)
    references: References
    metrics: CollectorMetrics
    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], float] = time.monotonic
    _unreferenced: Mapping[str, float] = field(default_factory=dict)

    async def run(self, every: float) -> None:
        """Collect until cancelled."""
        while True:
            await asyncio.sleep(every)
            await self.collect()

    async def collect(self) -> None:
        """One round. Never raises; what failed is tried in the next round."""
        try:
            outcome = await self._collect()
        except Unavailable as error:
            outcome = FAILED
            log.warning("code that nobody needs stays: %s", error)
        self.metrics.rounds.labels(outcome).inc()

    async def _collect(self) -> str:
        if not self._needs().complete:
            self._unreferenced = {}
            return INCOMPLETE
        blobs = {blob.digest: blob async for blob in self.store.list(self._sign("GET", LISTING_PATH))}
        needs = self._needs()
        decision = decide(blobs.values(), needs, self._unreferenced, self.clock(), self.policy)
        self._unreferenced = decision.unreferenced
        self.metrics.unreferenced.set(len(decision.unreferenced))
        for digest in decision.delete:
            if not self._needs().allow(digest):
                continue
            path = deletion_path(digest, int(self.policy.grace))
            if await self.store.delete(self._sign("DELETE", path)):
                log.info("deleted code that nobody needs", extra={"digest": digest, "size": blobs[digest].size})
                self.metrics.collected.inc()
                self.metrics.collected_bytes.inc(blobs[digest].size)
        return DONE if needs.complete else INCOMPLETE

    def _needs(self) -> Needs:
        return Needs(self.references.referenced(), self.references.busy(), self.references.complete())

    def _sign(self, method: str, path: str) -> str:
        return sign_path(self.url_key, method, path, int(time.time()) + SIGNATURE_SECONDS)

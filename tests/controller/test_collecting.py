"""The collector's loop, over a code store that is a dictionary."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from lambent.adapters.code.blobs import Blob
from lambent.controller.collecting import Collector, CollectorMetrics
from lambent.core.collecting import Policy
from lambent.model.errors import Unavailable
from lambent.wire.signed_urls import LISTING_PATH

GRACE = 3600.0
A, B, C = (hashlib.sha256(name).hexdigest() for name in (b"a", b"b", b"c"))


@dataclass
class FakeStore:
    blobs: dict[str, float]
    """Age by digest."""
    asked: list[str] = field(default_factory=list)
    away: bool = False
    before_delete: Callable[[str], None] = lambda _: None

    async def list(self, signed_path):
        assert signed_path.startswith(LISTING_PATH)
        if self.away:
            raise Unavailable("away")
        for digest, age in list(self.blobs.items()):
            yield Blob(digest, 10, age)

    async def delete(self, signed_path):
        self.asked.append(signed_path)
        digest = signed_path.split("?")[0].rpartition("/")[2]
        self.before_delete(digest)
        if self.away:
            raise Unavailable("away")
        return self.blobs.pop(digest, None) is not None


@dataclass
class FakeReferences:
    needed: set[str] = field(default_factory=set)
    stored_now: set[str] = field(default_factory=set)
    known: bool = True

    def referenced(self):
        return self.needed

    def busy(self):
        return self.stored_now

    def complete(self):
        return self.known


@dataclass
class Room:
    store: FakeStore
    references: FakeReferences = field(default_factory=FakeReferences)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    now: float = 50_000.0

    def __post_init__(self):
        metrics = CollectorMetrics(self.registry)
        policy = Policy(GRACE)
        self.collector = Collector(self.store, b"k" * 32, self.references, metrics, policy, lambda: self.now)

    async def collect(self, *, later=0.0):
        self.now += later
        await self.collector.collect()

    def count(self, name, **labels):
        return self.registry.get_sample_value(f"lambent_controller_code_{name}", labels)


@pytest.fixture
def room():
    return Room(FakeStore({A: 9 * GRACE, B: 9 * GRACE, C: 1.0}), FakeReferences({B}))


async def test_what_nobody_needs_goes_after_it_was_seen_unneeded_for_the_grace_period(room):
    await room.collect()
    await room.collect(later=GRACE - 1)
    assert set(room.store.blobs) == {A, B, C}
    await room.collect(later=1)
    assert set(room.store.blobs) == {B, C}
    assert room.count("collected_blobs_total") == 1
    assert room.count("collected_bytes_total") == 10
    assert room.count("unreferenced_blobs") == 2  # as the round found it
    assert room.count("collections_total", outcome="done") == 3


async def test_the_store_is_told_how_old_a_blob_must_be(room):
    await room.collect()
    await room.collect(later=GRACE)
    assert f"{A}?olderThan=3600&exp=" in room.store.asked[0]


async def test_nothing_goes_and_nothing_is_listed_while_a_function_is_unknown(room):
    await room.collect()
    room.references.known = False
    await room.collect(later=GRACE)
    room.references.known = True
    await room.collect(later=1)
    assert set(room.store.blobs) == {A, B, C}
    assert room.count("collections_total", outcome="incomplete") == 1


async def test_what_is_needed_again_between_two_deletions_stays(room):
    room.references.needed.clear()
    await room.collect()

    def needed_now(digest):
        room.references.needed |= {A, B} - {digest}

    room.store.before_delete = needed_now
    await room.collect(later=GRACE)
    assert len(room.store.asked) == 1
    assert len(room.store.blobs) == 2


async def test_what_is_being_stored_stays(room):
    await room.collect()
    room.references.stored_now.add(A)
    await room.collect(later=GRACE)
    assert A in room.store.blobs


async def test_a_store_that_is_away_ends_a_round_and_not_the_loop(room, caplog):
    await room.collect()
    room.store.before_delete = lambda _: setattr(room.store, "away", True)
    with caplog.at_level(logging.WARNING):
        await room.collect(later=GRACE)
        await room.collect(later=1)
    assert "code that nobody needs stays: away" in caplog.text
    assert room.count("collections_total", outcome="failed") == 2
    room.store.away, room.store.before_delete = False, lambda _: None
    await room.collect(later=1)
    assert set(room.store.blobs) == {B, C}


async def test_a_restarted_controller_waits_for_the_grace_period_again(room):
    await room.collect()
    again = Room(room.store, room.references, CollectorRegistry(), room.now + GRACE)
    await again.collect()
    assert set(room.store.blobs) == {A, B, C}


async def test_the_loop_collects_again_and_again(room):
    running = asyncio.create_task(room.collector.run(0.001))
    while (room.count("collections_total", outcome="done") or 0) < 3:
        await asyncio.sleep(0.001)
    running.cancel()
    assert "kkkk" not in repr(room.collector)

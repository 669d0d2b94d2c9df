"""The volume's watch: ready means that requests can be served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from lambent.adapters.code.blobs import Blob, StoreFull
from lambent.codestore.metering import FAILURES_MAX, STALE_SECONDS, Metrics, VolumeWatch
from lambent.model.errors import Unavailable


@dataclass
class FakeVolume:
    failure: Exception | None = None
    blobs: tuple[Blob, ...] = ()
    probed: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self) -> None:
        self.probed.set()
        if self.failure is not None:
            raise self.failure

    async def list(self) -> AsyncIterator[Blob]:
        for blob in self.blobs:
            yield blob
        if self.failure is not None:
            raise self.failure


@dataclass
class Watched:
    volume: FakeVolume = field(default_factory=FakeVolume)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    now: float = 100.0
    watch: VolumeWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = VolumeWatch(self.volume, Metrics(self.registry), lambda: self.now)

    def gauges(self) -> tuple[float | None, float | None]:
        value = self.registry.get_sample_value
        return value("lambent_codestore_blobs"), value("lambent_codestore_bytes")


async def test_before_the_first_probe_nothing_is_promised() -> None:
    assert Watched().watch.problem() == "the volume has not been probed yet"


@pytest.mark.parametrize(
    ("failure", "problem"),
    [(None, None), (StoreFull("full"), None), (Unavailable("the volume failed"), "the volume failed")],
    ids=["well", "full: reads go on", "broken"],
)
async def test_the_last_probe_decides(failure: Exception | None, problem: str | None) -> None:
    watched = Watched()
    watched.volume.failure = failure
    await watched.watch.probe()
    assert watched.watch.problem() == problem
    watched.volume.failure = None
    await watched.watch.probe()
    assert watched.watch.problem() is None


async def test_one_failure_of_a_volume_that_was_well_sends_nobody_away() -> None:
    """There may be no other replica; a server that is busy for a moment is no reason to refuse cold starts."""
    watched = Watched()
    await watched.watch.probe()
    watched.volume.failure = Unavailable("asks for fewer requests")
    for _ in range(FAILURES_MAX - 1):
        await watched.watch.probe()
        assert watched.watch.problem() is None
    await watched.watch.probe()
    assert watched.watch.problem() == "asks for fewer requests"
    watched.volume.failure = None
    await watched.watch.probe()
    watched.volume.failure = Unavailable("again")
    await watched.watch.probe()
    assert watched.watch.problem() is None


async def test_a_full_volume_is_ready_and_says_once_that_it_is_full(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    with caplog.at_level(logging.INFO):
        for failure, expected in ((None, 0), (StoreFull("no room"), 1), (StoreFull("no room"), 1), (None, 0)):
            watched.volume.failure = failure
            await watched.watch.probe()
            full = watched.registry.get_sample_value("lambent_codestore_full")
            assert (watched.watch.problem(), full) == (None, expected)
    said = [record.message for record in caplog.records]
    assert [line for line in said if "full" in line] == [
        "the code store is full: new code is refused, old code is served"
    ]
    assert said[-1] == "the code store has room again"


async def test_a_volume_that_hangs_is_a_problem() -> None:
    watched = Watched()
    await watched.watch.probe()
    watched.now += STALE_SECONDS
    assert watched.watch.problem() is None
    watched.now += 1
    assert watched.watch.problem() == "the volume does not answer"


async def test_the_gauges_are_what_is_there() -> None:
    watched = Watched(FakeVolume(blobs=(Blob("a", 5), Blob("b", 7))))
    await watched.watch.count()
    assert watched.gauges() == (2, 12)


async def test_a_failed_count_changes_nothing_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(FakeVolume(blobs=(Blob("a", 5),)))
    await watched.watch.count()
    watched.volume.failure = Unavailable("broken")
    with caplog.at_level(logging.WARNING):
        await watched.watch.count()
    assert watched.gauges() == (1, 5)
    assert "cannot be counted" in caplog.text


async def test_the_watch_goes_on_whatever_the_volume_does() -> None:
    watched = Watched(FakeVolume(failure=Unavailable("broken")))
    running = asyncio.create_task(watched.watch.run())
    await watched.volume.probed.wait()
    await asyncio.sleep(0)
    assert not running.done()
    running.cancel()

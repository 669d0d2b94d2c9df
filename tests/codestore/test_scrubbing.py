"""Rot is found, and removed so that whoever needs the blob can store it again."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from lambent.adapters.code.directory import BlobDirectory
from lambent.codestore.metering import Metrics
from lambent.codestore.scrubbing import Scrubber

from .conftest import digest_of

CONTENT = bytes(range(256)) * 5000
FAST = 1 << 40


class Scrubbed:
    def __init__(self, root: Path, rate: int = FAST) -> None:
        self.root = root
        self.registry = CollectorRegistry()
        self.blobs = BlobDirectory(root)
        self.scrubber = Scrubber(self.blobs, Metrics(self.registry), rate, time.monotonic)

    async def keep(self, content: bytes) -> None:
        async def pieces():  # type: ignore[no-untyped-def]
            yield content

        await self.blobs.put(digest_of(content), pieces())

    def path(self, content: bytes) -> Path:
        return self.root / digest_of(content)[:2] / digest_of(content)

    def rot(self, content: bytes, age: float = 1000.0) -> None:
        """One bit, as a disk loses it: without a word and without a new time."""
        path = self.path(content)
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        os.utime(path, (time.time() - age, time.time() - age))

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("lambent_codestore_scrubbed_total", {"outcome": outcome}) or 0


@pytest.fixture
async def scrubbed(tmp_path: Path) -> Scrubbed:
    made = Scrubbed(tmp_path)
    await made.blobs.prepare()
    return made


async def test_what_is_sound_stays(scrubbed: Scrubbed) -> None:
    for content in (b"", b"a", CONTENT):
        await scrubbed.keep(content)
    await scrubbed.scrubber.scrub()
    assert scrubbed.path(CONTENT).read_bytes() == CONTENT
    assert (scrubbed.count("sound"), scrubbed.count("rotten")) == (3, 0)


@pytest.mark.parametrize("how", ["one bit", "cut", "emptied", "longer"])
async def test_what_is_rotten_goes_and_can_be_stored_again(
    scrubbed: Scrubbed, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    for content in (b"a", CONTENT, b"b"):
        await scrubbed.keep(content)
    scrubbed.rot(CONTENT)
    if how != "one bit":
        content = {"cut": CONTENT[:-1], "emptied": b"", "longer": CONTENT + b"x"}[how]
        scrubbed.path(CONTENT).write_bytes(content)
        os.utime(scrubbed.path(CONTENT), (0, 0))
    await scrubbed.scrubber.scrub()
    assert not scrubbed.path(CONTENT).exists()
    assert (scrubbed.count("sound"), scrubbed.count("rotten")) == (2, 1)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.message.startswith("blob was rotten"), record.digest) == (True, digest_of(CONTENT))  # type: ignore[attr-defined]
    await scrubbed.keep(CONTENT)
    await scrubbed.scrubber.scrub()
    assert scrubbed.path(CONTENT).read_bytes() == CONTENT


async def test_what_was_stored_anew_while_the_rotten_one_was_read_stays(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scrubbed.keep(CONTENT)
    scrubbed.rot(CONTENT)
    delete = scrubbed.blobs.delete

    async def healed_first(digest: str, older_than: float) -> bool:
        await delete(digest)
        await scrubbed.keep(CONTENT)
        return await delete(digest, older_than)

    monkeypatch.setattr(scrubbed.blobs, "delete", healed_first)
    await scrubbed.scrubber.scrub()
    assert scrubbed.path(CONTENT).read_bytes() == CONTENT
    assert scrubbed.count("rotten") == 0


async def test_what_cannot_be_read_stays_and_does_not_stop_the_others(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that is away for a moment is not rot."""
    for content in (CONTENT, b"a", b"b"):
        await scrubbed.keep(content)
    pread = os.pread

    def failing(descriptor: int, size: int, start: int) -> bytes:
        if start:
            raise OSError(5, "Input/output error")
        return pread(descriptor, size, start)

    monkeypatch.setattr(os, "pread", failing)
    await scrubbed.scrubber.scrub()
    assert (scrubbed.count("sound"), scrubbed.count("unreadable"), scrubbed.count("rotten")) == (2, 1, 0)
    assert scrubbed.path(CONTENT).exists()


async def test_a_volume_that_cannot_be_listed_ends_the_round_only(scrubbed: Scrubbed, tmp_path: Path) -> None:
    gone = Scrubbed(tmp_path / "nowhere")
    await gone.scrubber.scrub()
    assert gone.count("sound") == 0


async def test_it_reads_no_faster_than_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scrubbed = Scrubbed(tmp_path, rate=1000)
    await scrubbed.blobs.prepare()
    await scrubbed.keep(CONTENT)
    slept = 0.0
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        nonlocal slept
        slept += seconds
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", counted)
    await scrubbed.scrubber.scrub()
    assert slept == pytest.approx(len(CONTENT) / 1000)

"""A code store whose disk is full, on a real small filesystem of its own."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from lambent.adapters.code.client import CodeStoreClient
from lambent.controller.collecting import Collector, CollectorMetrics
from lambent.core.collecting import Policy
from lambent.model.errors import Unavailable

from .conftest import digest_of
from .processes import KEY, CodeStore, signed, signed_deletion, signed_listing, start

MIB = 1024 * 1024


def _unshare() -> tuple[str, ...] | None:
    """How to get a mount namespace here: as root, or as root of a user namespace."""
    for command in (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount")):
        with suppress(OSError):
            tried = subprocess.run((*command, "mount", "-t", "tmpfs", "none", "/mnt"), check=False, capture_output=True)
            if tried.returncode == 0:
                return command
    return None


UNSHARE = _unshare()
pytestmark = pytest.mark.skipif(UNSHARE is None, reason="no mount namespaces here")


@dataclass
class Full:
    store: CodeStore
    client: CodeStoreClient
    session: aiohttp.ClientSession
    kept: list[bytes]

    async def fill(self) -> bytes:
        """Put until there is no room; what was refused."""
        dice = random.Random(5)
        for size in (500_000, 50_000, 3000):
            while True:
                content = dice.randbytes(size)
                try:
                    await self.client.put(signed("PUT", content), content)
                except Unavailable as error:
                    assert "is full: no room on the volume: No space left on device" in str(error)
                    refused = content
                    break
                self.kept.append(content)
        return refused

    async def ready(self) -> tuple[int, str]:
        async with self.session.get(f"{self.store.metrics_url}/readyz") as response:
            return response.status, await response.text()

    async def metric(self, name: str) -> float:
        async with self.session.get(f"{self.store.metrics_url}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        return next(sample.value for family in families for sample in family.samples if sample.name == name)

    async def check_reads(self) -> None:
        for content in self.kept:
            assert await self.client.get(signed("GET", content), MIB) == content


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Full]:
    assert UNSHARE is not None
    volume = tmp_path / "volume"
    volume.mkdir()
    shell = (
        f'if [ -z "$INSIDE" ]; then INSIDE=1 exec {" ".join(UNSHARE)} sh -ec '
        f'\'mount -t tmpfs -o size=4m none {volume}; exec "$0" -m lambent codestore\' "$0"; fi'
    )
    store = await start(tmp_path, {"LAMBENT_CODESTORE_DIR": str(volume)}, shell)
    try:
        async with aiohttp.ClientSession() as session:
            made = Full(store, CodeStoreClient(store.url, session), session, [])
            while (await made.ready())[0] != 200:
                pass
            yield made
    finally:
        await store.kill()


async def test_it_refuses_what_has_no_room_and_reads_go_on(full: Full) -> None:
    refused = await full.fill()
    assert len(full.kept) > 5
    response = await full.session.put(full.store.url + signed("PUT", refused), data=refused)
    assert (response.status, (await response.json())["errorType"]) == (507, "StoreFull")
    await full.check_reads()
    assert not await full.client.has(signed("HEAD", refused))
    await full.client.put(signed("PUT", full.kept[0]), full.kept[0])  # what is there takes no room


async def test_it_stays_ready_and_says_that_it_is_full(full: Full) -> None:
    """Cold starts only read: an unready store would end them all."""
    refused = await full.fill()
    with suppress(Unavailable):
        while True:  # to the last block, which the probe would need
            content = os.urandom(10)
            await full.client.put(signed("PUT", content), content)
            full.kept.append(content)
    while await full.metric("lambent_codestore_full") != 1:
        assert (await full.ready())[0] == 200
    for content in full.kept[:3]:
        assert await full.client.delete(signed_deletion(content, 0))
    await full.client.put(signed("PUT", refused), refused)
    while await full.metric("lambent_codestore_full") != 0:
        assert (await full.ready())[0] == 200
    said = [line["message"] for line in full.store.log]
    assert said.count("the code store is full: new code is refused, old code is served") == 1
    assert said.count("the code store has room again") == 1


async def test_a_half_written_blob_gives_its_room_back(full: Full) -> None:
    await full.fill()
    listed = [blob async for blob in full.client.list(signed_listing())]
    assert sum(blob.size for blob in listed) == sum(len(content) for content in full.kept)
    for content in full.kept:
        await full.client.delete(signed_deletion(content, 0))
    large = os.urandom(3 * MIB)
    for _ in range(3):  # each would fail if what was refused before had left its bytes
        await full.client.put(signed("PUT", large), large)
        await full.client.delete(signed_deletion(large, 0))


async def test_the_collector_makes_room_on_a_full_disk(full: Full) -> None:
    refused = await full.fill()
    needed = full.kept.pop()

    class Needed:
        def referenced(self) -> set[str]:
            return {digest_of(needed)}

        def busy(self) -> set[str]:
            return set()

        def complete(self) -> bool:
            return True

    collector = Collector(full.client, KEY, Needed(), CollectorMetrics(CollectorRegistry()), Policy(grace=0.0))
    await collector.collect()
    assert [blob.digest async for blob in full.client.list(signed_listing())] == [digest_of(needed)]
    await full.client.put(signed("PUT", refused), refused)
    assert await full.client.get(signed("GET", needed), MIB) == needed


async def test_a_full_disk_survives_a_restart(full: Full, tmp_path: Path) -> None:
    """Starting takes no room: a store that could not start on a full disk could never be emptied."""
    await full.fill()
    with suppress(Unavailable):
        while True:
            content = os.urandom(10)
            await full.client.put(signed("PUT", content), content)
    volume = tmp_path / "volume"
    again = await start(
        tmp_path,
        {"LAMBENT_CODESTORE_DIR": str(volume)},
        f'if [ -z "$INSIDE" ]; then export INSIDE=1; exec nsenter --target {full.store.process.pid} '
        f'--mount --preserve-credentials sh -ec \'exec "$0" -m lambent codestore\' "$0"; fi',
    )
    try:
        client = CodeStoreClient(again.url, full.session)
        for content in full.kept:
            assert await client.get(signed("GET", content), MIB) == content
        assert await client.delete(signed_deletion(full.kept[0], 0))
        await client.put(signed("PUT", full.kept[0]), full.kept[0])
    finally:
        await again.kill()

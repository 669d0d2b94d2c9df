"""A code store in this process, on a directory of its own, with a clock that stands still."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from lambent.adapters.code.client import CodeStoreClient
from lambent.adapters.code.directory import BlobDirectory
from lambent.codestore.listening import Port
from lambent.codestore.metering import Metrics
from lambent.codestore.serving import Door
from lambent.wire.signed_urls import LISTING_PATH, blob_path, deletion_path, sign_path

KEY = b"k" * 32
NOW = 1_750_000_000
HEAD_SECONDS, CONNECTIONS_MAX = 2.0, 50


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Store:
    """The door under test and what a caller of it needs."""

    root: Path
    session: aiohttp.ClientSession
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    now: float = NOW
    port: int = 0
    door: Door = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door(BlobDirectory(self.root), KEY, lambda: self.now, Metrics(self.registry), stall_seconds=0.5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> CodeStoreClient:
        return CodeStoreClient(self.url, self.session)

    def signed(self, method: str, content: bytes, expires: int = NOW + 60) -> str:
        return sign_path(KEY, method, blob_path(digest_of(content)), expires)

    def signed_listing(self, expires: int = NOW + 60) -> str:
        return sign_path(KEY, "GET", LISTING_PATH, expires)

    def signed_deletion(self, content: bytes, older_than: int, expires: int = NOW + 60) -> str:
        return sign_path(KEY, "DELETE", deletion_path(digest_of(content), older_than), expires)

    def grow_old(self, content: bytes, seconds: float = 100_000) -> None:
        digest = digest_of(content)
        then = time.time() - seconds
        os.utime(self.root / digest[:2] / digest, (then, then))

    async def ask(self, method: str, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.session.request(method, self.url + path, **options) as response:
            return response, await response.read()

    async def keep(self, content: bytes) -> None:
        await self.client.put(self.signed("PUT", content), content)

    async def raw(self, request: bytes, *, end: bool = False) -> bytes:
        """Bytes in, all bytes out; `end` hangs up instead of waiting for an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            if end:
                return b""
            return await reader.read()
        finally:
            writer.close()

    def blobs_on_disk(self) -> dict[str, bytes]:
        found = {path.name: path.read_bytes() for path in self.root.glob("??/*")}
        assert all(digest_of(content) == name for name, content in found.items())
        return found

    def growing(self) -> list[Path]:
        return list((self.root / "incoming").iterdir())

    def counted(self, method: str, status: int) -> float | None:
        labels = {"method": method, "status": str(status)}
        return self.registry.get_sample_value("lambent_codestore_requests_total", labels)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    await BlobDirectory(tmp_path).prepare()
    async with aiohttp.ClientSession() as session:
        made = Store(tmp_path, session)
        port = Port(made.door.application(), HEAD_SECONDS)
        await port.open("127.0.0.1", 0, CONNECTIONS_MAX)
        made.port = port.number
        yield made
        await session.close()
        await port.clean_up()


async def eventually(check: Any) -> None:
    """Wait for what must become true; pytest's timeout, not this, says when it is too late."""
    while not check():
        await asyncio.sleep(0.01)

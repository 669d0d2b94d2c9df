"""The sources of code. Each passes the same suite; a new one is a new entry here."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from tests.contracts.sources.servers import Server, serving

from lambent.adapters.outbound.guarding import guarded_session
from lambent.adapters.sources.buckets import BucketObject, Credentials
from lambent.adapters.sources.fetcher import Fetcher
from lambent.adapters.sources.fetching import Bounds
from lambent.adapters.sources.web import WebAddress
from lambent.model.addresses import AddressPolicy

LIMIT = 1_000_000
CANARY = "canary-of-the-secret"
OPEN = AddressPolicy(allowed=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")))

Source = WebAddress | BucketObject
SOURCES: dict[str, Callable[[str, str], Source]] = {
    "url": lambda base, name: WebAddress(f"{base}/code/{name}?signature={CANARY}"),
    "s3": lambda base, name: BucketObject(
        "code", name, endpoint=base, credentials=Credentials("AKIACANARY", CANARY, CANARY)
    ),
    "s3 without credentials": lambda base, name: BucketObject("code", name, endpoint=base),
}


@pytest.fixture(params=SOURCES)
def named(request: pytest.FixtureRequest) -> Callable[[str, str], Source]:
    """The source that a server's file is."""
    return SOURCES[request.param]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
async def fetcher(folder: Path) -> AsyncIterator[Fetcher]:
    """What is allowed to dial this machine, with bounds that a test can wait for."""
    bounds = Bounds(size=LIMIT, total_s=1.5, connect_s=1.0, idle_s=0.5, folder=str(folder))
    async with guarded_session(OPEN) as guarded, aiohttp.ClientSession() as trusting:
        yield Fetcher(guarded, trusting, bounds)

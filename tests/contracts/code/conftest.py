"""The backends that keep blobs. Each passes the same suite; a new one is a new entry here."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lambent.adapters.code import s3_calls
from lambent.adapters.code.directory import BlobDirectory
from lambent.adapters.code.s3 import S3Blobs
from lambent.adapters.code.s3_calls import Bucket

from .s3_servers import CREDENTIALS, make_bucket, s3_server, session


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The endpoint of a real S3 server in a process of its own."""
    with (
        mock.patch.dict(os.environ, CREDENTIALS),
        mock.patch.object(s3_calls, "AioSession", session),
        s3_server() as endpoint,
    ):
        yield endpoint


@asynccontextmanager
async def _directory(request: pytest.FixtureRequest) -> AsyncIterator[BlobDirectory]:
    folder: Path = request.getfixturevalue("tmp_path")
    blobs = BlobDirectory(folder / "blobs")
    await blobs.prepare()
    yield blobs


def _s3(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[S3Blobs]:
    endpoint = request.getfixturevalue("s3")

    @asynccontextmanager
    async def connected() -> AsyncIterator[S3Blobs]:
        name = f"code-{secrets.token_hex(6)}"
        await make_bucket(endpoint, name)
        async with S3Blobs.connect(Bucket(name, "some/where/", endpoint)) as blobs:
            yield blobs

    return connected()


BACKENDS: dict[str, Any] = {"directory": _directory, "s3": _s3}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "s3":
        request.getfixturevalue("s3")  # before there is a loop: its process starts with blocking calls
    return request.param


@pytest.fixture
async def blobs(backend: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with BACKENDS[backend](request) as made:
        yield made

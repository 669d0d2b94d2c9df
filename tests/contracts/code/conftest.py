"""The backends that keep blobs. Each passes the same suite; a new one is a new entry here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lambent.adapters.code.directory import BlobDirectory


async def _directory(folder: Path) -> BlobDirectory:
    blobs = BlobDirectory(folder / "blobs")
    await blobs.prepare()
    return blobs


BACKENDS: dict[str, Callable[[Path], Awaitable[BlobDirectory]]] = {"directory": _directory}


@pytest.fixture(params=BACKENDS)
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobDirectory:
    return await BACKENDS[request.param](tmp_path)

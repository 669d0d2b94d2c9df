"""Which backend keeps the blobs. The SDK of S3 is imported only where blobs are in S3: it takes 30 MB of memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from lambent.adapters.code.directory import BlobDirectory

from . import metering, scrubbing, serving
from .settings import InBucket, InDirectory


class Backend(serving.Blobs, metering.Volume, scrubbing.Blobs, Protocol):
    """Everything that the process asks of a backend."""

    async def tidy(self) -> None:
        """Sweep what killed processes left. Raises Unavailable."""


@asynccontextmanager
async def backend(place: InDirectory | InBucket) -> AsyncIterator[Backend]:
    """The backend, ready, for as long as the context lasts. A bucket that does not answer yet may do so later."""
    if isinstance(place, InDirectory):
        directory = BlobDirectory(place.path)
        await directory.prepare()
        yield directory
        return
    from lambent.adapters.code.s3 import S3Blobs
    from lambent.adapters.code.s3_calls import Bucket

    async with S3Blobs.connect(Bucket(place.name, place.prefix, place.endpoint, place.region)) as bucket:
        yield bucket

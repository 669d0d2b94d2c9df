"""The sources as the controller asks them: whatever it is, through the session that it may be asked through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp

from .buckets import BucketObject, ElsewhereError
from .fetching import Bounds, Fetched, fetched
from .web import WebAddress


class Fetcher:
    """Fetches what tenants name through a guarded session; what the administrator named through a plain one."""

    def __init__(
        self, guarded: aiohttp.ClientSession, trusting: aiohttp.ClientSession, bounds: Bounds | None = None
    ) -> None:
        self._guarded = guarded
        self._trusting = trusting
        self._bounds = bounds or Bounds()

    @asynccontextmanager
    async def fetch(self, source: WebAddress | BucketObject) -> AsyncIterator[Fetched]:
        """What the source holds, as long as the context lasts. Raises FetchFailed, Unavailable without room."""
        session = self._trusting if isinstance(source, BucketObject) and source.trusted else self._guarded
        async with AsyncExitStack() as stack:
            try:
                came = await stack.enter_async_context(fetched(session, source.request(), self._bounds))
            except ElsewhereError as elsewhere:
                assert isinstance(source, BucketObject)
                there = replace(source, region=elsewhere.region)
                came = await stack.enter_async_context(fetched(session, there.request(), self._bounds))
            yield came

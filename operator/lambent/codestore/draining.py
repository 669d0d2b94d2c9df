"""How the door closes: what has begun is finished first.

aiohttp's own clean-up drops the bytes of a body that is still coming in, so uploads would stall until their
time-out; it may therefore begin only when no request is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Traffic:
    """Requests under way."""

    def __init__(self) -> None:
        self.closing = False
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """One more, while the context lasts."""
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def drain(self, seconds: float) -> None:
        """From now on every answer closes its connection; wait until none is due, at most so long."""
        self.closing = True
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return

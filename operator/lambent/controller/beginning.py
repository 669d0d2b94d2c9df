"""What a reconciliation begins and does not wait for: kept until it ends, told when it fails, ended with us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from lambent.model.errors import LambentError

log = logging.getLogger(__name__)


class Beginner:
    """Whoever reconciles a kind."""

    def __init__(self) -> None:
        self._begun: set[asyncio.Task[None]] = set()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start what the next decision need not wait for; level-triggered as all else, so failing is no loss."""
        task = asyncio.create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._begun.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("%s", error, exc_info=None if isinstance(error, LambentError) else error)

    async def settle(self) -> None:
        """Wait for everything that was begun."""
        while self._begun:
            await asyncio.wait(self._begun)

    async def close(self) -> None:
        """End everything that was begun: whoever leads next begins it again."""
        for task in self._begun:
            task.cancel()
        await asyncio.gather(*self._begun, return_exceptions=True)

"""A work queue of keys: one at a time per key, coalesced, delayed, backed off.

An `add` is a promise: the work on that key starts at least once after it. While the work on a key runs, any number of
adds make it run once more; while a key is backed off after an error, they wait with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambent.model.errors import Unavailable

log = logging.getLogger(__name__)

Work = Callable[[str], Awaitable[float | None]]
"""Works on one key; returns in how many seconds to work on it again, or None."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between tries after errors: doubling from first to longest."""

    first: float = 0.5
    longest: float = 30.0
    spread: float = 0.25
    """Up to this share is added by chance: what failed together is not tried again together."""

    def wait(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        return float(min(self.longest, self.first * 2 ** min(failures - 1, 30)))


class WorkQueue:
    """Hands every key that was added to one of the workers."""

    def __init__(self, workers: int = 32, backoff: Backoff | None = None) -> None:
        self._workers = workers
        self._backoff = backoff or Backoff()
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._held: set[str] = set()
        """Keys whose timer is a back-off, which an add does not shorten."""

    @property
    def depth(self) -> int:
        """Keys that wait to be worked on now."""
        return len(self._queued) + len(self._again)

    def add(self, key: str) -> None:
        """Work on this key soon."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._held and key not in self._queued:
            self._cancel_timer(key)
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Work on this key in so many seconds at the latest."""
        if key in self._queued or key in self._held:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(seconds, self._due, key)

    async def run(self, work: Work) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._workers):
                tasks.create_task(self._serve(work), name=f"worker {number}")

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self._held.discard(key)
        self.add(key)

    def _cancel_timer(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def _serve(self, work: Work) -> None:
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._running.add(key)
            try:
                again = await work(key)
            except Exception as error:  # noqa: BLE001 - one key's failure is never another's
                self._running.discard(key)
                self._back_off(key, error)
            else:
                self._running.discard(key)
                self._failures.pop(key, None)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
                elif again is not None:
                    self.add_after(key, again)

    def _back_off(self, key: str, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        wait = self._backoff.wait(failures)
        if isinstance(error, Unavailable):
            wait = max(wait, error.retry_after or 0.0)
            log.warning("%s: %s; again in %.1f s", key, error, wait)
        else:
            log.error("%s failed; again in %.1f s", key, wait, exc_info=error)
        self._again.discard(key)
        self._cancel_timer(key)
        wait *= 1 + random.random() * self._backoff.spread
        self._held.add(key)
        self._timers[key] = asyncio.get_running_loop().call_later(wait, self._due, key)

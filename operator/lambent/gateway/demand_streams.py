"""What the controller is told: one line a second for each active key, and at once when a request finds nothing.

A subscriber hears of every active key, and of every key that counted anything, when it connects; of changed keys as
soon as the loop comes round (many changes of one moment are one line); of a key that became inactive once more, with
zeros; and within a second of every key whose counters grew, active or not (of errors and throttles sooner: `pools`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from lambent.model.environments import Demand, Key
from lambent.wire.demand import encode_demand

from .pools import Pools

INTERVAL_SECONDS = 1.0
HEARTBEAT = b"\n"
"""Nothing to say, but alive."""


class DemandStreams:
    """Everybody who listens. `changed` is what pools call."""

    def __init__(self, interval: float = INTERVAL_SECONDS) -> None:
        self._interval = interval
        self._subscribers: set[_Subscriber] = set()
        self._seq = 0

    def changed(self, key: Key) -> None:
        """Something about a key is worth saying at once."""
        for subscriber in self._subscribers:
            subscriber.note(key)

    async def lines(self, pools: Pools) -> AsyncGenerator[bytes, None]:
        """One subscriber's stream, for ever: blocks of whole lines."""
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        told: set[Key] = set()
        counted: dict[Key, int] = {}
        """What of each key's counters it was told."""
        try:
            while True:
                active = {pool.key for pool in pools.all() if pool.admission.active}
                due = subscriber.changes()
                if subscriber.due:
                    grown = {pool.key: pool.counted for pool in pools.all() if pool.counted}
                    due = active | told | {key for key, count in grown.items() if counted.get(key) != count}
                    counted = grown
                yield self._encode(pools, due) or HEARTBEAT
                told = (told | due) & active
                await subscriber.wait(self._interval)
        finally:
            self._subscribers.discard(subscriber)

    def _encode(self, pools: Pools, keys: set[Key]) -> bytes:
        now = pools.clock()
        lines = []
        for key in sorted(keys, key=str):
            self._seq += 1
            pool = pools.find(key)
            demand = pool.demand(self._seq, now) if pool else Demand(self._seq, key, 0, 0, 0)
            lines.append(encode_demand(demand))
        return b"".join(lines)


class _Subscriber:
    """What one listener has not been told yet."""

    def __init__(self) -> None:
        self._changed: set[Key] = set()
        self._woken = asyncio.Event()
        self._next = 0.0

    def note(self, key: Key) -> None:
        self._changed.add(key)
        self._woken.set()

    def changes(self) -> set[Key]:
        """Keys noted since the last call."""
        self._woken.clear()
        changed, self._changed = self._changed, set()
        return changed

    @property
    def due(self) -> bool:
        """Whether everything is due, because the interval is over (or nothing was said yet)."""
        return asyncio.get_running_loop().time() >= self._next

    async def wait(self, interval: float) -> None:
        """Until something changes or the interval is over."""
        loop = asyncio.get_running_loop()
        if self._next <= loop.time():
            self._next = loop.time() + interval
        try:
            async with asyncio.timeout_at(self._next):
                await self._woken.wait()
        except TimeoutError:
            return

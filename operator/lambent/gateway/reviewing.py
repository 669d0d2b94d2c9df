"""Asking the API server about callers: once at a time for each question, so many at a time in all, and kept.

For how long an answer counts is `core.access`'s; who asks what is `authenticating`'s and `authorizing`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from lambent.core.access import Decision, Kept, Standing, outlives, standing, unanswered
from lambent.model.errors import Refused, Unavailable

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

AT_ONCE_MAX = 16
"""Questions on their way to the API server, of each kind and in each lane."""
WAITING_MAX = 256
"""Questions about callers who are not known yet; more are told to come again."""
ANSWER_SECONDS = 5.0
_SPOKEN_SECONDS = 30.0

Counter = Callable[[str], None]
"""Counts one more of an outcome."""


class Reviews(Generic[K, V]):
    """The answers to one kind of question. Grants and denials are kept apart: a flood of bad ones evicts no grant."""

    def __init__(
        self, kind: str, capacity: int, clock: Callable[[], float], holder_of: Callable[[V], str], count: Counter
    ) -> None:
        self._kind = kind
        self._clock = clock
        self._holder_of = holder_of
        """The user to whom an answer belongs."""
        self._count = count
        self._granted: Kept[K, V] = Kept(capacity)
        self._denied: Kept[K, V] = Kept(capacity)
        self._asking: dict[K, asyncio.Task[Decision[V]]] = {}
        # Who is known has a lane of his own: a crowd of newcomers does not delay him.
        self._known, self._new = asyncio.Semaphore(AT_ONCE_MAX), asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0
        self._spoken = -_SPOKEN_SECONDS

    def at_once(self, key: K, ask: Callable[[], Awaitable[Decision[V]]]) -> Decision[V] | None:
        """What is kept and counts now, perhaps renewed beside; None when the API server has to be asked."""
        kept = self._granted.get(key) or self._denied.get(key)
        if kept is None:
            return None
        match standing(kept, self._clock()):
            case Standing.ASK:
                return None
            case Standing.RENEW:
                self._renew(key, ask)
        return kept

    async def decide(self, key: K, ask: Callable[[], Awaitable[Decision[V]]]) -> Decision[V]:
        """The decision on a key: as kept, else as the API server answers now.

        Raises:
            Unavailable: it does not answer, or too many wait already.
        """
        kept = self.at_once(key, ask)
        if kept is not None:
            return kept
        # one caller who hangs up is not the end of the others' answer
        return await asyncio.shield(self._task(key, ask))

    def _renew(self, key: K, ask: Callable[[], Awaitable[Decision[V]]]) -> None:
        """Ask beside what goes on with the kept decision."""
        if key not in self._asking:
            self._task(key, ask).add_done_callback(_looked_at)

    def _task(self, key: K, ask: Callable[[], Awaitable[Decision[V]]]) -> asyncio.Task[Decision[V]]:
        task = self._asking.get(key)
        if task is None:
            known = self._granted.get(key) is not None
            if not known and self._waiting >= WAITING_MAX:
                self._count("crowded")
                raise Unavailable("too many callers wait to be recognised")
            task = asyncio.get_running_loop().create_task(self._ask(key, ask, known=known))
            self._asking[key] = task
            self._waiting += not known
            task.add_done_callback(lambda _: self._asked(key, known=known))
        return task

    def _asked(self, key: K, *, known: bool) -> None:
        self._asking.pop(key, None)
        self._waiting -= not known

    async def _ask(self, key: K, ask: Callable[[], Awaitable[Decision[V]]], *, known: bool) -> Decision[V]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._known if known else self._new:
                decision = await ask()
        except (Unavailable, Refused, TimeoutError) as error:
            self._count("unanswered")
            self._speak(error)
            return self._unanswered(key)
        self._count("granted" if decision.granted else "denied")
        self._put(key, decision)
        return decision

    def _put(self, key: K, decision: Decision[V]) -> None:
        here, there = (self._granted, self._denied) if decision.granted else (self._denied, self._granted)
        there.drop(key)
        here.put(key, decision, self._holder_of(decision.value))

    def _unanswered(self, key: K) -> Decision[V]:
        kept, now = self._granted.get(key), self._clock()
        if kept is None or not outlives(kept, now):
            raise Unavailable("the API server cannot be asked")
        kept = unanswered(kept, now)
        self._granted.put(key, kept, self._holder_of(kept.value))
        return kept

    def _speak(self, error: Exception) -> None:
        """One line in half a minute: what fails here fails for everybody."""
        now = asyncio.get_running_loop().time()
        if now - self._spoken < _SPOKEN_SECONDS:
            return
        self._spoken = now
        if isinstance(error, Refused):
            log.error("the API server does not let this gateway ask (%s): %s", self._kind, error)
        else:
            log.warning("the API server does not answer (%s): %s", self._kind, error or "no answer in time")


def _looked_at(task: asyncio.Task[Decision[V]]) -> None:
    """Nobody waits for a renewal: that it failed was said already."""
    if not task.cancelled():
        task.exception()

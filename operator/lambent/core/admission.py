"""Who gets which environment? One `Admission` for each key (environments that are interchangeable).

An environment known here is in exactly one of three states: starting (booting or being claimed), idle, or lent to one
request. A request is in flight while it holds an environment; else it waits, in the order of arrival. The rule that
must never break: no environment is lent twice, and nobody waits while an environment is idle.

Environments and waiters are opaque, hashable values; `now` comes in. All operations take constant time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

_LIMIT_DIGITS_MAX = 7

E = TypeVar("E")
W = TypeVar("W")


class Admission(Generic[E, W]):
    """The state of one key."""

    __slots__ = ("_idle", "_lent", "_starting", "_waiting")

    def __init__(self) -> None:
        self._idle: dict[E, float] = {}
        """Since when; the most recently used is the last."""
        self._lent: set[E] = set()
        self._starting: set[E] = set()
        self._waiting: OrderedDict[W, None] = OrderedDict()

    # --- what is ------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Requests that hold an environment."""
        return len(self._lent)

    @property
    def waiting(self) -> int:
        """Requests without one."""
        return len(self._waiting)

    @property
    def starting(self) -> int:
        """Environments that boot or are being claimed."""
        return len(self._starting)

    @property
    def idle_count(self) -> int:
        """Environments without work."""
        return len(self._idle)

    def idle(self) -> list[tuple[E, float]]:
        """Idle environments and since when, the longest unused first."""
        return list(self._idle.items())

    def is_lent(self, environment: E) -> bool:
        """Whether a request holds it."""
        return environment in self._lent

    def is_idle(self, environment: E) -> bool:
        """Whether it could be lent now."""
        return environment in self._idle

    @property
    def active(self) -> bool:
        """Whether there is anything to say about this key."""
        return bool(self._lent or self._waiting or self._starting or self._idle)

    # --- requests -----------------------------------------------------------------------------------------------

    def lend(self) -> E | None:
        """The most recently used idle environment, now lent; None when there is none (then `wait`).

        Most recently used first: the tail goes cold and can be retired exactly.
        """
        if not self._idle:
            return None
        environment, _ = self._idle.popitem()
        self._lent.add(environment)
        return environment

    def wait(self, waiter: W) -> None:
        """A request that `lend` had nothing for goes to the end of the queue."""
        if self._idle:
            raise ValueError("an environment is idle: nobody may wait")
        self._waiting[waiter] = None

    def gone(self, waiter: W) -> bool:
        """A waiter gave up; False when it was not waiting any more."""
        return self._waiting.pop(waiter, self) is not self

    def take_waiters(self) -> list[W]:
        """Everybody who waits, in order; they wait here no longer (retargeting, deletion)."""
        waiters = list(self._waiting)
        self._waiting.clear()
        return waiters

    def admit_waiters(self, waiters: Iterable[W]) -> list[tuple[W, E]]:
        """Waiters of an outdated key: they waited longest, so they go first. Returns who is served at once."""
        served: list[tuple[W, E]] = []
        rest: list[W] = []
        for waiter in waiters:
            environment = self.lend()
            if environment is None:
                rest.append(waiter)
            else:
                served.append((waiter, environment))
        for waiter in reversed(rest):
            self._waiting[waiter] = None
            self._waiting.move_to_end(waiter, last=False)
        return served

    # --- environments -------------------------------------------------------------------------------------------

    def starts(self, environment: E) -> None:
        """An environment boots or is being claimed; no change when it is known already."""
        if environment not in self._idle and environment not in self._lent:
            self._starting.add(environment)

    def ready(self, environment: E, now: float) -> W | None:
        """An environment became usable, or its request ended: the waiter it is now lent to, else it goes idle."""
        if environment in self._idle:
            return None
        self._starting.discard(environment)
        if self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            self._lent.add(environment)
            return waiter
        self._lent.discard(environment)
        self._idle[environment] = now
        return None

    def lost(self, environment: E) -> None:
        """An environment is gone or must not be used any more; a request that held it is over."""
        self._idle.pop(environment, None)
        self._lent.discard(environment)
        self._starting.discard(environment)

    def retire(self, environment: E) -> bool:
        """Take an environment out for good unless a request holds it."""
        if environment in self._lent:
            return False
        self.lost(environment)
        return True


def parse_limit(text: str) -> int | None:
    """The number of requests that an annotation means; None when it means none. 0 closes the account."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LIMIT_DIGITS_MAX else None


class Account:
    """The concurrency of one account: requests that run or wait, against a limit."""

    __slots__ = ("_taken", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0

    @property
    def taken(self) -> int:
        """Requests admitted and not ended."""
        return self._taken

    def enter(self) -> bool:
        """Admit one more request; False over the limit (429)."""
        if self._taken >= self.limit:
            return False
        self._taken += 1
        return True

    def leave(self) -> None:
        """An admitted request ended."""
        self._taken -= 1

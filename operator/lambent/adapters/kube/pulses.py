"""Signs of life of what watches the API server, and who has given none for too long.

A sign is a try, an answer or an event: whoever keeps asking a server that is away is alive, and restarting it would
help nobody. Written to from other threads too: each sign is one assignment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

DEAD_AFTER_SECONDS = 87.0
"""The kubelet has to hear of a dead watcher within 90 s; a silent watch is given up, and that is a sign, after 75."""


class Pulses:
    """When each watcher was last known to be alive. Nobody is missed who was not expected."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def expect(self, watchers: Iterable[str]) -> None:
        """These are at work from now on."""
        for watcher in watchers:
            self._last[watcher] = self._clock()

    def dismiss(self, watchers: Iterable[str]) -> None:
        """These are not any more."""
        for watcher in watchers:
            self._last.pop(watcher, None)

    def beat(self, watcher: str) -> None:
        """A sign of life; of somebody unexpected it means nothing."""
        if watcher in self._last:
            self._last[watcher] = self._clock()

    def silent(self, seconds: float, among: Iterable[str] | None = None) -> list[str]:
        """Who has given no sign for so long."""
        oldest = self._clock() - seconds
        chosen = list(self._last) if among is None else among
        return [watcher for watcher in chosen if self._last.get(watcher, oldest) < oldest]

    def problem(self) -> str | None:
        """For the kubelet: who is dead, or None."""
        dead = self.silent(DEAD_AFTER_SECONDS)
        return f"nothing watches {', '.join(sorted(dead))}" if dead else None

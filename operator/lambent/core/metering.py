"""What did a version do in the last seconds? Gateways' counters in, windows out.

Only versions that are watched cost anything: a rollout watches the one that it moves to. Time is the caller's
monotonic clock, in seconds. Counters of gateways only grow; one that is smaller than before began anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import zip_longest

from lambent.core.alarms import Window
from lambent.model.environments import Counters, Key

SECONDS_MAX = 3600.0
"""The longest period of an alarm."""
SAMPLES_MAX = 600
"""A version has at most so many, however long it looks back: one a second for ten minutes, coarser beyond."""

Totals = tuple[int, ...]
"""Invocations, errors, throttles, then invocations by duration."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A version of a function, whatever its pods' revision."""

    function_uid: str
    version: str
    """`latest` or a number, as in a key."""


@dataclass(slots=True)
class _Watched:
    since: float
    seconds: float
    totals: Totals = (0, 0, 0)
    """Since it is watched, of all gateways."""
    said: dict[tuple[str, Key], Totals] = field(default_factory=dict)
    """The last word of each gateway on each of its keys."""
    samples: deque[tuple[float, Totals]] = field(default_factory=deque)
    """Totals from a moment on, oldest first; the first one is from before the window, or from when it began."""


class Meter:
    """Totals of the versions that are watched, and samples of them over time."""

    def __init__(self) -> None:
        self._watched: dict[Scope, _Watched] = {}

    def watch(self, scope: Scope, now: float, seconds: float = SECONDS_MAX) -> None:
        """Keep samples of this version from now on, to look back so many seconds (at most an hour).

        A version that is watched already stays so, and from then on keeps as many as the longer of both needs.
        """
        seconds = min(seconds, SECONDS_MAX)
        watched = self._watched.get(scope)
        if watched is None:
            self._watched[scope] = _Watched(now, seconds, samples=deque([(now, (0, 0, 0))]))
        elif seconds > watched.seconds:  # what was dropped is missing in the longer window
            watched.since = max(watched.since, watched.samples[0][0])
            watched.seconds = seconds

    def forget(self, scope: Scope) -> None:
        """Keep nothing of it."""
        self._watched.pop(scope, None)

    def scopes(self) -> frozenset[Scope]:
        """Those that are watched."""
        return frozenset(self._watched)

    def feed(self, gateway: str, key: Key, counters: Counters, at: float, *, from_zero: bool = False) -> None:
        """One gateway's totals of one key.

        The first word on a key is where counting begins. `from_zero`: the gateway counts this key only since we listen
        to it (it said everything that it had before, and this key was not among it), so the first word is all news.
        """
        watched = self._watched.get(Scope(key.function_uid, key.version))
        if watched is None:
            return
        place = (gateway, key)
        said = (counters.invocations, counters.errors, counters.throttles, *counters.duration_buckets)
        before = watched.said.get(place, () if from_zero else said)
        watched.said[place] = said
        grown = _grown(before, said)
        if any(grown):
            _add(watched, grown, at)

    def drop(self, gateway: str) -> None:
        """A gateway is gone for good: what it did stays counted."""
        for watched in self._watched.values():
            for place in [place for place in watched.said if place[0] == gateway]:
                del watched.said[place]

    def unheard(self, now: float) -> None:
        """A gateway is not heard: what is going on is not known in full, so every window begins anew.

        To be called again and again as long as it lasts. What a gateway says afterwards of the time between counts.
        """
        for watched in self._watched.values():
            watched.since = now
            watched.samples = deque([(now, watched.totals)])

    def window(self, scope: Scope, seconds: float, now: float) -> Window | None:
        """What it did in the last seconds; None when it is not watched.

        `watched` is shorter than `seconds` when it was not watched without a break for so long, or not with so long a
        memory.
        """
        watched = self._watched.get(scope)
        if watched is None:
            return None
        seconds = max(0.0, min(seconds, now - watched.since))
        begin = now - seconds
        before = next((totals for at, totals in reversed(watched.samples) if at <= begin), watched.samples[0][1])
        invocations, errors, throttles, *buckets = _grown(before, watched.totals)
        return Window(invocations, errors, throttles, tuple(buckets), min(seconds, watched.seconds))


def _grown(before: Totals, after: Totals) -> Totals:
    """What was added; everything, when a counter is smaller than it was."""
    pairs = list(zip_longest(before, after, fillvalue=0))
    if any(new < old for old, new in pairs):
        return after
    return tuple(new - old for old, new in pairs)


def _add(watched: _Watched, grown: Totals, at: float) -> None:
    watched.totals = tuple(old + new for old, new in zip_longest(watched.totals, grown, fillvalue=0))
    samples = watched.samples
    latest = max(at, samples[-1][0])  # a line may be older than the break that was noticed after it
    apart = max(1.0, watched.seconds / SAMPLES_MAX)
    if len(samples) > 1 and latest // apart == samples[-1][0] // apart:
        samples[-1] = (samples[-1][0], watched.totals)
    else:
        samples.append((latest, watched.totals))
    while len(samples) > 1 and samples[1][0] <= latest - watched.seconds:
        samples.popleft()

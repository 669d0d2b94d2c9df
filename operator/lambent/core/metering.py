"""What did a version do in the last seconds? Gateways' counters in, windows out.

Only versions that are watched cost anything: a rollout watches the one that it moves to. Time is the caller's
monotonic clock, in seconds. Counters of gateways only grow; one that is smaller than before began anew.
"""

from __future__ import annotations

from collections import deque
from itertools import zip_longest

from lambent.core.alarms import Window
from lambent.model.environments import Counters, Key, Scope

SECONDS_MAX = 3600.0
"""The longest period of an alarm."""
FINE_SECONDS, COARSE_APART_SECONDS = 600.0, 6.0
"""Windows up to ten minutes begin on a second, longer ones on every sixth: a version has 1,200 samples at most."""

Totals = tuple[int, ...]
"""Invocations, errors, throttles, then invocations by duration."""


class _Ring:
    """Totals at the end of each slot of time, as far back as they are needed."""

    def __init__(self, apart: float) -> None:
        self._apart = apart
        self._samples: deque[tuple[float, Totals]] = deque()

    def begin(self, now: float, totals: Totals) -> None:
        """Nothing from before counts."""
        self._samples = deque([(now, totals)])

    def put(self, at: float, totals: Totals, keep: float) -> None:
        """From now on it is these. `keep`: seconds that have to be looked back."""
        samples = self._samples
        end = max((at // self._apart + 1) * self._apart, samples[-1][0])
        if len(samples) > 1 and samples[-1][0] == end:
            samples.pop()
        samples.append((end, totals))
        while len(samples) > 1 and samples[1][0] <= at - keep:
            samples.popleft()

    @property
    def oldest(self) -> float:
        """How far it reaches back."""
        return self._samples[0][0]

    def at(self, moment: float) -> Totals:
        """The totals that were in force then, or up to a slot before."""
        found = (totals for end, totals in reversed(self._samples) if end <= moment)
        return next(found, self._samples[0][1])

    def __len__(self) -> int:
        return len(self._samples)


class _Watched:
    """One version."""

    def __init__(self, now: float, seconds: float) -> None:
        self.seconds = seconds
        self.totals: Totals = (0, 0, 0)
        """Since it is watched, of all gateways."""
        self.said: dict[tuple[str, Key], Totals] = {}
        """The last word of each gateway on each of its keys."""
        self.fine, self.coarse = _Ring(1.0), _Ring(COARSE_APART_SECONDS)
        self.begin(now)

    def begin(self, now: float) -> None:
        """Windows begin anew."""
        self.since = now
        self.fine.begin(now, self.totals)
        self.coarse.begin(now, self.totals)

    def add(self, grown: Totals, at: float) -> None:
        """So much was added."""
        self.totals = tuple(old + new for old, new in zip_longest(self.totals, grown, fillvalue=0))
        at = max(at, self.since)  # a line may be older than the break that was noticed after it
        self.fine.put(at, self.totals, min(self.seconds, FINE_SECONDS))
        if self.seconds > FINE_SECONDS:
            self.coarse.put(at, self.totals, self.seconds)

    def lengthen(self, seconds: float) -> None:
        """Look back further from now on: what was dropped is missing there."""
        if seconds <= self.seconds:
            return
        self.since = max(self.since, self.fine.oldest if self.seconds <= FINE_SECONDS else self.coarse.oldest)
        if self.seconds <= FINE_SECONDS < seconds:
            self.coarse.begin(self.since, self.fine.at(self.since))
            self.coarse.put(self.since, self.totals, seconds)
        self.seconds = seconds


class Meter:
    """Totals of the versions that are watched, and samples of them over time."""

    def __init__(self) -> None:
        self._watched: dict[Scope, _Watched] = {}

    def watch(self, scope: Scope, now: float, seconds: float = SECONDS_MAX) -> None:
        """Keep samples of this version from now on, to look back so many seconds (at most an hour).

        A version that is watched already stays so, and from then on keeps as many as the longer of both needs.
        """
        seconds = min(seconds, SECONDS_MAX)
        if scope in self._watched:
            self._watched[scope].lengthen(seconds)
        else:
            self._watched[scope] = _Watched(now, seconds)

    def forget(self, scope: Scope) -> None:
        """Keep nothing of it."""
        self._watched.pop(scope, None)

    def scopes(self) -> frozenset[Scope]:
        """Those that are watched."""
        return frozenset(self._watched)

    def feed(self, gateway: str, key: Key, counters: Counters, at: float) -> None:
        """One gateway's totals of one key. The first word on a key is where counting begins."""
        watched = self._watched.get(key.scope)
        if watched is None:
            return
        place = (gateway, key)
        said = (counters.invocations, counters.errors, counters.throttles, *counters.duration_buckets)
        before = watched.said.get(place, said)
        watched.said[place] = said
        grown = _grown(before, said)
        if any(grown):
            watched.add(grown, at)

    def unheard(self, now: float) -> None:
        """A gateway is not heard: what is going on is not known in full, so every window begins anew.

        To be called again and again as long as it lasts. What a gateway says afterwards of the time between counts.
        """
        for watched in self._watched.values():
            watched.begin(now)

    def window(self, scope: Scope, seconds: float, now: float) -> Window | None:
        """What it did in the last seconds; None when it is not watched.

        It may begin a second early, and one of over ten minutes six: nothing is missed. Its `watched` is shorter than
        `seconds` when it was not watched without a break for so long, or not to look back so far.
        """
        watched = self._watched.get(scope)
        if watched is None:
            return None
        seconds = max(0.0, min(seconds, watched.seconds, now - watched.since))
        ring = watched.fine if seconds <= FINE_SECONDS else watched.coarse
        invocations, errors, throttles, *buckets = _grown(ring.at(now - seconds), watched.totals)
        return Window(invocations, errors, throttles, tuple(buckets), seconds)


def _grown(before: Totals, after: Totals) -> Totals:
    """What was added; everything, when a counter is smaller than it was."""
    pairs = list(zip_longest(before, after, fillvalue=0))
    if any(new < old for old, new in pairs):
        return after
    return tuple(new - old for old, new in pairs)

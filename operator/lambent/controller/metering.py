"""What the versions do that a rollout watches: gateways' demand lines in, windows out.

Nothing is kept of anything else: while no alias with alarms is rolling out, a line costs a look-up.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lambent.controller.demanding import DemandBoard
from lambent.core.alarms import Window
from lambent.core.metering import Meter
from lambent.model.environments import Demand, Key, Scope


class Metering:
    """The meter, and which alias looks at what."""

    def __init__(
        self, board: DemandBoard, nudge: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._board = board
        self._nudge = nudge
        self._clock = clock
        self._meter = Meter()
        self._scopes: dict[str, Scope] = {}
        """By uid of the alias."""
        self._watchers: dict[Scope, set[str]] = {}
        self._troubles: dict[tuple[str, Key], int] = {}
        """Errors and throttles of a gateway's last line."""
        board.listen(self)

    def watch(self, uid: str, scope: Scope, seconds: float) -> None:
        """An alias looks at this version from now on, as far back as so many seconds, and at no other."""
        if self._scopes.get(uid) != scope:
            self.forget(uid)
            self._scopes[uid] = scope
            self._watchers.setdefault(scope, set()).add(uid)
        news = scope not in self._meter.scopes()
        self._meter.watch(scope, self._clock(), seconds)
        if news:  # counting begins with what was said last, not with what is said next
            for report in self._board.reports(scope):
                self.said(report.gateway, report.demand)

    def forget(self, uid: str) -> None:
        """An alias looks at nothing."""
        scope = self._scopes.pop(uid, None)
        if scope is None:
            return
        self._watchers[scope].discard(uid)
        if not self._watchers[scope]:
            del self._watchers[scope]
            self._meter.forget(scope)
            for place in [place for place in self._troubles if place[1].scope == scope]:
                del self._troubles[place]

    def window(self, uid: str, seconds: float) -> Window | None:
        """What the version that an alias looks at did in the last seconds; None when it looks at none."""
        scope = self._scopes.get(uid)
        if scope is None:
            return None
        now = self._clock()
        if not self._board.heard() or self._board.unreachable():
            self._meter.unheard(now)
        return self._meter.window(scope, seconds, now)

    # --- what the board tells -----------------------------------------------------------------------------------

    def said(self, gateway: str, demand: Demand) -> None:
        """A line came. More errors or throttles are looked at at once, all else with the next look."""
        if not self._watchers:
            return
        key, counters = demand.key, demand.counters
        watchers = self._watchers.get(key.scope)
        if watchers is None:
            return
        self._meter.feed(gateway, key, counters, self._clock())
        troubles = counters.errors + counters.throttles
        if troubles > self._troubles.get((gateway, key), troubles):
            for uid in watchers:
                self._nudge(uid)
        self._troubles[gateway, key] = troubles

    def lost(self) -> None:
        """The stream of a gateway ended: what happens until it is open again is not known."""
        if self._watchers:
            self._meter.unheard(self._clock())

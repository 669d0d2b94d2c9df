"""What did a version do in the last seconds? Gateways' counters in, windows out.

Time is the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.core.alarms import Window
from lambent.model.environments import Counters, Key


@dataclass(frozen=True, slots=True)
class Scope:
    """A version of a function, whatever its pods' revision."""

    function_uid: str
    version: str
    """`latest` or a number, as in a key."""


class Meter:
    """Totals of the versions that are watched, and samples of them over time."""

    def watch(self, scope: Scope, now: float) -> None:
        """Keep samples of this version from now on; watching it already changes nothing."""
        raise NotImplementedError

    def forget(self, scope: Scope) -> None:
        """Keep nothing of it."""
        raise NotImplementedError

    def watched(self) -> frozenset[Scope]:
        """Those that samples are kept of."""
        raise NotImplementedError

    def feed(self, gateway: str, key: Key, counters: Counters, at: float, *, from_zero: bool = False) -> None:
        """One gateway's totals of one key.

        `from_zero`: the gateway counts this key since after we listen to it, so that its first word is all news;
        otherwise the first word is where counting begins.
        """
        raise NotImplementedError

    def unheard(self, now: float) -> None:
        """A gateway is not heard: what happens now is not known to us, so every window begins anew."""
        raise NotImplementedError

    def window(self, scope: Scope, seconds: float, now: float) -> Window | None:
        """What it did in the last seconds; None when it is not watched."""
        raise NotImplementedError

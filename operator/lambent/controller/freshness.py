"""What is old news? Every object carries its resourceVersion, so that whatever comes late changes nothing.

An event may come behind our own write, a list behind an event. What is gone is remembered for a while, so that a late
list does not bring it back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

_GONE_REMEMBERED = 20_000


class Freshness:
    """Versions of objects by uid."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def is_news(self, uid: str, body: dict[str, Any]) -> bool:
        """Whether this state is newer than what is known. Kubernetes keeps resource versions comparable."""
        if uid in self._gone:
            return False
        version = int(body["metadata"].get("resourceVersion") or 0)
        if version <= self._versions.get(uid, -1):
            return False
        self._versions[uid] = version
        return True

    def version(self, uid: str) -> str:
        """The resourceVersion of what is known, as a precondition for a write; empty when nothing is."""
        return str(self._versions.get(uid, ""))

    def bury(self, uid: str) -> None:
        """It is gone."""
        self._versions.pop(uid, None)
        self._gone[uid] = None
        while len(self._gone) > _GONE_REMEMBERED:
            self._gone.popitem(last=False)

    def is_gone(self, uid: str) -> bool:
        """Whether it was seen to be gone."""
        return uid in self._gone

    def lacking(self, known: Iterable[str], listed: set[str], version: int) -> list[str]:
        """Of what is known, what a list of this resource version lacks and is not newer: it is gone."""
        return [uid for uid in known if uid not in listed and self._versions.get(uid, 0) <= version]

"""What Functions refer to: Secrets and ConfigMaps by name and resource version, never by what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lambent.core import references
from lambent.core.references import Reference, Versions
from lambent.model.functions import FunctionObject

Place = tuple[str, Reference]
"""Namespace and object."""


class ReferenceBoard:
    """Resource versions as observed, and who has to be looked at when one changes."""

    def __init__(self, nudge: Callable[[str], None]) -> None:
        self._nudge = nudge
        self._versions: dict[Place, str] = {}
        self._users: dict[Place, set[str]] = {}
        self._used: dict[str, frozenset[Place]] = {}

    def versions(self, function: FunctionObject) -> Versions:
        """Of what the Function refers to, as far as it exists; from now on its changes nudge the Function."""
        wanted = references.of(function.spec)
        self._remember(function.uid, frozenset((function.namespace, reference) for reference in wanted))
        seen = ((reference, self._versions.get((function.namespace, reference))) for reference in wanted)
        return {reference: version for reference, version in seen if version is not None}

    def forget(self, uid: str) -> None:
        """The Function is gone."""
        self._remember(uid, frozenset())

    def put(self, namespace: str, reference: Reference, version: str) -> None:
        """An object is there, in this version."""
        place = (namespace, reference)
        if self._versions.get(place) != version:
            self._versions[place] = version
            self._tell(place)

    def drop(self, namespace: str, reference: Reference) -> None:
        """An object is gone."""
        place = (namespace, reference)
        if self._versions.pop(place, None) is not None:
            self._tell(place)

    def replace(self, kind: str, namespace: str | None, listed: Iterable[tuple[str, str, str]]) -> None:
        """All objects of a kind (in one namespace, or everywhere): namespace, name, version."""
        present = {(space, Reference(kind, name)): version for space, name, version in listed}  # type: ignore[arg-type]
        for place in list(self._versions):
            if place[1].kind == kind and namespace in (None, place[0]) and place not in present:
                self.drop(*place)
        for (space, reference), version in present.items():
            self.put(space, reference, version)

    def _remember(self, uid: str, places: frozenset[Place]) -> None:
        before = self._used.get(uid, frozenset())
        for place in before - places:
            self._users[place].discard(uid)
            if not self._users[place]:
                del self._users[place]
        for place in places - before:
            self._users.setdefault(place, set()).add(uid)
        if places:
            self._used[uid] = places
        else:
            self._used.pop(uid, None)

    def _tell(self, place: Place) -> None:
        for uid in self._users.get(place, ()):
            self._nudge(uid)

"""What Functions and their versions refer to: objects by name and resource version, never by what stands in them.

A kind is watched in a namespace only while a Function there refers to one of it, so that ten thousand Functions without
references cost nothing. Until such a watch has listed, nobody knows what exists: a Function that refers waits so long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from lambent.core import references
from lambent.core.readiness import Problem
from lambent.core.references import Kind, Reference, Versions
from lambent.core.sources import CodeOwner
from lambent.model.conditions import Reason
from lambent.model.versions import VersionObject

Referrer = CodeOwner | VersionObject
"""What refers to objects of its namespace."""
Place = tuple[str, Reference]
"""Namespace and object."""
Scope = tuple[Kind, str | None]
"""A kind in one namespace, or in all."""


class ReferenceBoard:
    """Resource versions as observed, and who has to be looked at when one changes."""

    def __init__(self, nudge: Callable[[str], None]) -> None:
        self._nudge = nudge
        self._versions: dict[Place, str] = {}
        self._users: dict[Place, set[str]] = {}
        self._used: dict[str, frozenset[Place]] = {}
        self._needs: dict[tuple[Kind, str], int] = {}
        """How many places of a kind and namespace are referred to."""
        self._listed: set[Scope] = set()
        self._refusals: dict[Scope, str] = {}
        self.changed = asyncio.Event()
        """Set when other kinds and namespaces are needed than before."""

    # --- what Functions ask ---------------------------------------------------------------------------------------

    def versions(self, owner: Referrer) -> Versions:
        """Of what the Function refers to, as far as it exists; from now on its changes nudge the Function."""
        wanted = (
            references.of_configuration(owner.configuration)
            if isinstance(owner, VersionObject)
            else references.of(owner.spec)
        )
        self._remember(owner.uid, frozenset((owner.namespace, reference) for reference in wanted))
        seen = ((reference, self._versions.get((owner.namespace, reference))) for reference in wanted)
        return {reference: version for reference, version in seen if version is not None}

    def unseen(self, owner: Referrer) -> bool:
        """Whether what the Function refers to was not looked at yet; it is nudged when that has happened."""
        return any(
            not self._is_listed(reference.kind, namespace) and self._refusal(reference.kind, namespace) is None
            for namespace, reference in self._used.get(owner.uid, ())
        )

    def refusal(self, owner: Referrer) -> Problem | None:
        """Why it cannot be known whether something exists that the Function refers to."""
        for namespace, reference in sorted(self._used.get(owner.uid, ())):
            message = self._refusal(reference.kind, namespace)
            if message is not None and not self._is_listed(reference.kind, namespace):
                return Problem(
                    Reason.REFERENCE_NOT_FOUND,
                    f"{reference} cannot be looked up, Lambent's controller lacks the right: {message}",
                )
        return None

    def forget(self, uid: str) -> None:
        """The Function is gone."""
        self._remember(uid, frozenset())

    # --- what is watched ------------------------------------------------------------------------------------------

    def needed(self) -> dict[Kind, set[str]]:
        """Namespaces in which somebody refers to an object of a kind."""
        found: dict[Kind, set[str]] = {}
        for kind, namespace in self._needs:
            found.setdefault(kind, set()).add(namespace)
        return found

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

    def replace(self, kind: Kind, namespace: str | None, listed: Iterable[tuple[str, str, str]]) -> None:
        """All objects of a kind (in one namespace, or everywhere): namespace, name, version."""
        present = {(space, Reference(kind, name)): version for space, name, version in listed}
        for place in self._known(kind, namespace):
            if place not in present:
                self.drop(*place)
        for (space, reference), version in present.items():
            self.put(space, reference, version)
        if (kind, namespace) not in self._listed:
            self._listed.add((kind, namespace))
            self._tell_all(kind, namespace)
        self._refusals.pop((kind, namespace), None)

    def refuse(self, kind: Kind, namespace: str | None, message: str) -> None:
        """It may not be looked at. What was known before stays known."""
        if self._refusals.get((kind, namespace)) != message:
            self._refusals[kind, namespace] = message
            self._tell_all(kind, namespace)

    def unwatch(self, kind: Kind, namespace: str | None) -> None:
        """Nobody looks there any more: nothing is known of it."""
        self._listed.discard((kind, namespace))
        self._refusals.pop((kind, namespace), None)
        for place in self._known(kind, namespace):
            del self._versions[place]

    # --- indexes --------------------------------------------------------------------------------------------------

    def _is_listed(self, kind: Kind, namespace: str) -> bool:
        return (kind, namespace) in self._listed or (kind, None) in self._listed

    def _refusal(self, kind: Kind, namespace: str) -> str | None:
        return self._refusals.get((kind, namespace)) or self._refusals.get((kind, None))

    def _known(self, kind: Kind, namespace: str | None) -> list[Place]:
        return [place for place in self._versions if place[1].kind == kind and namespace in (None, place[0])]

    def _remember(self, uid: str, places: frozenset[Place]) -> None:
        before = self._used.get(uid, frozenset())
        if places == before:
            return
        for place in before - places:
            self._users[place].discard(uid)
            if not self._users[place]:
                del self._users[place]
                self._need(place, -1)
        for place in places - before:
            if place not in self._users:
                self._need(place, 1)
            self._users.setdefault(place, set()).add(uid)
        if places:
            self._used[uid] = places
        else:
            self._used.pop(uid, None)

    def _need(self, place: Place, change: int) -> None:
        need = (place[1].kind, place[0])
        count = self._needs.get(need, 0) + change
        if not count or need not in self._needs:
            self.changed.set()
        if count:
            self._needs[need] = count
        else:
            del self._needs[need]

    def _tell(self, place: Place) -> None:
        for uid in self._users.get(place, ()):
            self._nudge(uid)

    def _tell_all(self, kind: Kind, namespace: str | None) -> None:
        for place in self._users:
            if place[1].kind == kind and namespace in (None, place[0]):
                self._tell(place)

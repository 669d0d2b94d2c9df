"""Which route has a published version? Versions as they are observed, by function and number.

Several objects may share a number (publishing what did not change gives the same one again): the oldest holds it. All
of them have the same snapshot, so the number's route stays while one of them is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lambent.model.functions import ConditionStatus
from lambent.model.versions import VersionObject

from .routes import Address, Change, Route, version_route

Place = tuple[str, str]
"""(namespace, object name)"""
Owner = tuple[str, str]
"""(namespace, uid of the Function): the two live in one namespace."""


@dataclass(slots=True, eq=False)
class _Version:
    """One Version object that has a number."""

    uid: str
    name: str
    created: str
    owner: Owner
    number: str
    draft: Route | None
    """Addressed nowhere; None while its status is not complete."""
    conditions: tuple[ConditionStatus, ...]

    def rank(self) -> tuple[str, str]:
        """The oldest holds the number."""
        return (self.created, self.name)


class VersionRoutes:
    """Published versions and their routes. A function's are routed from `address` until `unaddress`."""

    def __init__(self) -> None:
        self._places: dict[Place, _Version | None] = {}
        """None for objects that have no number yet."""
        self._numbers: dict[Owner, dict[str, list[_Version]]] = {}
        self._addresses: dict[Owner, Address] = {}
        self._routes: dict[tuple[str, str], Route] = {}

    def route(self, uid: str, number: str) -> Route | None:
        """The route of one version of a function."""
        return self._routes.get((uid, number))

    def conditions(self, owner: Owner, number: str) -> tuple[ConditionStatus, ...] | None:
        """What the status of the number's holder shows; None when nobody has the number."""
        rivals = self._numbers.get(owner, {}).get(number)
        return rivals[0].conditions if rivals else None

    def objects(self) -> Iterable[Place]:
        """Every Version object that is known."""
        return self._places.keys()

    # --- objects ------------------------------------------------------------------------------------------------

    def observe(self, version: VersionObject) -> list[Change]:
        """A Version exists as shown."""
        place = (version.namespace, version.name)
        if version.deleting:
            return self.forget(place)
        left = self._remove(place)
        entered = self._places[place] = _entry(version)
        if entered is not None:
            rivals = self._numbers.setdefault(entered.owner, {}).setdefault(entered.number, [])
            rivals.append(entered)
            rivals.sort(key=_Version.rank)
        touched = {(each.owner, each.number): None for each in (left, entered) if each is not None}
        return [change for scope in touched for change in self._settle(*scope)]

    def forget(self, place: Place) -> list[Change]:
        """A Version object is gone."""
        left = self._remove(place)
        return [] if left is None else self._settle(left.owner, left.number)

    def _remove(self, place: Place) -> _Version | None:
        version = self._places.pop(place, None)
        if version is not None:
            numbers = self._numbers[version.owner]
            numbers[version.number].remove(version)
            if not numbers[version.number]:
                del numbers[version.number]
            if not numbers:
                del self._numbers[version.owner]
        return version

    # --- functions ----------------------------------------------------------------------------------------------

    def address(self, uid: str, address: Address) -> list[Change]:
        """The function exists and is called so."""
        owner = (address.namespace, uid)
        if self._addresses.get(owner) == address:
            return []
        self._addresses[owner] = address
        return self._settle_all(owner)

    def unaddress(self, owner: Owner) -> list[Change]:
        """The function is gone: so are its versions, whenever their own objects go."""
        return self._settle_all(owner) if self._addresses.pop(owner, None) else []

    def _settle_all(self, owner: Owner) -> list[Change]:
        numbers = list(self._numbers.get(owner, ()))
        return [change for number in numbers for change in self._settle(owner, number)]

    def _settle(self, owner: Owner, number: str) -> list[Change]:
        """Bring the route of a number to what its objects and its function say."""
        address, rivals = self._addresses.get(owner), self._numbers.get(owner, {}).get(number)
        uid = owner[1]
        before = self._routes.get((uid, number))
        if before is not None and before.namespace != owner[0]:
            return []
        if address is None or not rivals:
            self._routes.pop((uid, number), None)
            return [Change(uid, number, before, None, gone=True)] if before else []
        # A new holder whose status is not complete yet is the same version all the same.
        draft = next((rival.draft for rival in rivals if rival.draft is not None), before)
        if draft is None:
            return []
        after = address.put_on(draft)
        if after == before:
            return []
        self._routes[uid, number] = after
        return [Change(uid, number, before, after)]


def _entry(version: VersionObject) -> _Version | None:
    if version.number is None or not version.function_uid:
        return None
    return _Version(
        uid=version.uid,
        name=version.name,
        created=version.created,
        owner=(version.namespace, version.function_uid),
        number=version.number,
        draft=version_route(version),
        conditions=tuple(version.status.conditions),
    )

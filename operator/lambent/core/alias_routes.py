"""Where does an alias point now? Aliases as they are observed; `status.routing` is all of them that counts.

An alias moves to another routing at once, and only when every version that it names has a route. Until then the old
one stays, as long as it leads anywhere. Of two versions of which one is gone, the other gets everything; a version
that the routing in force does not name gets nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lambent.model.alias_statuses import Routing
from lambent.model.aliases import AliasObject
from lambent.model.versions import NUMBER_PATTERN

from .routes import Route
from .version_routes import Place

Name = tuple[str, str]
"""(namespace, Lambda's name) of a function: an alias belongs to whichever object has that name."""
RouteFor = Callable[[Name, str], Route | None]
"""The route of `$LATEST` or of a number of a function."""


@dataclass(frozen=True, slots=True)
class Pointing:
    """One version, or two of which the additional one gets `weight` of the requests."""

    version: str
    """`$LATEST` or a number."""
    additional: str | None = None
    weight: float = 0.0

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that it names."""
        return (self.version,) if self.additional is None else (self.version, self.additional)

    @classmethod
    def of(cls, routing: Routing) -> Pointing:
        """What a routing says.

        Raises:
            ValueError: it names more than two versions, or what is none.
        """
        additional = list(routing.additional_version_weights.items())
        if not additional:
            return cls(routing.function_version)
        if len(additional) > 1:
            raise ValueError("a routing names at most two versions")
        number, weight = additional[0]
        if re.fullmatch(NUMBER_PATTERN, number) is None:
            raise ValueError("a routing names what is no version")
        return cls(routing.function_version, number, weight)


@dataclass(slots=True, eq=False)
class _Alias:
    """One Alias object."""

    uid: str
    object_name: str
    created: str
    function: Name
    name: str
    wanted: Pointing | None
    in_force: Pointing | None = None

    @property
    def pending(self) -> bool:
        """Whether it waits for a version."""
        return self.wanted != self.in_force

    def rank(self) -> tuple[bool, str, str]:
        """Of two objects with one name the older wins; one that points somewhere before one that does not."""
        return (self.wanted is None, self.created, self.object_name)


class AliasRoutes:
    """Aliases by function and name."""

    def __init__(self, route_for: RouteFor) -> None:
        self._route_for = route_for
        self._places: dict[Place, _Alias] = {}
        self._named: dict[Name, dict[str, list[_Alias]]] = {}
        self._pending: dict[Name, list[_Alias]] = {}

    def pointing(self, function: Name, name: str) -> Pointing | None:
        """Where an alias points; None for an alias that is not there, or points nowhere yet."""
        rivals = self._named.get(function, {}).get(name)
        return rivals[0].in_force if rivals else None

    def pick(self, function: Name, name: str, roll: float) -> Route | None:
        """The route of a request to an alias, by its roll in [0, 1)."""
        pointing = self.pointing(function, name)
        if pointing is None:
            return None
        first = self._route_for(function, pointing.version)
        if pointing.additional is None:
            return first
        second = self._route_for(function, pointing.additional)
        if first is None or (second is not None and roll < pointing.weight):
            return second
        return first

    def objects(self) -> Iterable[Place]:
        """Every Alias object that is known."""
        return self._places.keys()

    def observe(self, alias: AliasObject) -> None:
        """An Alias exists as shown.

        Raises:
            ValueError: its routing cannot be meant; what was known of it stays.
        """
        place = (alias.namespace, alias.name)
        if alias.deleting:
            self.forget(place)
            return
        wanted = Pointing.of(alias.status.routing) if alias.status.routing is not None else None
        name = alias.alias_name
        if name.isdigit():
            raise ValueError("an alias is named like a version")
        known = self._remove(place)
        function = (alias.namespace, alias.spec.function_name)
        entered = _Alias(alias.uid, alias.name, alias.created, function, name, wanted)
        if known is not None and (known.uid, known.function, known.name) == (alias.uid, function, name):
            entered.in_force = known.in_force
        self._places[place] = entered
        rivals = self._named.setdefault(function, {}).setdefault(name, [])
        rivals.append(entered)
        rivals.sort(key=_Alias.rank)
        if entered.pending and not self._move(entered):
            self._pending.setdefault(function, []).append(entered)

    def forget(self, place: Place) -> None:
        """An Alias object is gone."""
        self._remove(place)

    def versions_changed(self, function: Name) -> None:
        """Routes of a function appeared or went: aliases that waited for one may move now."""
        waiting = self._pending.pop(function, None)
        if waiting is None:
            return
        still = [alias for alias in waiting if not self._move(alias)]
        if still:
            self._pending[function] = still

    def _move(self, alias: _Alias) -> bool:
        """Whether it points where it is to point now."""
        if self._leads(alias, alias.in_force, any) and not self._leads(alias, alias.wanted, all):
            return False
        alias.in_force = alias.wanted
        return True

    def _leads(self, alias: _Alias, pointing: Pointing | None, how: Callable[[Iterable[bool]], bool]) -> bool:
        if pointing is None:
            return False
        return how(self._route_for(alias.function, version) is not None for version in pointing.versions)

    def _remove(self, place: Place) -> _Alias | None:
        alias = self._places.pop(place, None)
        if alias is None:
            return None
        named = self._named[alias.function]
        named[alias.name].remove(alias)
        if not named[alias.name]:
            del named[alias.name]
        if not named:
            del self._named[alias.function]
        waiting = self._pending.get(alias.function)
        if waiting is not None and alias in waiting:
            waiting.remove(alias)
            if not waiting:
                del self._pending[alias.function]
        return alias

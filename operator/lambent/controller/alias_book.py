"""What was observed of Aliases, by uid and by function, and which versions they refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lambent.controller.freshness import Freshness
from lambent.controller.observed import Malformed, put_each, read
from lambent.controller.version_book import Name
from lambent.model.alias_statuses import AliasStatus
from lambent.model.aliases import AliasObject

MalformedAlias = Malformed[AliasStatus]


class AliasBook:
    """Aliases, and who is told when what they refer to changes."""

    def __init__(self, nudge: Callable[[str], None], tell: Callable[[Name, frozenset[str]], None]) -> None:
        self._nudge = nudge
        self._tell = tell
        """Told of a function's name and the numbers that an alias of it refers to, or referred to before."""
        self._freshness = Freshness()
        self._aliases: dict[str, AliasObject | MalformedAlias] = {}
        self._named: dict[Name, set[str]] = {}
        self._referring: dict[Name, dict[str, set[str]]] = {}
        """Function's name → number of a version → uids: a version may have ten thousand aliases."""

    # --- reading ------------------------------------------------------------------------------------------------

    def alias(self, uid: str) -> AliasObject | MalformedAlias | None:
        """An Alias, or what claims to be one."""
        return self._aliases.get(uid)

    def resource_version(self, uid: str) -> str:
        """Of the Alias as it is known here."""
        return self._freshness.version(uid)

    def uids(self) -> list[str]:
        """Every Alias that exists."""
        return list(self._aliases)

    def has_known(self, uid: str) -> bool:
        """Whether this is, or was, an Alias."""
        return uid in self._aliases or self._freshness.is_gone(uid)

    def of_function(self, namespace: str, function_name: str) -> tuple[AliasObject, ...]:
        """Aliases of a function's name, the oldest object first."""
        uids = self._named.get((namespace, function_name), ())
        found = (one for uid in uids if isinstance(one := self._aliases.get(uid), AliasObject))
        return tuple(sorted(found, key=lambda one: (one.created, one.name)))

    def older(self, alias: AliasObject) -> str | None:
        """Name of the oldest other object that is this alias and is older than this one."""
        rank = (alias.created, alias.name)
        rivals = [
            (rival.created, rival.name)
            for rival in self.of_function(alias.namespace, alias.spec.function_name)
            if rival.alias_name == alias.alias_name and not rival.deleting
        ]
        oldest = min(rivals, default=None)
        return oldest[1] if oldest is not None and oldest < rank else None

    def references(self, namespace: str, function_name: str) -> Mapping[str, tuple[str, ...]]:
        """Number of a version → names of the aliases that refer to it, sorted."""
        name = (namespace, function_name)
        return {number: self.referring(name, number) for number in self._referring.get(name, ())}

    def referring(self, name: Name, number: str) -> tuple[str, ...]:
        """Names of the aliases that refer to a version of a function, sorted."""
        uids = self._referring.get(name, {}).get(number, ())
        found = (self._aliases[uid] for uid in uids)
        return tuple(sorted({one.alias_name for one in found if isinstance(one, AliasObject)}))

    # --- writing ------------------------------------------------------------------------------------------------

    def put_alias(self, body: dict[str, Any], *, quiet: bool = False) -> None:
        """An object as the API server shows it; `quiet` when it is the answer to our own write.

        Such an answer brings along what others wrote meanwhile, and the event about that is old news then.
        """
        uid = body["metadata"]["uid"]
        if not self._freshness.is_news(uid, body):
            return
        before, after = self._aliases.get(uid), _parse(body)
        if after == before:
            return
        self._move(before, after)
        if not quiet or _wanted(before) != _wanted(after):
            self._nudge(uid)
        self._spread(before, after)

    def drop_alias(self, uid: str) -> None:
        """An Alias is gone."""
        self._freshness.bury(uid)
        before = self._aliases.get(uid)
        self._move(before, None)
        self._nudge(uid)
        self._spread(before, None)

    def nudge_all(self, namespace: str) -> None:
        """The account of this namespace is another one."""
        for uid, alias in self._aliases.items():
            if alias.namespace == namespace:
                self._nudge(uid)

    def nudge_named(self, name: Name) -> None:
        """Something about the function of these aliases, or its versions, has changed."""
        for uid in self._named.get(name, ()):
            self._nudge(uid)

    def _move(self, before: AliasObject | MalformedAlias | None, after: AliasObject | MalformedAlias | None) -> None:
        if before is not None:
            del self._aliases[before.uid]
        if isinstance(before, AliasObject):
            name = (before.namespace, before.spec.function_name)
            self._named[name].discard(before.uid)
            if not self._named[name]:
                del self._named[name]
            for number in _referring(before):
                self._unrefer(name, number, before.uid)
        if after is not None:
            self._aliases[after.uid] = after
        if isinstance(after, AliasObject):
            name = (after.namespace, after.spec.function_name)
            self._named.setdefault(name, set()).add(after.uid)
            for number in _referring(after):
                self._referring.setdefault(name, {}).setdefault(number, set()).add(after.uid)

    def _unrefer(self, name: Name, number: str, uid: str) -> None:
        numbers = self._referring[name]
        numbers[number].discard(uid)
        if not numbers[number]:
            del numbers[number]
        if not numbers:
            del self._referring[name]

    def _spread(self, before: AliasObject | MalformedAlias | None, after: AliasObject | MalformedAlias | None) -> None:
        """Tell the versions whose references changed, and rivals for the name."""
        old = before if isinstance(before, AliasObject) else None
        new = after if isinstance(after, AliasObject) else None
        shown = new or old
        if shown is None:
            return
        name = (shown.namespace, shown.spec.function_name)
        changed = _referring(old) ^ _referring(new)
        if changed:
            self._tell(name, changed)
        if (old is None) != (new is None) or (old and new and old.deleting != new.deleting):
            for rival in self.of_function(*name):
                if rival.alias_name == shown.alias_name and rival.uid != shown.uid:
                    self._nudge(rival.uid)

    # --- lists --------------------------------------------------------------------------------------------------

    def put_aliases(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """A page of a list; returns the uids."""
        return put_each(self.put_alias, bodies)

    def keep_aliases(self, listed: set[str], version: int) -> None:
        """These are all that a list of this resource version holds."""
        for uid in self._freshness.lacking(self._aliases, listed, version):
            self.drop_alias(uid)


def referred(alias: AliasObject) -> frozenset[str]:
    """Numbers of the versions that an alias refers to: as specified, in force, and in the rollout between them."""
    status = alias.status
    found = {alias.spec.function_version, status.target_version, *alias.spec.weights}
    if status.routing is not None:
        found |= {status.routing.function_version, *status.routing.additional_version_weights}
    if status.rollout is not None and not status.rollout.ended:
        found |= {status.rollout.from_version, status.rollout.to_version}
    return frozenset(number for number in found if number is not None and number.isdigit())


def _wanted(alias: AliasObject | MalformedAlias | None) -> object:
    """What others write of an alias."""
    if not isinstance(alias, AliasObject):
        return alias and (alias.generation, alias.message)
    return (alias.spec, alias.generation, alias.request, alias.deleting, alias.status.hook_results)


def _referring(alias: AliasObject | None) -> frozenset[str]:
    return referred(alias) if alias is not None and not alias.deleting else frozenset()


def _parse(body: dict[str, Any]) -> AliasObject | MalformedAlias:
    return read("Alias", AliasObject.from_kubernetes, AliasStatus, body)

"""What was observed of Versions, by uid, by function and by number.

Objects may share a number: the oldest one that is not being deleted *holds* it. Environments belong to the holder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from lambent.controller.freshness import Freshness
from lambent.controller.observed import Malformed, overtaken, put_each, read
from lambent.core.publishing import Published, newest_of
from lambent.model.environments import Scope
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject, VersionStatus

Name = tuple[str, str]
"""Namespace and function name."""
NameT = TypeVar("NameT", Name, Scope)

MalformedVersion = Malformed[VersionStatus]


class VersionBook:
    """Versions, who holds which number, and who is told when that changes."""

    def __init__(self, nudge: Callable[[str], None], tell: Callable[[Name], None]) -> None:
        self._nudge = nudge
        self._tell = tell
        """Told of a function's name when what is published of it may have changed."""
        self._freshness = Freshness()
        self._versions: dict[str, VersionObject | MalformedVersion] = {}
        self._named: dict[Name, set[str]] = {}
        self._numbered: dict[Scope, set[str]] = {}
        self._waiting: dict[Name, set[str]] = {}
        """Uids of those that are not published yet."""
        self._published: dict[Name, tuple[Published, ...]] = {}
        """What was sorted out already; a function with a thousand versions is looked at often."""

    # --- reading ------------------------------------------------------------------------------------------------

    def version(self, uid: str) -> VersionObject | MalformedVersion | None:
        """A Version, or what claims to be one."""
        return self._versions.get(uid)

    def uids(self) -> list[str]:
        """Every Version that exists."""
        return list(self._versions)

    def has_known(self, uid: str) -> bool:
        """Whether this is, or was, a Version."""
        return uid in self._versions or self._freshness.is_gone(uid)

    def is_gone(self, uid: str) -> bool:
        """Whether a Version was seen and then seen to be gone."""
        return self._freshness.is_gone(uid)

    def of_function(self, namespace: str, function_name: str) -> tuple[VersionObject, ...]:
        """Versions of a function's name, published or not, the oldest object first."""
        return self._sorted(self._named.get((namespace, function_name), ()))

    def waiting(self, namespace: str, function_name: str) -> tuple[VersionObject, ...]:
        """Versions of a function's name that are not published yet, the oldest object first."""
        return self._sorted(self._waiting.get((namespace, function_name), ()))

    def published(self, namespace: str, function_name: str) -> tuple[Published, ...]:
        """What is published under a function's name and is not being deleted, by number and age."""
        name = (namespace, function_name)
        if name not in self._named:
            return ()
        if name not in self._published:
            found = (_facts(one) for one in self.of_function(*name) if one.number is not None and not one.deleting)
            self._published[name] = tuple(sorted(found, key=lambda one: one.number))
        return self._published[name]

    def newest(self, function: FunctionObject) -> Published | None:
        """The newest version of this very Function: one of a namesake that is gone is another's."""
        return newest_of(function, self.published(function.namespace, function.function_name))

    def holder(self, scope: Scope) -> VersionObject | None:
        """The object that holds a number of a Function: the oldest that is not being deleted."""
        found = [one for one in self._sorted(self._numbered.get(scope, ())) if not one.deleting]
        return found[0] if found else None

    def _sorted(self, uids: Iterable[str]) -> tuple[VersionObject, ...]:
        found = (one for uid in uids if isinstance(one := self._versions.get(uid), VersionObject))
        return tuple(sorted(found, key=lambda one: (one.created, one.name)))

    # --- writing ------------------------------------------------------------------------------------------------

    def put_version(self, body: dict[str, Any], *, quiet: bool = False) -> None:
        """An object as the API server shows it; `quiet` when it is the answer to our own write."""
        uid = body["metadata"]["uid"]
        if not self._freshness.is_news(uid, body):
            return
        before, after = self._versions.get(uid), _parse(body)
        if after == before:
            return
        self._move(before, after)
        if not quiet or overtaken(before, after):
            self._nudge(uid)
        self._spread(before, after)

    def drop_version(self, uid: str) -> None:
        """A Version is gone."""
        self._freshness.bury(uid)
        before = self._versions.get(uid)
        self._move(before, None)
        self._nudge(uid)
        self._spread(before, None)

    def mark_deleting(self, uid: str) -> None:
        """We asked for this Version's end; events will follow."""
        before = self._versions.get(uid)
        if isinstance(before, VersionObject):
            after = before.model_copy(update={"deleting": True})
            self._move(before, after)
            self._nudge(uid)
            self._spread(before, after)

    def nudge_all(self, namespace: str) -> None:
        """The account of this namespace is another one."""
        for uid, version in self._versions.items():
            if version.namespace == namespace:
                self._nudge(uid)

    def nudge_named(self, name: Name, *, unpublished: bool = False) -> None:
        """Something about the function of these versions has changed."""
        for uid in self._waiting.get(name, ()) if unpublished else self._named.get(name, ()):
            self._nudge(uid)

    def nudge_numbers(self, name: Name, numbers: Iterable[str]) -> None:
        """Aliases refer, or referred, to these numbers."""
        wanted = set(numbers)
        for one in self.of_function(*name):
            if one.number in wanted:
                self._nudge(one.uid)

    def _move(
        self, before: VersionObject | MalformedVersion | None, after: VersionObject | MalformedVersion | None
    ) -> None:
        """Keep the indexes."""
        if before is not None:
            del self._versions[before.uid]
        if isinstance(before, VersionObject):
            name = (before.namespace, before.function_name)
            _discard(self._named, name, before.uid)
            _discard(self._waiting, name, before.uid)
            if before.number is not None:
                _discard(self._numbered, Scope(before.function_uid, before.number), before.uid)
        if after is not None:
            self._versions[after.uid] = after
        if isinstance(after, VersionObject):
            name = (after.namespace, after.function_name)
            self._named.setdefault(name, set()).add(after.uid)
            if after.number is None:
                self._waiting.setdefault(name, set()).add(after.uid)
            else:
                self._numbered.setdefault(Scope(after.function_uid, after.number), set()).add(after.uid)

    def _spread(
        self, before: VersionObject | MalformedVersion | None, after: VersionObject | MalformedVersion | None
    ) -> None:
        """Tell those for whom it matters what is published: rivals for a number, the Function, its aliases."""
        old, new = _published(before), _published(after)
        if old == new:
            return
        for facts in (old, new):
            if facts is not None:
                self._published.pop(facts[0], None)
        if (
            old is not None
            and new is not None
            and (old[0], replace(old[1], referenced=new[1].referenced), old[2]) == new
        ):
            self._nudge(new[1].function_uid)  # retention may let it go, and to nobody else it matters
            return
        for version in (before, after):
            if isinstance(version, VersionObject):
                for uid in self._numbered.get(Scope(version.function_uid, version.number or ""), set()) - {version.uid}:
                    self._nudge(uid)
        for name in {facts[0] for facts in (old, new) if facts is not None}:
            self._tell(name)

    # --- lists --------------------------------------------------------------------------------------------------

    def put_versions(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """A page of a list; returns the uids."""
        return put_each(self.put_version, bodies)

    def keep_versions(self, listed: set[str], version: int) -> None:
        """These are all that a list of this resource version holds."""
        for uid in self._freshness.lacking(self._versions, listed, version):
            self.drop_version(uid)


def _published(version: VersionObject | MalformedVersion | None) -> tuple[Name, Published, bool] | None:
    """What others go by."""
    if not isinstance(version, VersionObject) or version.number is None:
        return None
    return (version.namespace, version.function_name), _facts(version), version.deleting


def _facts(version: VersionObject) -> Published:
    snapshot = version.configuration
    return Published(
        number=int(version.number or 0),
        function_uid=version.function_uid,
        revision=snapshot.revision,
        name=version.name,
        uid=version.uid,
        published_by=version.published_by,
        referenced=bool(version.status.referenced_by),
        role=snapshot.role,
    )


def _discard(index: dict[NameT, set[str]], name: NameT, uid: str) -> None:
    left = index.get(name, set())
    left.discard(uid)
    if not left:
        index.pop(name, None)


def _parse(body: dict[str, Any]) -> VersionObject | MalformedVersion:
    return read("Version", VersionObject.from_kubernetes, VersionStatus, body)

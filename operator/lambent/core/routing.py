"""Which function does a request mean, and with which configuration does it run?

The routing table is fed with Functions, Versions, Aliases and Namespaces as they are observed. A Function is routed
only from a status that describes its current specification; until then requests run the previous snapshot
(LastUpdateStatus InProgress). Published versions (`version_routes`) are routed while their function is there, whatever
state `$LATEST` is in; aliases (`alias_routes`) lead to either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lambent.model import names
from lambent.model.aliases import AliasObject
from lambent.model.arns import FunctionReference, account_id, function_arn
from lambent.model.conditions import ConditionType, Reason
from lambent.model.environments import Key
from lambent.model.errors import EFSMountFailure, LambdaError, ResourceConflict, ResourceNotFound
from lambent.model.functions import ConditionStatus, FunctionObject
from lambent.model.versions import VersionObject

from .alias_routes import AliasRoutes
from .routes import Address, Change, Route, function_route, is_true
from .version_routes import Owner, Place, VersionRoutes

UNKNOWN_ACCOUNT = "000000000000"
"""Account in the ARN of an error about a namespace that is not watched."""

_STALLED, _PENDING = "Failed", "Pending"


@dataclass(frozen=True, slots=True)
class _Account:
    id: str
    created: str


@dataclass(slots=True)
class _Entry:
    """One Function object: its identity, its snapshot and what its status says."""

    uid: str
    owner: Owner
    name: str
    function_name: str
    created: str
    route: Route | None
    conditions: tuple[ConditionStatus, ...]

    def rank(self) -> tuple[bool, str, str]:
        """Of two objects with one function name the older wins; one that can be invoked before one that cannot."""
        return (self.route is None, self.created, self.name)


class RoutingTable:
    """Functions, versions, aliases and accounts as observed. The caller applies the changes it is told."""

    def __init__(self, region: str, default_namespace: str) -> None:
        self.region = region
        self.default_namespace = default_namespace
        self._accounts: dict[str, _Account] = {}
        self._namespaces: dict[str, str] = {}
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._named: dict[tuple[str, str], list[_Entry]] = {}
        self._uids: dict[str, _Entry] = {}
        self._versions = VersionRoutes()
        self._aliases = AliasRoutes(self._route_for)

    # --- namespaces ---------------------------------------------------------------------------------------------

    def observe_namespace(self, name: str, uid: str, created: str, annotated: str | None) -> list[Change]:
        """A namespace exists; its account follows from its annotation or its UID."""
        account = _Account(account_id(uid, annotated), created)
        if self._accounts.get(name) == account:
            return []
        self._accounts[name] = account
        self._index_accounts()
        return self._readdress(name)

    def forget_namespace(self, name: str) -> None:
        """A namespace is gone; its Functions go with their own events."""
        if self._accounts.pop(name, None) is not None:
            self._index_accounts()

    def namespaces(self) -> Iterable[str]:
        """Names of the namespaces that are known."""
        return self._accounts.keys()

    def account(self, namespace: str) -> str:
        """The account id of a namespace; zeros when it is not known."""
        account = self._accounts.get(namespace)
        return account.id if account else UNKNOWN_ACCOUNT

    def _index_accounts(self) -> None:
        """Account ids are unique: of two namespaces that claim one, the older keeps it."""
        self._namespaces = {}
        for name, account in sorted(self._accounts.items(), key=lambda item: (item[1].created, item[0])):
            self._namespaces.setdefault(account.id, name)

    def _readdress(self, namespace: str) -> list[Change]:
        """Functions seen before their namespace carry zeros in their ARN: put the account in."""
        changes = []
        for (space, _), entry in self._entries.items():
            if space == namespace:
                address, before = self._address(space, entry.function_name), entry.route
                if before is not None and before.account != address.account:
                    entry.route = address.put_on(before)
                    changes.append(Change(entry.uid, names.VERSION_LATEST_LABEL, before, entry.route))
                changes += self._versions.address(entry.uid, address)
        return changes

    def _address(self, namespace: str, function_name: str) -> Address:
        return Address.of(self.region, namespace, self.account(namespace), function_name)

    # --- functions ----------------------------------------------------------------------------------------------

    def observe_function(self, function: FunctionObject) -> list[Change]:
        """A Function exists as shown. The changes say whose route appeared, changed or went."""
        place = (function.namespace, function.name)
        known = self._entries.get(place)
        changes = []
        if known is not None and (known.uid != function.uid or function.deleting):
            changes += self.forget_function(*place)
            known = None
        if function.deleting:
            return changes
        before = known.route if known else None
        address = self._address(function.namespace, function.function_name)
        entry = _Entry(
            uid=function.uid,
            owner=(function.namespace, function.uid),
            name=function.name,
            function_name=function.function_name,
            created=function.created,
            route=function_route(function, address) or before,
            conditions=tuple(function.status.conditions),
        )
        self._remove(place)
        self._add(place, entry)
        if entry.route != before:
            changes.append(Change(entry.uid, names.VERSION_LATEST_LABEL, before, entry.route))
        changes += self._versions.address(entry.uid, address)
        return self._followed(address, changes)

    def forget_function(self, namespace: str, name: str) -> list[Change]:
        """A Function object is gone, and its versions and aliases with it."""
        entry = self._remove((namespace, name))
        if entry is None:
            return []
        gone = Change(entry.uid, names.VERSION_LATEST_LABEL, entry.route, None, gone=True)
        address = self._address(namespace, entry.function_name)
        return self._followed(address, [gone, *self._versions.unaddress(entry.owner)])

    def objects(self) -> Iterable[Place]:
        """(namespace, object name) of every Function that is known."""
        return self._entries.keys()

    def route_of(self, key: Key) -> Route | None:
        """The current route of what a key is of: `$LATEST` or a version of one Function object."""
        if key.version != names.VERSION_LATEST_LABEL:
            return self._versions.route(key.function_uid, key.version)
        entry = self._uids.get(key.function_uid)
        return entry.route if entry else None

    def conditions_of(self, key: Key) -> tuple[ConditionStatus, ...]:
        """The conditions that its status shows: the Function's, or those of the Version that holds the number."""
        entry = self._uids.get(key.function_uid)
        if entry is None:
            return ()
        if key.version == names.VERSION_LATEST_LABEL:
            return entry.conditions
        return self._versions.conditions(entry.owner, key.version) or ()

    def _add(self, place: tuple[str, str], entry: _Entry) -> None:
        self._entries[place] = entry
        self._uids[entry.uid] = entry
        rivals = self._named.setdefault((place[0], entry.function_name), [])
        rivals.append(entry)
        rivals.sort(key=_Entry.rank)

    def _remove(self, place: tuple[str, str]) -> _Entry | None:
        entry = self._entries.pop(place, None)
        if entry is None:
            return None
        self._uids.pop(entry.uid, None)
        named = (place[0], entry.function_name)
        rivals = [rival for rival in self._named[named] if rival is not entry]
        if rivals:
            self._named[named] = rivals
        else:
            del self._named[named]
        return entry

    # --- versions and aliases -----------------------------------------------------------------------------------

    def observe_version(self, version: VersionObject) -> list[Change]:
        """A Version exists as shown."""
        return self._published(self._versions.observe(version))

    def forget_version(self, namespace: str, name: str) -> list[Change]:
        """A Version object is gone."""
        return self._published(self._versions.forget((namespace, name)))

    def version_objects(self) -> Iterable[Place]:
        """(namespace, object name) of every Version that is known."""
        return self._versions.objects()

    def observe_alias(self, alias: AliasObject) -> None:
        """An Alias exists as shown.

        Raises:
            ValueError: its status cannot be meant; what was known of it stays.
        """
        self._aliases.observe(alias)

    def forget_alias(self, namespace: str, name: str) -> None:
        """An Alias object is gone."""
        self._aliases.forget((namespace, name))

    def alias_objects(self) -> Iterable[Place]:
        """(namespace, object name) of every Alias that is known."""
        return self._aliases.objects()

    def _published(self, changes: list[Change]) -> list[Change]:
        for route in (change.before or change.after for change in changes):
            if route is not None:
                self._aliases.versions_changed((route.namespace, route.function_name))
        return changes

    def _followed(self, address: Address, changes: list[Change]) -> list[Change]:
        """Aliases that waited for a route look again."""
        if changes:
            self._aliases.versions_changed((address.namespace, address.function_name))
        return changes

    def _route_for(self, name: tuple[str, str], version: str) -> Route | None:
        """The route of `$LATEST` or a number of a function; only one of the objects with its name has a number."""
        rivals = self._named.get(name)
        if not rivals:
            return None
        if version == names.LATEST:
            return rivals[0].route
        for entry in rivals:
            route = self._versions.route(entry.uid, version)
            if route is not None:
                return route
        return None

    # --- requests -----------------------------------------------------------------------------------------------

    def space_of(self, reference: FunctionReference, namespace: str) -> str:
        """The namespace that a reference means: its account's (empty when that is nobody's), else the one given."""
        return namespace if reference.account is None else self._namespaces.get(reference.account, "")

    def object_name(self, namespace: str, function_name: str) -> str:
        """The name of the object that is this function; the function's own name when there is none."""
        rivals = self._named.get((namespace, function_name))
        return rivals[0].name if rivals else function_name

    def resolve(self, reference: FunctionReference, qualifier: str, namespace: str | None, roll: float) -> Route:
        """The route of a request: namespace by the ARN's account, else as asked, else the default.

        `roll`, in [0, 1), decides where an alias has two versions: the additional one gets what is below its weight.

        Raises:
            ResourceNotFound: no such function, version or alias, or another region.
            ResourceConflict: the function cannot be invoked yet.
            EFSMountFailure: nor can it while its file system does not exist.
        """
        if reference.region is not None and reference.region != self.region:
            raise ResourceNotFound(
                f"Functions from '{reference.region}' are not reachable in this region ('{self.region}')"
            )
        space = self.space_of(reference, namespace or self.default_namespace)
        rivals = self._named.get((space, reference.name))
        if qualifier != names.LATEST:
            return self._qualified((space, reference.name), qualifier, roll, reference.account)
        if rivals is None:
            raise self.not_found(reference.account or self.account(space), reference.name)
        entry = rivals[0]
        if entry.route is None:
            raise _unroutable(entry.conditions)
        return entry.route

    def _qualified(self, name: tuple[str, str], qualifier: str, roll: float, account: str | None) -> Route:
        """The route of a version or an alias."""
        rivals = self._named.get(name)
        if rivals is not None:
            route = self._route_for(name, qualifier) or self._aliases.pick(name, qualifier, roll)
            if route is not None:
                return route
            pointing = self._aliases.pointing(name, qualifier)
            for version in (qualifier,) if pointing is None else pointing.versions:
                if (refusal := self._refusal(rivals, version)) is not None:
                    raise refusal
        raise self.not_found(account or self.account(name[0]), name[1], qualifier)

    def _refusal(self, rivals: list[_Entry], version: str) -> LambdaError | None:
        """Why a version that is there has no route; None when it is not there."""
        if version == names.LATEST:
            return _unroutable(rivals[0].conditions)
        for entry in rivals:
            conditions = self._versions.conditions(entry.owner, version)
            if conditions is not None:
                return _unroutable(conditions)
        return None

    def not_found(self, account: str, name: str, qualifier: str | None = None) -> ResourceNotFound:
        """Lambda's words for a function that is not there."""
        return ResourceNotFound(f"Function not found: {function_arn(self.region, account, name, qualifier)}")


def mount_failure(conditions: Iterable[ConditionStatus]) -> EFSMountFailure | None:
    """What a status says of a file system that does not exist: the controller watches, so it is true now."""
    for condition in conditions:
        if condition.type == ConditionType.READY and condition.reason == Reason.EFS_MOUNT_FAILURE:
            return EFSMountFailure(condition.message)
    return None


def _unroutable(conditions: Iterable[ConditionStatus]) -> LambdaError:
    conditions = tuple(conditions)
    if (unmounted := mount_failure(conditions)) is not None:
        return unmounted
    state = _STALLED if is_true(conditions, ConditionType.STALLED) else _PENDING
    return ResourceConflict(
        f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
    )

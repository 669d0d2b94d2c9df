"""Which function does a request mean, and with which configuration does it run?

The routing table is fed with Functions and Namespaces as they are observed. A Function is routed only from a status
that describes its current specification; until then requests run the previous snapshot (LastUpdateStatus InProgress).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lambent.model import names
from lambent.model.arns import FunctionReference, account_id, function_arn
from lambent.model.conditions import ConditionType
from lambent.model.environments import Key
from lambent.model.errors import ResourceConflict, ResourceNotFound
from lambent.model.functions import ConditionStatus, FunctionObject

UNKNOWN_ACCOUNT = "000000000000"
"""Account in the ARN of an error about a namespace that is not watched."""

_STALLED, _PENDING = "Failed", "Pending"


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that invoking one published configuration of a function needs."""

    key: Key
    namespace: str
    account: str
    function_name: str
    arn: str
    """Unqualified."""
    revision: str
    runtime: str
    handler: str
    timeout_ms: int
    memory_mb: int
    environment: dict[str, str] = field(hash=False, compare=False)
    """Never logged. Not compared: it is part of what `revision` digests."""
    code_sha256: str
    """Hex; empty when the code is the container image."""
    code_size: int
    version: str = names.LATEST
    tracing_mode: str = "PassThrough"

    def arn_as_invoked(self, qualifier: str | None) -> str:
        """The ARN that the function sees in its context."""
        return f"{self.arn}:{qualifier}" if qualifier else self.arn


@dataclass(frozen=True, slots=True)
class Change:
    """What an observation changed for one Function object. `after` is None when it is gone or not routable yet."""

    uid: str
    before: Route | None
    after: Route | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class _Account:
    id: str
    created: str


@dataclass(slots=True)
class _Entry:
    """One Function object: its identity, its snapshot and what its status says."""

    uid: str
    name: str
    function_name: str
    created: str
    route: Route | None
    state: str
    conditions: tuple[ConditionStatus, ...]

    def rank(self) -> tuple[bool, str, str]:
        """Of two objects with one function name the older wins; one that can be invoked before one that cannot."""
        return (self.route is None, self.created, self.name)


class RoutingTable:
    """Functions and accounts as observed. No clocks and no I/O; the caller applies the changes it is told."""

    def __init__(self, region: str, default_namespace: str) -> None:
        self.region = region
        self.default_namespace = default_namespace
        self._accounts: dict[str, _Account] = {}
        self._namespaces: dict[str, str] = {}
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._named: dict[tuple[str, str], list[_Entry]] = {}
        self._uids: dict[str, _Entry] = {}

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
        account = self.account(namespace)
        for (space, _), entry in self._entries.items():
            before = entry.route
            if space == namespace and before is not None and before.account != account:
                arn = function_arn(self.region, account, entry.function_name)
                entry.route = replace(before, account=account, arn=arn)
                changes.append(Change(entry.uid, before, entry.route))
        return changes

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
        entry = _Entry(
            uid=function.uid,
            name=function.name,
            function_name=function.function_name,
            created=function.created,
            route=self._snapshot(function) or before,
            state=_STALLED if _is_true(function, ConditionType.STALLED) else _PENDING,
            conditions=tuple(function.status.conditions),
        )
        self._remove(place)
        self._add(place, entry)
        if entry.route != before:
            changes.append(Change(entry.uid, before, entry.route))
        return changes

    def forget_function(self, namespace: str, name: str) -> list[Change]:
        """A Function object is gone."""
        entry = self._remove((namespace, name))
        return [Change(entry.uid, entry.route, None, gone=True)] if entry else []

    def objects(self) -> Iterable[tuple[str, str]]:
        """(namespace, object name) of every Function that is known."""
        return self._entries.keys()

    def route_of(self, uid: str) -> Route | None:
        """The current route of one Function object."""
        entry = self._uids.get(uid)
        return entry.route if entry else None

    def conditions_of(self, uid: str) -> tuple[ConditionStatus, ...]:
        """The conditions that one Function object's status shows."""
        entry = self._uids.get(uid)
        return entry.conditions if entry else ()

    def _snapshot(self, function: FunctionObject) -> Route | None:
        """The route that this state of the object gives, None when its status does not (yet) describe it."""
        spec, status = function.spec, function.status
        code = "" if spec.package_type == "Image" else _hex_digest(status.code_sha256)
        if (
            status.observed_generation != function.generation
            or not status.revision
            or not status.pod_revision
            or code is None
            or _is_true(function, ConditionType.STALLED)
        ):
            return None
        account = self.account(function.namespace)
        return Route(
            key=Key(function.uid, names.VERSION_LATEST_LABEL, status.pod_revision),
            namespace=function.namespace,
            account=account,
            function_name=function.function_name,
            arn=function_arn(self.region, account, function.function_name),
            revision=status.revision,
            runtime=spec.runtime or "",
            handler=spec.handler or "",
            timeout_ms=spec.timeout * 1000,
            memory_mb=spec.memory_size,
            environment=dict(spec.environment.variables) if spec.environment else {},
            code_sha256=code,
            code_size=status.code_size or 0,
            tracing_mode=spec.tracing_config.mode if spec.tracing_config else "PassThrough",
        )

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

    # --- requests -----------------------------------------------------------------------------------------------

    def space_of(self, reference: FunctionReference, namespace: str) -> str:
        """The namespace that a reference means: its account's (empty when that is nobody's), else the one given."""
        return namespace if reference.account is None else self._namespaces.get(reference.account, "")

    def object_name(self, namespace: str, function_name: str) -> str:
        """The name of the object that is this function; the function's own name when there is none."""
        rivals = self._named.get((namespace, function_name))
        return rivals[0].name if rivals else function_name

    def resolve(self, reference: FunctionReference, qualifier: str, namespace: str | None) -> Route:
        """The route of a request: namespace by the ARN's account, else as asked, else the default.

        Raises:
            ResourceNotFound: no such function, version or alias, or another region.
            ResourceConflict: the function cannot be invoked yet.
        """
        if reference.region is not None and reference.region != self.region:
            raise ResourceNotFound(
                f"Functions from '{reference.region}' are not reachable in this region ('{self.region}')"
            )
        space = self.space_of(reference, namespace or self.default_namespace)
        rivals = self._named.get((space, reference.name))
        if rivals is None or qualifier != names.LATEST:
            account = reference.account or self.account(space)
            raise self.not_found(account, reference.name, None if qualifier == names.LATEST else qualifier)
        entry = rivals[0]
        if entry.route is None:
            raise ResourceConflict(
                "The operation cannot be performed at this time. "
                f"The function is currently in the following state: {entry.state}"
            )
        return entry.route

    def not_found(self, account: str, name: str, qualifier: str | None = None) -> ResourceNotFound:
        """Lambda's words for a function that is not there."""
        return ResourceNotFound(f"Function not found: {function_arn(self.region, account, name, qualifier)}")


def _is_true(function: FunctionObject, kind: ConditionType) -> bool:
    return any(condition.type == kind and condition.status == "True" for condition in function.status.conditions)


def _hex_digest(code_sha256: str | None) -> str | None:
    try:
        digest = base64.b64decode(code_sha256 or "", validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest.hex() if len(digest) == 32 else None

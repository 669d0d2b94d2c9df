"""What was observed of Functions, their pods and namespaces, and what we did ourselves and have not seen yet.

Versions, aliases, layers and their versions have books of their own beside it (`version_book`, `alias_book`,
`layer_book`). What one of them learns and others go by is passed on here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from lambent.controller.alias_book import AliasBook
from lambent.controller.freshness import Freshness
from lambent.controller.layer_book import LayerBook
from lambent.controller.observed import Malformed, overtaken, put_each, read
from lambent.controller.version_book import Name, VersionBook
from lambent.core import code_texts
from lambent.model import names
from lambent.model.arns import account_id
from lambent.model.environments import EnvironmentPod, Scope
from lambent.model.functions import FunctionObject, FunctionStatus

MalformedFunction = Malformed[FunctionStatus]
Shown = FunctionObject | MalformedFunction
"""A Function, or what claims to be one."""

Nudge = Callable[[str], None]
"""Called with the uid of an object about which something changed."""


class Store:
    """The controller's picture of the cluster. Keys are uids: of Functions here, of other kinds in their books."""

    def __init__(self, nudge: Nudge) -> None:
        self._nudge = nudge
        self._functions: dict[str, Shown] = {}
        self._named: dict[tuple[str, str], set[str]] = {}
        self._pods: dict[str, dict[str, dict[str, EnvironmentPod]]] = {}
        """By function uid, version label and name."""
        self._pod_homes: dict[str, tuple[Scope, str]] = {}
        """Pod uid → (function uid and version label, pod name)."""
        self._accounts: dict[str, str] = {}
        self._freshness = Freshness()
        self.layers = LayerBook(nudge)
        self.versions = VersionBook(nudge, self._versions_changed)
        self.aliases = AliasBook(nudge, self._references_changed)
        self._inhabitants: Counter[str] = Counter()
        self.moved = asyncio.Event()
        """Set when a namespace got its first Function or lost its last."""

    # --- reading ------------------------------------------------------------------------------------------------

    def function(self, uid: str) -> Shown | None:
        """A Function, or what claims to be one."""
        return self._functions.get(uid)

    def uids(self) -> list[str]:
        """Every Function that exists."""
        return list(self._functions)

    def pods(self, scope: Scope) -> tuple[EnvironmentPod, ...]:
        """The pods of one version of a function, those included that we created or deleted a moment ago."""
        return tuple(self._pods.get(scope[0], {}).get(scope[1], {}).values())

    def scopes(self, uid: str) -> dict[Scope, tuple[EnvironmentPod, ...]]:
        """The pods of a function by version."""
        return {Scope(uid, version): tuple(pods.values()) for version, pods in self._pods.get(uid, {}).items()}

    def account(self, namespace: str) -> str | None:
        """The account a namespace is; None until it was seen."""
        return self._accounts.get(namespace)

    def inhabited(self) -> list[str]:
        """Namespaces that have a Function."""
        return list(self._inhabitants)

    def named(self, name: Name) -> FunctionObject | None:
        """The Function of a name: of several objects the oldest that is not being deleted."""
        found = [
            one
            for uid in self._named.get(name, ())
            if isinstance(one := self._functions.get(uid), FunctionObject) and not one.deleting
        ]
        return min(found, key=lambda one: (one.created, one.name), default=None)

    def owner(self, scope: Scope) -> str | None:
        """Uid of the object that owns environments of a Function's uid and a version label; None when it is gone."""
        uid, version = scope
        if version == names.VERSION_LATEST_LABEL:
            return uid
        holder = self.versions.holder(scope)
        return holder.uid if holder is not None else None

    def older(self, function: FunctionObject) -> str | None:
        """Name of the oldest other object with this function name that is older than this one."""
        rank = (function.created, function.name)
        rivals = [
            (rival.created, rival.name)
            for uid in self._named.get((function.namespace, function.function_name), ())
            if isinstance(rival := self._functions.get(uid), FunctionObject) and not rival.deleting
        ]
        oldest = min(rivals, default=None)
        return oldest[1] if oldest is not None and oldest < rank else None

    def is_gone(self, uid: str) -> bool:
        """Whether a Function was seen and then seen to be gone."""
        return self._freshness.is_gone(uid)

    # --- Functions ----------------------------------------------------------------------------------------------

    def put_function(self, body: dict[str, Any], *, quiet: bool = False) -> None:
        """An object as the API server shows it; `quiet` when it is the answer to our own write."""
        uid = body["metadata"]["uid"]
        if not self._freshness.is_news(uid, body):
            return
        before = self._functions.get(uid)
        after = _parse(body)
        if after == before:
            return
        self._functions[uid] = after
        if before is None:
            self._count(after.namespace, 1)
        rivals = self._rename(uid, before, after)
        if not quiet or overtaken(before, after):
            for rival in rivals | {uid}:
                self._nudge(rival)
        self._spread(before, after)

    def drop_function(self, uid: str) -> None:
        """A Function is gone."""
        self._freshness.bury(uid)
        before = self._functions.pop(uid, None)
        if before is not None:
            self._count(before.namespace, -1)
        for rival in self._rename(uid, before, None) | {uid}:
            self._nudge(rival)
        self._spread(before, None)

    def _spread(self, before: Shown | None, after: Shown | None) -> None:
        """Tell what waits for a Function: versions that are to be published, and aliases when it comes or goes."""
        old, new = _place(before), _place(after)
        for name in {name for name in (old, new) if name is not None}:
            self.versions.nudge_named(name, unpublished=old == new)
            if old != new or _deleting(before) != _deleting(after):
                self.aliases.nudge_named(name)

    def _versions_changed(self, name: Name) -> None:
        """What is published of a function's name is another: its Function and its aliases go by it."""
        for uid in self._named.get(name, ()):
            self._nudge(uid)
        self.versions.nudge_named(name, unpublished=True)
        self.aliases.nudge_named(name)

    def _references_changed(self, name: Name, numbers: frozenset[str]) -> None:
        """An alias refers to other numbers than before: those say so, and retention may let one go."""
        self.versions.nudge_numbers(name, numbers)
        for uid in self._named.get(name, ()):
            function = self._functions.get(uid)
            if isinstance(function, FunctionObject) and function.spec.version_retention is not None:
                self._nudge(uid)

    def _count(self, namespace: str, change: int) -> None:
        before = self._inhabitants[namespace]
        self._inhabitants[namespace] = before + change
        if not before + change:
            del self._inhabitants[namespace]
        if not before or not before + change:
            self.moved.set()

    def _rename(
        self,
        uid: str,
        before: Shown | None,
        after: Shown | None,
    ) -> set[str]:
        """Keep the index by function name; the uids for which older and younger may have changed."""
        old, new = _place(before), _place(after)
        rivals: set[str] = set()
        if old is not None and old != new:
            self._named[old].discard(uid)
            rivals |= self._named[old]
            if not self._named[old]:
                del self._named[old]
        if new is not None and (old != new or _deleting(before) != _deleting(after)):
            self._named.setdefault(new, set()).add(uid)
            rivals |= self._named[new]
        return rivals

    # --- pods ---------------------------------------------------------------------------------------------------

    def put_pod(self, body: dict[str, Any]) -> None:
        """A pod as the API server shows it, in an event, a list or an answer to us."""
        pod = EnvironmentPod.from_kubernetes(body)
        if pod is None or not self._freshness.is_news(pod.uid, body):
            return
        scope = pod.key.scope
        pods = self._pods.setdefault(scope[0], {}).setdefault(scope[1], {})
        before = pods.get(pod.name)
        pods[pod.name] = pod
        self._pod_homes[pod.uid] = (scope, pod.name)
        if pod != before:
            self.nudge_owner(scope)

    def drop_pod(self, uid: str) -> None:
        """A pod is gone."""
        self._freshness.bury(uid)
        home = self._pod_homes.pop(uid, None)
        if home is None:
            return
        (function, version), name = home
        versions = self._pods.get(function, {})
        pods = versions.get(version, {})
        if name in pods and pods[name].uid == uid:
            del pods[name]
            if not pods:
                del versions[version]
            if not versions:
                del self._pods[function]
        self.nudge_owner(home[0])

    def nudge_owner(self, scope: Scope) -> None:
        """Something about the environments of a function's version has changed; nobody hears where nobody owns them."""
        owner = self.owner(scope)
        if owner is not None:
            self._nudge(owner)

    def mark_deleting(self, pod: EnvironmentPod) -> None:
        """We asked for this pod's end; events will follow."""
        pods = self._pods.get(pod.key.function_uid, {}).get(pod.key.version, {})
        if pod.name in pods and pods[pod.name].uid == pod.uid:
            pods[pod.name] = replace(pods[pod.name], deleting=True)

    # --- namespaces ---------------------------------------------------------------------------------------------

    def put_namespace(self, body: dict[str, Any]) -> None:
        """A namespace as the API server shows it: its account may have been set."""
        metadata = body["metadata"]
        annotated = (metadata.get("annotations") or {}).get(names.ANNOTATION_ACCOUNT_ID)
        account = account_id(metadata["uid"], annotated)
        if self._accounts.get(metadata["name"]) == account:
            return
        self._accounts[metadata["name"]] = account
        for uid, function in self._functions.items():
            if function.namespace == metadata["name"]:
                self._nudge(uid)
        for book in (self.layers, self.versions, self.aliases):
            book.nudge_all(metadata["name"])

    def drop_namespace(self, name: str) -> None:
        """A namespace is gone; what was in it goes with its own events."""
        self._accounts.pop(name, None)

    # --- lists --------------------------------------------------------------------------------------------------

    def put_functions(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """A page of a list; returns the uids."""
        return put_each(self.put_function, bodies)

    def keep_functions(self, listed: set[str], version: int) -> None:
        """These are all that a list of this resource version holds: what it lacks and is not newer is gone."""
        for uid in self._freshness.lacking(self._functions, listed, version):
            self.drop_function(uid)

    def put_pods(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """The same for pods."""
        return put_each(self.put_pod, bodies)

    def keep_pods(self, listed: set[str], version: int) -> None:
        """The same for pods."""
        for uid in self._freshness.lacking(self._pod_homes, listed, version):
            self.drop_pod(uid)

    def put_namespaces(self, bodies: Iterable[dict[str, Any]]) -> None:
        """A page of a list."""
        put_each(self.put_namespace, bodies)


def _parse(body: dict[str, Any]) -> Shown:
    return read("Function", lambda found: _slim(FunctionObject.from_kubernetes(found)), FunctionStatus, body)


def _slim(function: FunctionObject) -> FunctionObject:
    """Without the text of code that has been obtained: ten thousand archives are not held for nothing."""
    if function.status.observed_generation != function.generation:
        return function
    return function.model_copy(update={"spec": code_texts.leave_out(function.spec)})


def _place(function: Shown | None) -> tuple[str, str] | None:
    return (function.namespace, function.function_name) if isinstance(function, FunctionObject) else None


def _deleting(function: Shown | None) -> bool:
    return isinstance(function, FunctionObject) and function.deleting

"""Functions, Versions, Aliases, Namespaces and pods as observed, into the routing table and the environments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from lambent.adapters.kube.observing import Changed, Deleted, Listed, Observation
from lambent.core.routes import Change
from lambent.core.routing import RoutingTable
from lambent.model import names
from lambent.model.aliases import AliasObject
from lambent.model.environments import EnvironmentPod
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject

from .accounts import Accounts
from .environments import Environments
from .hook_reports import HookReports
from .measuring import Measures

log = logging.getLogger(__name__)

_AFTER_A_BUG_SECONDS = 1.0
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What reading an object raises that is not as we expect. Only the type is logged: messages quote values."""


class Source(Protocol):
    """Where observations come from: endless streams that begin with everything there is."""

    def functions(self, namespace: str | None) -> AsyncIterator[Observation]:
        """Functions of one namespace, or of all."""

    def versions(self, namespace: str | None) -> AsyncIterator[Observation]:
        """Versions of one namespace, or of all."""

    def aliases(self, namespace: str | None) -> AsyncIterator[Observation]:
        """Aliases of one namespace, or of all."""

    def pods(self, namespace: str | None) -> AsyncIterator[Observation]:
        """Pods of execution environments of one namespace, or of all."""

    def namespaces(self) -> AsyncIterator[Observation]:
        """Namespaces that are watched."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is done with the objects of one kind."""

    word: str
    observe: Callable[[dict[str, Any]], list[Change]]
    """Raises one of _MALFORMED for an object that cannot be read; its last good state stays."""
    forget: Callable[[str, str], list[Change]]
    """By namespace and name."""
    known: Callable[[], Iterable[tuple[str, str]]]


class Watching:
    """Applies observations. `synced` is set once every stream has shown all there is."""

    def __init__(
        self,
        table: RoutingTable,
        reports: HookReports,
        environments: Environments,
        measures: Measures,
        accounts: Accounts,
    ) -> None:
        self._table = table
        self._reports = reports
        self._pools = environments.pools
        self._environments = environments
        self._measures = measures
        self._accounts = accounts
        self._functions = _Kind(
            "function",
            lambda body: table.observe_function(FunctionObject.from_kubernetes(body)),
            table.forget_function,
            table.objects,
        )
        self._versions = _Kind(
            "version",
            lambda body: table.observe_version(VersionObject.from_kubernetes(body)),
            table.forget_version,
            table.version_objects,
        )
        self._aliases = _Kind("alias", self._alias_seen, self._alias_gone, table.alias_objects)
        self._behind: set[str] = {"anything"}
        self.synced = asyncio.Event()

    @property
    def behind(self) -> set[str]:
        """Streams that have not shown anything yet."""
        return self._behind

    async def run(self, source: Source, namespaces: tuple[str, ...]) -> None:
        """Watch until cancelled."""
        self._behind = {"namespaces"}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow("namespaces", source.namespaces, self.apply_namespaces))
            for namespace in namespaces or (None,):
                for kind, stream, apply in (
                    ("functions", source.functions, self.apply_functions),
                    ("versions", source.versions, self.apply_versions),
                    ("aliases", source.aliases, self.apply_aliases),
                    ("pods", source.pods, self.apply_pods),
                ):
                    name = f"{kind} of {namespace or 'all namespaces'}"
                    self._behind.add(name)
                    group.create_task(self._follow_in(name, namespace, stream, apply))

    async def _follow_in(
        self,
        name: str,
        namespace: str | None,
        stream: Callable[[str | None], AsyncIterator[Observation]],
        apply: Callable[[Observation, str | None], None],
    ) -> None:
        await self._follow(name, lambda: stream(namespace), lambda observation: apply(observation, namespace))

    async def _follow(
        self, name: str, stream: Callable[[], AsyncIterator[Observation]], apply: Callable[[Observation], None]
    ) -> None:
        while True:
            try:
                async for observation in stream():
                    apply(observation)
                    self._caught_up(name)
            except Exception:
                log.exception("watching %s failed; watching anew", name)
            await asyncio.sleep(_AFTER_A_BUG_SECONDS)

    def _caught_up(self, name: str) -> None:
        self._behind.discard(name)
        if not self._behind:
            self.synced.set()

    # --- namespaces ---------------------------------------------------------------------------------------------

    def apply_namespaces(self, observation: Observation) -> None:
        """Namespaces are accounts."""
        match observation:
            case Listed(objects):
                gone = set(self._table.namespaces()) - {body["metadata"]["name"] for body in objects}
                for body in objects:
                    self._namespace_seen(body)
                for name in gone:
                    self._namespace_gone(name)
            case Changed(body):
                self._namespace_seen(body)
            case Deleted(body):
                self._namespace_gone(body["metadata"]["name"])

    def _namespace_seen(self, body: dict[str, Any]) -> None:
        metadata = body["metadata"]
        annotations, created = metadata.get("annotations") or {}, metadata.get("creationTimestamp", "")
        account = annotations.get(names.ANNOTATION_ACCOUNT_ID)
        self._accounts.observe(metadata["name"], annotations.get(names.ANNOTATION_CONCURRENCY))
        self._changed(self._table.observe_namespace(metadata["name"], metadata["uid"], created, account))

    def _namespace_gone(self, name: str) -> None:
        self._accounts.forget(name)
        self._table.forget_namespace(name)

    # --- functions, versions, aliases ---------------------------------------------------------------------------

    def apply_functions(self, observation: Observation, namespace: str | None = None) -> None:
        """Functions become routes."""
        self._apply(observation, namespace, self._functions)

    def apply_versions(self, observation: Observation, namespace: str | None = None) -> None:
        """Versions become routes."""
        self._apply(observation, namespace, self._versions)

    def apply_aliases(self, observation: Observation, namespace: str | None = None) -> None:
        """Aliases lead to routes, and their hooks report here."""
        self._apply(observation, namespace, self._aliases)

    def _apply(self, observation: Observation, namespace: str | None, kind: _Kind) -> None:
        match observation:
            case Listed(objects):
                there = {(body["metadata"]["namespace"], body["metadata"]["name"]) for body in objects}
                for body in objects:
                    self._seen(kind, body)
                for place in list(kind.known()):
                    if place not in there and namespace in (None, place[0]):
                        self._changed(kind.forget(*place))
            case Changed(body):
                self._seen(kind, body)
            case Deleted(body):
                self._changed(kind.forget(body["metadata"]["namespace"], body["metadata"]["name"]))

    def _seen(self, kind: _Kind, body: dict[str, Any]) -> None:
        try:
            changes = kind.observe(body)
        except _MALFORMED as error:  # one malformed object never stops the others
            log.warning(
                "%s %s cannot be read: %s", kind.word, body.get("metadata", {}).get("name"), type(error).__name__
            )
            return
        self._changed(changes)

    def _alias_seen(self, body: dict[str, Any]) -> list[Change]:
        alias = AliasObject.from_kubernetes(body)
        self._table.observe_alias(alias)
        self._reports.observe(alias, str(body["metadata"].get("resourceVersion", "")))
        return []

    def _alias_gone(self, namespace: str, name: str) -> list[Change]:
        self._table.forget_alias(namespace, name)
        self._reports.forget(namespace, name)
        return []

    def _changed(self, changes: list[Change]) -> None:
        for change in changes:
            route = change.before or change.after
            if route is None:
                continue
            self._pools.apply(change)
            if change.gone:
                self._measures.forget(route)
            else:
                self._environments.consider_version(change.uid, change.version)

    # --- pods ---------------------------------------------------------------------------------------------------

    def apply_pods(self, observation: Observation, namespace: str | None = None) -> None:
        """Pods are environments."""
        match observation:
            case Listed(objects):
                there = set()
                for body in objects:
                    there.add(self._pod_seen(body))
                for environment in list(self._environments.all()):
                    if environment.name not in there and namespace in (None, environment.pod.namespace):
                        self._environments.forget(environment.name)
            case Changed(body):
                self._pod_seen(body)
            case Deleted(body):
                self._environments.forget(self._pod_seen(body, gone=True))

    def _pod_seen(self, body: dict[str, Any], *, gone: bool = False) -> str:
        """Apply one pod; returns its `namespace/name`."""
        metadata = body["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}"
        try:
            pod = EnvironmentPod.from_kubernetes(body)
            if pod is None:
                log.warning("pod %s is labelled as an environment but is none", name)
            elif not gone or self._environments.find(name) is not None:
                self._environments.observe(pod)
        except _MALFORMED as error:  # as for functions
            log.warning("pod %s cannot be used: %s", name, type(error).__name__)
        return name

"""Watches of what Functions refer to: metadata of objects, in the namespaces where it matters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.observing import Changed, Deleted, Listed, Observation, Pace, observe
from lambent.adapters.kube.resources import CLAIMS_METADATA, CONFIG_MAPS_METADATA, SECRETS_METADATA, Resource
from lambent.controller.referring import ReferenceBoard, Scope
from lambent.core.references import Kind, Reference
from lambent.model.errors import Refused, Unavailable

log = logging.getLogger(__name__)

_RESOURCES: Mapping[Kind, Resource] = {
    "Secret": SECRETS_METADATA,
    "ConfigMap": CONFIG_MAPS_METADATA,
    "PersistentVolumeClaim": CLAIMS_METADATA,
}

NAMESPACES_MAX = 32
"""A watch is a connection: where more namespaces than that refer to a kind, one watch of all of them is cheaper."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the watches are kept."""

    everywhere: bool
    """Whether the installation works on all namespaces, and so may watch all of them at once."""
    pace: Pace = field(default_factory=Pace)
    refused_wait: float = 30.0
    broken_wait: float = 5.0


class ReferenceWatches:
    """As many watches as the board needs."""

    def __init__(self, client: KubeClient, board: ReferenceBoard, manner: Manner) -> None:
        self._client = client
        self._board = board
        self._manner = manner
        self._tasks: dict[Scope, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Keep them until cancelled."""
        try:
            while True:
                await self._board.changed.wait()
                self._board.changed.clear()
                self._adjust()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._tasks.clear()

    def scopes(self) -> set[Scope]:
        """What is watched now."""
        return set(self._tasks)

    def _adjust(self) -> None:
        wanted: set[Scope] = set()
        for kind, namespaces in self._board.needed().items():
            wide = (kind, None) in self._tasks or (self._manner.everywhere and len(namespaces) > NAMESPACES_MAX)
            wanted |= {(kind, None)} if wide else {(kind, namespace) for namespace in namespaces}
        for scope in self._tasks.keys() - wanted:
            self._tasks.pop(scope).cancel()
            if (scope[0], None) not in wanted:  # else what is known stays known until the wider watch has listed
                self._board.unwatch(*scope)
        for scope in wanted - self._tasks.keys():
            self._tasks[scope] = asyncio.create_task(self._follow(*scope), name=f"references {scope}")

    async def _follow(self, kind: Kind, namespace: str | None) -> None:
        """One watch, for ever."""
        while True:
            try:
                await self._await_right(kind, namespace)
                resource = _RESOURCES[kind]
                async for seen in observe(self._client, resource, namespace=namespace, pace=self._manner.pace):
                    _note(self._board, kind, namespace, seen)
            except Exception:  # observers wait out what the API server does; this is something else
                log.exception("watching %ss of %s", kind, namespace or "all namespaces")
                await asyncio.sleep(self._manner.broken_wait)

    async def _await_right(self, kind: Kind, namespace: str | None) -> None:
        """Returns when they may be listed; says so while they may not."""
        resource = _RESOURCES[kind]
        path, accept = resource.collection(namespace), resource.accept(listing=True)
        while True:
            try:
                await self._client.request("GET", path, query={"limit": 1}, accept=accept)
            except Refused as error:
                log.error("%ss that functions refer to cannot be looked up: %s", kind, error)  # noqa: TRY400 - said
                self._board.refuse(kind, namespace, str(error))
                await asyncio.sleep(self._manner.refused_wait * (0.5 + self._manner.pace.dice() / 2))
            except Unavailable as error:
                log.warning("%s: %s", path, error)
                await asyncio.sleep(max(self._manner.pace.wait(3), error.retry_after or 0.0))
            else:
                return


def _note(board: ReferenceBoard, kind: Kind, namespace: str | None, seen: Observation) -> None:
    match seen:
        case Listed(objects):
            board.replace(kind, namespace, [_identity(body) for body in objects])
        case Changed(body):
            space, name, version = _identity(body)
            board.put(space, Reference(kind, name), version)
        case Deleted(body):
            space, name, _ = _identity(body)
            board.drop(space, Reference(kind, name))


def _identity(body: dict[str, Any]) -> tuple[str, str, str]:
    metadata = body["metadata"]
    return metadata["namespace"], metadata["name"], str(metadata.get("resourceVersion", ""))

"""Lists of everything: before the first decision, and now and then for what no event told.

Two things kopf leaves open are closed here: when the first list is complete (decisions have to wait for it), and what
was deleted while a watch was broken (kopf's lists do not say).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import (
    ALIASES,
    FUNCTIONS,
    LAYER_VERSIONS,
    LAYERS,
    NAMESPACES,
    PODS,
    VERSIONS,
    Resource,
)
from lambent.controller.store import Store
from lambent.model import names
from lambent.model.errors import Refused, Unavailable

log = logging.getLogger(__name__)

PAGE = 500
SWEEP_SECONDS = 300.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 15.0


class Sweeper:
    """Lists everything: once before the first decision, then now and then for what no event told."""

    def __init__(self, client: KubeClient, store: Store, namespaces: tuple[str, ...]) -> None:
        self._client = client
        self._store = store
        self._namespaces = namespaces or (None,)

    async def sweep(self) -> None:
        """One round. Raises Unavailable or Refused."""
        async for bodies, _ in self._pages(NAMESPACES, None):
            self._store.put_namespaces(bodies)
        layers = self._store.layers  # before Functions: what they name is known when they are looked at
        listed, version = await self._take(LAYER_VERSIONS, "", layers.put_versions)
        layers.keep_versions(listed, version)
        listed, version = await self._take(LAYERS, "", layers.put_layers)
        layers.keep_layers(listed, version)
        versions, aliases = self._store.versions, self._store.aliases
        listed, version = await self._take(VERSIONS, "", versions.put_versions)
        versions.keep_versions(listed, version)
        listed, version = await self._take(ALIASES, "", aliases.put_aliases)
        aliases.keep_aliases(listed, version)
        functions, version = await self._take(FUNCTIONS, "", self._store.put_functions)
        self._store.keep_functions(functions, version)
        pods, version = await self._take(PODS, names.ENVIRONMENT_SELECTOR, self._store.put_pods)
        self._store.keep_pods(pods, version)

    async def first(self) -> None:
        """One round, however long the API server is away. Raises Refused: without rights there is nothing to do."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return await self.sweep()
            except Unavailable as error:
                log.warning("nothing is decided before everything was seen; again in %.0f s: %s", wait, error)
                await asyncio.sleep(wait * (0.5 + random.random() / 2))
                wait = min(LONGEST_WAIT_SECONDS, wait * 2)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS * (0.9 + random.random() / 5))
            try:
                await self.sweep()
            except (Refused, Unavailable) as error:
                log.warning("sweep: %s", error)

    async def _take(
        self, resource: Resource, selector: str, put: Callable[[list[dict[str, Any]]], set[str]]
    ) -> tuple[set[str], int]:
        """The uids of all there are, and the resource version of which that is true."""
        listed: set[str] = set()
        oldest: int | None = None
        for namespace in self._namespaces:
            async for bodies, version in self._pages(resource, namespace, selector):
                listed |= put(bodies)
                oldest = version if oldest is None else min(oldest, version)
                await asyncio.sleep(0)  # thousands of objects are looked at: others have their turn in between
        return listed, oldest or 0

    async def _pages(
        self, resource: Resource, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        """Page by page: never all at once, what is kept of an object is a small part of it."""
        query: dict[str, str | int] = {"limit": PAGE}
        if selector:
            query["labelSelector"] = selector
        while True:
            answer = await self._client.request("GET", resource.collection(namespace), query=query)
            metadata = answer.get("metadata") or {}
            # every page is served from the moment of the first
            yield answer.get("items") or [], int(metadata.get("resourceVersion") or 0)
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

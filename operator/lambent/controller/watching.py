"""kopf at the edge: its events fill the store, and nothing else happens in a handler.

No change handlers, daemons, timers, finalizers or annotations: those would block deletion while the controller is
down, or write to the objects. Two things kopf leaves open are closed here: when the first list is complete (decisions
have to wait for it), and what was deleted while a watch was broken (kopf's lists do not say): both by lists of our own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any, cast

import kopf

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import FUNCTIONS, NAMESPACES, PODS, Resource
from lambent.controller.store import Store
from lambent.model import names
from lambent.model.errors import Refused, Unavailable

log = logging.getLogger(__name__)

PAGE = 500
SWEEP_SECONDS = 300.0


def registry_for(store: Store) -> kopf.OperatorRegistry:
    """Handlers that put what they are shown into the store."""
    registry = kopf.OperatorRegistry()

    def login(**kwargs: Any) -> Any:
        in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")
        return kopf.login_with_service_account(**kwargs) if in_cluster else kopf.login_with_kubeconfig(**kwargs)

    async def function_event(event: Any, **_: Any) -> None:
        _take(event, store.put_function, store.drop_function)

    async def pod_event(event: Any, **_: Any) -> None:
        _take(event, store.put_pod, store.drop_pod)

    async def namespace_event(event: Any, **_: Any) -> None:
        if event["type"] == "DELETED":
            store.drop_namespace(event["object"]["metadata"]["name"])
        else:
            store.put_namespace(event["object"])

    kopf.on.login(registry=registry)(login)
    kopf.on.event(names.GROUP, names.VERSION, FUNCTIONS.plural, registry=registry)(function_event)
    kopf.on.event("", "v1", PODS.plural, registry=registry)(pod_event)
    kopf.on.event("", "v1", NAMESPACES.plural, registry=registry)(namespace_event)
    return registry


def _take(event: Any, put: Callable[[dict[str, Any]], None], drop: Callable[[str], None]) -> None:
    body = event["object"]
    if event["type"] == "DELETED":
        drop(body["metadata"]["uid"])
    else:
        put(body)


def settings_for() -> kopf.OperatorSettings:
    """Settings that make kopf as quiet as it can be."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.watching.label_selectors["", "v1", PODS.plural] = names.ENVIRONMENT_SELECTOR
    settings.scanning.disabled = True  # kinds and namespaces are fixed at start: no rights on CustomResourceDefinitions
    settings.watching.chunk_size = PAGE
    settings.watching.inactivity_timeout = 70.0  # bookmarks come about once a minute
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    settings.process.ultimate_exiting_timeout = None  # the kubelet sees to that
    return settings


async def watch(store: Store, namespaces: tuple[str, ...], started: asyncio.Event, stop: asyncio.Event) -> None:
    """Run kopf until told to stop, or broken. `started` is set when it has taken over the process's signals."""
    await kopf.operator(
        registry=registry_for(store),
        settings=settings_for(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        identity=cast(Any, "lambent-controller"),  # else kopf asks who the user is, and a numeric uid has no name
        ready_flag=started,
        stop_flag=stop,
    )


class Sweeper:
    """Lists everything: once before the first decision, then now and then for what no event told."""

    def __init__(self, client: KubeClient, store: Store, namespaces: tuple[str, ...]) -> None:
        self._client = client
        self._store = store
        self._namespaces = namespaces or (None,)

    async def sweep(self) -> None:
        """One round. Raises Unavailable or Refused."""
        bodies, _ = await self._list(NAMESPACES, None)
        for body in bodies:
            self._store.put_namespace(body)
        functions, version = await self._list_all(FUNCTIONS, "")
        self._store.replace_functions(functions, version)
        pods, version = await self._list_all(PODS, names.ENVIRONMENT_SELECTOR)
        self._store.replace_pods(pods, version)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except (Refused, Unavailable) as error:
                log.warning("sweep: %s", error)

    async def _list_all(self, resource: Resource, selector: str) -> tuple[list[dict[str, Any]], int]:
        found: list[dict[str, Any]] = []
        oldest: int | None = None
        for namespace in self._namespaces:
            bodies, version = await self._list(resource, namespace, selector)
            found += bodies
            oldest = version if oldest is None else min(oldest, version)
        return found, oldest or 0

    async def _list(
        self, resource: Resource, namespace: str | None, selector: str = ""
    ) -> tuple[list[dict[str, Any]], int]:
        query: dict[str, str | int] = {"limit": PAGE}
        if selector:
            query["labelSelector"] = selector
        bodies: list[dict[str, Any]] = []
        while True:
            answer = await self._client.request("GET", resource.collection(namespace), query=query)
            bodies += answer.get("items") or []
            metadata = answer["metadata"]
            if not metadata.get("continue"):
                # of all pages the version of the first: later ones are served from the same moment
                return bodies, int(metadata.get("resourceVersion") or 0)
            query["continue"] = metadata["continue"]

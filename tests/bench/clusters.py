"""A real API server for the bench: a namespace of its own, Functions made and watched in it, and all of it deleted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.observing import Changed, Deleted, Listed, observe
from lambent.adapters.kube.resources import ALIASES, EVENTS, FUNCTIONS, NAMESPACES, NETWORK_POLICIES, VERSIONS, Resource
from lambent.model.errors import Refused, Unavailable

from . import places

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)
CRD_FILES = tuple(places.ROOT / "crds" / f"{kind}.yaml" for kind in ("functions", "versions", "aliases"))
DELETING_S = 600.0


class NoCluster(Exception):
    """Nothing to run against; the message is the reason for not-run."""


def kubeconfig() -> Path:
    """KUBECONFIG, else the local node's (`make cluster`). Raises NoCluster."""
    path = Path(os.environ.get("KUBECONFIG") or places.state() / "node" / "kubeconfig")
    if not path.exists():
        raise NoCluster("needs-a-cluster")
    return path


@dataclass(slots=True)
class Readiness:
    """When each Function of the namespace was first seen Ready, on the clock of `time.monotonic`."""

    ready: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, body: dict[str, Any]) -> None:
        """One object as observed."""
        name, status = body["metadata"]["name"], body.get("status") or {}
        conditions = status.get("conditions") or []
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        if ready and name not in self.ready:
            self.ready[name] = time.monotonic()
            self.changed.set()

    async def wait(self, names: Iterable[str], patience: float) -> None:
        """Until all of them are Ready. Raises TimeoutError."""
        missing = set(names)
        async with asyncio.timeout(patience):
            while missing := {name for name in missing if name not in self.ready}:
                self.changed.clear()
                await self.changed.wait()


@dataclass(frozen=True, slots=True)
class Cluster:
    """One namespace, as long as the bench runs."""

    client: KubeClient
    namespace: str
    readiness: Readiness

    async def create(self, name: str) -> None:
        """A Function of the usual size: a kilobyte of source, a few variables."""
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Function",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "runtime": "python3.11",
                "handler": "index.handler",
                "memorySize": 256,
                "timeout": 10,
                "environment": {"variables": {"STAGE": "bench", "NAME": name, "ENDPOINT": "https://example.com/api"}},
                "code": {"inline": source(name)},
            },
        }
        await self.client.request("POST", FUNCTIONS.collection(self.namespace), body=body)

    async def create_all(self, names: list[str], clients: int = 32) -> None:
        """Many, as fast as so many clients can."""
        waiting = iter(names)

        async def work() -> None:
            for name in waiting:
                await self.create(name)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(clients):
                tasks.create_task(work())

    async def versions(self) -> dict[str, str]:
        """Every object of the namespace that a controller might write, with its resourceVersion."""
        found = {}
        for resource in (FUNCTIONS, EVENTS, NETWORK_POLICIES):
            async for body in self._list(resource):
                found[f"{resource.plural}/{body['metadata']['name']}"] = body["metadata"]["resourceVersion"]
        return found

    async def _list(self, resource: Resource) -> AsyncIterator[dict[str, Any]]:
        query: dict[str, str | int] = {"limit": 1000}
        while True:
            answer = await self.client.request("GET", resource.collection(self.namespace), query=query)
            for body in answer["items"]:
                yield body
            if not (after := answer["metadata"].get("continue")):
                return
            query["continue"] = after


def source(name: str) -> str:
    """A kilobyte of Python, different for every Function."""
    filler = "\n".join(f"# line {number} of a function that somebody wrote for {name}" for number in range(16))
    return f'{filler}\n\ndef handler(event, context):\n    return {{"name": "{name}", "event": event}}\n'


@contextlib.asynccontextmanager
async def cluster(name: str) -> AsyncIterator[Cluster]:
    """A namespace with a watch on its Functions; deleted at the end with everything in it."""
    os.environ["KUBECONFIG"] = str(kubeconfig())
    namespace = f"bench-{name}-{secrets.token_hex(3)}"
    async with await KubeClient.connect() as client, _kinds(client):
        body = {"metadata": {"name": namespace}}
        await client.request("POST", NAMESPACES.collection(), body=body)
        readiness = Readiness()
        watching = asyncio.create_task(follow(client, FUNCTIONS, namespace, readiness.note))
        try:
            yield Cluster(client, namespace, readiness)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await _delete(client, namespace)


async def follow(client: KubeClient, kind: Resource, namespace: str, note: Callable[[dict[str, Any]], None]) -> None:
    """Note every object of a kind as it is seen, for ever."""
    async for seen in observe(client, kind, namespace=namespace):
        match seen:
            case Listed(objects):
                for body in objects:
                    note(body)
            case Changed(body):
                note(body)
            case Deleted():
                pass


@contextlib.asynccontextmanager
async def _kinds(client: KubeClient) -> AsyncIterator[None]:
    """The kinds exist, and those that did not before are gone afterwards."""
    made = []
    try:
        for file in CRD_FILES:
            body = yaml.safe_load(file.read_text(encoding="utf-8"))
            name = body["metadata"]["name"]
            try:
                await client.request("GET", CRDS.item(None, name))
            except Refused as error:
                if error.status != 404:
                    raise
                await client.request("POST", CRDS.collection(), body=body)
                made.append(name)
        if made:
            await asyncio.sleep(3)  # until they are served everywhere
        yield
    finally:
        for name in made:
            await client.request("DELETE", CRDS.item(None, name), timeout=DELETING_S)


async def _delete(client: KubeClient, namespace: str) -> None:
    """Page by page: the API server gives up on a request that takes a minute, and a namespace takes its time."""
    limit = time.monotonic() + DELETING_S
    for resource in (ALIASES, VERSIONS, FUNCTIONS, EVENTS):
        path = resource.collection(namespace)
        while time.monotonic() < limit:
            try:
                await client.request("DELETE", path, query={"limit": 500}, timeout=90)
                answer = await client.request("GET", path, query={"limit": 1})
            except Unavailable:
                continue
            if not answer["items"]:
                break
    await client.request("DELETE", NAMESPACES.item(None, namespace))

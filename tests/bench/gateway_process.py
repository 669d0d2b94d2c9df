"""A real gateway as its own process: one Function and pods that are agents on loopback.

They come from a static source, or from the API server at `server`, as `lambent gateway` reads them.

Everything between the doors is `lambent.gateway.assembling`, as `lambent gateway` runs it; only what comes from the
cluster is handed in. JSON settings on stdin (see `gateways`); a JSON line with the public port goes to `ready` once
every environment is claimed and idle.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from kubernetes.aio.client import ApiClient, Configuration

from lambent.adapters.agents.doors import AgentDoor
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.observing import Listed, Observation
from lambent.gateway.assembling import Callers, Gateway, Outside
from lambent.gateway.environments import Phase
from lambent.gateway.process import KubeSource
from lambent.gateway.settings import KUBERNETES, NONE, Settings
from lambent.gateway.watching import Source
from lambent.model import names
from lambent.model.environments import EnvironmentPod
from lambent.model.errors import Unavailable
from lambent.model.identities import Identity
from lambent.wire.agent_tokens import agent_token

NAMESPACE, UID, POD_REVISION = "bench", "11111111-2222-3333-4444-555555555555", "fedcba9876543210"
CREATED = "2026-01-01T00:00:00Z"


class StaticSource:
    """A cluster in which nothing ever changes."""

    def __init__(self, function: dict[str, Any], pods: list[dict[str, Any]]) -> None:
        self._function, self._pods = function, pods

    async def functions(self, namespace: str | None) -> AsyncIterator[Observation]:
        """One Function."""
        yield Listed([self._function])
        await asyncio.Event().wait()

    async def versions(self, namespace: str | None) -> AsyncIterator[Observation]:
        """None."""
        yield Listed([])
        await asyncio.Event().wait()

    async def aliases(self, namespace: str | None) -> AsyncIterator[Observation]:
        """None."""
        yield Listed([])
        await asyncio.Event().wait()

    async def pods(self, namespace: str | None) -> AsyncIterator[Observation]:
        """Every environment."""
        yield Listed(self._pods)
        await asyncio.Event().wait()

    async def namespaces(self) -> AsyncIterator[Observation]:
        """One account."""
        account = {names.ANNOTATION_ACCOUNT_ID: "123456789012"}
        metadata = {"name": NAMESPACE, "uid": "namespace", "creationTimestamp": CREATED, "annotations": account}
        yield Listed([{"metadata": metadata}])
        await asyncio.Event().wait()


class OneBlob:
    """A code store with one package."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    async def get(self, signed_path: str, limit: int) -> bytes:
        """Whatever is asked for."""
        return self._blob


def function_object(settings: dict[str, Any], package: bytes) -> dict[str, Any]:
    """As the controller has left it: Ready, with its code's digest and its revisions."""
    return {
        "metadata": {
            "name": settings["function"],
            "namespace": NAMESPACE,
            "uid": UID,
            "generation": 1,
            "creationTimestamp": CREATED,
        },
        "spec": {
            "runtime": settings["runtime"],
            "handler": settings["handler"],
            "timeout": 3,
            "memorySize": 1769,
            "code": {"zipFile": "unused"},
        },
        "status": {
            "observedGeneration": 1,
            "codeSha256": base64.b64encode(hashlib.sha256(package).digest()).decode(),
            "codeSize": len(package),
            "revision": "0123456789abcdef",
            "podRevision": POD_REVISION,
        },
    }


def pod_object(agent: dict[str, Any]) -> dict[str, Any]:
    """One running environment."""
    labels = {
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_COMPONENT: names.COMPONENT_ENVIRONMENT,
        names.LABEL_FUNCTION_UID: UID,
        names.LABEL_VERSION: agent.get("version", names.VERSION_LATEST_LABEL),
        names.LABEL_POD_REVISION: agent.get("podRevision", POD_REVISION),
    }
    return {
        "metadata": {
            "name": agent["name"],
            "namespace": NAMESPACE,
            "uid": f"uid-{agent['name']}",
            "creationTimestamp": CREATED,
            "labels": labels,
            "annotations": {names.ANNOTATION_NONCE: agent["nonce"]},
        },
        "status": {
            "phase": "Running",
            "podIP": agent["host"],
            "containerStatuses": [{"name": names.CONTAINER_ENVIRONMENT, "state": {"running": {}}}],
        },
    }


def door_maker(key: bytes, ports: dict[str, int]) -> Callable[[EnvironmentPod, Callable[[], None]], AgentDoor]:
    """As the gateway's own, but every environment of loopback has a port of its own."""

    def make(pod: EnvironmentPod, lost: Callable[[], None]) -> AgentDoor:
        token = agent_token(key, pod.namespace, pod.name, pod.nonce)
        return AgentDoor(pod.ip or "", ports[pod.name], token, lost)

    return make


def callers(caller: str | None) -> Callers:
    """An API server that knows one token, whose user may invoke everything; it takes two milliseconds to say so."""

    async def internal(token: str) -> Identity | None:
        return None

    async def public(token: str) -> Identity | None:
        await asyncio.sleep(0.002)
        return Identity(f"system:serviceaccount:{NAMESPACE}:caller") if token == caller else None

    async def authorize(identity: Identity, namespace: str, name: str) -> bool:
        await asyncio.sleep(0.002)
        return True

    return Callers(internal, public, authorize)


async def no_hooks(namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Nothing is rolled out here."""
    raise Unavailable("there is no API server")


@contextlib.asynccontextmanager
async def source_of(settings: dict[str, Any], package: bytes) -> AsyncIterator[Source]:
    """What never changes, or an API server."""
    if not settings.get("server"):
        pods = [pod_object(agent) for agent in settings["agents"]]
        yield StaticSource(function_object(settings, package), pods)
        return
    async with KubeClient(ApiClient(Configuration(host=settings["server"]))) as client:
        yield KubeSource(client, ())


async def serve(settings: dict[str, Any]) -> None:
    """Until told to end."""
    package = base64.b64decode(settings["package"])
    async with source_of(settings, package) as source:
        await serve_from(source, settings, package)


async def serve_from(source: Source, settings: dict[str, Any], package: bytes) -> None:
    """Until told to end."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stop.set)
    key = bytes.fromhex(settings["key"])
    outside = Outside(
        source=source,
        blobs=OneBlob(package),
        callers=callers(settings["token"]),
        make_door=door_maker(key, {agent["name"]: agent["port"] for agent in settings["agents"]}),
        apply_alias_status=no_hooks,
        clock=time.time,
    )
    told = Settings(
        agent_key=key,
        url_key=key,
        default_namespace=NAMESPACE,
        auth_mode=NONE if settings["token"] is None else KUBERNETES,
        public_port=0,
        internal_port=0,
        metrics_port=0,
        host="127.0.0.1",
        linger_seconds=0.0,
        drain_seconds=0.5,
    )
    gateway = Gateway(told, outside)
    await gateway.start()
    gc.collect()
    gc.freeze()  # as `lambent.gateway.process` does
    try:
        async with asyncio.timeout(60):
            while not gateway.watching.synced.is_set() or not _all_ready(gateway, len(settings["agents"])):
                await asyncio.sleep(0.01)
        os.write(settings["ready"], json.dumps({"port": gateway.ports["public"]}).encode() + b"\n")
        os.close(settings["ready"])
        await stop.wait()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await gateway.stop()


def _all_ready(gateway: Gateway, number: int) -> bool:
    return sum(environment.phase is Phase.READY for environment in gateway.environments.all()) == number


if __name__ == "__main__":
    asyncio.run(serve(json.load(sys.stdin)))

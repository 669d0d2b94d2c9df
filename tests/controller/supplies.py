"""A shelf put together for tests: a fake API server, a real web server that is also an S3, a registry, a store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry
from tests.adapters.kube.fake_api import FakeApi
from tests.contracts.sources.servers import Server, serving
from tests.core.lying_archives import Entry, archive

from lambent.adapters.kube.resources import CONFIG_MAPS, SECRETS
from lambent.adapters.outbound.guarding import guarded_session
from lambent.adapters.sources.fetcher import Fetcher
from lambent.adapters.sources.fetching import Bounds, Fetched
from lambent.adapters.sources.spooling import Spool
from lambent.controller.measuring import ControllerMetrics
from lambent.controller.storing import CodeShelf, Suppliers
from lambent.core.readiness import Problem, ResolvedImage, StoredCode
from lambent.model.addresses import AddressPolicy
from lambent.model.errors import Unavailable
from lambent.model.functions import FunctionObject
from lambent.model.layers import LayerObject

LOCAL = AddressPolicy(allowed=(ipaddress.ip_network("127.0.0.0/8"),))
ZIP = archive(Entry())
DIGEST = hashlib.sha256(ZIP).hexdigest()
CANARIES = ("canary-key-id", "canary-secret-key", "canary-session-token", "canary-password")
IMAGE = ResolvedImage("r/i@sha256:" + "1" * 64, "1" * 64, 7, ("/e",), (), "/")


class Store:
    """A code store: blobs by digest."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.away = False
        self.held: asyncio.Event | None = None

    async def put(self, signed_path: str, data: Any) -> None:
        self.calls.append("put")
        if self.away:
            raise Unavailable("the code store is away")
        if self.held is not None:
            await self.held.wait()
        content = data if isinstance(data, bytes) else data.read()
        digest = signed_path.split("?", 1)[0].rsplit("/", 1)[-1]
        assert hashlib.sha256(content).hexdigest() == digest
        self.blobs[digest] = content

    async def has(self, signed_path: str) -> bool:
        self.calls.append("has")
        if self.away:
            raise Unavailable("the code store is away")
        return signed_path.split("?", 1)[0].rsplit("/", 1)[-1] in self.blobs


class Registry:
    """Registries as the shelf sees them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[Any]]] = []
        self.failure: Exception | None = None

    async def resolve(self, uri: str, architecture: str, credentials: Any) -> ResolvedImage:
        self.asked.append((uri, architecture, list(credentials)))
        if self.failure is not None:
            raise self.failure
        return IMAGE


class Artifacts:
    """Registries that keep archives, as the shelf sees them: by name."""

    def __init__(self) -> None:
        self.archives: dict[str, bytes] = {}
        self.asked: list[tuple[str, list[Any]]] = []

    async def find(self, uri: str, credentials: Any) -> str:
        return hashlib.sha256(self.archives[uri]).hexdigest()

    @asynccontextmanager
    async def fetch(self, uri: str, credentials: Any) -> AsyncIterator[Fetched]:
        self.asked.append((uri, list(credentials)))
        if uri not in self.archives:
            raise Unavailable(f"Artifact {uri} does not exist. Provide a valid artifact.")
        spool = Spool(10_000_000)
        spool.write(self.archives[uri])
        try:
            yield Fetched(spool, "application/zip")
        finally:
            spool.close()


class Surroundings:
    """A shelf over a fake API server, a real web server that is also an S3, and a registry."""

    def __init__(self, api: FakeApi, server: Server, fetcher: Fetcher) -> None:
        self.api, self.server = api, server
        self.store, self.registry, self.artifacts = Store(), Registry(), Artifacts()
        self.now = 1000.0
        self.nudged: list[str] = []
        self.collected = CollectorRegistry()
        self.suppliers = Suppliers(
            fetcher,
            api.client,
            self.registry,
            server.url,
            "us-east-1",
            ControllerMetrics(self.collected),
            self.artifacts,
        )
        self.restart()

    def restart(self, *, patient: bool = True) -> None:
        """A new process over the same world."""
        nudge = None if patient else self.nudged.append
        self.shelf = CodeShelf(self.store, b"key", lambda: self.now, suppliers=self.suppliers, nudge=nudge)

    def secret(self, name: str, kind: str = "Opaque", **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.api.add(SECRETS.collection("a"), {"metadata": {"name": name}, "type": kind, "data": data})

    def config_map(self, name: str, **parts: dict[str, str]) -> None:
        self.api.add(CONFIG_MAPS.collection("a"), {"metadata": {"name": name}, **parts})

    def at(self, path: str = "/code.zip", content: bytes = ZIP) -> str:
        self.server.files[path] = content
        return f"{self.server.url}{path}"

    def metric(self, source: str, outcome: str) -> float:
        labels = {"source": source, "outcome": outcome}
        return self.collected.get_sample_value("lambent_controller_fetch_seconds_count", labels) or 0.0


@asynccontextmanager
async def surroundings(api: FakeApi) -> AsyncIterator[Surroundings]:
    async with serving() as server, guarded_session(LOCAL) as guarded, aiohttp.ClientSession() as trusting:
        bounds = Bounds(total_s=20, connect_s=2, idle_s=5)
        made = Surroundings(api, server, Fetcher(guarded, trusting, bounds))
        yield made
        await made.shelf.close()


def function(code: dict[str, Any], uid: str = "1", **fields: Any) -> FunctionObject:
    spec = {"code": code, **({} if "imageUri" in code else {"runtime": "python3.11", "handler": "index.handler"})}
    status = fields.pop("status", {})
    namespace, generation = fields.pop("namespace", "a"), fields.pop("generation", 1)
    metadata = {"name": f"f{uid}", "namespace": namespace, "uid": uid, "generation": generation}
    return FunctionObject.from_kubernetes({"metadata": metadata, "spec": spec | fields, "status": status})


def layer(content: dict[str, Any], uid: str = "1", **fields: Any) -> LayerObject:
    status, generation = fields.pop("status", {}), fields.pop("generation", 1)
    metadata = {"name": f"l{uid}", "namespace": "a", "uid": uid, "generation": generation}
    return LayerObject.from_kubernetes({"metadata": metadata, "spec": {"content": content} | fields, "status": status})


def stored_status(code: StoredCode) -> dict[str, Any]:
    return {
        "codeSource": code.source,
        "codeSha256": code.sha256_base64,
        "codeSize": code.size,
        "codeUnzippedSize": code.unzipped,
        "conditions": [
            {
                "type": "CodeStored",
                "status": "True",
                "reason": "Stored",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    }


async def problem(here: Surroundings, code: dict[str, Any], **fields: Any) -> Problem:
    found = await here.shelf.obtain(function(code, **fields), {})
    assert isinstance(found, Problem), found
    assert not any(canary in found.message for canary in CANARIES)
    return found

"""Registries that the client speaks to. Each passes the same suite: Debian's own, and the fake that can also misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest

from lambent.adapters.outbound.guarding import guarded_session
from lambent.adapters.registries.client import RegistryClient
from lambent.model.addresses import AddressPolicy

from .docker_registry import PASSWORD, USER, docker_registry
from .fake_registry import FakeRegistry, serving
from .image_content import Document, push

REGISTRIES = ("docker", "docker with htpasswd", "fake", "fake with Basic", "fake with Bearer")
POLICY = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),))


@dataclass
class Room:
    """A registry, and a client that may speak to it."""

    registry: Any
    client: RegistryClient
    closed: bool

    def uri(self, name: str) -> str:
        return f"{self.registry.place}/{name}"

    async def push(self, repository: str, tag: str, document: Document) -> None:
        await push(self.registry.url, repository, tag, document, self.registry.push_token())

    def secrets(self, password: str = PASSWORD) -> list[dict[str, Any]]:
        """What opens it; nothing for an open one."""
        entry = {"username": USER, "password": password}
        return [{"auths": {self.registry.place: entry}}] if self.closed else []


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with guarded_session(POLICY) as made:
        yield made


@asynccontextmanager
async def _registry(name: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    kind, _, scheme = name.partition(" with ")
    if kind == "docker":
        yield request.getfixturevalue("closed_docker" if scheme else "open_docker")
    else:
        async with serving(FakeRegistry(scheme, users={USER: PASSWORD})) as fake:
            yield fake


@pytest.fixture(scope="session")
def open_docker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with docker_registry(tmp_path_factory.mktemp("open"), closed=False) as made:
        yield made


@pytest.fixture(scope="session")
def closed_docker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with docker_registry(tmp_path_factory.mktemp("closed"), closed=True) as made:
        yield made


@pytest.fixture(params=REGISTRIES)
async def room(request: pytest.FixtureRequest, session: aiohttp.ClientSession) -> AsyncIterator[Room]:
    async with _registry(request.param, request) as registry:
        client = RegistryClient(session, frozenset({registry.place}))
        yield Room(registry, client, " with " in request.param)

"""A registry that misbehaves on request, at the only addresses that may be dialled: all of 127.0.0.0/8 but 127.0.0.2."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.contracts.registries.fake_registry import FakeRegistry, serving
from tests.contracts.registries.image_content import Document, Image, push

from lambent.adapters.outbound.guarding import guarded_connector, guarded_session
from lambent.adapters.registries.client import RegistryClient
from lambent.model.addresses import AddressPolicy
from lambent.model.images import ImageFacts

POLICY = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),), denied=(ip_network("127.0.0.2/32"),))
REFUSED_HOST = "127.0.0.2"
APP = Image()


@dataclass
class Desk:
    """A client, its registry with APP as team/app:v1, another server that is no registry, and a clock."""

    registry: FakeRegistry
    storage: FakeRegistry
    session: aiohttp.ClientSession
    now: float = 1000.0
    insecure: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.insecure |= {self.registry.place, self.storage.place}
        self.client = self.another()

    def another(self) -> RegistryClient:
        return RegistryClient(self.session, frozenset(self.insecure), lambda: self.now)

    @property
    def uri(self) -> str:
        return f"{self.registry.place}/team/app:v1"

    def secrets(self, **entry: str) -> list[dict[str, Any]]:
        return [{"auths": {self.registry.place: entry or {"username": "robot", "password": "secret"}}}]

    async def resolve(self, uri: str = "", **options: Any) -> ImageFacts:
        return await self.client.resolve(uri or self.uri, "x86_64", **options)

    async def push(self, document: Document, name: str = "team/app:v1") -> None:
        await push(self.registry.url, *name.split(":"), document, self.registry.push_token())
        self.registry.seen.clear()

    def path(self, kind: str, name: str) -> str:
        return f"/v2/team/app/{kind}/{name}"


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with (
        serving(FakeRegistry()) as registry,
        serving(FakeRegistry()) as storage,
        guarded_session(POLICY) as session,
    ):
        made = Desk(registry, storage, session)
        await made.push(APP.manifest())
        yield made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody signed."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subject = ("-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    command = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        *subject,
        "-keyout",
        path,
        "-out",
        f"{path}.crt",
    )
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
async def trusting(certificate: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session of an installation that trusts the certificate."""
    connector = guarded_connector(POLICY, ssl=ssl.create_default_context(cafile=str(certificate)))
    async with guarded_session(POLICY, connector=connector) as made:
        yield made

"""A gateway over a cluster in memory, and clients that speak to it over loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import boto3
import pytest
from botocore.config import Config
from tests.gateway.clusters import REGION, USER, Cluster, function, key_of
from tests.gateway.fake_agents import FakeAgent
from yarl import URL

from lambent.gateway.assembling import Callers, Gateway, Outside
from lambent.gateway.invoking import Bounds
from lambent.gateway.settings import Settings
from lambent.gateway.tending import Pace

SETTINGS = {
    "agent_key": b"agent-key",
    "url_key": b"url-key",
    "region": REGION,
    "controller_user": USER,
    "auth_mode": "none",
    "pod_name": "gateway-b",
    "public_port": 0,
    "internal_port": 0,
    "metrics_port": 0,
    "host": "127.0.0.1",
    "codestore_url": "http://codes.test",
    "linger_seconds": 0.05,
    "drain_seconds": 5.0,
}
PACE = Pace(first=0.002, most=0.02, foreign=0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> str | None:
        return self.headers.get("X-Amz-Function-Error")


@dataclass
class House:
    """One gateway, its cluster and its agents."""

    cluster: Cluster
    gateway: Gateway
    session: aiohttp.ClientSession
    agents: list[FakeAgent] = field(default_factory=list)

    def url(self, door: str, path: str) -> str:
        return f"http://127.0.0.1:{self.gateway.ports[door]}{path}"

    async def agent(self, body: dict, name: str = "pod-1", **attributes) -> FakeAgent:
        """An environment of the Function runs."""
        agent = await FakeAgent(**attributes).start()
        self.agents.append(agent)
        self.cluster.run(body, name, agent.port)
        return agent

    async def invoke(self, event=None, name: str = "hello", query: str = "", **headers) -> Answer:
        """POST an event, as JSON unless it is bytes; the answer is read."""
        body = event if isinstance(event, bytes) else json.dumps(event if event is not None else {}).encode()
        path = f"/2015-03-31/functions/{name}/invocations{query}"
        fields = {key.replace("_", "-"): value for key, value in headers.items()}
        url = URL(self.url("public", path), encoded=True)
        async with self.session.post(url, data=body, headers=fields) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    def begin(self, *args, **more) -> asyncio.Task:
        return asyncio.create_task(self.invoke(*args, **more))

    async def eventually(self, what, seconds: float = 10.0):
        """Wait until `what()` is true; what it was last, if it never is."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            assert time.monotonic() < deadline, f"never: {value!r}"
            await asyncio.sleep(0.005)
        return value

    def pool(self, body: dict):
        return self.gateway.pools.get(key_of(body)).admission

    async def idle(self, body: dict, count: int = 1) -> None:
        await self.eventually(lambda: self.pool(body).idle_count == count)

    async def waiting(self, body: dict, count: int = 1) -> None:
        await self.eventually(lambda: self.pool(body).waiting == count)


@pytest.fixture
async def make_house():
    """Builds gateways: `await make_house(cold_start=…)`."""
    houses: list[House] = []

    async def make(
        cluster: Cluster | None = None, port: int = 0, settings=None, clock=None, spans=None, **bounds
    ) -> House:
        cluster = cluster or Cluster()
        callers = Callers(cluster.internal, cluster.public, cluster.authorize)
        outside = Outside(
            cluster, cluster, callers, cluster.make_door, cluster.apply_alias_status, clock or time.time, spans
        )
        chosen = Settings(**{**SETTINGS, "public_port": port, **(settings or {})})
        limits = Bounds(**{"cold_start": 20.0, "ending": 0.2, **bounds})
        gateway = Gateway(chosen, outside, limits, PACE)
        await gateway.start()
        house = House(cluster, gateway, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        houses.append(house)
        await house.eventually(gateway.watching.synced.is_set)
        return house

    yield make
    for house in houses:
        for agent in house.agents:
            agent.gate.set()
        await house.session.close()
        await house.gateway.stop()
        for agent in house.agents:
            await agent.stop()


@pytest.fixture
async def house(make_house):
    return await make_house()


@pytest.fixture
def hello(house):
    """The function `hello`, ready to be invoked."""
    return house.cluster.apply(function())


@pytest.fixture(scope="session")
def boto_port():
    return free_port()


@pytest.fixture(scope="session")
def boto(boto_port):
    """AWS's client, pointed at a gateway on `boto_port`."""
    return boto3.client(
        "lambda",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{boto_port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
    )

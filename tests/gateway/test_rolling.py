"""A rolling restart under load: a new gateway takes over from one that drains, real agents behind both.

Clients behave as ones behind a Service do: what they have open stays open until it is closed, and what they open goes
to a gateway that is ready.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import pytest
from tests.agent.driving import TOKEN, Agent, zipped
from tests.gateway.clusters import Cluster, function
from tests.gateway.fake_agents import FakeAgent

from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.states import State

PATH = "/2015-03-31/functions/hello/invocations"
SOURCE = """
import os, time
def handler(event, context):
    time.sleep(event["seconds"])
    with open(event["ran"], "a") as log:
        log.write(f"{event['n']} {os.getpid()}\\n")
    return event["n"]
"""
ENVIRONMENTS, CLIENTS = 3, 5


@dataclass
class Load:
    """Clients that never stop asking, one request after the other, each on a connection of its own."""

    ran: str
    houses: list
    """The ready one is the last."""
    answers: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)
    told_to_close: int = 0
    sent: int = 0
    going: bool = True

    async def client(self) -> None:
        while self.going:
            house = self.houses[-1]
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
                await self.connected(session, house)

    async def connected(self, session, house) -> None:
        """Until the server wants the connection closed."""
        while self.going:
            self.sent += 1
            number = self.sent
            event = {"n": number, "seconds": 0.003, "ran": self.ran}
            try:
                async with session.post(house.url("public", PATH), json=event) as answer:
                    body = await answer.json()
                    if answer.status != 200 or body != number:
                        self.failures.append((answer.status, body))
                    self.answers[number] += 1
            except (aiohttp.ClientError, OSError) as error:
                self.failures.append(repr(error))
                return
            if answer.headers.get("Connection") == "close":
                self.told_to_close += 1
                return

    def lines(self) -> list[list[str]]:
        with open(self.ran) as log:
            return [line.split() for line in log]


@pytest.fixture
def agents(tmp_path):
    """Real environments, not claimed yet."""
    started = []
    for number in range(ENVIRONMENTS):
        (tmp_path / f"agent-{number}").mkdir()
        started.append(Agent(tmp_path / f"agent-{number}"))
    yield started
    for agent in started:
        agent.stop()


def hour_behind() -> float:
    return time.time() - 3600


async def until_ready(house) -> None:
    async with asyncio.timeout(20):
        while house.gateway._unready() is not None:
            await asyncio.sleep(0.01)


async def test_three_handovers_under_load_fail_no_request_and_run_none_twice(make_house, agents, tmp_path):
    """Every event ran exactly once, every environment stayed, each leaving gateway told its clients to go."""
    settings = {"linger_seconds": 1.5}
    first = await make_house(settings={**settings, "pod_name": "gateway-0"})
    cluster = first.cluster
    cluster.token = TOKEN
    code = zipped({"index.py": SOURCE})
    cluster.blobs[hashlib.sha256(code).hexdigest()] = code
    digest = base64.b64encode(hashlib.sha256(code).digest()).decode()
    hello = cluster.apply(function(timeout=30, status={"codeSha256": digest, "codeSize": len(code)}))
    for number, agent in enumerate(agents):
        cluster.run(hello, f"pod-{number}", agent.port)
    await first.idle(hello, ENVIRONMENTS)
    load = Load(str(tmp_path / "ran"), [first])
    clients = [asyncio.create_task(load.client()) for _ in range(CLIENTS)]
    epochs = [first.gateway.epoch]
    for number in range(1, 4):
        await asyncio.sleep(0.7)
        leaving = load.houses[-1]
        named = {**settings, "pod_name": f"gateway-{number}"}
        coming = await make_house(cluster, settings=named, clock=hour_behind if number == 2 else None)
        await until_ready(coming)
        load.houses.append(coming)
        await leaving.gateway.drain()
        await leaving.gateway.stop()
        epochs.append(coming.gateway.epoch)
    await asyncio.sleep(0.7)
    load.going = False
    await asyncio.gather(*clients)
    ran = Counter(int(number) for number, _ in load.lines())
    assert load.failures == []
    assert [number for number, count in ran.items() if count > 1] == []
    assert set(ran) == set(load.answers) == set(range(1, load.sent + 1))
    assert len({pid for _, pid in load.lines()}) == ENVIRONMENTS
    assert load.told_to_close >= 3 * CLIENTS
    assert epochs == sorted(set(epochs))


async def test_an_idle_connection_is_closed_only_after_lingering(make_house):
    """Its client may be about to ask; who asks meanwhile is answered and told to go."""
    house = await make_house(settings={"linger_seconds": 0.4})
    hello = house.cluster.apply(function())
    await house.agent(hello)
    await house.idle(hello)
    port = house.gateway.ports["public"]
    idle, asking = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    request = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    for reader, writer in (idle, asking):
        writer.write(request)
        assert b"Connection:" not in await reader.readuntil(b"{}")
    leaving = asyncio.create_task(house.gateway.drain())
    await asyncio.sleep(0.1)
    asking[1].write(request)
    assert b"Connection: close\r\n" in await asking[0].read()
    fresh = await asyncio.open_connection("127.0.0.1", port)
    fresh[1].write(request)
    assert (await fresh[0].read()).startswith(b"HTTP/1.1 200")
    assert not idle[0].at_eof()
    await leaving
    assert not idle[0].at_eof()
    await house.gateway.stop()
    async with asyncio.timeout(10):
        assert await idle[0].read() == b""
    for _, writer in (idle, asking, fresh):
        writer.close()


async def test_a_successor_with_a_slower_clock_has_the_environments_before_it_is_ready(make_house):
    """It speaks louder than what the agents heard, without waiting for a request to ask for it."""
    cluster = Cluster()
    hello = cluster.apply(function())
    agent = await FakeAgent(state=State.IDLE, owner=Owner(10**15, "gateway-z")).start()
    cluster.run(hello, "pod-1", agent.port)
    house = await make_house(cluster)
    house.agents.append(agent)
    await until_ready(house)
    assert house.gateway.epoch == 10**15 + 1
    assert house.pool(hello).idle_count == 1

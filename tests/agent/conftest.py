"""Agents in processes of their own, one per test."""

import asyncio

import pytest
from tests.agent.driving import Agent, Caller, claim_of, zipped

from lambent.agent.protocol import names


@pytest.fixture
def start(tmp_path):
    """Starts agents: `start()` with the managed Python runtime, `start(managed=False)` for a function's bootstrap."""
    started = []

    def begin(managed=True, **settings):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Agent(folder, managed, **settings))
        return started[-1]

    yield begin
    for agent in started:
        agent.stop()


@pytest.fixture
async def parties(start):
    """(agent, the gateway's connection, the runtime's connection); claimed, the runtime has not called yet."""
    agent = start(managed=False)
    caller = await agent.connect()
    runtime = Caller(*await asyncio.open_connection("127.0.0.1", agent.runtime_port))
    claim = claim_of(zipped({"bootstrap": "#!/bin/sh\nexec sleep 1000\n"}, ("bootstrap",)), runtime="provided.al2023")
    caller.send(b"POST", names.CLAIM_PATH, claim.to_json())
    while "INIT_START" not in agent.log():
        await asyncio.sleep(0.005)
    return agent, caller, runtime

"""How an agent goes: whoever still holds a connection hears no, until they have let go. Nothing is lost in between."""

from __future__ import annotations

import asyncio
import signal

import pytest
from tests.agent.driving import Agent, Caller, python

from lambent.agent.protocol import names

ECHO = python("def handler(event, context): return event")


async def drained(agent: Agent, caller: Caller) -> None:
    """By a gateway."""
    assert (await caller.call(b"POST", names.DRAIN_PATH)).status == 200


async def terminated(agent: Agent, caller: Caller) -> None:
    """By the kubelet; true when the agent has begun to go."""
    agent.process.send_signal(signal.SIGTERM)
    while not (await caller.state()).draining:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("told", [drained, terminated])
async def test_an_invocation_that_crosses_the_end_is_refused_and_not_lost(start, told):
    """The caller may try elsewhere: a connection that just closes would leave open whether the function ran."""
    agent = start()
    caller, late = await agent.connect(), await agent.connect()
    await caller.claim(ECHO)
    assert (await late.invoke(b"1")).body == b"1"
    await told(agent, caller)
    refused = await late.invoke(b"2")
    assert (refused.status, refused.json()["errorType"], refused.json()["state"]) == (409, "NotIdle", "draining")


async def test_it_ends_as_soon_as_nobody_holds_a_connection(start):
    """Well before it would lose patience, which is what the other test of this file relies on."""
    agent = start(LAMBENT_FAREWELL_SECONDS="600")
    caller = await agent.connect()
    await caller.claim(ECHO)
    await drained(agent, caller)
    assert agent.process.poll() is None
    await caller.close()
    assert await asyncio.to_thread(agent.process.wait, 60) == 0


async def test_it_ends_although_somebody_never_lets_go(start):
    """A gateway that is gone with its node closes nothing."""
    agent = start(LAMBENT_FAREWELL_SECONDS="0.1")
    caller = await agent.connect()
    await caller.claim(ECHO)
    await drained(agent, caller)
    assert await asyncio.to_thread(agent.process.wait, 60) == 0

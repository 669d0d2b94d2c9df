"""Idle environments hear that they still have an owner."""

from __future__ import annotations

import asyncio

from lambent.agent.protocol import names
from lambent.gateway.keeping import Keeping


async def test_idle_environments_are_spoken_to_and_stay_as_idle_as_they_are(house, hello):
    """Over a connection of its own, with our name; lendable meanwhile, and not younger afterwards."""
    agent = await house.agent(hello)
    await house.idle(hello)
    before = house.pool(hello).idle()
    gateway = house.gateway
    keeping = Keeping(gateway.environments, gateway._ownership, house.cluster.make_door, every=0.02)
    task = asyncio.create_task(keeping.run())
    await house.eventually(
        lambda: any(names.OWNER_KEY in seen.headers for seen in agent.seen if seen.path == names.STATE_PATH)
    )
    assert house.pool(hello).idle() == before
    await agent.stop()  # nobody listens: no harm
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()

"""Pods that are being deleted: lent no more, hung up on when they are free."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.clusters import pod_of


async def test_a_deleting_pod_is_not_lent_any_more(house, hello):
    """What runs there ends, the next request goes elsewhere."""
    agent = await house.agent(hello)
    request = house.begin({"do": "gate", "n": 1})
    await house.eventually(lambda: agent.running == 1)
    pod = pod_of(hello, "pod-1")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    house.cluster.pod(pod)
    await asyncio.sleep(0.02)
    agent.gate.set()
    assert (await request).json()["n"] == 1
    await house.eventually(lambda: house.pool(hello).in_flight == 0)
    assert house.pool(hello).idle_count == 0


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "when its invocation has ended"])
async def test_a_deleting_pod_is_hung_up_on(house, hello, busy):
    """Its agent waits for that before it ends: so no request is on its way to it."""
    agent = await house.agent(hello)
    await house.idle(hello)
    request = house.begin({"do": "gate"}) if busy else None
    await house.eventually(lambda: agent.running == int(busy))
    pod = pod_of(hello, "pod-1")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    house.cluster.pod(pod)
    if request is not None:
        await asyncio.sleep(0.02)
        assert agent.connections
        agent.gate.set()
        assert (await request).status == 200
    await house.eventually(lambda: not agent.connections)

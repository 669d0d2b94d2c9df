"""Pods with the labels of another namespace's function: whoever may create pods may write them, and gets nothing."""

from __future__ import annotations

import pytest
from tests.gateway.clusters import Cluster, function, pod_of
from tests.gateway.fake_agents import FakeAgent
from tests.gateway.publications import version

from lambent.agent.protocol.states import State

KINDS = {"of $LATEST": lambda hello: hello, "of a version": lambda hello: version(hello, 1)}


def theirs(body: dict) -> dict:
    """A pod of another namespace."""
    pod = pod_of(body, "pod-theirs")
    pod["metadata"]["namespace"] = "theirs"
    return pod


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
async def test_a_pod_of_another_namespace_gets_neither_claim_nor_event(house, hello, kind):
    body = house.cluster.apply(kind(hello))
    rogue = await FakeAgent().start()
    house.agents.append(rogue)
    house.cluster.ports["pod-theirs"] = rogue.port
    name = "hello:1" if body is not hello else "hello"
    request = house.begin({"n": 1}, name)
    await house.waiting(body)
    house.cluster.pod(theirs(body))
    await house.agent(body, "pod-ours")
    assert (await request).json() == {"n": 1}
    assert rogue.seen == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
async def test_nor_does_one_that_was_there_before_the_function(make_house, kind):
    """It says that it is claimed and idle; nobody knew then whose function it is."""
    cluster = Cluster()
    hello = function()
    body = kind(hello)
    rogue = await FakeAgent(state=State.IDLE).start()
    cluster.ports["pod-theirs"] = rogue.port
    cluster.pod(theirs(body))
    house = await make_house(cluster)
    house.agents.append(rogue)
    await house.idle(body)
    cluster.apply(hello)
    if body is not hello:
        cluster.apply(body)
    await house.idle(body, 0)
    request = house.begin({"n": 1}, "hello:1" if body is not hello else "hello")
    await house.waiting(body)
    assert rogue.invocations() == []
    await house.agent(body, "pod-ours")
    assert (await request).status == 200
    assert rogue.invocations() == []

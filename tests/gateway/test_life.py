"""Starting, being ready, being measured, and ending in order."""

from __future__ import annotations

import asyncio
import gc

import pytest
from tests.gateway.clusters import Cluster, function
from tests.gateway.fake_agents import FakeAgent

from lambent.agent.protocol.states import State
from lambent.gateway.pools import Pools
from lambent.model.environments import Key


async def ask(house, path: str) -> tuple[int, str]:
    async with house.session.get(house.url("metrics", path)) as answer:
        return answer.status, await answer.text()


async def ready(house) -> bool:
    return (await ask(house, "/readyz"))[0] == 200


async def until_ready(house) -> None:
    async with asyncio.timeout(10):
        while not await ready(house):
            await asyncio.sleep(0.01)


async def test_ready_means_everything_was_seen_and_known_environments_were_asked(make_house):
    """Before that a request might start what is there already."""
    cluster = Cluster()
    hello = cluster.apply(function())
    agent = await FakeAgent(state=State.IDLE).start()
    cluster.run(hello, "pod-1", agent.port)
    house = await make_house(cluster)
    house.agents.append(agent)
    await until_ready(house)
    assert house.pool(hello).idle_count == 1
    assert await ask(house, "/healthz") == (200, "ok\n")


async def test_an_unreachable_pod_does_not_keep_the_gateway_from_being_ready(make_house):
    """It was tried; that is enough."""
    cluster = Cluster()
    cluster.run(cluster.apply(function()), "pod-1", 1)
    house = await make_house(cluster)
    await until_ready(house)


async def test_draining_is_not_ready_but_still_serves(make_house):
    """Endpoints need a moment to go away; clients are asked to come back elsewhere."""
    house = await make_house(settings={"linger_seconds": 0.5})
    hello = house.cluster.apply(function())
    await house.agent(hello)
    await house.idle(hello)
    await until_ready(house)
    drain = asyncio.create_task(house.gateway.drain())
    await asyncio.sleep(0)
    assert await ask(house, "/readyz") == (503, "draining\n")
    answer = await house.invoke({"n": 1})
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    await drain


async def test_stopping_lets_requests_in_flight_end(make_house):
    """Running and waiting requests are answered; new connections are refused."""
    house = await make_house()
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    await house.idle(hello)
    running = house.begin({"do": "gate", "n": 1})
    waiting = house.begin({"n": 2})
    await house.waiting(hello)
    stop = asyncio.create_task(house.gateway.stop())
    await asyncio.sleep(0.05)
    assert not stop.done()
    agent.gate.set()
    assert [(await request).json()["n"] for request in (running, waiting)] == [1, 2]
    await stop
    assert agent.state is State.IDLE  # left as it is for the next gateway


async def test_stopping_is_bounded(make_house):
    """A hanging function does not keep the process."""
    house = await make_house(settings={"drain_seconds": 0.1})
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    request = house.begin({"do": "hang"})
    await house.eventually(lambda: agent.running == 1)
    async with asyncio.timeout(5):
        await house.gateway.stop()
    await asyncio.gather(request, return_exceptions=True)


async def test_metrics_say_what_happened(house, hello):
    """The names of the protocol, each with namespace, function and version."""
    await house.agent(hello, init_seconds=0.01)
    await house.invoke()
    await house.invoke({"do": "error"})
    await house.idle(hello)
    text = (await ask(house, "/metrics"))[1]
    labels = 'function="hello",namespace="default"'
    for line in (
        f'lambent_invocations_total{{{labels},outcome="success",version="$LATEST"}} 1.0',
        f'lambent_invocations_total{{{labels},outcome="function_error",version="$LATEST"}} 1.0',
        f'lambent_throttles_total{{{labels},reason="ConcurrentInvocationLimitExceeded",version="$LATEST"}} 0.0',
        f'lambent_duration_seconds_count{{{labels},version="$LATEST"}} 2.0',
        f'lambent_init_duration_seconds_count{{{labels},version="$LATEST"}} 1.0',
        f'lambent_cold_start_phase_seconds_count{{{labels},phase="claim",version="$LATEST"}} 1.0',
        f'lambent_cold_start_phase_seconds_count{{{labels},phase="wait",version="$LATEST"}} 1.0',
        f'lambent_concurrent_executions{{{labels},version="$LATEST"}} 0.0',
    ):
        assert line in text
    house.cluster.delete(hello)
    await asyncio.sleep(0.02)
    assert 'function="hello"' not in (await ask(house, "/metrics"))[1]


async def test_a_malformed_function_does_not_stop_the_others(house, hello):
    """It is skipped with a word in the log; its last good snapshot would stay."""
    broken = function("broken")
    del broken["spec"]["code"]
    house.cluster.apply(broken)
    await house.agent(hello)
    assert (await house.invoke()).status == 200
    assert (await house.invoke(name="broken")).status == 404


async def test_pools_of_old_configurations_are_forgotten(house, hello):
    """Nothing grows with the number of updates."""
    for number in range(2, 12):
        house.cluster.apply(function(revision=f"rev{number:013d}"))
    await asyncio.sleep(0.05)
    house.gateway.pools.sweep()
    assert len(house.gateway.pools.all()) == 1


async def test_a_pool_that_counted_is_forgotten_a_sweep_later():
    """Whoever listens hears once a second: what an old configuration counted last is told first."""
    pools = Pools(lambda key: None, lambda route: None)
    counted, silent = (Key("uid", "1", revision) for revision in ("counted", "silent"))
    pools.get(counted).throttles = 1
    pools.get(silent)
    pools.sweep()
    assert [pool.key for pool in pools.all()] == [counted]
    assert pools.of_version(silent) == pools.all()
    pools.sweep()
    assert pools.all() == pools.of_version(counted) == []


@pytest.mark.parametrize("event", [b"{}", b'"' + b"x" * 300_000 + b'"'], ids=["small", "large"])
async def test_a_request_leaves_nothing_to_the_garbage_collector(house, hello, event):
    """Six megabytes that wait for a collection are six megabytes more for every request until then."""
    await house.agent(hello)
    for _ in range(3):
        assert (await house.invoke(event)).status == 200
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(5):
            await house.invoke(event)
        gc.collect()
        assert [type(each).__name__ for each in gc.garbage] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

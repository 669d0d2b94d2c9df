"""Environments and agents that are lost, hang or talk nonsense: what the caller hears, and what becomes of them."""

from __future__ import annotations

import asyncio
import base64
import re

from tests.gateway.clusters import function, pod_of

from lambent.agent.protocol.states import State


async def test_an_agent_that_dies_under_an_invocation_is_lambdas_exit_error(house, hello):
    """The container's end explains it; the invocation is not repeated."""
    agent = await house.agent(hello)
    await house.idle(hello)
    pod = pod_of(hello, "pod-1")
    request = house.begin({"do": "gate"}, X_Amz_Log_Type="Tail")
    await house.eventually(lambda: agent.running == 1)
    house.cluster.end(pod, "OOMKilled", 137)
    await agent.stop()
    answer = await request
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.headers['x-amzn-RequestId']} "
        "Error: Runtime exited with error: signal: killed",
    }
    log = base64.b64decode(answer.headers["X-Amz-Log-Result"]).decode()
    assert "Runtime exited with error: signal: killed\nRuntime.ExitError\nEND RequestId: " in log
    assert re.search(r"Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\t\n$", log)
    assert float(re.search(r"\tDuration: ([0-9.]+) ms", log)[1]) < 60_000
    assert [(pool.invocations, pool.errors) for pool in house.gateway.pools.all()] == [(1, 1)]
    assert len(agent.invocations()) == 1


async def test_a_container_that_ends_after_the_connection_is_waited_for(make_house):
    """The watch is later than the broken connection."""
    house = await make_house(ending=5.0)
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    request = house.begin({"do": "die"})
    await house.eventually(agent.invocations)
    await asyncio.sleep(0.05)
    house.cluster.end(pod_of(hello, "pod-1"), "Error", 3)
    answer = await request
    assert answer.json()["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")


async def test_why_a_container_was_killed_may_come_a_moment_later(make_house):
    """The kubelet tells the container's end first, and with the pod's phase that it evicted it."""
    house = await make_house(ending=10.0)
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    request = house.begin({"do": "die"})
    await house.eventually(agent.invocations)
    killed = pod_of(hello, "pod-1")
    killed["status"]["containerStatuses"][0]["state"] = {"terminated": {"reason": "Error", "exitCode": 137}}
    house.cluster.pod(killed)
    await house.eventually(lambda: house.gateway.environments.find("default/pod-1").ended)
    assert not request.done()
    message = 'Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". '
    evicted = {**killed["status"], "phase": "Failed", "reason": "Evicted", "message": message}
    house.cluster.pod({**killed, "status": evicted})
    assert "no space left on device" in (await request).json()["errorMessage"]


async def test_a_lost_invocation_is_never_sent_again(house, hello):
    """The container still runs, so nobody knows what happened: 500, once."""
    agents = [await house.agent(hello, f"pod-{number}") for number in range(2)]
    await house.idle(hello, 2)
    answer = await house.invoke({"do": "die"})
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (500, "ServiceException")
    assert sum(len(agent.invocations()) for agent in agents) == 1


async def test_garbage_from_an_agent_is_a_service_error_and_costs_nobody_else(house, hello):
    """Half an answer, no HTTP, too much: the client gets 500, the environment is looked at again."""
    agent = await house.agent(hello)
    for do in ("garbage", "partial", "oversized"):
        answer = await house.invoke({"do": do})
        assert (do, answer.status) == (do, 500)
        agent.state = State.IDLE
        assert (await house.invoke({"n": 1})).json() == {"n": 1}


async def test_an_answer_that_was_complete_counts_although_the_connection_broke(house, hello):
    """The body's end came before the end of the connection."""
    agent = await house.agent(hello)
    answer = await house.invoke({"do": "die-late", "n": 1})
    assert (answer.status, answer.json()["n"]) == (200, 1)
    agent.state = State.IDLE
    answer = await house.invoke({"do": "die-late", "n": 2}, X_Amz_Log_Type="Tail")
    assert (answer.status, answer.json()["n"]) == (200, 2)


async def test_an_agent_that_answers_twice_is_cut_off(house, hello):
    """What nobody asked for is not read as the next answer."""
    await house.agent(hello)
    assert (await house.invoke({"do": "twice", "n": 1})).json()["n"] == 1
    assert (await house.invoke({"n": 2})).json() == {"n": 2}


async def test_an_agent_that_hangs_cannot_hold_a_client_for_ever(make_house):
    """The function's timeout and an allowance, then 500."""
    house = await make_house(allowance=-0.8)
    hello = house.cluster.apply(function(timeout=1))
    await house.agent(hello)
    answer = await house.invoke({"do": "hang"})
    assert answer.status == 500


async def test_a_lost_idle_connection_is_noticed_and_dialled_again(house, hello):
    """The environment leaves the index and comes back; no request meets the dead connection."""
    agent = await house.agent(hello)
    await house.idle(hello)
    agent.cut()
    assert (await house.invoke({"n": 1})).json() == {"n": 1}
    assert len(agent.claims()) == 1

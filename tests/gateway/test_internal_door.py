"""What the controller gets at the internal door."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.gateway.clusters import function, key_of, pod_of
from tests.gateway.publications import version

from lambent.agent.protocol import names
from lambent.agent.protocol.states import State
from lambent.wire.demand import decode_demand

GOOD = {"Authorization": "Bearer good"}


class Demand:
    """Reads the stream line by line."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.seqs = []

    async def next(self, key=None, when=lambda demand: True):
        """The next line (of a key, that fulfils something); heartbeats are skipped."""
        async with asyncio.timeout(10):
            while True:
                line = await self.answer.content.readline()
                assert line, "the stream ended"
                if line == b"\n":
                    continue
                demand = decode_demand(line)
                self.seqs.append(demand.seq)
                if (key is None or demand.key == key) and when(demand):
                    return demand


@pytest.fixture
async def demand(house):
    answer = await house.session.get(house.url("internal", "/v1/demand"), headers=GOOD)
    assert answer.status == 200
    stream = Demand(answer)
    yield stream
    answer.close()


async def retire(house, *pods):
    async with house.session.post(house.url("internal", "/v1/retire"), json={"pods": pods}, headers=GOOD) as answer:
        assert answer.status == 200
        return await answer.json()


@pytest.mark.parametrize(
    ("authorization", "status", "kind"),
    [
        (None, 401, "Unauthorized"),
        ("Bearer bad", 401, "Unauthorized"),
        ("Basic good", 401, "Unauthorized"),
        ("Bearer other", 403, "Forbidden"),
    ],
)
async def test_only_the_controllers_account_may_ask(house, authorization, status, kind):
    """Typed refusals, on every path, known or not."""
    headers = {"Authorization": authorization} if authorization else {}
    for method, path in (("GET", "/v1/demand"), ("POST", "/v1/retire"), ("GET", "/nothing")):
        async with house.session.request(method, house.url("internal", path), headers=headers) as answer:
            assert (answer.status, (await answer.json())["errorType"]) == (status, kind)


async def test_unknown_calls_are_not_found(house):
    """Also the Lambda API does not exist here."""
    for method, path in (("GET", "/v1/retire"), ("POST", "/2015-03-31/functions/hello/invocations")):
        async with house.session.request(method, house.url("internal", path), headers=GOOD) as answer:
            assert (answer.status, (await answer.json())["errorType"]) == (404, "NotFound")


async def test_a_request_without_environment_is_told_at_once(house, hello, demand):
    """No waiting for the second to be over; many of one moment are one line."""
    requests = [house.begin({"n": n}) for n in range(20)]
    line = await demand.next(key_of(hello), lambda line: line.waiting == 20)
    assert (line.in_flight, line.starting, line.idle) == (0, 0, ())
    assert len(demand.seqs) < 20
    for request in requests:
        request.cancel()


async def test_a_connecting_controller_hears_of_every_active_key(house, hello):
    """One line each, at once: what is idle, and for how long."""
    await house.agent(hello)
    await house.idle(hello)
    async with house.session.get(house.url("internal", "/v1/demand"), headers=GOOD) as answer:
        line = await Demand(answer).next()
    assert line.key == key_of(hello)
    assert [idle.pod for idle in line.idle] == ["default/pod-1"]
    assert 0 <= line.idle[0].ms < 60_000


async def test_lines_come_every_second_and_count_invocations(house, hello, demand):
    """Sequence numbers grow; counters are totals."""
    await house.agent(hello)
    for _ in range(3):
        await house.invoke()
    await house.invoke({"do": "error"})
    line = await demand.next(key_of(hello), lambda line: line.counters.invocations == 4)
    assert (line.counters.errors, sum(line.counters.duration_buckets)) == (1, 4)
    assert demand.seqs == sorted(set(demand.seqs))


async def test_a_key_that_became_inactive_says_so_once(house, hello, demand):
    """Zeros, so that nobody keeps a last word for ever."""
    await house.agent(hello)
    await demand.next(key_of(hello), lambda line: line.idle)
    house.cluster.pod_gone(pod_of(hello, "pod-1"))
    line = await demand.next(key_of(hello), lambda line: not line.idle)
    assert (line.in_flight, line.waiting, line.starting) == (0, 0, 0)


async def test_a_key_that_only_throttles_is_told_and_once(house, hello, demand):
    """Nothing of it is active: no environment, nobody who waits."""
    house.cluster.namespace("default", concurrency="0")
    await house.eventually(lambda: house.gateway._accounts.of("default").limit == 0)
    for _ in range(3):
        assert (await house.invoke()).status == 429
    line = await demand.next(key_of(hello), lambda line: line.counters.throttles == 3)
    assert (line.waiting, line.in_flight, line.counters.invocations) == (0, 0, 0)
    said = len(demand.seqs)
    async with asyncio.timeout(5):
        assert await demand.answer.content.readline() == b"\n"
    assert len(demand.seqs) == said


async def test_what_a_key_counted_last_is_told_although_it_is_over(house, hello, demand):
    """Its only environment went in the moment in which its invocation ended."""
    await house.agent(hello)
    await house.invoke({"do": "die"})
    house.cluster.pod_gone(pod_of(hello, "pod-1"))
    line = await demand.next(key_of(hello), lambda line: line.counters.invocations == 1 and not line.idle)
    assert (line.counters.errors, line.starting, line.in_flight) == (1, 0, 0)


async def test_a_connecting_controller_hears_of_every_key_that_counted(house, hello):
    """Also of one that is not active: totals live as long as the gateway and the route."""
    await house.agent(hello)
    await house.invoke()
    await house.idle(hello)
    house.cluster.pod_gone(pod_of(hello, "pod-1"))
    await house.idle(hello, 0)
    for _ in range(3):
        house.gateway.pools.sweep()
    async with house.session.get(house.url("internal", "/v1/demand"), headers=GOOD) as answer:
        line = await Demand(answer).next()
    assert (line.key, line.counters.invocations, line.idle) == (key_of(hello), 1, ())


async def test_versions_count_apart(house, hello, demand):
    one = house.cluster.apply(version(hello, 1))
    await house.agent(hello, "pod-latest")
    await house.agent(one, "pod-1")
    for name in ("hello", "hello:1", "hello:1"):
        assert (await house.invoke(name=name)).status == 200
    line = await demand.next(key_of(one), lambda line: line.counters.invocations == 2)
    assert line.key.version == "1"
    async with house.session.get(house.url("internal", "/v1/demand"), headers=GOOD) as answer:
        line = await Demand(answer).next(key_of(hello))
    assert line.counters.invocations == 1


async def test_an_idle_gateway_still_says_that_it_lives(house, demand):
    """An empty line a second."""
    async with asyncio.timeout(5):
        assert await demand.answer.content.readline() == b"\n"
        assert await demand.answer.content.readline() == b"\n"


async def test_retired_environments_leave_the_index_and_are_drained(house, hello):
    """The next request does not get them, although their pods still run."""
    agent = await house.agent(hello)
    await house.idle(hello)
    assert await retire(house, "default/pod-1") == {"retired": ["default/pod-1"], "busy": []}
    assert (agent.draining, house.pool(hello).idle_count) == (True, 0)
    house.cluster.pod(pod_of(hello, "pod-1"))  # the watch speaks of it again
    await asyncio.sleep(0.05)
    assert house.pool(hello).idle_count == 0


async def test_busy_environments_are_not_retired(house, hello):
    """Lent to a request here, or at work for somebody else."""
    agent = await house.agent(hello, "pod-1")
    await house.agent(hello, "pod-2", state=State.BUSY)
    request = house.begin({"do": "gate"})
    await house.eventually(lambda: agent.running == 1)
    await house.eventually(lambda: house.agents[1].seen)
    answer = await retire(house, "default/pod-1", "default/pod-2")
    assert sorted(answer["busy"]) == ["default/pod-1", "default/pod-2"]
    agent.gate.set()
    assert (await request).status == 200


async def test_an_environment_that_another_gateway_has_is_busy_here(house, hello):
    """The agent arbitrates: it does not let an older owner drain it."""
    from lambent.agent.protocol.owners import Owner

    agent = await house.agent(hello)
    await house.idle(hello)
    agent.owner = Owner(house.gateway.epoch + 1000, "gateway-z")
    assert await retire(house, "default/pod-1") == {"retired": [], "busy": ["default/pod-1"]}
    assert not agent.draining


async def test_unknown_unclaimed_and_unreachable_pods_are_given_up(house, hello):
    """Nothing of ours runs there."""
    changed = house.cluster.apply(function(revision="rev0000000000002"))
    outdated = await house.agent(hello, "pod-1")
    await house.eventually(lambda: outdated.seen)
    house.cluster.run(hello, "pod-2", 1)  # nobody listens
    house.cluster.pod(pod_of(changed, "pod-3", running=False))
    await asyncio.sleep(0.05)
    names_ = [f"default/pod-{number}" for number in range(1, 5)]
    assert sorted((await retire(house, *names_))["retired"]) == names_
    assert [seen.path for seen in outdated.seen][-1] == names.DRAIN_PATH


@pytest.mark.parametrize("body", [b"", b"[]", b'{"pods": 1}', b'{"pods": [1]}', b"{" * 100_000])
async def test_malformed_lists_are_refused(house, body):
    """400, typed."""
    async with house.session.post(house.url("internal", "/v1/retire"), data=body, headers=GOOD) as answer:
        assert (answer.status, json.loads(await answer.read())["errorType"]) == (400, "BadRequest")

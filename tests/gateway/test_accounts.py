"""The concurrency of accounts: the chart's, or what an administrator wrote on the Namespace."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.clusters import Cluster, function

from lambent.core.admission import parse_limit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0", 0),
        ("1", 1),
        ("1000", 1000),
        ("9999999", 9_999_999),
        ("10000000", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        (" 1", None),
        ("1_000", None),
        ("٣", None),
        ("²", None),
        ("many", None),
    ],
)
def test_a_limit_is_a_number_of_requests(text, limit):
    """Anything else is none."""
    assert parse_limit(text) == limit


@pytest.fixture
async def busy(make_house):
    """A house whose chart allows three requests an account, and `statuses(n)` of that many at the same time."""
    house = await make_house(account_concurrency=3)
    hello = house.cluster.apply(function())
    await house.agent(hello)
    await house.idle(hello)

    async def statuses(count: int) -> list[int]:
        agent = house.agents[0]
        agent.gate.clear()
        requests = [house.begin({"do": "gate"}) for _ in range(count)]
        await asyncio.sleep(0.15)
        agent.gate.set()
        return sorted([(await request).status for request in requests])

    house.statuses = statuses
    return house


async def test_a_namespace_may_have_its_own_limit(busy):
    """Greater or smaller than the chart's; gone with the annotation."""
    assert await busy.statuses(4) == [200, 200, 200, 429]
    busy.cluster.namespace("default", concurrency="1")
    await asyncio.sleep(0.02)
    assert await busy.statuses(3) == [200, 429, 429]
    busy.cluster.namespace("default", concurrency="5")
    await asyncio.sleep(0.02)
    assert await busy.statuses(6) == [200] * 5 + [429]
    busy.cluster.namespace("default")
    await asyncio.sleep(0.02)
    assert await busy.statuses(4) == [200, 200, 200, 429]


async def test_nonsense_is_ignored_with_a_line_in_the_log(busy, caplog):
    """Once for each value, without the value."""
    for _ in range(3):
        busy.cluster.namespace("default", concurrency="canary-nonsense")
    await asyncio.sleep(0.02)
    assert await busy.statuses(4) == [200, 200, 200, 429]
    lines = [record.getMessage() for record in caplog.records if "lambent.dev/concurrency" in record.getMessage()]
    assert lines == [
        "namespace default: the annotation lambent.dev/concurrency is no number of requests and is ignored; "
        "the limit is 3"
    ]


async def test_a_limit_is_known_from_the_start_and_forgotten_with_its_namespace(make_house):
    """Listed like everything else."""
    cluster = Cluster()
    cluster.namespace("team", concurrency="0")
    house = await make_house(cluster)
    hello = cluster.apply(function(namespace="team"))
    await house.agent(hello)
    await house.idle(hello)
    assert (await house.invoke(X_Lambent_Namespace="team")).status == 429
    cluster.namespace_gone("team")
    await asyncio.sleep(0.02)
    assert (await house.invoke(X_Lambent_Namespace="team")).status == 200

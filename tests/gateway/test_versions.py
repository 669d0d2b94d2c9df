"""Published versions and aliases as callers see them: who runs, what the function is told, who waits for whom."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from tests.bench.binomials import interval
from tests.gateway.clusters import REGION, function, key_of
from tests.gateway.publications import alias, version

from lambent.model.arns import account_id, parse_function_reference
from lambent.model.errors import LambdaError

ARN = f"arn:aws:lambda:{REGION}:{account_id('ns-uid-default')}:function:hello"
HELLO = parse_function_reference("hello")
EXECUTED = "X-Amz-Executed-Version"


def arn_told(agent) -> str:
    """What the function's context says was invoked."""
    return agent.invocations()[-1].headers[b"lambent-arn"].decode()


@pytest.fixture
async def published(house, hello):
    """`hello` with versions 1 and 2 and an environment each, `$LATEST` with one too."""
    house.bodies = {"$LATEST": hello}
    house.running = {"$LATEST": await house.agent(hello, "pod-latest")}
    for number in ("1", "2"):
        house.bodies[number] = house.cluster.apply(version(hello, number))
        house.running[number] = await house.agent(house.bodies[number], f"pod-{number}")
    for body in house.bodies.values():
        await house.idle(body)
    return house


def pointed(house, *versions, **more) -> dict:
    return house.cluster.apply(alias(house.bodies["$LATEST"], "live", *versions, **more))


def leads(house, roll: float = 0.999) -> str | None:
    try:
        return house.gateway.table.resolve(HELLO, "live", None, roll).version
    except LambdaError:
        return None


async def until_led(house, number: str) -> None:
    """The alias leads there."""
    await house.eventually(lambda: leads(house) == number)


async def until_split(house) -> None:
    """It leads to two versions."""
    await house.eventually(lambda: leads(house, 0.0) and leads(house, 0.0) != leads(house))


async def test_a_version_runs_in_environments_of_its_own(published):
    """Claimed with what was published, invoked by its number."""
    answer = await published.invoke({"n": 1}, "hello:1")
    assert (answer.status, answer.headers[EXECUTED]) == (200, "1")
    assert arn_told(published.running["1"]) == f"{ARN}:1"
    assert published.running["1"].claim.version == "1"
    assert published.running["1"].claim.revision == "snapshot-1"
    answer = await published.invoke({"n": 1})
    assert (answer.headers[EXECUTED], arn_told(published.running["$LATEST"])) == ("$LATEST", ARN)


SPELLINGS = {
    "in the name": ("hello:live", ""),
    "as a parameter": ("hello", "?Qualifier=live"),
    "both": ("hello:live", "?Qualifier=live"),
    "in a partial ARN": (f"{account_id('ns-uid-default')}:function:hello:live", ""),
    "in an ARN": (f"{ARN}:live", ""),
}


@pytest.mark.parametrize("row", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_an_alias_is_a_qualifier_wherever_lambda_takes_one(published, row):
    name, query = row
    pointed(published, 2)
    await until_led(published, "2")
    answer = await published.invoke({}, name, query)
    assert (answer.status, answer.headers[EXECUTED]) == (200, "2")
    assert arn_told(published.running["2"]) == f"{ARN}:live"


async def test_a_dry_run_tells_the_version_too(published):
    pointed(published, 2)
    await until_led(published, "2")
    answer = await published.invoke({}, "hello:live", X_Amz_Invocation_Type="DryRun")
    assert (answer.status, answer.headers[EXECUTED], published.running["2"].invocations()) == (204, "2", [])


@pytest.mark.parametrize("qualifier", ["7", "nobody"], ids=["version", "alias"])
async def test_a_qualifier_that_nobody_has_is_not_found(published, qualifier):
    answer = await published.invoke({}, f"hello:{qualifier}")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    assert answer.json()["Message"] == f"Function not found: {ARN}:{qualifier}"


async def test_two_qualifiers_that_disagree_are_refused(published):
    answer = await published.invoke({}, "hello:1", "?Qualifier=2")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "InvalidParameterValueException")


async def test_the_split_over_two_versions_lies_in_the_exact_interval(published, monkeypatch):
    """R9 in small: 1,000 requests from a seeded dice, 99.9 %. `tests/bench` has the 100,000."""
    monkeypatch.setattr("lambent.gateway.public_door.random", random.Random(20_261_128))
    pointed(published, 1, 2, weight=0.2)
    await until_split(published)
    ran = Counter()
    for _ in range(50):
        for answer in await asyncio.gather(*(published.invoke({}, "hello:live") for _ in range(20))):
            assert answer.status == 200
            ran[answer.headers[EXECUTED]] += 1
    low, high = interval(1000, 0.2, 0.999)
    assert set(ran) == {"1", "2"}
    assert low <= ran["2"] <= high


async def test_repointing_under_load_fails_no_request_and_runs_no_third_version(published):
    """Forty moves between two versions while ten clients ask; the third is there and idle all the time."""
    pointed(published, 1)
    await until_led(published, "1")
    ran, going = Counter(), True

    async def client() -> None:
        while going:
            answer = await published.invoke({}, "hello:live")
            ran[answer.status, answer.headers.get(EXECUTED)] += 1

    clients = [asyncio.create_task(client()) for _ in range(10)]
    for move in range(40):
        to = ("2", "1")[move % 2]
        before = sum(ran.values())
        pointed(published, to)
        await until_led(published, to)
        await published.eventually(lambda before=before: sum(ran.values()) >= before + 10)
    going = False
    await asyncio.gather(*clients)
    assert set(ran) == {(200, "1"), (200, "2")}
    assert published.running["$LATEST"].invocations() == []


async def test_an_alias_leads_to_the_old_version_until_the_new_one_is_in_the_index(published):
    """The controller wrote the alias; its gateway has not seen the version yet."""
    pointed(published, 1)
    await until_led(published, "1")
    pointed(published, 3)
    for _ in range(5):
        assert (await published.invoke({}, "hello:live")).headers[EXECUTED] == "1"
    three = published.cluster.apply(version(published.bodies["$LATEST"], 3))
    await until_led(published, "3")
    await published.agent(three, "pod-3")
    assert (await published.invoke({}, "hello:live")).headers[EXECUTED] == "3"


async def test_a_waiting_request_follows_its_alias_when_its_version_goes(house, hello):
    """With its own roll, to what the alias says now; it is answered by the version that ran it."""
    one, two = (house.cluster.apply(version(hello, number)) for number in (1, 2))
    house.bodies = {"$LATEST": hello}
    pointed(house, 1)
    await until_led(house, "1")
    request = house.begin({"n": 1}, "hello:live")
    await house.waiting(one)
    pointed(house, 2)
    await until_led(house, "2")
    house.cluster.delete(one)
    await house.waiting(two)
    agent = await house.agent(two, "pod-2")
    answer = await request
    assert (answer.status, answer.headers[EXECUTED], arn_told(agent)) == (200, "2", f"{ARN}:live")


async def test_of_two_versions_the_waiting_requests_of_the_one_that_goes_move_to_the_other(house, hello):
    one, two = (house.cluster.apply(version(hello, number)) for number in (1, 2))
    house.bodies = {"$LATEST": hello}
    pointed(house, 1, 2, weight=0.5)
    await until_split(house)
    requests = [house.begin({"n": n}, "hello:live") for n in range(12)]
    await house.eventually(lambda: house.pool(one).waiting + house.pool(two).waiting == 12)
    house.cluster.delete(one)
    await house.waiting(two, 12)
    await house.agent(two, "pod-2")
    assert {(answer.status, answer.headers[EXECUTED]) for answer in await asyncio.gather(*requests)} == {(200, "2")}


GOES = {
    "a version that was named": ("hello:1", ":1"),
    "the only version of an alias": ("hello:live", ":live"),
}


@pytest.mark.parametrize("row", GOES.values(), ids=GOES.keys())
async def test_a_request_whose_version_goes_while_it_waits_is_not_found(house, hello, row):
    name, suffix = row
    one = house.cluster.apply(version(hello, 1))
    house.bodies = {"$LATEST": hello}
    pointed(house, 1)
    await until_led(house, "1")
    request = house.begin({}, name)
    await house.waiting(one)
    house.cluster.delete(one)
    answer = await request
    assert (answer.status, answer.json()["Message"]) == (404, f"Function not found: {ARN}{suffix}")


async def test_a_waiting_request_is_never_run_by_another_function_of_the_same_name(house):
    """Its caller was asked about the object that it named when it came."""
    old = house.cluster.apply(function("old", function_name="hello", created="2026-01-01T00:00:00Z"))
    new = house.cluster.apply(function("new", function_name="hello", created="2026-01-02T00:00:00Z"))
    await house.agent(new, "pod-new")
    await house.idle(new)
    request = house.begin({})
    await house.waiting(old)
    house.cluster.delete(old)
    assert (await request).status == 404
    assert (await house.invoke({})).status == 200


async def test_a_waiting_request_follows_new_environments_of_its_version(house, hello):
    """Another runtime image: the same version, another podRevision."""
    one = house.cluster.apply(version(hello, 1))
    await house.eventually(lambda: house.gateway.table.route_of(key_of(one)) is not None)
    request = house.begin({}, "hello:1")
    await house.waiting(one)
    again = house.cluster.apply(version(hello, 1, status={"podRevision": "another"}))
    await house.waiting(again)
    await house.agent(again, "pod-again")
    assert (await request).headers[EXECUTED] == "1"


async def test_each_version_has_series_of_its_own_that_go_with_it(published):
    async def series() -> str:
        async with published.session.get(published.url("metrics", "/metrics")) as answer:
            return await answer.text()

    await published.invoke({}, "hello:1")
    counted = 'lambent_invocations_total{function="hello",namespace="default",outcome="success",version="%s"} 1.0'
    await published.eventually(lambda: published.pool(published.bodies["1"]).idle_count == 1)
    text = await series()
    assert counted % "1" in text
    assert counted % "2" not in text
    assert 'lambent_concurrent_executions{function="hello",namespace="default",version="2"} 0.0' in text
    published.cluster.delete(published.bodies["1"])
    await published.eventually(lambda: published.gateway.table.route_of(key_of(published.bodies["1"])) is None)
    text = await series()
    assert 'version="1"' not in text
    assert 'version="2"' in text


async def test_concurrency_is_told_for_each_version(published):
    request = published.begin({"do": "gate"}, "hello:1")
    await published.eventually(lambda: published.running["1"].running == 1)
    async with published.session.get(published.url("metrics", "/metrics")) as answer:
        text = await answer.text()
    gauge = 'lambent_concurrent_executions{function="hello",namespace="default",version="%s"} %s'
    assert [gauge % (number, value) in text for number, value in (("1", "1.0"), ("2", "0.0"))] == [True, True]
    published.running["1"].gate.set()
    assert (await request).status == 200


async def test_malformed_versions_and_aliases_stop_no_others(published):
    """The last good state of each stays."""
    pointed(published, 1)
    await until_led(published, "1")
    hello = published.bodies["$LATEST"]
    for weights in ({"1": 1.5}, {"1": -1}, {"1": 0.1, "3": 0.1}, {"": 0.1}, "x"):
        routing = {"functionVersion": "2", "additionalVersionWeights": weights}
        published.cluster.apply(alias(hello, "live", 2, status={"routing": routing}))
    published.cluster.apply(alias(hello, "7", 2))
    for odd in ({"version": "x"}, {"snapshot": 3}, {"podRevision": ["x"]}, {"conditions": None}):
        published.cluster.apply(version(hello, 2, status=odd))
    published.cluster.apply(version(hello, 3))
    await published.eventually(lambda: published.gateway.table.route_of(key_of(version(hello, 3))) is not None)
    assert (await published.invoke({}, "hello:live")).headers[EXECUTED] == "1"
    assert (await published.invoke({}, "hello:2")).headers[EXECUTED] == "2"
    assert (await published.invoke({}, "hello:7")).status == 404


async def test_what_a_relist_does_not_show_is_gone(published):
    pointed(published, 2)
    await until_led(published, "2")
    streams = published.cluster.streams
    streams["versions"].objects.pop(("default", "hello.1"))
    streams["aliases"].objects.clear()
    for kind in ("versions", "aliases"):
        streams[kind].relist()
    await published.eventually(lambda: not list(published.gateway.table.alias_objects()))
    assert (await published.invoke({}, "hello:live")).status == 404
    assert (await published.invoke({}, "hello:1")).status == 404
    assert (await published.invoke({}, "hello:2")).status == 200

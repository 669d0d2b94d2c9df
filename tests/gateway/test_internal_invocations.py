"""`POST /v1/invoke` of the internal door: what the controller runs, answered as the public door answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.gateway.clusters import REGION, function
from tests.gateway.conftest import Answer
from tests.gateway.publications import alias, version

from lambent.model import limits
from lambent.model.arns import account_id

ARN = f"arn:aws:lambda:{REGION}:{account_id('ns-uid-default')}:function:hello"
EXECUTED = "X-Amz-Executed-Version"


async def run(house, target: str | None = "default/hello", event: bytes = b"{}", **headers) -> Answer:
    fields = {"Authorization": "Bearer good"} | {key.replace("_", "-"): value for key, value in headers.items()}
    if target is not None:
        fields["Lambent-Target"] = target
    async with house.session.post(house.url("internal", "/v1/invoke"), data=event, headers=fields) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


async def test_it_is_answered_as_on_the_public_door(house, hello):
    await house.agent(hello)
    answer = await run(house, event=b'{"n": 1}')
    assert (answer.status, answer.body, answer.headers[EXECUTED]) == (200, b'{"n": 1}', "$LATEST")
    assert answer.headers["x-amzn-RequestId"]
    public = await house.invoke({"n": 1})
    assert set(public.headers) - set(answer.headers) <= {"Server", "Date"}


async def test_an_error_of_the_function_is_told_by_its_header(house, hello):
    await house.agent(hello)
    answer = await run(house, event=b'{"do": "error"}')
    assert (answer.status, answer.error, answer.json()["errorType"]) == (200, "Unhandled", "ValueError")


async def test_the_roll_that_is_handed_in_decides_between_two_versions(house, hello):
    for number in (1, 2):
        await house.agent(house.cluster.apply(version(hello, number)), f"pod-{number}")
    house.cluster.apply(alias(hello, "live", 1, 2, weight=0.3))
    await house.eventually(lambda: list(house.gateway.table.alias_objects()))
    for roll, expected in (("0", "2"), ("0.29", "2"), ("0.3", "1"), ("0.999", "1")):
        answer = await run(house, "default/hello:live", Lambent_Roll=roll)
        assert (answer.status, answer.headers[EXECUTED]) == (200, expected), roll
    assert {(await run(house, "default/hello:live")).headers[EXECUTED] for _ in range(60)} == {"1", "2"}


async def test_a_version_and_a_log_tail_can_be_asked_for(house, hello):
    await house.agent(house.cluster.apply(version(hello, 1)))
    answer = await run(house, "default/hello:1", X_Amz_Log_Type="Tail")
    assert (answer.status, answer.headers[EXECUTED]) == (200, "1")
    assert answer.headers["X-Amz-Log-Result"]


REFUSED = {
    "no target": (None, {}, 400, "ValidationException"),
    "no namespace": ("hello", {}, 400, "ValidationException"),
    "a namespace that can be none": ("De fault/hello", {}, 400, "ValidationException"),
    "a function that can be none": ("default/a b", {}, 400, "ValidationException"),
    "an unknown function": ("default/nope", {}, 404, "ResourceNotFoundException"),
    "an unknown version": ("default/hello:7", {}, 404, "ResourceNotFoundException"),
    "another namespace": ("other/hello", {}, 404, "ResourceNotFoundException"),
    "another account's ARN": (
        f"default/arn:aws:lambda:{REGION}:111122223333:function:hello",
        {},
        404,
        "ResourceNotFoundException",
    ),
    "a roll of all": ("default/hello", {"Lambent_Roll": "1"}, 400, "ValidationException"),
    "a negative roll": ("default/hello", {"Lambent_Roll": "-0.1"}, 400, "ValidationException"),
    "a roll that is no number": ("default/hello", {"Lambent_Roll": "nan"}, 400, "ValidationException"),
    "a roll that is a word": ("default/hello", {"Lambent_Roll": "six"}, 400, "ValidationException"),
    "an event later": ("default/hello", {"X_Amz_Invocation_Type": "Event"}, 400, "InvalidParameterValueException"),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_run_is_refused_in_lambdas_words(house, hello, row):
    target, headers, status, kind = row
    house.cluster.namespace("team", account="111122223333")
    await house.agent(house.cluster.apply(function(namespace="team")), "pod-team")
    answer = await run(house, target, **headers)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (status, kind)


@pytest.mark.parametrize(
    ("event", "status", "kind"),
    [
        (b"{", 400, "InvalidRequestContentException"),
        (b'"' + b"x" * limits.REQUEST_BYTES_MAX + b'"', 413, "RequestEntityTooLargeException"),
        (b'"' + b"x" * 200_000, 400, "InvalidRequestContentException"),
    ],
    ids=["no JSON", "over six megabytes", "large and no JSON"],
)
async def test_events_have_the_bounds_of_the_public_door(house, hello, event, status, kind):
    answer = await run(house, event=event)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (status, kind)


async def test_an_event_of_six_megabytes_is_run(house, hello):
    await house.agent(hello)
    event = b'"' + b"x" * (limits.REQUEST_BYTES_MAX - 2) + b'"'
    assert (await run(house, event=event)).body == event


@pytest.mark.parametrize("token", ["bad", "other"])
async def test_only_the_controllers_account_may_run_anything(house, hello, token):
    agent = await house.agent(hello)
    answer = await run(house, Authorization=f"Bearer {token}")
    assert answer.status in (401, 403)
    assert agent.invocations() == []


async def test_a_caller_that_goes_away_leaves_the_queue(house, hello):
    request = asyncio.create_task(run(house))
    await house.waiting(hello)
    request.cancel()
    await house.waiting(hello, 0)


async def test_it_counts_towards_the_account_as_any_request(make_house):
    house = await make_house(account_concurrency=1)
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    await house.idle(hello)
    request = asyncio.create_task(run(house, event=json.dumps({"do": "gate"}).encode()))
    await house.eventually(lambda: agent.running == 1)
    assert (await run(house)).status == 429
    agent.gate.set()
    assert (await request).status == 200

"""Who may invoke: the public door with LAMBENT_AUTH_MODE=kubernetes, as AWS's own client and others meet it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging

import boto3
import pytest
from botocore.config import Config
from tests.gateway.clusters import REGION, function

from lambent.model.identities import Identity

ALICE = Identity("system:serviceaccount:team:alice", ("system:authenticated",), "uid-alice", {"a": ["b"]})
BOB = Identity("bob@example.com")
TOKEN, BOBS, CANARY = "alice-token", "bob-token", "canary-3f9a"
USER = f"User: {ALICE.user} is not authorized to perform: lambda:InvokeFunction on resource: "
WHY = " because no identity-based policy allows the lambda:InvokeFunction action"


def expired() -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1000}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def door(make_house, boto_port):
    """Namespace `team` with `hello`, namespace `other` with `secret`; Alice of team may invoke what is in team."""
    clock = Clock()
    house = await make_house(port=boto_port, settings={"auth_mode": "kubernetes"}, clock=clock)
    house.clock = clock
    cluster = house.cluster
    cluster.namespace("team", account="111122223333")
    cluster.namespace("other", account="444455556666")
    cluster.users = {TOKEN: ALICE, BOBS: BOB}
    cluster.rights = {(ALICE.user, "team", "*")}
    house.hello = cluster.apply(function("hello-0a1b", "team", function_name="Hello"))
    cluster.apply(function("secret", "other"))
    await house.agent(house.hello)
    await house.idle(house.hello)
    cluster.asked.clear()
    return house


def client(port: int, token: str | None):
    """AWS's client with any keys and this session token."""
    return boto3.client(
        "lambda",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="any",
        aws_secret_access_key="thing",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


async def refused(house, boto_port, token, **call):
    """Code, message and status of what boto3 raises."""
    boto = client(boto_port, token)
    with pytest.raises(boto.exceptions.ClientError) as raised:
        await asyncio.to_thread(boto.invoke, **{"FunctionName": "Hello", **call})
    response = raised.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


async def test_boto3_gets_in_with_a_session_token(door, boto_port):
    """AWS_SESSION_TOKEN is a Kubernetes token; the function is found in the token's own namespace."""
    answer = await asyncio.to_thread(client(boto_port, TOKEN).invoke, FunctionName="Hello", Payload=b'{"n": 1}')
    assert json.load(answer["Payload"]) == {"n": 1}


async def test_curl_gets_in_with_a_bearer_token(door):
    """The right is asked of the object's name, not of Lambda's name for it; warm calls ask nobody."""
    for _ in range(3):
        assert (await door.invoke(name="Hello", Authorization=f"Bearer {TOKEN}")).status == 200
    assert (await door.invoke(name="Hello", Authorization=f"bearer  {TOKEN} ")).status == 200
    assert door.cluster.asked == [TOKEN, (ALICE.user, "team", "hello-0a1b")]


async def test_the_bearer_token_goes_before_the_session_token(door):
    """One request has one caller."""
    answer = await door.invoke(name="Hello", Authorization=f"Bearer {BOBS}", X_Amz_Security_Token=TOKEN)
    assert answer.status == 403
    assert BOB.user in answer.json()["Message"]


REFUSED = {
    "no token": (None, {}, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    "nobody's token": (
        CANARY,
        {},
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    "a token of eight kilobytes": (
        "x" * 8193,
        {},
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    "a token that ended": (
        expired(),
        {},
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    "without the right": (
        BOBS,
        {"FunctionName": "111122223333:function:Hello"},
        "AccessDeniedException",
        f"User: {BOB.user} is not authorized to perform: lambda:InvokeFunction on resource: "
        f"arn:aws:lambda:us-east-1:111122223333:function:Hello{WHY}",
    ),
    "another's function by ARN": (
        TOKEN,
        {"FunctionName": "arn:aws:lambda:us-east-1:444455556666:function:secret"},
        "AccessDeniedException",
        f"{USER}arn:aws:lambda:us-east-1:444455556666:function:secret{WHY}",
    ),
    "another's function that does not exist": (
        TOKEN,
        {"FunctionName": "arn:aws:lambda:us-east-1:444455556666:function:nothing"},
        "AccessDeniedException",
        f"{USER}arn:aws:lambda:us-east-1:444455556666:function:nothing{WHY}",
    ),
    "an account that is nobody's": (
        TOKEN,
        {"FunctionName": "arn:aws:lambda:us-east-1:999999999999:function:secret"},
        "AccessDeniedException",
        f"{USER}arn:aws:lambda:us-east-1:999999999999:function:secret{WHY}",
    ),
    "another's function, dry": (
        TOKEN,
        {"FunctionName": "444455556666:secret", "InvocationType": "DryRun"},
        "AccessDeniedException",
        f"{USER}arn:aws:lambda:us-east-1:444455556666:function:secret{WHY}",
    ),
    "another's function, with nonsense": (
        TOKEN,
        {"FunctionName": "444455556666:secret", "Payload": b"nonsense"},
        "AccessDeniedException",
        f"{USER}arn:aws:lambda:us-east-1:444455556666:function:secret{WHY}",
    ),
}


@pytest.mark.parametrize(("token", "call", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_boto3_raises_what_aws_would(door, boto_port, caplog, token, call, code, message):
    """403 with AWS's code and words; no function runs, no token is in a log or an answer."""
    assert await refused(door, boto_port, token, **call) == (code, message, 403)
    assert door.agents[0].invocations() == []
    assert CANARY not in caplog.text


@pytest.mark.parametrize("namespace", ["other", "nowhere"])
@pytest.mark.parametrize("name", ["secret", "nothing", "Hello"])
async def test_naming_another_namespace_helps_nobody(door, namespace, name):
    """The same words, whether or not function and namespace exist; the account's number is not told."""
    answer = await door.invoke(name=name, X_Lambent_Namespace=namespace, Authorization=f"Bearer {TOKEN}")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert answer.json() == {"Message": f"{USER}arn:aws:lambda:us-east-1:000000000000:function:{name}{WHY}"}


async def test_with_the_right_one_hears_what_is_not_there(door):
    """404, as Lambda does; also who may invoke everywhere, of accounts that are nobody's."""
    answer = await door.invoke(name="nothing", Authorization=f"Bearer {TOKEN}")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    door.cluster.rights.add((BOB.user, "", "*"))
    answer = await door.invoke(name="999999999999:function:hello", Authorization=f"Bearer {BOBS}")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")


async def test_dry_run_needs_the_right_and_says_that_one_has_it(door):
    """204, and nothing ran."""
    answer = await door.invoke(name="Hello", Authorization=f"Bearer {TOKEN}", X_Amz_Invocation_Type="DryRun")
    assert answer.status == 204
    assert door.agents[0].invocations() == []


async def test_who_is_no_service_account_lives_in_the_default_namespace(door):
    """Users of an identity provider have no namespace of their own."""
    door.cluster.rights.add((BOB.user, "default", "plain"))
    await door.agent(door.cluster.apply(function("plain")), "pod-plain")
    assert (await door.invoke(name="plain", Authorization=f"Bearer {BOBS}")).status == 200


async def test_a_right_on_one_function_is_a_right_on_one_function(door):
    """resourceNames name objects."""
    door.cluster.rights = {(ALICE.user, "team", "hello-0a1b")}
    assert (await door.invoke(name="Hello", Authorization=f"Bearer {TOKEN}")).status == 200
    assert (await door.invoke(name="hello-0a1b", Authorization=f"Bearer {TOKEN}")).status == 404
    assert (await door.invoke(name="other", Authorization=f"Bearer {TOKEN}")).status == 403


async def test_a_right_that_is_taken_away_is_gone_within_a_minute(door):
    """And one that is given helps within seconds."""
    ask = {"name": "Hello", "Authorization": f"Bearer {TOKEN}"}
    assert (await door.invoke(**ask)).status == 200
    door.cluster.rights.clear()
    assert (await door.invoke(**ask)).status == 200
    door.clock.now += 60
    assert (await door.invoke(**ask)).status == 403
    door.cluster.rights.add((ALICE.user, "team", "hello-0a1b"))
    assert (await door.invoke(**ask)).status == 403
    door.clock.now += 5
    assert (await door.invoke(**ask)).status == 200


async def test_a_grant_in_use_is_renewed_beside_the_requests(door):
    """Nobody waits for it, and then it is a minute young again."""
    ask = {"name": "Hello", "Authorization": f"Bearer {TOKEN}"}
    await door.invoke(**ask)
    door.clock.now += 50
    door.cluster.asked.clear()
    assert (await door.invoke(**ask)).status == 200
    await door.eventually(lambda: len(door.cluster.asked) == 2)
    door.clock.now += 20
    door.cluster.asked.clear()
    assert (await door.invoke(**ask)).status == 200
    assert door.cluster.asked == []


async def test_while_the_api_server_is_away_who_is_known_goes_on(door, boto_port, caplog):
    """For fifteen minutes; a new identity hears 503 and comes again."""
    caplog.set_level(logging.WARNING)
    ask = {"name": "Hello", "Authorization": f"Bearer {TOKEN}"}
    await door.invoke(**ask)
    door.cluster.away = True
    for _ in range(14):
        door.clock.now += 60
        assert (await door.invoke(**ask)).status == 200
    code, message, status = await refused(door, boto_port, BOBS)
    assert (code, status) == ("ServiceUnavailableException", 503)
    assert message == "The service cannot verify the caller at this time. Try again."
    door.clock.now += 60
    assert (await door.invoke(**ask)).status == 503
    assert "the API server does not answer" in caplog.text
    assert TOKEN not in caplog.text
    door.cluster.away = False
    assert (await door.invoke(**ask)).status == 200


async def test_many_requests_of_a_new_caller_are_one_question(door):
    """A stampede costs the API server two reviews."""
    ask = {"name": "Hello", "Authorization": f"Bearer {TOKEN}"}
    answers = await asyncio.gather(*(door.invoke(**ask) for _ in range(30)))
    assert {answer.status for answer in answers} == {200}
    assert len(door.cluster.asked) == 2


async def test_a_client_that_hangs_up_does_not_take_the_answer_from_the_others(door):
    """The question goes on without him."""
    gate = asyncio.Event()
    door.cluster.before = gate.wait
    first = door.begin(name="Hello", Authorization=f"Bearer {TOKEN}")
    second = door.begin(name="Hello", Authorization=f"Bearer {TOKEN}")
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.sleep(0.05)
    gate.set()
    assert (await second).status == 200
    assert door.cluster.asked[0] == TOKEN and len(door.cluster.asked) == 2


async def test_a_flood_of_bad_tokens_neither_evicts_nor_delays_who_is_known(door):
    """Thousands of them, each new; the API server sees a few at a time, and the known caller none of it."""
    ask = {"name": "Hello", "Authorization": f"Bearer {TOKEN}"}
    await door.invoke(**ask)
    at_once = most = 0

    async def slow():
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    door.cluster.before = slow
    flood = [door.begin(name="Hello", Authorization=f"Bearer bad-{number}") for number in range(600)]
    await asyncio.sleep(0)
    assert (await door.invoke(**ask)).status == 200
    statuses = [(await request).status for request in flood]
    assert set(statuses) <= {403, 503}
    assert most <= 16
    door.cluster.asked.clear()
    assert (await door.invoke(**ask)).status == 200
    assert door.cluster.asked == []


async def test_what_became_of_callers_is_counted(door):
    """By outcome, without a name."""
    await door.invoke(name="Hello", Authorization=f"Bearer {TOKEN}")
    await door.invoke(name="Hello", Authorization=f"Bearer {BOBS}")
    await door.invoke(name="Hello", Authorization=f"Bearer {CANARY}")
    await door.invoke(name="Hello")
    async with door.session.get(door.url("metrics", "/metrics")) as answer:
        text = await answer.text()
    for line in (
        'lambent_auth_decisions_total{door="public",outcome="granted"} 1.0',
        'lambent_auth_decisions_total{door="public",outcome="denied"} 1.0',
        'lambent_auth_decisions_total{door="public",outcome="invalid"} 1.0',
        'lambent_auth_decisions_total{door="public",outcome="missing"} 1.0',
        'lambent_auth_reviews_total{kind="TokenReview",outcome="granted"} 2.0',
        'lambent_auth_reviews_total{kind="TokenReview",outcome="denied"} 1.0',
        'lambent_auth_reviews_total{kind="SubjectAccessReview",outcome="granted"} 1.0',
        'lambent_auth_reviews_total{kind="SubjectAccessReview",outcome="denied"} 1.0',
    ):
        assert line in text
    assert CANARY not in text and "alice" not in text


@pytest.mark.parametrize("namespace", ["Team", "a" * 64, "../x", "a b", "-a", "ä"])
async def test_what_can_be_no_namespace_is_a_validation_error(door, namespace):
    """Before anybody is asked about it."""
    answer = await door.invoke(name="Hello", X_Lambent_Namespace=namespace, Authorization=f"Bearer {TOKEN}")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationException")


async def test_without_authentication_the_log_says_what_that_means(make_house, caplog):
    """Somebody set it; somebody else should read it."""
    caplog.set_level(logging.WARNING)
    await make_house(settings={"auth_mode": "none"})
    assert "whoever reaches the public door may invoke every function" in caplog.text

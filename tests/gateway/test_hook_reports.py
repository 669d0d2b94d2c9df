"""PutLifecycleEventHookExecutionStatus at the public door, as AWS's own client says it."""

from __future__ import annotations

import asyncio
import copy
import functools
import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.gateway.clusters import REGION, function
from tests.gateway.publications import alias, digest_of, rollout, version

from lambent.gateway import hook_reports

DEPLOYMENT, BEFORE, AFTER = "d-ABCDEFGH1", "6f1c2d3e-before", "7a8b9c0d-after"
TARGET = "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus"
JSON = "application/x-amz-json-1.1"


@pytest.fixture
async def asked(make_house):
    """A gateway that asks for tokens; `live` has a rollout whose two hooks were asked."""
    house = await make_house(settings={"auth_mode": "kubernetes"})
    house.hello = house.cluster.apply(function())
    house.cluster.apply(version(house.hello, 1))
    rolled_out(house)
    await seen(house)
    return house


def rolled_out(house, *execution_ids, hook_results=(), **changes) -> dict:
    status = {"rollout": rollout(*(execution_ids or (BEFORE, AFTER)), **changes), "hookResults": list(hook_results)}
    return house.cluster.apply(alias(house.hello, "live", 1, status={"routing": {"functionVersion": "1"}, **status}))


async def seen(house) -> None:
    """What was written last is in the index."""
    stream = house.cluster.streams["aliases"]
    index = house.gateway._reports._index
    await house.eventually(lambda: any(hook.resource_version == str(stream.written) for hook in index._hooks.values()))


def results(house) -> list[dict]:
    return house.cluster.streams["aliases"].objects["default", "hello.live"]["status"].get("hookResults", [])


def client(house, retries: int = 1):
    return boto3.client(
        "codedeploy",
        region_name=REGION,
        endpoint_url=house.url("public", ""),
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": retries}, read_timeout=30),
    )


async def report(house, status: str = "Succeeded", execution: str = BEFORE, deployment: str = DEPLOYMENT, **more):
    codedeploy = await asyncio.to_thread(client, house, **more)
    call = functools.partial(
        codedeploy.put_lifecycle_event_hook_execution_status,
        deploymentId=deployment,
        lifecycleEventHookExecutionId=execution,
        status=status,
    )
    return await asyncio.to_thread(call)


async def refused(house, *args, **more) -> tuple[str, int]:
    with pytest.raises(ClientError) as raised:
        await report(house, *args, **more)
    answer = raised.value.response
    assert answer["ResponseMetadata"]["RequestId"]
    assert answer["Error"]["Message"]
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("status", ["Succeeded", "Failed"])
async def test_a_report_is_written_into_the_status_of_the_alias(asked, status):
    """With any signature and no token; answered once the API server has it."""
    answer = await report(asked, status)
    assert answer["lifecycleEventHookExecutionId"] == BEFORE
    (result,) = results(asked)
    assert (result["executionIdSha256"], result["status"]) == (digest_of(BEFORE), status)
    assert result["reportedAt"].endswith("Z")
    (applied,) = asked.cluster.applied
    assert set(applied) == {"apiVersion", "kind", "metadata", "status"}
    assert set(applied["status"]) == {"hookResults"}


async def test_both_hooks_of_a_rollout_report_and_earlier_rollouts_are_left_out(asked):
    old = {"executionIdSha256": digest_of("old"), "status": "Failed", "reportedAt": "2026-01-01T00:00:00Z"}
    rolled_out(asked, hook_results=[old])
    await seen(asked)
    await report(asked)
    await report(asked, "Failed", AFTER)
    assert [(each["executionIdSha256"], each["status"]) for each in results(asked)] == [
        (digest_of(BEFORE), "Succeeded"),
        (digest_of(AFTER), "Failed"),
    ]


async def test_the_same_report_again_is_answered_the_same_and_another_one_is_late(asked):
    for _ in range(2):
        assert (await report(asked))["lifecycleEventHookExecutionId"] == BEFORE
    assert len(asked.cluster.applied) == 1
    assert await refused(asked, "Failed") == ("LifecycleEventAlreadyCompletedException", 400)
    rolled_out(asked, state="Succeeded", hook_results=results(asked))  # the controller has read it
    await seen(asked)
    await report(asked)
    assert len(asked.cluster.applied) == 1


@pytest.mark.parametrize("status", ["InProgress", "Pending"])
async def test_a_report_of_going_on_is_taken_and_not_written(asked, status):
    assert (await report(asked, status))["lifecycleEventHookExecutionId"] == BEFORE
    assert asked.cluster.applied == []


@pytest.mark.parametrize("status", ["Skipped", "Unknown", "Done"])
async def test_what_no_hook_may_report_is_refused(asked, status):
    assert await refused(asked, status) == ("InvalidLifecycleEventHookExecutionStatusException", 400)


OVER = {
    "it was given up": {"state": "Failed"},
    "the rollout is over": {"phase": "RolledBack"},
    "the rollout is over and nobody told the hook": {"phase": "Stopped", "state": "InProgress"},
}


@pytest.mark.parametrize("changes", OVER.values(), ids=OVER.keys())
async def test_a_report_that_nobody_waits_for_is_late(asked, changes):
    rolled_out(asked, **changes)
    await seen(asked)
    assert await refused(asked) == ("LifecycleEventAlreadyCompletedException", 400)
    assert asked.cluster.applied == []


async def test_ids_that_do_not_belong_together_are_refused(asked, monkeypatch):
    monkeypatch.setattr(hook_reports, "EARLY_SECONDS", 0.05)
    assert await refused(asked, deployment="d-ABCDEFGH2") == ("DeploymentDoesNotExistException", 400)
    assert await refused(asked, execution="guessed") == ("InvalidLifecycleEventHookExecutionIdException", 400)
    assert await refused(asked, execution=digest_of(BEFORE)) == ("InvalidLifecycleEventHookExecutionIdException", 400)


async def test_a_hook_may_be_faster_than_the_watch(asked):
    """The controller writes its digest and invokes it in the same moment."""
    asked.cluster.streams["aliases"].late = True
    rolled_out(asked, "early")
    waiting = asyncio.create_task(report(asked, execution="early"))
    await asked.eventually(lambda: asked.gateway._reports._waiting)
    asked.cluster.streams["aliases"].catch_up()
    assert (await waiting)["lifecycleEventHookExecutionId"] == "early"
    assert [each["executionIdSha256"] for each in results(asked)] == [digest_of("early")]


async def test_a_status_that_was_written_meanwhile_is_looked_at_again(asked):
    """Another gateway took the other hook's report, or the controller wrote: nothing of it is lost."""
    stream = asked.cluster.streams["aliases"]
    stream.late = True
    other = {"executionIdSha256": digest_of(AFTER), "status": "Succeeded", "reportedAt": "2026-01-01T00:00:00Z"}
    rolled_out(asked, hook_results=[other])
    waiting = asyncio.create_task(report(asked, "Failed"))
    await asked.eventually(lambda: asked.cluster.applied)
    stream.catch_up()
    await waiting
    assert {each["executionIdSha256"]: each["status"] for each in results(asked)} == {
        digest_of(AFTER): "Succeeded",
        digest_of(BEFORE): "Failed",
    }
    assert len(asked.cluster.applied) == 2


async def test_two_gateways_take_one_report_of_a_hook_only(asked):
    """The other one said Failed in the same moment: ours finds out before it answers."""
    stream = asked.cluster.streams["aliases"]
    stream.late = True
    other = {"executionIdSha256": digest_of(BEFORE), "status": "Failed", "reportedAt": "2026-01-01T00:00:00Z"}
    rolled_out(asked, hook_results=[other])
    waiting = asyncio.create_task(refused(asked))
    await asked.eventually(lambda: asked.cluster.applied)
    stream.catch_up()
    assert await waiting == ("LifecycleEventAlreadyCompletedException", 400)
    assert results(asked) == [other]


async def test_an_api_server_that_is_away_is_waited_for_by_the_client(asked):
    """503, which AWS's clients try again by themselves."""
    asked.cluster.away = True
    assert await refused(asked) == ("ServiceUnavailableException", 503)
    waiting = asyncio.create_task(report(asked, retries=10))
    await asked.eventually(lambda: len(asked.cluster.applied) >= 2)
    asked.cluster.away = False
    assert (await waiting)["lifecycleEventHookExecutionId"] == BEFORE


async def test_an_alias_that_is_gone_has_no_hooks(asked, monkeypatch):
    monkeypatch.setattr(hook_reports, "EARLY_SECONDS", 0.05)
    stream = asked.cluster.streams["aliases"]
    stream.late = True
    gone = stream.objects.pop(("default", "hello.live"))
    assert await refused(asked) == ("InvalidLifecycleEventHookExecutionIdException", 400)
    stream.late = False
    stream.objects["default", "hello.live"] = gone
    asked.cluster.delete(copy.deepcopy(gone))
    await asked.eventually(lambda: not asked.gateway._reports._index._hooks)
    assert await refused(asked) == ("InvalidLifecycleEventHookExecutionIdException", 400)


async def test_no_more_than_so_many_wait_to_be_looked_up(asked, monkeypatch):
    """Anybody can ask here."""
    monkeypatch.setattr(hook_reports, "WAITING_MAX", 1)
    first = asyncio.create_task(refused(asked, execution="guessed"))
    await asked.eventually(lambda: asked.gateway._reports._waiting)
    assert await refused(asked, execution="guessed too") == ("ServiceUnavailableException", 503)
    assert (await report(asked))["lifecycleEventHookExecutionId"] == BEFORE
    assert await first == ("InvalidLifecycleEventHookExecutionIdException", 400)


# --- what is not a report -----------------------------------------------------------------------------------------


async def post(house, body: bytes, target: str | None = TARGET, **more):
    headers = {"Content-Type": JSON, **({"X-Amz-Target": target} if target else {}), **more.pop("headers", {})}
    async with house.session.post(house.url("public", "/"), data=body, headers=headers, **more) as answer:
        return answer.status, json.loads(await answer.read()), answer.headers


GOOD = {"deploymentId": DEPLOYMENT, "lifecycleEventHookExecutionId": BEFORE, "status": "Succeeded"}
MALFORMED = {
    "no deployment": ({**GOOD, "deploymentId": None}, "DeploymentIdRequiredException"),
    "an empty deployment": ({**GOOD, "deploymentId": ""}, "DeploymentIdRequiredException"),
    "a number for a deployment": ({**GOOD, "deploymentId": 1}, "DeploymentIdRequiredException"),
    "no execution": ({**GOOD, "lifecycleEventHookExecutionId": None}, "InvalidLifecycleEventHookExecutionIdException"),
    "a long execution": (
        {**GOOD, "lifecycleEventHookExecutionId": "x" * 5000},
        "InvalidLifecycleEventHookExecutionIdException",
    ),
    "no status": ({**GOOD, "status": None}, "InvalidLifecycleEventHookExecutionStatusException"),
    "a list for a status": ({**GOOD, "status": []}, "InvalidLifecycleEventHookExecutionStatusException"),
}


@pytest.mark.parametrize("row", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_report_without_its_parts_is_refused_in_codedeploys_words(asked, row):
    given, kind = row
    status, answer, headers = await post(asked, json.dumps(given).encode())
    assert (status, answer["__type"], headers["Content-Type"]) == (400, kind, JSON)
    assert headers["x-amzn-RequestId"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"1", b"[" * 50_000, b'"\\ud800"'])
async def test_what_is_no_json_object_is_refused(asked, body):
    status, answer, _ = await post(asked, body)
    assert (status, answer["__type"]) == (400, "SerializationException")


async def test_an_id_that_is_no_text_of_utf8_is_nobodys(asked, monkeypatch):
    monkeypatch.setattr(hook_reports, "EARLY_SECONDS", 0.05)
    body = json.dumps({**GOOD, "lifecycleEventHookExecutionId": "\ud800"}).encode()
    status, answer, _ = await post(asked, body)
    assert (status, answer["__type"]) == (400, "InvalidLifecycleEventHookExecutionIdException")


async def chunked(size: int):
    for _ in range(0, size, 4096):
        yield b" " * 4096


@pytest.mark.parametrize(
    "body",
    [lambda: b" " * 65_537, lambda: b" " * 7_000_000, lambda: chunked(8192)],
    ids=["a byte too many", "seven megabytes", "of unknown length"],
)
async def test_a_long_body_is_not_kept(asked, body):
    """Nobody had to say who he is."""
    status, answer, _ = await post(asked, body())
    assert (status, answer["__type"]) == (400, "RequestEntityTooLargeException")
    assert asked.gateway._public._room._left == asked.gateway._settings.bodies_bytes


@pytest.mark.parametrize(
    "target",
    ["CodeDeploy_20141006.CreateDeployment", "DynamoDB_20120810.PutItem", "AmazonSQS.SendMessage", "", "x" * 8000],
)
@pytest.mark.parametrize("size", [2, 100_000], ids=["small", "large"])
async def test_other_operations_of_json_services_are_unknown_in_their_own_protocol(asked, target, size):
    status, answer, headers = await post(asked, b" " * size, target or ".")
    assert (status, answer["__type"], headers["Content-Type"]) == (400, "UnknownOperationException", JSON)


async def test_without_a_target_it_is_the_lambda_apis_unknown_operation(asked):
    status, _, headers = await post(asked, b"{}", None)
    assert (status, headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")


async def test_functions_still_ask_for_a_token_whatever_the_target(asked):
    """The header opens nothing but its own operation."""
    answer = await asked.invoke({}, X_Amz_Target=TARGET)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")

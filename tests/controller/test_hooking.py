"""Hooks of rollouts: who is invoked with what, and what comes of the answer, through aliases and by themselves."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from tests.controller.alias_rooms import AWAY, STEPS, AliasRoom, breathe
from tests.controller.rooms import GATEWAY

from lambent.adapters.gateways import Invocation
from lambent.controller.hooking import HookRunner, Place, execution_id, pause
from lambent.core.rollout import AskHook
from lambent.model.arns import account_id
from lambent.model.rollouts import Hook

BEFORE = {"hooks": {"preTraffic": {"functionName": "check", "timeoutSeconds": 60}}}
AFTER = {"hooks": {"postTraffic": {"functionName": "check", "timeoutSeconds": 60}}}
BY_RESULT = {"hooks": {"preTraffic": {"functionName": "check", "answerByResult": True}}}


@pytest.fixture
async def room(api):
    made = AliasRoom(api)
    made.function()
    made.publish("1")
    yield made
    await made.aliases.close()


async def rolling(room, rollout):
    """An alias whose rollout of version 2 has begun."""
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.publish("2")
    room.point(functionVersion="2", rollout={**STEPS, **rollout})
    await room.work(uid)
    return uid


def hook(room):
    [one] = room.rollout()["hooks"]
    return one


# --- the whole life -------------------------------------------------------------------------------------------------


async def test_a_hook_is_invoked_once_with_codedeploys_payload_and_the_traffic_waits_for_its_report(room):
    uid = await rolling(room, BEFORE)
    [(url, target, event)] = room.door.invoked
    assert (url, target) == (GATEWAY, "a/check:$LATEST")
    assert event.keys() == {"DeploymentId", "LifecycleEventHookExecutionId"}
    assert event["DeploymentId"] == room.rollout()["deploymentId"]
    assert room.routing() == "1"
    digest = hashlib.sha256(event["LifecycleEventHookExecutionId"].encode()).hexdigest()
    assert hook(room)["executionIdSha256"] == digest
    assert "answeredAt" in hook(room)
    await room.later(uid, 59)
    assert len(room.door.invoked) == 1
    await room.report("Succeeded")
    await room.work(uid)
    assert room.routing() == "1+2:0.1"
    assert hook(room)["state"] == "Succeeded"


async def test_a_report_that_comes_before_the_invocation_ends_counts(room):
    """As hooks do it: they report, then they return."""
    room.door.hangs = True
    uid = await rolling(room, BEFORE)
    await room.report("Succeeded")
    await room.work(uid)
    assert room.routing() == "1+2:0.1"


async def test_a_hook_that_reports_failed_ends_the_rollout(room):
    uid = await rolling(room, BEFORE)
    await room.report("Failed")
    await room.work(uid)
    assert (room.routing(), room.phase(), room.rollout()["reason"]) == ("1", "RolledBack", "HookFailed")


async def test_a_hook_that_stays_silent_fails_in_the_end(room):
    """It hangs, or it returns without a report: its time is the same."""
    room.door.hangs = True
    uid = await rolling(room, BEFORE)
    assert await room.later(uid, 59) == 1
    assert room.phase() == "BeforeAllowTraffic"
    await room.later(uid, 1)
    assert (room.phase(), room.rollout()["reason"]) == ("RolledBack", "HookTimedOut")
    assert len(room.door.invoked) == 1


async def test_a_post_traffic_hook_takes_all_of_the_traffic_back(room):
    uid = await rolling(room, AFTER)
    await room.later(uid, 60)
    await room.later(uid, 60)
    assert (room.routing(), room.phase(), len(room.door.invoked)) == ("2", "AfterAllowTraffic", 1)
    await room.report("Failed")
    await room.work(uid)
    assert (room.routing(), room.phase()) == ("1", "RolledBack")


RESULTS = {
    "a result": (Invocation(200, "", b'"whatever"'), "AllowTraffic", "1+2:0.1"),
    "a function error": (Invocation(200, "Unhandled", b'{"errorMessage": "no"}'), "RolledBack", "1"),
}


@pytest.mark.parametrize(("answer", "phase", "routing"), RESULTS.values(), ids=RESULTS)
async def test_the_result_is_the_report_where_that_is_asked_for(room, answer, phase, routing):
    room.door.answer = answer
    await rolling(room, BY_RESULT)
    assert (room.phase(), room.routing()) == (phase, routing)
    if answer.function_error:
        assert 'Unhandled: {"errorMessage": "no"}' in hook(room)["message"]


async def test_a_function_error_is_shown_and_the_report_still_waited_for(room):
    """It may have reported before it failed, or another one may report for it."""
    room.door.answer = Invocation(200, "Unhandled", b"boom")
    uid = await rolling(room, BEFORE)
    assert hook(room)["message"] == "Unhandled: boom"
    await room.report("Succeeded")
    await room.work(uid)
    assert room.routing() == "1+2:0.1"


NOT_REACHED = {
    "throttled": Invocation(429, "", b"Rate Exceeded."),
    "without an environment": Invocation(503, "", b"no room"),
    "not there yet": Invocation(404, "", b"Function not found"),
    "no answer": AWAY,
    "a mistake of ours": RuntimeError("oh"),
}


@pytest.mark.parametrize("answer", NOT_REACHED.values(), ids=NOT_REACHED)
async def test_a_hook_that_was_not_reached_is_invoked_until_it_is(room, answer):
    """What is in the way is in the status; with the same execution id each time."""
    room.door.answers = [answer] * 3
    await rolling(room, BY_RESULT)
    for _ in range(5):
        await breathe()
    assert len(room.door.invoked) == 4
    assert len({event["LifecycleEventHookExecutionId"] for _, _, event in room.door.invoked}) == 1


async def test_what_is_in_the_way_of_a_hook_is_in_the_status_once(room):
    room.door.answer = Invocation(404, "", b"Function not found: check")
    uid = await rolling(room, BEFORE)
    assert hook(room)["message"] == "answered 404: Function not found: check"
    assert (room.phase(), "answeredAt" in hook(room)) == ("BeforeAllowTraffic", False)
    before = len(room.writes())
    for _ in range(5):
        await room.later(uid, 1)
    assert len(room.writes()) == before
    room.door.answer = Invocation(200, "", b"null")
    await breathe()
    await room.work(uid)
    assert "answeredAt" in hook(room)
    assert hook(room)["message"] == ""


async def test_a_hook_waits_for_a_gateway(room):
    room.lose_gateway()
    uid = await rolling(room, BY_RESULT)
    assert (room.door.invoked, hook(room)["message"]) == ([], "no gateway is connected")
    room.find_gateway()
    await breathe()
    await room.work(uid)
    assert room.routing() == "1+2:0.1"


async def test_a_restarted_controller_invokes_again_with_the_same_execution_id(room):
    """At least once: what the predecessor's invocation came to is not known."""
    room.door.hangs = True
    uid = await rolling(room, BY_RESULT)
    await room.crash()
    room.door.hangs = False
    await room.work(uid)
    first, second = room.door.invoked
    assert first == second
    assert room.routing() == "1+2:0.1"


async def test_a_restarted_controller_does_not_invoke_what_has_answered(room):
    uid = await rolling(room, BEFORE)
    await room.crash()
    await room.work(uid)
    assert len(room.door.invoked) == 1


async def test_an_answer_that_could_not_be_written_is_written_later(room):
    """The invocation is not repeated for it."""
    uid = await rolling(room, AFTER)
    await room.later(uid, 60)
    room.clock.now += 60
    await room.sweeper.sweep()
    await room.aliases.reconcile(uid)  # it is asked
    await breathe()
    room.api.fail("PATCH", "/aliases/f.live/status", status=409, reason="Conflict")
    await room.work(uid)
    assert "answeredAt" not in hook(room)
    await room.work(uid)
    assert "answeredAt" in hook(room)
    assert len(room.door.invoked) == 1


ENDS = {
    "the alias goes": lambda room: room.api.remove("/apis/lambent.dev/v1alpha1/namespaces/a/aliases/f.live"),
    "the rollout is aborted": lambda room: room.annotate("abort"),
    "the target is the old one again": lambda room: room.point(functionVersion="1"),
    "the hook is taken away": lambda room: room.point(rollout=STEPS),
    "another function is the hook": lambda room: room.point(
        rollout={**STEPS, "hooks": {"preTraffic": {"functionName": "other"}}}
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_hook_that_is_not_asked_any_more_is_invoked_no_more(room, end):
    room.door.answer = Invocation(429, "", b"")
    uid = await rolling(room, BEFORE)
    end(room)
    await room.work(uid)
    room.door.invoked.clear()
    for _ in range(3):
        await breathe()
    assert "a/check:$LATEST" not in [target for _, target, _ in room.door.invoked]


async def test_another_function_in_the_middle_is_invoked_instead(room):
    uid = await rolling(room, BEFORE)
    room.point(rollout={**STEPS, "hooks": {"preTraffic": {"functionName": "other:live"}}})
    await room.work(uid)
    assert [target for _, target, _ in room.door.invoked] == ["a/check:$LATEST", "a/other:live"]


async def test_another_function_is_invoked_also_while_the_first_one_hangs(room):
    """What the first one says in the end is of no interest."""
    room.door.hangs = True
    uid = await rolling(room, BEFORE)
    room.door.hangs = False
    room.point(rollout={**STEPS, "hooks": {"preTraffic": {"functionName": "other"}}})
    await room.work(uid)
    assert [target for _, target, _ in room.door.invoked] == ["a/check:$LATEST", "a/other:$LATEST"]
    assert (hook(room)["functionName"], "answeredAt" in hook(room)) == ("other", True)


# --- the runner by itself -------------------------------------------------------------------------------------------

ACCOUNT = account_id("uid-a")
TARGETS = {
    "a name": ("check", "a/check:$LATEST"),
    "a version": ("check:7", "a/check:7"),
    "an alias": ("check:live", "a/check:live"),
    "an ARN": (f"arn:aws:lambda:eu-test-1:{ACCOUNT}:function:check", "a/check:$LATEST"),
    "an ARN of $LATEST": (f"arn:aws:lambda:eu-test-1:{ACCOUNT}:function:check:$LATEST", "a/check:$LATEST"),
}


def ask(name="check", identity="id"):
    return AskHook(Hook(function_name=name), "BeforeAllowTraffic", "d-ABCDEFGHI", identity)


def runner(room, gateways=(GATEWAY,)):
    return HookRunner(room.door, lambda: list(gateways), room.nudged.append, lambda _failures: 0.0)


@pytest.mark.parametrize(("name", "target"), TARGETS.values(), ids=TARGETS)
async def test_a_hook_is_named_as_functions_are(room, name, target):
    hooks = runner(room)
    hooks.keep(Place("u", "a", ACCOUNT), [ask(name)])
    await breathe()
    assert [one for _, one, _ in room.door.invoked] == [target]


async def test_a_hook_of_another_account_is_not_invoked(room):
    """The function of that name in this namespace is another one."""
    hooks = runner(room)
    hooks.keep(Place("u", "a", ACCOUNT), [ask("arn:aws:lambda:eu-test-1:000000000001:function:check")])
    await breathe()
    [(_, outcome)] = hooks.outcomes("u")
    assert (outcome.kind, room.door.invoked) == ("NotInvoked", [])
    assert "another account" in outcome.message
    await hooks.close()


async def test_each_try_asks_another_gateway(room):
    room.door.answers = [AWAY] * 2
    hooks = runner(room, ("http://one", "http://two"))
    hooks.keep(Place("u", "a", ACCOUNT), [ask()])
    await breathe()
    assert [url for url, _, _ in room.door.invoked] == ["http://one", "http://two", "http://one"]


async def test_asked_again_and_again_it_is_invoked_once(room):
    hooks = runner(room)
    for _ in range(3):
        hooks.keep(Place("u", "a", ACCOUNT), [ask()])
        await breathe()
    assert len(room.door.invoked) == 1
    [(_, outcome)] = hooks.outcomes("u")
    assert outcome.kind == "Succeeded"
    hooks.keep(Place("u", "a", ACCOUNT), [])
    assert hooks.outcomes("u") == []


def test_an_execution_id_is_a_uuid_that_only_the_key_makes():
    """Of each event and deployment its own; the same again after a restart."""
    made = execution_id(b"key", "d-ABCDEFGHI", "BeforeAllowTraffic")
    assert str(uuid.UUID(made)) == made
    assert made == execution_id(b"key", "d-ABCDEFGHI", "BeforeAllowTraffic")
    others = {
        execution_id(b"other", "d-ABCDEFGHI", "BeforeAllowTraffic"),
        execution_id(b"key", "d-ABCDEFGHJ", "BeforeAllowTraffic"),
        execution_id(b"key", "d-ABCDEFGHI", "AfterAllowTraffic"),
    }
    assert len(others | {made}) == 4


def test_the_pause_between_tries_grows_to_half_a_minute():
    assert all(0.7 <= pause(1) <= 1.3 for _ in range(50))
    assert all(22 <= pause(failures) <= 38 for failures in range(6, 500, 7))

"""What single decisions of `core.rollout` say beside routing and phase: asks, moments, words, and what is not written."""

from datetime import timedelta

import pytest
from tests.core.rollout_histories import ARN, EPOCH, PLANS, Story

from lambent.core import moments, rollout
from lambent.core.alarms import Reading
from lambent.core.readiness import Problem
from lambent.core.rollout import AskHook, HookOutcome, decide, hook_answered, looks_back
from lambent.core.rollout_hooks import digest
from lambent.model.alias_statuses import HookResult
from lambent.model.conditions import Reason
from lambent.model.limits import ROLLOUT_HISTORY_MAX
from lambent.model.rollouts import Alarm, Hook


def told(*events):
    story = Story()
    for event in [("alarm", name, "OK") for name in "abc"]:
        story.happen(*event)
    for event in events:
        story.happen(*event)
    return story


def going(plan, *events):
    return told(("plan", plan), ("target", "2"), *events)


def decided(story, **seen):
    one = story.seen(story.status)
    return decide(type(one)(**{name: seen.get(name, getattr(one, name)) for name in one.__slots__}))


# --- hooks ----------------------------------------------------------------------------------------------------------


def test_a_hook_is_asked_in_every_decision_until_its_invocation_has_ended():
    story = going("hooks")
    deployment = story.status.rollout.deployment_id
    ask = AskHook(
        Hook(function_name="before", timeout_seconds=50), "BeforeAllowTraffic", deployment,
        f"{deployment}/BeforeAllowTraffic",
    )  # fmt: skip
    assert decided(story).asks == (ask,)
    story.happen("invoked", "NotInvoked")
    assert decided(story).asks == (ask,)
    story.happen("invoked", "Succeeded")
    assert decided(story).asks == ()
    assert story.status.rollout.hooks[0].state == "InProgress"


def test_the_status_holds_the_digest_of_the_execution_id_and_not_the_id():
    story = going("hooks")
    assert story.status.rollout.hooks[0].execution_id_sha256 == digest(story.asks[0].execution_id)
    assert story.asks[0].execution_id not in story.status.model_dump_json()


def test_no_hook_is_asked_once_the_rollout_has_ended():
    assert going("hooks", ("request", "abort")).asks == ()
    assert going("hooks", ("request", "abort")).status.rollout.hooks[0].state == "Skipped"


def test_no_hook_is_asked_before_a_paused_rollout_goes_on():
    story = told(("request", "pause"), ("plan", "hooks"), ("target", "2"))
    assert (story.asks, story.status.rollout.hooks) == ((), [])


def answered(kind, message="", **hook):
    story = going("hooks")
    ask = story.asks[0]
    asked = AskHook(Hook(function_name="before", **hook), ask.event, ask.deployment_id, ask.execution_id)
    status = hook_answered(story.status, asked, HookOutcome(kind, message), EPOCH + timedelta(seconds=7))
    return status.rollout.hooks[0]


SEVEN = "2026-03-01T00:00:07.000Z"
ANSWERS = {
    "a result": (lambda: answered("Succeeded"), ("InProgress", SEVEN, None, "")),
    "a function error": (lambda: answered("Failed", "it raised"), ("InProgress", SEVEN, None, "it raised")),
    "no invocation": (lambda: answered("NotInvoked", "not found"), ("InProgress", None, None, "not found")),
    "a result that is the report": (lambda: answered("Succeeded", answer_by_result=True), ("Succeeded", SEVEN, SEVEN, "")),
    "an error that is the report": (
        lambda: answered("Failed", "it raised", answer_by_result=True), ("Failed", SEVEN, SEVEN, "it raised"),
    ),
    "no invocation, whose result would be the report": (
        lambda: answered("NotInvoked", "not found", answer_by_result=True), ("InProgress", None, None, "not found"),
    ),
    "a long story": (lambda: answered("Failed", "x" * 5000), ("InProgress", SEVEN, None, "x" * 1024)),
}  # fmt: skip


@pytest.mark.parametrize("row", ANSWERS)
def test_how_a_hooks_invocation_ended_is_noted(row):
    make, expected = ANSWERS[row]
    hook = make()
    assert (hook.state, hook.answered_at, hook.finished_at, hook.message) == expected


def test_the_end_of_an_invocation_that_is_not_waited_for_is_not_noted():
    story = going("hooks")
    ask = story.asks[0]
    story.happen("report", "Failed")
    assert hook_answered(story.status, ask, HookOutcome("Succeeded"), story.now) is story.status
    other = AskHook(ask.hook, ask.event, "d-OTHER0000", "another")
    waiting = going("hooks").status
    assert hook_answered(waiting, other, HookOutcome("Succeeded"), story.now) is waiting


def test_another_function_in_the_middle_is_asked_whatever_becomes_of_the_first():
    story = going("hooks")
    first = story.asks[0]
    story.happen("invoked", "Succeeded")
    story.happen("plan", "other hooks")
    second = story.asks[0]
    assert (second.hook.function_name, second.execution_id) == ("before2", first.execution_id)
    assert hook_answered(story.status, first, HookOutcome("Failed"), story.now) is story.status
    assert hook_answered(story.status, second, HookOutcome("Succeeded"), story.now) != story.status


def test_what_the_invocation_said_is_in_the_reason_of_the_failure():
    story = going("hooks")
    story.status = hook_answered(story.status, story.asks[0], HookOutcome("Failed", "boom"), story.now)
    story.happen("wait", 50)
    assert story.status.rollout.message == "the BeforeAllowTraffic hook before did not report within 0:00:50: boom"
    assert story.status.rollout.hooks[0].state == "Failed"


def test_a_report_with_another_execution_id_is_nobodys():
    story = going("hooks")
    result = HookResult(executionIdSha256="0" * 64, status="Failed", reportedAt=moments.spell(story.now))
    story.status = story.status.model_copy(update={"hook_results": [result]})
    decision = decided(story)
    assert decision.status.rollout.phase == "BeforeAllowTraffic"
    assert decision.status.hook_results == [result], "what gateways wrote stays"


def test_a_report_that_came_in_time_counts_even_if_it_is_seen_late():
    story = going("hooks")
    story.world.now += 500
    story.happen("report", "Succeeded")
    assert story.status.rollout.phase == "AllowTraffic"


# --- moments --------------------------------------------------------------------------------------------------------

LOOKS = {
    "nothing goes on": (told, None),
    "a step": (lambda: going("plain"), 60.0),
    "the rest of a step": (lambda: going("plain", ("wait", 59)), 1.0),
    "baking": (lambda: going("all at once", ("wait", 5)), 15.0),
    "alarms": (lambda: going("one alarm"), 1.0),
    "alarms that cannot be read": (lambda: going("one alarm", ("alarm", "a", "UNAVAILABLE")), 1.0),
    "alarms while paused": (lambda: going("one alarm", ("request", "pause")), 1.0),
    "a hook": (lambda: going("hooks", ("wait", 20)), 30.0),
    "a hook while paused": (lambda: going("hooks", ("wait", 20), ("request", "pause")), 30.0),
    "a second hook, with alarms": (
        lambda: going("hooks", ("report", "Succeeded"), ("wait", 60), ("wait", 30)), 1.0,
    ),
    "paused": (lambda: going("plain", ("request", "pause")), None),
    "a target that is missing": (lambda: going("plain", ("target", None)), None),
    "taken back": (lambda: going("one alarm", ("alarm", "a", "ALARM")), None),
}  # fmt: skip


@pytest.mark.parametrize("row", LOOKS)
def test_it_is_looked_at_again_when_time_alone_brings_something(row):
    make, expected = LOOKS[row]
    assert decided(make()).look_again == expected


def test_a_rollout_with_alarms_reads_them_before_anything_moves():
    story = told(("plan", "one alarm"))
    story.target("2")
    decision = decided(story)
    assert (decision.look_again, decision.status.rollout.phase) == (0, "BeforeAllowTraffic")
    assert decision.status.routing.function_version == "1"


def test_alarms_of_the_version_before_take_nothing_back_from_the_next_one():
    story = going("one alarm")
    story.target("3")
    failing = {"a": Reading("ALARM", "version 2 is bad")}
    decision = decided(story, readings=failing)
    assert (decision.status.rollout.to_version, decision.status.rollout.phase) == ("3", "BeforeAllowTraffic")


ALARM = Alarm(name="a", metric="Errors", threshold=0, period=60)
BACK = {
    "no rollout": (told, 0.0),
    "before there is traffic": (lambda: going("hooks", ("wait", 30)), 0.0),
    "at the begin of the traffic": (lambda: going("plain"), 0.0),
    "as long as there is traffic": (lambda: going("plain", ("wait", 40)), 40.0),
    "over the steps": (lambda: going("plain", ("wait", 40), ("wait", 20), ("wait", 10)), 60.0),
    "while it is held": (lambda: going("plain", ("request", "pause"), ("wait", 30)), 30.0),
    "after the end": (lambda: going("plain", ("request", "abort"), ("wait", 30)), 0.0),
}


@pytest.mark.parametrize("row", BACK)
def test_an_alarm_looks_back(row):
    make, expected = BACK[row]
    story = make()
    assert looks_back(story.status.rollout, ALARM, story.now) == expected


@pytest.mark.parametrize("plan", [name for name in PLANS if name != "at once"])
@pytest.mark.parametrize("back", [1, 30, 86_400])
def test_a_clock_that_goes_back_moves_nothing_and_ends_in_time(plan, back):
    story = going(plan)
    for _ in range(3):
        story.report("Succeeded")
        story.happen("wait", 15)
    before = story.status
    behind = story.now - timedelta(seconds=back)
    decision = decided(story, now=behind)
    assert decision.status.routing == before.routing
    assert decision.status.rollout.phase == before.rollout.phase
    story.status = decision.status
    again = decided(story, now=behind)
    assert again.status == decision.status
    if story.status.rollout.phase == "AllowTraffic" and plan == "plain":
        assert decision.look_again == min(60, 15 + back), "at most as long as if the step began anew"


def test_moments_are_cut_to_what_a_status_can_hold():
    story = told(("plan", "plain"))
    story.target("2")
    decision = decided(story, now=story.now + timedelta(microseconds=1999))
    assert decision.status.rollout.step_started_at == "2026-03-01T00:00:00.001Z"
    story.status = decision.status
    assert decided(story, now=story.now + timedelta(microseconds=1999)).status == decision.status


# --- what is written, and in which words ----------------------------------------------------------------------------


def test_values_that_change_every_second_change_no_status():
    story = going("one alarm")
    first = decided(story, readings={"a": Reading("OK", "0.1 %")})
    story.status = first.status
    story.world.now += 1
    assert decided(story, readings={"a": Reading("OK", "0.2 %")}).status == first.status
    changed = decided(story, readings={"a": Reading("INSUFFICIENT_DATA", "3 invocations")})
    assert changed.status.rollout.alarms[0].message == "3 invocations"


def test_waiting_changes_no_status():
    story = going("plain", ("request", "pause"))
    before = story.status
    story.happen("wait", 500)
    assert story.status == before


def test_the_status_says_of_which_generation_and_alias_it_is():
    story = told(("touch",), ("touch",))
    status = story.status
    assert (status.observed_generation, status.alias_arn, status.target_version) == (3, ARN, "1")
    assert {condition.observed_generation for condition in status.conditions} == {3}


def test_what_is_missing_is_no_target():
    story = told(("target", None))
    assert story.status.target_version is None
    assert story.status.routing.function_version == "1"


MESSAGES = {
    "at rest": (told, "version 1 has all of the traffic"),
    "weighted": (lambda: told(("weigh", "1", "2", 0.125)), "version 2 12.5 %, version 1 the rest of the traffic"),
    "a hook": (
        lambda: going("hooks"), "d-{} from version 1 to 2: before the traffic moves; version 1 has all of the traffic",
    ),
    "a step": (
        lambda: going("plain"), "d-{} from version 1 to 2: step 1 of 2; version 2 10 %, version 1 the rest of the traffic",
    ),
    "baking": (
        lambda: going("all at once"),
        "d-{} from version 1 to 2: all steps done, alarms are watched; version 2 has all of the traffic",
    ),
    "held": (
        lambda: going("one alarm", ("alarm", "a", "UNAVAILABLE")),
        "d-{} from version 1 to 2: step 1 of 2; version 2 10 %, version 1 the rest of the traffic; it waits for alarm a: "
        "UNAVAILABLE at 0",
    ),
    "paused": (
        lambda: going("plain", ("request", "pause")),
        "d-{} from version 1 to 2: step 1 of 2; version 2 10 %, version 1 the rest of the traffic; a person paused it",
    ),
    "taken back": (
        lambda: going("one alarm", ("alarm", "a", "ALARM")),
        "d-{} from version 1 to 2 was taken back, Alarm: alarm a: ALARM at 0. Version 1 has all of the traffic. Another "
        "version, or any change of spec, begins anew",
    ),
    "aborted": (
        lambda: going("plain", ("request", "abort")),
        "d-{} from version 1 to 2 was taken back, Aborted: a person stopped it. Version 1 has all of the traffic. Another "
        "version, or any change of spec, begins anew",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", MESSAGES)
def test_the_conditions_say_where_it_is(row):
    make, words = MESSAGES[row]
    story = make()
    last = story.status.rollout
    ready = story.status.conditions[0]
    assert ready.message == words.format(last.deployment_id.removeprefix("d-") if last else "")
    assert {condition.message for condition in story.status.conditions} == {ready.message}


@pytest.mark.parametrize("reason", [Reason.ROLE_MISMATCH, Reason.INVALID_SPEC, Reason.DUPLICATE_ALIAS_NAME])
def test_what_only_a_person_can_mend_is_stalled_and_holds_what_goes_on(reason):
    story = going("plain", ("wait", 20))
    decision = decided(story, target=Problem(reason, "no"))
    assert [(one.type, one.status, one.reason) for one in decision.status.conditions] == [
        ("Ready", "False", reason), ("Stalled", "True", reason),
    ]  # fmt: skip
    assert decision.status.routing == story.status.routing
    assert decision.status.rollout.reason == "RolloutHeld"


def test_without_the_function_nothing_is_moved():
    story = going("plain", ("wait", 20))
    decision = decided(story, target=Problem(Reason.FUNCTION_NOT_FOUND, "no"), exists=frozenset())
    assert decision.status.routing == story.status.routing
    assert decision.status.rollout.phase == "AllowTraffic"
    assert decision.status.conditions[0].reason == "FunctionNotFound"


def test_history_has_the_newest_first_and_an_end():
    story = told(("plan", "all at once"))
    for number in range(ROLLOUT_HISTORY_MAX + 3):
        story.happen("target", "2" if number % 2 == 0 else "1")
        story.happen("wait", 20)
    records = story.status.history
    assert len(records) == ROLLOUT_HISTORY_MAX
    assert records == sorted(records, key=lambda record: record.started_at, reverse=True)
    assert records[0].deployment_id == story.status.rollout.deployment_id
    assert (records[0].phase, records[0].reason) == ("Succeeded", "RolloutSucceeded")


# --- requests -------------------------------------------------------------------------------------------------------


def reasons(decision):
    return [one.reason for one in decision.told]


@pytest.mark.parametrize("word", ["promote", "abort"])
def test_a_request_that_is_still_there_is_not_a_second_one_until_a_minute_has_passed(word):
    story = going("plain")
    story.world.request = word
    first = decided(story)
    assert first.take_request
    story.status = first.status
    again = decided(story)
    assert (again.take_request, reasons(again), again.status) == (True, [], first.status)
    story.world.now += 61
    assert reasons(decided(story)) == [Reason.NOTHING_TO_DO]


def test_nothing_begins_while_a_request_is_there():
    story = told(("plan", "plain"))
    story.target("2")
    story.world.request = "abort"
    decision = decided(story)
    assert (decision.take_request, reasons(decision)) == (True, [Reason.NOTHING_TO_DO])
    assert decision.status.rollout is None
    assert decision.status.conditions[0].reason == "RolloutInProgress"
    story.world.request = ""
    story.status = decision.status
    assert decided(story).status.rollout.to_version == "2"


def test_a_pause_is_not_taken_away():
    assert not decided(going("plain", ("request", "pause"))).take_request
    assert rollout.ANSWERED_SECONDS == 60

"""How an alias gets to its target: every rule as a story with its end, then what single decisions say.

Every story is judged by the model of `rollout_model` too, after each of its events.
"""

import pytest
from tests.core.rollout_histories import Story

OK = [("alarm", name, "OK") for name in "abc"]


def rolled(plan, *events):
    """The alias has moved to version 1, then a rollout to version 2 begins."""
    return [*OK, ("plan", plan), ("target", "2"), *events]


def waits(*seconds):
    return [("wait", each) for each in seconds]


def routing(status):
    now = status.routing
    shares = {version: round(weight * 100) for version, weight in now.additional_version_weights.items()}
    return {now.function_version: 100 - sum(shares.values()), **shares}


def how(status):
    last, ready = status.rollout, next(one for one in status.conditions if one.type == "Ready")
    others = [one.type for one in status.conditions if one.type != "Ready"]
    return " ".join([ready.reason, *others, *([last.phase, last.reason] if last else [])]).strip()


GOING = "RolloutInProgress Reconciling"
BACK = "RolledBack Stalled"
STORIES = {
    # beginning and stepping
    "without a rollout it moves at once": ([("target", "2")], {"2": 100}, "Available"),
    "it begins with the first step": (rolled("plain"), {"1": 90, "2": 10}, f"{GOING} AllowTraffic"),
    "a step lasts as long as it says": (rolled("plain", *waits(59)), {"1": 90, "2": 10}, f"{GOING} AllowTraffic"),
    "then the next one begins": (rolled("plain", *waits(60)), {"1": 50, "2": 50}, f"{GOING} AllowTraffic"),
    "a controller that was away for long skips no step": (
        rolled("plain", *waits(9999)), {"1": 50, "2": 50}, f"{GOING} AllowTraffic",
    ),
    "after the last step it has succeeded": (
        rolled("plain", *waits(60, 30)), {"2": 100}, "Available Succeeded RolloutSucceeded",
    ),
    "all at once is watched while it bakes": (rolled("all at once"), {"2": 100}, f"{GOING} AllowTraffic"),
    "and succeeds after that": (rolled("all at once", *waits(20)), {"2": 100}, "Available Succeeded RolloutSucceeded"),
    "to $LATEST there are no steps": (
        [*OK, ("plan", "plain"), ("target", "$LATEST")], {"$LATEST": 100}, "Available Succeeded RolloutSucceeded",
    ),
    "from $LATEST neither": (
        [("target", "$LATEST"), *rolled("plain")], {"2": 100}, "Available Succeeded RolloutSucceeded",
    ),
    "and all of it goes back there": (
        [("target", "$LATEST"), *rolled("one alarm", ("alarm", "a", "ALARM"))], {"$LATEST": 100}, f"{BACK} RolledBack Alarm",
    ),
    "but hooks are asked": (
        [*OK, ("plan", "pre"), ("target", "$LATEST")], {"1": 100}, f"{GOING} BeforeAllowTraffic",
    ),
    # hooks
    "before the first hook has reported nothing moves": (
        rolled("hooks", *waits(49)), {"1": 100}, f"{GOING} BeforeAllowTraffic",
    ),
    "when it reports Succeeded the steps begin": (
        rolled("hooks", ("report", "Succeeded")), {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    "when it reports Failed all stays as it was": (
        rolled("hooks", ("report", "Failed")), {"1": 100}, f"{BACK} RolledBack HookFailed",
    ),
    "when it is silent too": (rolled("hooks", *waits(50)), {"1": 100}, f"{BACK} RolledBack HookTimedOut"),
    "its time runs on while the rollout is paused": (
        rolled("hooks", ("request", "pause"), *waits(50)), {"1": 100}, f"{BACK} RolledBack HookTimedOut",
    ),
    "a report while the rollout is paused counts afterwards": (
        rolled("hooks", ("request", "pause"), ("report", "Succeeded"), *waits(99), ("request", "")),
        {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    "after the steps the second hook is asked": (
        rolled("hooks", ("report", "Succeeded"), *waits(60, 30)), {"2": 100}, f"{GOING} AfterAllowTraffic",
    ),
    "when that reports Failed all goes back": (
        rolled("hooks", ("report", "Succeeded"), *waits(60, 30), ("report", "Failed")),
        {"1": 100}, f"{BACK} RolledBack HookFailed",
    ),
    "when that is silent all goes back": (
        rolled("hooks", ("report", "Succeeded"), *waits(60, 30, 70)), {"1": 100}, f"{BACK} RolledBack HookTimedOut",
    ),
    "when that reports Succeeded it has succeeded": (
        rolled("hooks", ("report", "Succeeded"), *waits(60, 30), ("report", "Succeeded")),
        {"2": 100}, "Available Succeeded RolloutSucceeded",
    ),
    "an invocation that ends is no report": (
        rolled("hooks", ("invoked", "Succeeded")), {"1": 100}, f"{GOING} BeforeAllowTraffic",
    ),
    "another function in the middle has all of its time": (
        rolled("hooks", *waits(45), ("plan", "other hooks"), *waits(45)), {"1": 100}, f"{GOING} BeforeAllowTraffic",
    ),
    "a hook that is taken away is not waited for": (
        rolled("hooks", ("plan", "plain")), {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    # alarms
    "an alarm takes all of it back": (
        rolled("one alarm", *waits(60), ("alarm", "a", "ALARM")), {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "an alarm while it bakes takes all of it back": (
        rolled("one alarm", *waits(60, 30, 9), ("alarm", "a", "ALARM")), {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "an alarm while the second hook is asked takes all of it back": (
        rolled("hooks", ("report", "Succeeded"), *waits(60, 30), ("alarm", "a", "ALARM")),
        {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "an alarm while it is paused takes all of it back": (
        rolled("one alarm", ("request", "pause"), ("alarm", "a", "ALARM")), {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "an alarm before the first step lets nothing begin": (
        [("alarm", "a", "ALARM"), ("plan", "one alarm"), ("target", "2")], {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "an alarm while the first hook is asked is looked at afterwards": (
        rolled("hooks", ("alarm", "a", "ALARM")), {"1": 100}, f"{GOING} BeforeAllowTraffic",
    ),
    "an alarm that is over before the traffic moves does no harm": (
        rolled("hooks", ("alarm", "a", "ALARM"), ("alarm", "a", "OK"), ("report", "Succeeded")),
        {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    "a source that cannot be asked holds it": (
        rolled("one alarm", ("alarm", "a", "UNAVAILABLE"), *waits(60, 60)),
        {"1": 90, "2": 10}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "an alarm that nobody read holds it": (
        rolled("one alarm", ("alarm", "a", "unread"), *waits(60, 60)),
        {"1": 90, "2": 10}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "a source that was never asked lets nothing begin": (
        [("plan", "one alarm"), ("target", "2"), *waits(99)],
        {"1": 100}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "a source that cannot be asked at the end holds the end": (
        rolled("one alarm", *waits(60, 30), ("alarm", "a", "UNAVAILABLE"), *waits(99)),
        {"2": 100}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "the step goes on for as long as it has still": (
        rolled("one alarm", *waits(20), ("alarm", "a", "UNAVAILABLE"), *waits(99), ("alarm", "a", "OK"), *waits(39)),
        {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    "and then the next one begins after the hold": (
        rolled("one alarm", *waits(20), ("alarm", "a", "UNAVAILABLE"), *waits(99), ("alarm", "a", "OK"), *waits(40)),
        {"1": 50, "2": 50}, f"{GOING} AllowTraffic",
    ),
    "missing data does nothing": (
        rolled("one alarm", ("alarm", "a", "INSUFFICIENT_DATA"), *waits(60)), {"1": 50, "2": 50}, f"{GOING} AllowTraffic",
    ),
    "missing data holds it where the alarm says so": (
        rolled("alarms", ("alarm", "b", "INSUFFICIENT_DATA"), *waits(60)),
        {"1": 90, "2": 10}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "missing data is a breach after a period where the alarm says so": (
        rolled("breaching", ("alarm", "c", "INSUFFICIENT_DATA"), *waits(20)), {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "until then it waits": (
        rolled("breaching", ("alarm", "c", "INSUFFICIENT_DATA"), *waits(19)),
        {"1": 80, "2": 20}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "before there is traffic no data is missing": (
        [*OK, ("alarm", "c", "INSUFFICIENT_DATA"), ("plan", "breaching"), ("target", "2")],
        {"1": 80, "2": 20}, "RolloutHeld Reconciling AllowTraffic RolloutHeld",
    ),
    "alarms that were added in the middle count": (
        rolled("plain", ("alarm", "a", "ALARM"), ("plan", "one alarm")), {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "alarms that were taken away in the middle do not": (
        rolled("one alarm", ("plan", "plain"), ("alarm", "a", "ALARM")), {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    # a person's requests
    "paused it stands still": (
        rolled("plain", ("request", "pause"), *waits(999)),
        {"1": 90, "2": 10}, "RolloutPaused Reconciling AllowTraffic RolloutPaused",
    ),
    "resumed it goes on": (
        rolled("plain", *waits(20), ("request", "pause"), *waits(999), ("request", ""), *waits(40)),
        {"1": 50, "2": 50}, f"{GOING} AllowTraffic",
    ),
    "paused before it begins, it gets no traffic": (
        [*OK, ("request", "pause"), ("plan", "plain"), ("target", "2"), *waits(999)],
        {"1": 100}, "RolloutPaused Reconciling BeforeAllowTraffic RolloutPaused",
    ),
    "promoted it skips the rest": (
        rolled("plain", ("request", "promote")), {"2": 100}, "Available Succeeded Promoted",
    ),
    "promoted it does not wait for what cannot be asked": (
        rolled("one alarm", ("alarm", "a", "UNAVAILABLE"), ("request", "promote")),
        {"2": 100}, "Available Succeeded Promoted",
    ),
    "promoted it skips the first hook and asks the second": (
        rolled("hooks", ("request", "promote")), {"2": 100}, f"{GOING} AfterAllowTraffic",
    ),
    "promoted it is still taken back by an alarm": (
        rolled("hooks", ("request", "promote"), ("alarm", "a", "ALARM")), {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "promoted while it is paused it skips the rest": (
        rolled("plain", ("request", "pause"), *waits(9), ("request", "promote")), {"2": 100}, "Available Succeeded Promoted",
    ),
    "promoted and then paused it waits before it ends": (
        rolled("hooks", ("request", "promote"), ("request", "pause"), ("report", "Succeeded")),
        {"2": 100}, "RolloutPaused Reconciling AfterAllowTraffic RolloutPaused",
    ),
    "aborted it goes back": (rolled("plain", ("request", "abort")), {"1": 100}, f"{BACK} Stopped Aborted"),
    "aborted it stays so": (
        rolled("plain", ("request", "abort"), *waits(999)), {"1": 100}, f"{BACK} Stopped Aborted",
    ),
    "a word that is no request changes nothing": (
        rolled("plain", ("request", "faster")), {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    # after it failed
    "taken back it stays so": (
        rolled("one alarm", ("alarm", "a", "ALARM"), ("alarm", "a", "OK"), *waits(999)),
        {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "another generation begins anew": (
        rolled("one alarm", ("alarm", "a", "ALARM"), ("alarm", "a", "OK"), ("touch",)),
        {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    "a change in the middle is not another generation afterwards": (
        rolled("one alarm", ("touch",), ("alarm", "a", "ALARM"), ("alarm", "a", "OK"), *waits(9)),
        {"1": 100}, f"{BACK} RolledBack Alarm",
    ),
    "another version begins": (
        rolled("one alarm", ("alarm", "a", "ALARM"), ("alarm", "a", "OK"), ("target", "3")),
        {"1": 90, "3": 10}, f"{GOING} AllowTraffic",
    ),
    "the version that has the traffic is well again": (
        rolled("one alarm", ("alarm", "a", "ALARM"), ("target", "1")), {"1": 100}, "Available RolledBack Alarm",
    ),
    # another specification in the middle
    "another version in the middle begins from the one before": (
        rolled("plain", *waits(60), ("target", "3")), {"1": 90, "3": 10}, f"{GOING} AllowTraffic",
    ),
    "the version from before in the middle": (
        rolled("plain", ("target", "1")), {"1": 100}, "Available Stopped RolloutSuperseded",
    ),
    "other steps in the middle are for the next time": (
        rolled("plain", ("plan", "breaching"), *waits(59)), {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    "without spec.rollout in the middle it moves at once": (
        rolled("plain", ("plan", "at once")), {"2": 100}, "Available Succeeded Promoted",
    ),
    "weights in the middle are there at once": (
        rolled("plain", ("weigh", "2", "3", 0.25)), {"2": 75, "3": 25}, "Available Superseded RolloutSuperseded",
    ),
    "a version that does not exist in the middle holds it": (
        rolled("plain", ("target", None), *waits(999)), {"1": 90, "2": 10}, "VersionNotFound Reconciling AllowTraffic RolloutHeld",
    ),
    "an alarm takes it back meanwhile": (
        rolled("one alarm", ("target", None), ("alarm", "a", "ALARM")), {"1": 100}, "VersionNotFound Reconciling RolledBack Alarm",
    ),
    "when the version appears the next rollout begins": (
        rolled("plain", ("target", None), *waits(9), ("target", "3")), {"1": 90, "3": 10}, f"{GOING} AllowTraffic",
    ),
    # weights by hand
    "weights are there at once": ([("weigh", "1", "2", 0.1)], {"1": 90, "2": 10}, "Available"),
    "from weights a rollout begins at the version with the rest": (
        [*OK, ("weigh", "1", "2", 0.1), ("plan", "plain"), ("target", "3")], {"1": 90, "3": 10}, f"{GOING} AllowTraffic",
    ),
    "from weights to the version with the rest": (
        [*OK, ("weigh", "1", "2", 0.1), ("plan", "plain"), ("target", "1")], {"1": 100}, "Available",
    ),
    "from weights to the other version": (
        [*OK, ("weigh", "1", "2", 0.1), ("plan", "plain"), ("target", "2")], {"1": 90, "2": 10}, f"{GOING} AllowTraffic",
    ),
    # versions that are deleted
    "the new version is deleted in the middle": (
        rolled("plain", ("delete", "2")), {"1": 100}, "VersionNotFound Reconciling RolledBack VersionNotFound",
    ),
    "the old version is deleted in the middle": (
        rolled("plain", ("delete", "1")), {"2": 100}, "Available Succeeded VersionNotFound",
    ),
    "the old version is deleted while the first hook is asked": (
        rolled("hooks", ("delete", "1")), {"2": 100}, "Available Succeeded VersionNotFound",
    ),
    "a weighted version is deleted": ([("weigh", "1", "2", 0.1), ("delete", "2")], {"1": 100}, "VersionNotFound Reconciling"),
    "the version with the rest is deleted": (
        [("weigh", "1", "2", 0.1), ("delete", "1")], {"2": 100}, "VersionNotFound Reconciling",
    ),
    "the only version is deleted": ([("delete", "1")], {"1": 100}, "VersionNotFound Reconciling"),
    "where nothing is left there is nothing to roll out from": (
        [("delete", "1"), *rolled("plain")], {"2": 100}, "Available",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", STORIES)
def test_the_story_that(row):
    events, expected, state = STORIES[row]
    story = Story()
    for event in events:
        story.happen(*event)
    assert routing(story.status) == expected
    assert how(story.status) == state


EVENTS = {
    "a rollout that goes well": (
        rolled("plain", *waits(60, 30)),
        ["RolloutStarted", "RolloutStepped", "RolloutStepped", "RolloutStepped", "RolloutSucceeded"],
    ),
    "an alarm": (
        rolled("one alarm", ("alarm", "a", "ALARM"), *waits(9, 9)),
        ["RolloutStarted", "RolloutStepped", "RolledBack!"],
    ),
    "a source that is away for a while": (
        rolled("one alarm", ("alarm", "a", "UNAVAILABLE"), *waits(9, 9), ("alarm", "a", "OK"), *waits(1)),
        ["RolloutStarted", "RolloutStepped", "RolloutHeld!", "RolloutInProgress"],
    ),
    "missing data": (
        rolled("alarms", ("alarm", "b", "INSUFFICIENT_DATA"), *waits(9, 9)),
        ["RolloutStarted", "RolloutStepped", "RolloutHeld"],
    ),
    "a pause": (
        rolled("plain", ("request", "pause"), *waits(9, 9), ("request", "")),
        ["RolloutStarted", "RolloutStepped", "RolloutPaused", "RolloutInProgress"],
    ),
    "an abort": (rolled("plain", ("request", "abort"), *waits(9)), ["RolloutStarted", "RolloutStepped", "Aborted"]),
    "a promote": (
        rolled("plain", ("request", "promote"), *waits(9)),
        ["RolloutStarted", "RolloutStepped", "Promoted", "RolloutStepped", "RolloutSucceeded"],
    ),
    "another version in the middle": (
        rolled("plain", ("target", "3")),
        ["RolloutStarted", "RolloutStepped", "RolloutSuperseded", "RolloutStarted", "RolloutStepped"],
    ),
    "an abort of nothing": ([("request", "abort"), *waits(9)], ["NothingToDo!"]),
    "a promote of nothing": ([("request", "promote"), *waits(9)], ["NothingToDo!"]),
    "no request at all": (
        rolled("plain", ("request", "faster"), *waits(9)), ["RolloutStarted", "RolloutStepped", "NothingToDo!"],
    ),
    "a pause of nothing": ([("request", "pause"), *waits(9)], []),
    "the old version deleted": (
        rolled("plain", ("delete", "1")), ["RolloutStarted", "RolloutStepped", "RolloutSucceeded!"],
    ),
    "nothing left to roll out from": ([("delete", "1"), *rolled("plain")], ["VersionNotFound!"]),
}  # fmt: skip


@pytest.mark.parametrize("row", EVENTS)
def test_events_tell_of(row):
    events, expected = EVENTS[row]
    story = Story()
    for event in events:
        story.happen(*event)
    assert story.told == expected

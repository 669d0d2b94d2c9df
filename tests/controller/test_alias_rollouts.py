"""Rollouts of an Alias as the controller carries them out: steps, alarms, hooks, and what people ask by annotation."""

from __future__ import annotations

import pytest
from tests.controller.alias_rooms import ERRORS, LIVE, NUMBER_PATH, STEPS, AliasRoom
from tests.controller.rooms import FUNCTION_PATH

from lambent.model.errors import Unavailable


@pytest.fixture
async def room(api):
    made = AliasRoom(api)
    made.function()
    made.publish("1")
    yield made
    await made.aliases.close()


@pytest.fixture
async def live(room):
    """An alias that points to version 1, with a rollout in three steps for what comes next."""
    uid = room.alias(functionVersion="1", rollout=STEPS)
    await room.work(uid)
    room.publish("2")
    return uid


# --- rolling out ----------------------------------------------------------------------------------------------------


async def test_a_rollout_goes_from_step_to_step(live, room):
    room.point(functionVersion="2")
    assert await room.work(live) == 60
    shown = [room.routing()]
    assert room.said() == {"Ready": "RolloutInProgress", "Reconciling": "RolloutInProgress"}
    for seconds in (59, 1, 60):
        await room.later(live, seconds)
        shown.append(room.routing())
    assert shown == ["1+2:0.1", "1+2:0.1", "1+2:0.5", "2"]
    assert room.phase() == "Succeeded"
    assert room.said() == {"Ready": "Available"}
    assert room.rollout()["deploymentId"].startswith("d-")
    assert [one["phase"] for one in room.status_of()["history"]] == ["Succeeded"]
    assert room.events() == ["RolloutStarted", "RolloutStepped", "RolloutStepped", "RolloutStepped", "RolloutSucceeded"]
    assert room.metrics.rollouts.labels("Succeeded")._value.get() == 1
    before = len(room.writes())
    for _ in range(5):
        assert await room.later(live, 3600) is None
    assert len(room.writes()) == before


async def test_a_rollout_goes_on_where_a_controller_ended_at_every_step(live, room):
    """The same steps at the same times, and one deployment id."""
    room.point(functionVersion="2")
    shown = []
    for seconds in (0, 30, 30, 30, 30, 30):
        await room.crash()
        await room.later(live, seconds)
        shown.append((room.routing(), room.rollout()["deploymentId"]))
        await room.crash()
        await room.work(live)
    assert [routing for routing, _ in shown] == ["1+2:0.1", "1+2:0.1", "1+2:0.5", "1+2:0.5", "2", "2"]
    assert len({deployment for _, deployment in shown}) == 1


async def test_a_rollout_that_does_not_begin_with_a_clock_of_its_own_takes_no_shortcut(live, room):
    """A controller that was away for an hour finds steps overdue: each is taken, none is skipped."""
    room.point(functionVersion="2")
    await room.work(live)
    await room.crash()
    room.clock.now += 3600
    await room.work(live)
    assert room.routing() == "1+2:0.5"
    await room.later(live, 60)
    assert room.phase() == "Succeeded"


async def test_alarms_count_for_latest_too(live, room):
    """It moves at once, and is watched while it bakes. Keys call it otherwise than aliases do."""
    room.point(functionVersion="$LATEST", rollout={"strategy": "AllAtOnce", "bakeSeconds": 60, "alarms": [ERRORS]})
    await room.work(live)
    room.serve("latest", 0)
    await room.later(live, 5, lambda: room.serve("latest", 20))
    assert room.routing() == "$LATEST"
    room.clock.now += 1
    room.serve("latest", 40, errors=10)
    await room.work(live)
    assert (room.routing(), room.phase()) == ("1", "RolledBack")


async def test_a_breach_takes_the_traffic_back_with_the_write_that_says_so(live, room):
    """One write: there is no moment in which the status says one thing and the routing another."""
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    room.serve("2", 0)
    await room.later(live, 10, lambda: room.serve("2", 20))
    assert (room.routing(), room.rollout()["alarms"][0]["state"]) == ("1+2:0.1", "OK")
    before, room.nudged[:] = len(room.writes()), []
    room.clock.now += 1
    room.serve("2", 40, errors=10)
    assert live in room.nudged, "errors are looked at when they are told, not when it is time"
    await room.aliases.reconcile(live)
    written = [where for _, where in room.writes()[before:] if "/aliases/" in where]
    assert written == [f"{LIVE}/status"]
    assert room.routing() == "1"
    assert (room.phase(), room.rollout()["reason"]) == ("RolledBack", "Alarm")
    assert room.said() == {"Ready": "RolledBack", "Stalled": "RolledBack"}
    assert "25" in room.message()
    await room.aliases.settle()
    assert room.events()[-1] == "RolledBack"


async def test_what_was_taken_back_stays_until_the_specification_changes(live, room):
    """Also after a restart; then the same version is tried again."""
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    room.serve("2", 0)
    await room.later(live, 1, lambda: room.serve("2", 20, errors=20))
    assert room.phase() == "RolledBack"
    await room.crash()
    assert await room.later(live, 3600) is None
    assert room.routing() == "1"
    room.point(description="again")
    await room.work(live)
    assert (room.phase(), room.routing()) == ("AllowTraffic", "1+2:0.1")


async def test_a_restarted_controller_watches_before_it_goes_on(live, room):
    """What happened while nobody looked is not known: the rollout is held for as long as the alarm looks back."""
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    for second in range(1, 11):
        await room.later(live, 6, lambda second=second: room.serve("2", 10 * second))
    assert room.routing() == "1+2:0.5"
    await room.crash()
    room.clock.now += 60
    await room.work(live)
    assert (room.routing(), room.said()["Ready"]) == ("1+2:0.5", "RolloutHeld")
    for second in range(1, 5):
        await room.later(live, 6, lambda second=second: room.serve("2", 100 + 10 * second))
        assert (room.routing(), room.said()["Ready"]) == ("1+2:0.5", "RolloutHeld")
    await room.later(live, 6, lambda: room.serve("2", 150))
    assert room.phase() == "Succeeded"


async def test_a_gateway_that_is_not_heard_holds_the_rollout(live, room):
    """No promotion without metrics; when it is heard again it is watched for a whole period first."""
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    await room.later(live, 30, lambda: room.serve("2", 20))
    room.lose_gateway()
    await room.work(live)
    await room.later(live, 3600)
    assert (room.routing(), room.said()["Ready"]) == ("1+2:0.1", "RolloutHeld")
    assert room.events()[-1] == "RolloutHeld"
    room.find_gateway()
    await room.later(live, 25, lambda: room.serve("2", 20))
    assert room.said()["Ready"] == "RolloutHeld"
    await room.later(live, 5)
    assert room.said()["Ready"] == "RolloutInProgress"
    await room.later(live, 29)
    assert room.routing() == "1+2:0.1", "the step's time stood still"
    await room.later(live, 1)
    assert room.routing() == "1+2:0.5"


async def test_a_short_break_between_two_looks_is_a_break(live, room):
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    await room.later(live, 30)
    assert room.said()["Ready"] == "RolloutInProgress"
    room.lose_gateway()
    room.find_gateway()
    await room.later(live, 1)
    assert room.said()["Ready"] == "RolloutHeld"


async def test_a_second_change_in_the_middle_begins_anew_from_the_old_version(live, room):
    room.point(functionVersion="2")
    await room.work(live)
    room.publish("3")
    room.point(functionVersion="3")
    await room.work(live)
    assert room.routing() == "1+3:0.1"
    assert [one["phase"] for one in room.status_of()["history"]] == ["Superseded"]
    await room.crash()
    await room.later(live, 60)
    await room.later(live, 60)
    assert (room.routing(), room.phase()) == ("3", "Succeeded")


async def test_the_old_target_again_stops_the_rollout(live, room):
    room.point(functionVersion="2")
    await room.work(live)
    room.point(functionVersion="1")
    await room.work(live)
    assert (room.routing(), room.phase()) == ("1", "Stopped")
    assert room.said() == {"Ready": "Available"}


DELETED = {"the new one": ("f.2", "1"), "the old one": ("f.1", "2")}


@pytest.mark.parametrize(("gone", "left"), DELETED.values(), ids=DELETED)
async def test_a_version_that_is_deleted_in_the_middle_leaves_the_other(live, room, gone, left):
    """By force, past the policy that protects it."""
    room.point(functionVersion="2")
    await room.work(live)
    room.api.remove(f"{NUMBER_PATH}/{gone}")
    room.nudged.clear()
    await room.sweeper.sweep()
    assert live in room.nudged
    await room.work(live)
    assert room.routing() == left


async def test_a_deleted_function_ends_what_runs(live, room):
    """Its aliases go with it; until then nothing is moved."""
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    room.api.remove(f"{FUNCTION_PATH}/f")
    await room.work(live)
    assert room.routing() == "1+2:0.1"
    assert room.said()["Ready"] == "FunctionNotFound"
    room.api.remove(LIVE)
    assert await room.work(live) is None


# --- requests -------------------------------------------------------------------------------------------------------


async def test_a_pause_holds_for_as_long_as_it_is_there(live, room):
    room.point(functionVersion="2")
    await room.work(live)
    await room.later(live, 20)
    room.annotate("pause")
    await room.work(live)
    for _ in range(3):
        await room.later(live, 3600)
        await room.crash()
    assert (room.routing(), room.said()["Ready"], room.annotation()) == ("1+2:0.1", "RolloutPaused", "pause")
    room.api.change(LIVE, lambda body: body["metadata"]["annotations"].clear())
    await room.work(live)
    await room.later(live, 39)
    assert room.routing() == "1+2:0.1"
    await room.later(live, 1)
    assert room.routing() == "1+2:0.5"


async def test_promote_skips_the_steps_and_is_taken_away(live, room):
    room.point(functionVersion="2")
    await room.work(live)
    room.annotate("promote")
    await room.work(live)
    assert (room.routing(), room.phase(), room.annotation()) == ("2", "Succeeded", None)
    assert "Promoted" in room.events()


async def test_abort_takes_the_traffic_back_and_is_taken_away(live, room):
    room.point(functionVersion="2")
    await room.work(live)
    room.annotate("abort")
    await room.work(live)
    assert (room.routing(), room.phase(), room.annotation()) == ("1", "Stopped", None)
    assert room.said() == {"Ready": "RolledBack", "Stalled": "RolledBack"}
    await room.later(live, 3600)
    assert room.routing() == "1"


async def test_aliases_are_read_by_lists_and_watches_alone(live, room):
    """The controller has no other right to read them."""
    room.point(functionVersion="2")
    await room.work(live)
    room.annotate("abort")
    await room.work(live)
    assert room.annotation() is None
    assert not [where for method, where in room.api.requests if method == "GET" and "/aliases/" in where]


async def test_a_request_for_nothing_is_told_and_taken_away(room):
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.annotate("promote")
    await room.work(uid)
    assert (room.annotation(), room.events()[-1]) == (None, "NothingToDo")


async def test_a_request_that_was_replaced_meanwhile_stays(live, room):
    """Only what was obeyed is taken away."""
    room.point(functionVersion="2")
    await room.work(live)
    room.annotate("promote")
    await room.sweeper.sweep()
    room.annotate("pause")  # not observed yet
    await room.aliases.reconcile(live)
    assert room.annotation() == "pause"


async def test_a_request_that_was_replaced_a_moment_ago_stays(room):
    """Nothing was written that would show it: the write itself says of which alias it is meant."""
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.annotate("promote")
    await room.sweeper.sweep()
    room.annotate("pause")  # not observed yet
    assert await room.aliases.reconcile(uid) == 1
    assert room.annotation() == "pause"


async def test_a_request_is_obeyed_before_it_is_taken_away(live, room):
    """A controller that ends in between finds it again, and does nothing twice."""
    room.point(functionVersion="2")
    await room.work(live)
    room.annotate("abort")
    room.api.fail("PATCH", "/aliases/f.live/status", status=503)
    with pytest.raises(Unavailable):
        await room.work(live)
    assert (room.phase(), room.annotation()) == ("AllowTraffic", "abort")
    await room.crash()
    room.api.fail("PATCH", "/aliases/f.live$", status=503)
    with pytest.raises(Unavailable):
        await room.work(live)
    assert (room.phase(), room.annotation()) == ("Stopped", "abort")
    await room.crash()
    await room.work(live)
    assert (room.phase(), room.annotation()) == ("Stopped", None)
    assert "NothingToDo" not in room.events()

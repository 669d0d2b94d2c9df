"""One move of a rollout that is going on: what of its hooks, alarms and steps is due now?

A move does the next thing and no more; moves are made until one changes nothing. Whatever fails is found before
anything goes on, and nothing goes on while the rollout is held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lambent.core import moments, rollout_hooks, rollout_steps
from lambent.core.alarms import Reading
from lambent.core.events import RecordEvent
from lambent.core.readiness import MESSAGE_CHARS_MAX, Problem
from lambent.core.rollout_alarms import Judgement, judge
from lambent.core.rollout_hooks import Event
from lambent.core.rollout_texts import split, title
from lambent.model.alias_statuses import HookResult, RolloutStatus
from lambent.model.conditions import Reason
from lambent.model.rollouts import Hook, Rollout

ALARMS_EVERY_SECONDS = 1.0
"""Alarms are read again so often, as long as they can take the traffic back."""

_WATCHED = ("AllowTraffic", "AfterAllowTraffic")
"""Phases in which alarms count."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a move depends on beside the rollout itself."""

    plan: Rollout
    """Hooks, alarms and baking time as they are specified now. The rollout's steps are its own."""
    readings: Mapping[str, Reading]
    results: Sequence[HookResult]
    paused: bool
    astray: Problem | None
    """Why it is not known whether the specification still means this rollout."""
    now: datetime
    execution_id: Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Move:
    """The rollout after it; with a failure, it has to be taken back."""

    rollout: RolloutStatus
    failure: Problem | None = None
    told: tuple[RecordEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class _Hold:
    reason: Reason
    message: str
    warning: bool = False


def move(rollout: RolloutStatus, around: Circumstances) -> Move:
    """The next thing that is due; the same rollout when nothing is."""
    event, hook = rollout_hooks.due(rollout, around.plan) or (None, None)
    rollout = rollout_hooks.heard(rollout, around.results)
    rollout = rollout_hooks.redirected(rollout, hook, around.now)
    judgement = Judgement([])
    if rollout.phase in _WATCHED:
        traffic = moments.seconds_since(rollout.traffic_started_at, around.now) if rollout.step else None
        judgement = judge(around.plan.alarms, around.readings, rollout.alarms, traffic)
        if judgement.statuses != rollout.alarms:
            rollout = rollout.model_copy(update={"alarms": judgement.statuses})
    if judgement.breach:
        return Move(rollout, Problem(Reason.ALARM, judgement.breach))
    failure = rollout_hooks.failure(rollout, event, hook, around.now) if event is not None else None
    if failure is not None:
        return Move(rollout, failure)
    held = _hold(rollout, around, judgement)
    if held is not None:
        return _stand(rollout, held, around.now)
    rollout, told = _release(rollout, around.now)
    if event is None:
        return _step(rollout, around, told)
    return Move(_pass(rollout, event, hook, around), told=told)


def look_again(rollout: RolloutStatus, around: Circumstances) -> float | None:
    """Seconds until something is due by time alone; None when there is no such thing."""
    _, hook = rollout_hooks.due(rollout, around.plan) or (None, None)
    status = rollout_hooks.waited_for(rollout)
    waits = list[float]()
    if status is not None and hook is not None:
        waits.append(rollout_hooks.patience(status, hook, around.now))
    if rollout.phase in _WATCHED and around.plan.alarms:
        waits.append(ALARMS_EVERY_SECONDS)
    if rollout.phase == "AllowTraffic" and rollout.held_since is None:
        waits.append(rollout_steps.remaining(rollout, around.plan, around.now))
    return min(waits, default=None)


# --- standing still -------------------------------------------------------------------------------------------------


def _hold(rollout: RolloutStatus, around: Circumstances, judgement: Judgement) -> _Hold | None:
    """Why the rollout must not go on now. A person who promotes it says that it need not wait for what is unknown."""
    if around.paused:
        return _Hold(Reason.ROLLOUT_PAUSED, "a person paused it")
    if rollout.promoted:
        return None
    if around.astray is not None:
        return _Hold(Reason.ROLLOUT_HELD, f"it waits for what the alias is to point to: {around.astray.message}")
    if judgement.waiting:
        return _Hold(Reason.ROLLOUT_HELD, f"it waits for {judgement.waiting}", warning=judgement.blind)
    return None


def _stand(rollout: RolloutStatus, held: _Hold, now: datetime) -> Move:
    paused = held.reason == Reason.ROLLOUT_PAUSED
    told: tuple[RecordEvent, ...] = ()
    if rollout.reason != held.reason:
        told = (RecordEvent(held.warning, held.reason, f"{title(rollout)}: {held.message}"),)
    rollout = rollout_steps.hold(rollout, now)
    message = held.message[:MESSAGE_CHARS_MAX]
    update = {"paused": paused, "reason": held.reason.value, "message": message}
    return Move(rollout.model_copy(update=update), told=told)


def _release(rollout: RolloutStatus, now: datetime) -> tuple[RolloutStatus, tuple[RecordEvent, ...]]:
    told: tuple[RecordEvent, ...] = ()
    if rollout.held_since is not None:
        told = (RecordEvent(False, Reason.ROLLOUT_IN_PROGRESS, f"{title(rollout)} goes on"),)
    return rollout_steps.release(rollout, now), told


# --- going on -------------------------------------------------------------------------------------------------------


def _step(rollout: RolloutStatus, around: Circumstances, told: tuple[RecordEvent, ...]) -> Move:
    over = rollout.promoted or rollout_steps.remaining(rollout, around.plan, around.now) <= 0
    if not over:
        return Move(rollout, told=told)
    if rollout_steps.is_whole(rollout):
        return Move(rollout.model_copy(update={"phase": "AfterAllowTraffic"}), told=told)
    rollout = rollout_steps.next_step(rollout, around.now)
    stepped = RecordEvent(False, Reason.ROLLOUT_STEPPED, f"{title(rollout)}: {split(rollout_steps.share(rollout))}")
    return Move(rollout, told=(*told, stepped))


def _pass(rollout: RolloutStatus, event: Event, hook: Hook | None, around: Circumstances) -> RolloutStatus:
    """Ask the hook of this event, or go on when it has nothing against it."""
    waits = rollout_hooks.waited_for(rollout)
    unwanted = "a person promoted the rollout" if event == "BeforeAllowTraffic" and rollout.promoted else ""
    if hook is None:
        unwanted = "the specification has no such hook any more"
    if unwanted:
        rollout = rollout_hooks.settle(rollout, "Skipped", unwanted, around.now)
    elif waits is not None:
        return rollout
    elif hook is not None and rollout_hooks.asked(rollout, event) is None:
        execution_id = around.execution_id(rollout.deployment_id, event)
        return rollout_hooks.ask(rollout, event, hook, execution_id, around.now)
    phase = "AllowTraffic" if event == "BeforeAllowTraffic" else "Succeeded"
    return rollout.model_copy(update={"phase": phase})

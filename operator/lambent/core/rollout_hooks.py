"""Hooks of a rollout: who is asked now, and what was said?

A hook is asked when its life-cycle event comes and has reported when a result with its execution id's digest is in
`status.hookResults`. Its time-out runs on while the rollout is paused: the function that was asked knows of no pause.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from lambent.core import moments
from lambent.core.readiness import Problem
from lambent.model.alias_statuses import HookResult, HookStatus, RolloutStatus
from lambent.model.conditions import Reason
from lambent.model.rollouts import Hook, Rollout

Event = Literal["BeforeAllowTraffic", "AfterAllowTraffic"]
EVENTS: tuple[Event, ...] = ("BeforeAllowTraffic", "AfterAllowTraffic")


def digest(execution_id: str) -> str:
    """What the status holds of an execution id: SHA-256, hexadecimal. Whoever reports may write anything for one."""
    return hashlib.sha256(execution_id.encode("utf-8", "surrogatepass")).hexdigest()


def due(rollout: RolloutStatus, plan: Rollout) -> tuple[Event, Hook | None] | None:
    """The life-cycle event that the rollout is at, with the hook that the specification has for it."""
    if rollout.phase not in EVENTS:
        return None
    hooks = plan.hooks
    if rollout.phase == "BeforeAllowTraffic":
        return "BeforeAllowTraffic", hooks.pre_traffic if hooks else None
    return "AfterAllowTraffic", hooks.post_traffic if hooks else None


def asked(rollout: RolloutStatus, event: Event) -> HookStatus | None:
    """The hook of an event, if it was asked."""
    return next((hook for hook in rollout.hooks if hook.lifecycle_event == event), None)


def waited_for(rollout: RolloutStatus) -> HookStatus | None:
    """The hook whose report is waited for now."""
    if rollout.ended or rollout.phase not in EVENTS:
        return None
    hook = asked(rollout, rollout.phase)
    return hook if hook is not None and hook.state == "InProgress" else None


def ask(rollout: RolloutStatus, event: Event, hook: Hook, execution_id: str, now: datetime) -> RolloutStatus:
    """It is asked from now on."""
    status = HookStatus(
        lifecycle_event=event,
        function_name=hook.function_name,
        execution_id_sha256=digest(execution_id),
        state="InProgress",
        started_at=moments.spell(now),
    )
    return with_hook(rollout, status)


def with_hook(rollout: RolloutStatus, hook: HookStatus) -> RolloutStatus:
    """The rollout with this hook in place of the one of the same event."""
    others = [other for other in rollout.hooks if other.lifecycle_event != hook.lifecycle_event]
    hooks = sorted([*others, hook], key=lambda one: EVENTS.index(one.lifecycle_event))
    return rollout.model_copy(update={"hooks": hooks})


def settle(rollout: RolloutStatus, state: Literal["Failed", "Skipped"], message: str, now: datetime) -> RolloutStatus:
    """The hook that is waited for is waited for no longer."""
    hook = waited_for(rollout)
    if hook is None:
        return rollout
    return with_hook(rollout, _finished(hook, state, moments.spell(now), message or hook.message))


def heard(rollout: RolloutStatus, results: Sequence[HookResult]) -> RolloutStatus:
    """What the hook that is waited for has reported, if it has."""
    hook = waited_for(rollout)
    if hook is None:
        return rollout
    found = next((result for result in results if result.execution_id_sha256 == hook.execution_id_sha256), None)
    if found is None:
        return rollout
    return with_hook(rollout, _finished(hook, found.status, found.reported_at, hook.message))


def redirected(rollout: RolloutStatus, hook: Hook | None, now: datetime) -> RolloutStatus:
    """When the specification names another function in the middle, that one is asked, and has all of its time."""
    status = waited_for(rollout)
    if status is None or hook is None or status.function_name == hook.function_name:
        return rollout
    fresh: dict[str, Any] = {"started_at": moments.spell(now), "answered_at": None, "message": ""}
    return with_hook(rollout, status.model_copy(update={"function_name": hook.function_name, **fresh}))


def failure(rollout: RolloutStatus, event: Event, hook: Hook | None, now: datetime) -> Problem | None:
    """Why the rollout cannot go on, as far as the hook of this event is concerned."""
    status = asked(rollout, event)
    if status is None:
        return None
    said = f": {status.message}" if status.message else ""
    if status.state == "Failed":
        return Problem(Reason.HOOK_FAILED, f"the {event} hook {status.function_name} reported Failed{said}")
    if status.state == "InProgress" and hook is not None and patience(status, hook, now) <= 0:
        waited = timedelta(seconds=hook.timeout_seconds)
        return Problem(
            Reason.HOOK_TIMED_OUT, f"the {event} hook {status.function_name} did not report within {waited}{said}"
        )
    return None


def patience(status: HookStatus, hook: Hook, now: datetime) -> float:
    """Seconds that its report is waited for still."""
    return hook.timeout_seconds - moments.seconds_since(status.started_at, now)


def answered(
    status: HookStatus, kind: Literal["Succeeded", "Failed", "NotInvoked"], message: str, now: datetime
) -> HookStatus:
    """The end of its invocation, where the report is to come by itself. NotInvoked: it is tried again."""
    at = None if kind == "NotInvoked" else moments.spell(now)
    return status.model_copy(update={"answered_at": at, "message": message})


def decided(status: HookStatus, kind: Literal["Succeeded", "Failed"], now: datetime) -> HookStatus:
    """The end of its invocation, where that is the report."""
    return _finished(status, kind, moments.spell(now), status.message)


def _finished(hook: HookStatus, state: Literal["Succeeded", "Failed", "Skipped"], at: str, message: str) -> HookStatus:
    return hook.model_copy(update={"state": state, "finished_at": at, "message": message})

"""What an alias's conditions say of it, and how a rollout is put into words."""

from __future__ import annotations

from lambent.core.events import RecordEvent
from lambent.core.pointing import Target
from lambent.core.readiness import Problem
from lambent.core.rollout_steps import is_whole, share
from lambent.model.alias_statuses import RolloutStatus, Routing
from lambent.model.conditions import Condition, ConditionType, Reason

_AWAITED = (Reason.FUNCTION_NOT_FOUND, Reason.VERSION_NOT_FOUND)
"""Problems that go away without a person."""


def conditions_of(
    target: Target | Problem, routing: Routing | None, rollout: RolloutStatus | None, failed: RolloutStatus | None
) -> list[Condition]:
    """Ready always, Reconciling or Stalled while they are true.

    `rollout` is the one that is going on, `failed` the one that ended badly and that this target still stands for.
    """
    if isinstance(target, Problem):
        return _not_ready(target, ConditionType.RECONCILING if target.reason in _AWAITED else ConditionType.STALLED)
    if rollout is not None:
        reason = Reason(rollout.reason) if rollout.reason else Reason.ROLLOUT_IN_PROGRESS
        return _not_ready(Problem(reason, progress(rollout)), ConditionType.RECONCILING)
    if failed is not None:
        return _not_ready(Problem(Reason.ROLLED_BACK, outcome(failed)), ConditionType.STALLED)
    if routing is None or routing.function_version != target.version:
        waits = f"the move to version {target.version} begins when the request is answered"
        return _not_ready(Problem(Reason.ROLLOUT_IN_PROGRESS, waits), ConditionType.RECONCILING)
    return [Condition(ConditionType.READY, True, Reason.AVAILABLE, split(routing))]


def _not_ready(problem: Problem, other: ConditionType) -> list[Condition]:
    return [
        Condition(ConditionType.READY, False, problem.reason, problem.message),
        Condition(other, True, problem.reason, problem.message),
    ]


def split(routing: Routing) -> str:
    """Who gets how much."""
    shares = routing.additional_version_weights
    if not shares:
        return f"version {routing.function_version} has all of the traffic"
    told = ", ".join(f"version {number} {weight * 100:.6g} %" for number, weight in shares.items())
    return f"{told}, version {routing.function_version} the rest of the traffic"


def progress(rollout: RolloutStatus) -> str:
    """Where a rollout is."""
    place = {
        "BeforeAllowTraffic": "before the traffic moves",
        "AfterAllowTraffic": "after the traffic has moved",
    }.get(rollout.phase, "before the first step")
    if rollout.phase == "AllowTraffic" and rollout.step:
        count = len(rollout.steps)
        place = "all steps done, alarms are watched" if is_whole(rollout) else f"step {rollout.step} of {count}"
    waits = f"; {rollout.message}" if rollout.message else ""
    return f"{title(rollout)}: {place}; {split(share(rollout))}{waits}"


def outcome(rollout: RolloutStatus) -> str:
    """How a rollout that was taken back ended, and what comes next."""
    return (
        f"{title(rollout)} was taken back, {rollout.reason}: {rollout.message}. Version {rollout.from_version} has all "
        "of the traffic. Another version, or any change of spec, begins anew"
    )


def told_of(rollout: RolloutStatus) -> RecordEvent:
    """The Event of its end."""
    left = f"version {rollout.to_version if rollout.phase == 'Succeeded' else rollout.from_version} has all"
    why = f", {rollout.reason}: {rollout.message}" if rollout.message else ""
    note = f"{title(rollout)} ended{why}; {left} of the traffic"
    match rollout.phase:
        case "RolledBack":
            return RecordEvent(True, Reason.ROLLED_BACK, note)
        case "Succeeded":
            gone = rollout.reason == Reason.VERSION_NOT_FOUND
            return RecordEvent(gone, Reason.ROLLOUT_SUCCEEDED, note)
        case _:
            return RecordEvent(False, Reason(rollout.reason), note)


def title(rollout: RolloutStatus) -> str:
    """Which rollout."""
    return f"{rollout.deployment_id} from version {rollout.from_version} to {rollout.to_version}"

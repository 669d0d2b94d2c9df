"""The steps of a rollout: how much of the traffic the new version has now, for how long still, and what comes next.

Holding a rollout moves the begin of its step on by as long as it was held, so that a step lasts as long as it says.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lambent.core import moments
from lambent.model.alias_statuses import RolloutStatus, Routing
from lambent.model.rollouts import Rollout


def share(rollout: RolloutStatus) -> Routing:
    """The routing of a rollout that is going on or has succeeded."""
    if rollout.step == 0:
        return Routing(function_version=rollout.from_version)
    if is_whole(rollout):
        return Routing(function_version=rollout.to_version)
    percentage = rollout.steps[rollout.step - 1].percentage
    return Routing(
        function_version=rollout.from_version, additional_version_weights={rollout.to_version: percentage / 100}
    )


def is_whole(rollout: RolloutStatus) -> bool:
    """Whether the new version has all of the traffic."""
    return rollout.step > len(rollout.steps)


def lasts(rollout: RolloutStatus, plan: Rollout) -> int:
    """Seconds that the step in force lasts; of the last, which is all of the traffic, as long as alarms are watched."""
    return plan.bake_seconds if is_whole(rollout) else rollout.steps[rollout.step - 1].seconds


def remaining(rollout: RolloutStatus, plan: Rollout, now: datetime) -> float:
    """Seconds until the step in force is over, 0 or less when it is. Before the first step: 0."""
    if rollout.step == 0:
        return 0.0
    return lasts(rollout, plan) - moments.seconds_since(rollout.step_started_at, now)


def next_step(rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    """The next step begins now; the last one at once, when a person told it to skip the rest."""
    step = len(rollout.steps) + 1 if rollout.promoted else rollout.step + 1
    at = moments.spell(now)
    return rollout.model_copy(
        update={"step": step, "step_started_at": at, "traffic_started_at": rollout.traffic_started_at or at}
    )


def hold(rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    """Its time stands still from now on; it may be held already."""
    if rollout.held_since is not None:
        return rollout
    return rollout.model_copy(update={"held_since": moments.spell(now)})


def release(rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    """Its time goes on. A step that seems to begin in the future (the clock went back) begins now."""
    begun = moments.read(rollout.step_started_at) if rollout.step_started_at is not None else None
    if rollout.held_since is None and (begun is None or begun <= now):
        return rollout
    update = dict[str, Any](held_since=None, paused=False, reason="", message="")
    if begun is not None:
        held = timedelta(seconds=moments.seconds_since(rollout.held_since, now))
        update["step_started_at"] = moments.spell(min(begun + held, now))
    return rollout.model_copy(update=update)

"""How a rollout begins and how it ends, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lambent.core import moments, rollout_hooks
from lambent.core.readiness import MESSAGE_CHARS_MAX
from lambent.model.alias_statuses import Phase, RolloutRecord, RolloutStatus, Routing
from lambent.model.conditions import Reason
from lambent.model.limits import ROLLOUT_HISTORY_MAX
from lambent.model.names import LATEST
from lambent.model.rollouts import Rollout


@dataclass(frozen=True, slots=True)
class Ending:
    """How and why."""

    phase: Phase
    reason: Reason
    message: str = ""


def begun(
    deployment_id: str, versions: tuple[str, str], plan: Rollout, generation: int, now: datetime
) -> RolloutStatus:
    """A rollout between two versions (from, to). No step shares the traffic with `$LATEST`: it moves at once."""
    from_version, to_version = versions
    return RolloutStatus(
        deployment_id=deployment_id,
        from_version=from_version,
        to_version=to_version,
        generation=generation,
        strategy=plan.named,
        steps=[] if LATEST in versions else list(plan.planned()),
        phase="BeforeAllowTraffic",
        started_at=moments.spell(now),
    )


def ended(rollout: RolloutStatus, ending: Ending, generation: int, now: datetime) -> RolloutStatus:
    """The rollout as it ended, with the generation of the alias that saw its end."""
    timed_out = ending.reason == Reason.HOOK_TIMED_OUT
    why = ending.message or "the rollout ended"
    rollout = rollout_hooks.settle(rollout, "Failed" if timed_out else "Skipped", why[:MESSAGE_CHARS_MAX], now)
    return rollout.model_copy(
        update={
            "phase": ending.phase,
            "reason": ending.reason.value,
            "message": ending.message[:MESSAGE_CHARS_MAX],
            "generation": generation,
            "finished_at": moments.spell(now),
            "held_since": None,
            "paused": False,
        }
    )


def routing_after(rollout: RolloutStatus) -> Routing:
    """Who has all of the traffic when it has ended."""
    return Routing(function_version=rollout.to_version if rollout.phase == "Succeeded" else rollout.from_version)


def was_taken_back(rollout: RolloutStatus) -> bool:
    """Whether it ended so that a person is needed: by itself, or by a person's word. Not: because of another target."""
    return rollout.phase == "RolledBack" or (rollout.phase == "Stopped" and rollout.reason == Reason.ABORTED)


def recorded(rollout: RolloutStatus, history: list[RolloutRecord]) -> list[RolloutRecord]:
    """The history with this rollout, the newest first."""
    record = RolloutRecord(
        deployment_id=rollout.deployment_id,
        from_version=rollout.from_version,
        to_version=rollout.to_version,
        phase=rollout.phase,
        started_at=rollout.started_at,
        finished_at=rollout.finished_at or rollout.started_at,
        reason=rollout.reason,
        message=rollout.message,
    )
    return [record, *history][:ROLLOUT_HISTORY_MAX]

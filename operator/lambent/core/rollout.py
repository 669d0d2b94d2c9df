"""How does an alias get to its target? The alias and what was observed in; routing, status and what to do out.

`decide` is asked at every change and when `look_again` has passed. Everything that it goes by is in the alias's
status, so that a restarted controller goes on where another one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lambent.core.alarms import Reading
from lambent.core.pointing import Target
from lambent.core.readiness import Problem
from lambent.model.alias_statuses import AliasStatus, RolloutStatus
from lambent.model.aliases import AliasObject
from lambent.model.conditions import Reason
from lambent.model.rollouts import Alarm, Hook

Event = Literal["BeforeAllowTraffic", "AfterAllowTraffic"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that a decision is made from."""

    alias: AliasObject
    target: Target | Problem
    exists: frozenset[str]
    """Numbers of the versions that exist, and `$LATEST` when the function does."""
    arn: str
    """ARN of the alias."""
    readings: Mapping[str, Reading]
    """By name of the alarm, those of `spec.rollout`; an alarm that is not here counts as UNAVAILABLE."""
    now: datetime
    """Wall clock, with UTC as its zone."""
    new_id: str
    """Deployment id for a rollout that begins now: `d-` and nine of A-Z0-9."""
    execution_id: Callable[[str, str], str]
    """(deployment id, life-cycle event) → the execution id that the hook is told."""


@dataclass(frozen=True, slots=True)
class AskHook:
    """A hook whose invocation should be running, or be tried again, now. One at a time per execution id."""

    hook: Hook
    event: Event
    deployment_id: str
    execution_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """An Event of Kubernetes."""

    warning: bool
    reason: Reason
    note: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done. Write the status, when it is another one, before anything else."""

    status: AliasStatus
    """Complete; `hook_results` as they were seen (gateways write them, under a field manager of their own)."""
    asks: tuple[AskHook, ...] = ()
    """The same in every decision as long as the invocation did not end: it is for the caller to keep one running."""
    told: tuple[Told, ...] = ()
    take_request: bool = False
    """Take the annotation `lambent.dev/rollout` away, once the status is written."""
    look_again: float | None = None
    """Seconds after which to decide again even if nothing is observed. None: only what is observed matters."""


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """How the invocation of a hook ended."""

    kind: Literal["Succeeded", "Failed", "NotInvoked"]
    """A result, a function error, or no invocation at all: it is asked again in the next decision."""
    message: str = field(default="")
    """For people, what was answered or what was in the way; cut to 1,024 characters."""


def decide(seen: Seen) -> Decision:
    """The routing that is to be in force now, and what goes with it."""
    raise NotImplementedError


def hook_answered(status: AliasStatus, ask: AskHook, outcome: HookOutcome, now: datetime) -> AliasStatus:
    """The status with the end of a hook's invocation noted; decide anew from it.

    With `answerByResult` the result is the report. The same status when this hook is not waited for any more.
    """
    raise NotImplementedError


def looks_back(rollout: RolloutStatus | None, alarm: Alarm, now: datetime) -> float:
    """Seconds that an alarm on the gateways' counters looks back: its period, not beyond the begin of the traffic.

    0 while the new version gets none.
    """
    raise NotImplementedError

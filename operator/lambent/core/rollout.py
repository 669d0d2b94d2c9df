"""How does an alias get to its target? The alias and what was observed in; routing, status and what to do out.

`decide` is asked at every change and when `look_again` has passed. Everything that it goes by is in the alias's
status, so that a restarted controller goes on where another one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from lambent.core import moments, rollout_hooks
from lambent.core.alarms import Reading
from lambent.core.events import RecordEvent
from lambent.core.pointing import Target
from lambent.core.readiness import MESSAGE_CHARS_MAX, Problem, stamped
from lambent.core.rollout_endings import Ending, begun, ended, recorded, routing_after, was_taken_back
from lambent.core.rollout_hooks import Event, due, waited_for
from lambent.core.rollout_moves import Circumstances, look_again, move
from lambent.core.rollout_steps import share
from lambent.core.rollout_texts import conditions_of, title, told_of
from lambent.model.alias_statuses import AliasStatus, RolloutStatus, Routing
from lambent.model.aliases import AliasObject
from lambent.model.conditions import Reason
from lambent.model.names import LATEST, ROLLOUT_ABORT, ROLLOUT_PAUSE, ROLLOUT_PROMOTE
from lambent.model.rollouts import Alarm, Hook, Rollout

__all__ = ["AskHook", "Decision", "Event", "HookOutcome", "Seen", "decide", "hook_answered", "looks_back"]

ANSWERED_SECONDS = 60.0
"""An annotation that is still there so long after the rollout ended by it is a new request."""
_NO_PLAN = Rollout()


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
    """By name of the alarm, those of `spec.rollout`, read for the rollout that is going on in the alias's status; an
    alarm that is not here counts as UNAVAILABLE."""
    now: datetime
    """Wall clock, with UTC as its zone."""
    new_id: str
    """Deployment id for a rollout that begins now: `d-` and nine of A-Z0-9."""
    execution_id: Callable[[str, str], str]
    """(deployment id, life-cycle event) → the execution id that the hook is told."""


@dataclass(frozen=True, slots=True)
class AskHook:
    """A hook whose invocation should be running, or be tried again, now.

    One at a time per execution id and function: when the specification names another function in the middle, that one
    is asked with the same execution id, whatever becomes of the first.
    """

    hook: Hook
    event: Event
    deployment_id: str
    execution_id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done. Write the status, when it is another one, before anything else."""

    status: AliasStatus
    """Complete; `hook_results` as they were seen (gateways write them, under a field manager of their own)."""
    asks: tuple[AskHook, ...] = ()
    """The same in every decision as long as the invocation did not end: it is for the caller to keep one running."""
    told: tuple[RecordEvent, ...] = ()
    take_request: bool = False
    """Take the annotation `lambent.dev/rollout` away, once the status is written."""
    look_again: float | None = None
    """Seconds after which to decide again even if nothing is observed. None: only what is observed matters. 0 for a
    rollout that just began and has alarms: what was read was not read for it."""


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """How the invocation of a hook ended."""

    kind: Literal["Succeeded", "Failed", "NotInvoked"]
    """A result, a function error, or no invocation at all: it is asked again in the next decision."""
    message: str = field(default="")
    """For people, what was answered or what was in the way; cut to 1,024 characters."""


def decide(seen: Seen) -> Decision:
    """The routing that is to be in force now, and what goes with it.

    With the same arguments and the status that came out nothing changes any more, unless `look_again` is 0.
    """
    made = _Making(replace(seen, now=moments.cut(seen.now)))
    made.drop_missing()
    made.answer_request()
    made.follow_target()
    made.advance()
    made.begin()
    if not made.unread:
        made.advance()
    return made.decision()


def hook_answered(status: AliasStatus, ask: AskHook, outcome: HookOutcome, now: datetime) -> AliasStatus:
    """The status with the end of a hook's invocation noted; decide anew from it.

    With `answerByResult` the result is the report. The same status when this hook is not waited for any more.
    """
    rollout = status.rollout
    hook = rollout_hooks.waited_for(rollout) if rollout is not None else None
    asked = (rollout_hooks.digest(ask.execution_id), ask.hook.function_name)
    if rollout is None or hook is None or (hook.execution_id_sha256, hook.function_name) != asked:
        return status
    answered = rollout_hooks.answered(hook, outcome.kind, outcome.message[:MESSAGE_CHARS_MAX], now)
    if ask.hook.answer_by_result and outcome.kind != "NotInvoked":
        answered = rollout_hooks.decided(answered, outcome.kind, now)
    return status.model_copy(update={"rollout": rollout_hooks.with_hook(rollout, answered)})


def looks_back(rollout: RolloutStatus | None, alarm: Alarm, now: datetime) -> float:
    """Seconds that an alarm on the gateways' counters looks back: its period, not beyond the begin of the traffic.

    0 while the new version gets none.
    """
    if rollout is None or rollout.ended:
        return 0.0
    return min(float(alarm.period), moments.seconds_since(rollout.traffic_started_at, now))


class _Making:
    """A decision while it is made: what is seen, and what of the status has changed."""

    def __init__(self, seen: Seen) -> None:
        alias = seen.alias
        self.seen = seen
        self.routing = alias.status.routing
        self.rollout = alias.status.rollout
        self.history = alias.status.history
        self.plan = alias.spec.rollout or _NO_PLAN
        self.told: list[RecordEvent] = []
        self.take_request = False
        self.unread = False
        """A rollout began for which no alarm has been read."""
        self.around = Circumstances(
            plan=self.plan,
            readings=seen.readings,
            results=alias.status.hook_results,
            paused=alias.request == ROLLOUT_PAUSE,
            astray=seen.target if isinstance(seen.target, Problem) else None,
            now=seen.now,
            execution_id=seen.execution_id,
        )

    @property
    def active(self) -> RolloutStatus | None:
        """The rollout that is going on."""
        return self.rollout if self.rollout is not None and not self.rollout.ended else None

    @property
    def failed(self) -> RolloutStatus | None:
        """The rollout that was taken back, as long as what it was for is still what is wanted."""
        target, rollout = self.seen.target, self.rollout
        if rollout is None or isinstance(target, Problem) or not was_taken_back(rollout):
            return None
        same = rollout.generation == self.seen.alias.generation and rollout.to_version == target.version
        return rollout if same and not target.weights else None

    # --- phases of a decision, in their order -------------------------------------------------------------------

    def drop_missing(self) -> None:
        """Versions that were deleted: of two, the other gets everything."""
        exists, rollout = self.seen.exists, self.active
        if LATEST not in exists:  # nor is the function: the alias goes with it, or waits for another one
            return
        if rollout is not None and rollout.to_version not in exists:
            gone = f"version {rollout.to_version} was deleted"
            self._end(rollout, Ending("RolledBack", Reason.VERSION_NOT_FOUND, gone))
        elif rollout is not None and rollout.from_version not in exists:
            gone = f"version {rollout.from_version} was deleted, only version {rollout.to_version} is left"
            self._end(rollout, Ending("Succeeded", Reason.VERSION_NOT_FOUND, gone))
        elif rollout is None and self.routing is not None:
            main, shares = self.routing.function_version, self.routing.additional_version_weights
            left = [number for number in shares if number in exists]
            if main not in exists and left:
                self.routing = Routing(function_version=left[0])
            elif len(left) < len(shares):
                self.routing = Routing(function_version=main)

    def answer_request(self) -> None:
        """What a person asks for by annotation. `pause` is none of these: it holds while it is there."""
        request, rollout = self.seen.alias.request, self.active
        if request in {"", ROLLOUT_PAUSE}:
            return
        self.take_request = True
        if rollout is not None and request == ROLLOUT_ABORT:
            self._end(rollout, Ending("Stopped", Reason.ABORTED, "a person stopped it"))
        elif rollout is not None and request == ROLLOUT_PROMOTE:
            if not rollout.promoted:
                self.rollout = rollout.model_copy(update={"promoted": True})
                self.told.append(
                    RecordEvent(False, Reason.PROMOTED, f"{title(rollout)}: the rest of its steps is skipped")
                )
        elif not self._was_answered(request):
            known = request in {ROLLOUT_ABORT, ROLLOUT_PROMOTE}
            why = "no rollout is going on" if known else "it is none of pause, promote and abort"
            self.told.append(RecordEvent(True, Reason.NOTHING_TO_DO, f"nothing was done about {request[:64]!r}: {why}"))

    def _was_answered(self, request: str) -> bool:
        """Whether the annotation is only still there."""
        last = self.rollout
        if last is None or moments.seconds_since(last.finished_at, self.seen.now) > ANSWERED_SECONDS:
            return False
        if request == ROLLOUT_ABORT:
            return last.phase == "Stopped" and last.reason == Reason.ABORTED
        return request == ROLLOUT_PROMOTE and last.promoted

    def follow_target(self) -> None:
        """Whether the specification still means what is being rolled out, and whether it is to be rolled out."""
        target, rollout = self.seen.target, self.active
        if rollout is None or isinstance(target, Problem):
            return
        if target.weights or target.version != rollout.to_version:
            back = target.version == rollout.from_version and not target.weights
            why = f"the alias is to point to version {target.version} now"
            self._end(rollout, Ending("Stopped" if back else "Superseded", Reason.ROLLOUT_SUPERSEDED, why))
        elif self.seen.alias.spec.rollout is None:
            self._end(rollout, Ending("Succeeded", Reason.PROMOTED, "spec.rollout was taken away"))
        else:
            self.rollout = rollout.model_copy(update={"generation": self.seen.alias.generation})

    def advance(self) -> None:
        """As far as the rollout gets at this moment."""
        while (before := self.active) is not None:
            made = move(before, self.around)
            self.rollout = made.rollout
            self.told += made.told
            if made.failure is not None:
                self._end(made.rollout, Ending("RolledBack", made.failure.reason, made.failure.message))
            elif made.rollout.ended:
                why = (Reason.PROMOTED, "a person promoted it") if before.promoted else (Reason.ROLLOUT_SUCCEEDED, "")
                self._end(before, Ending("Succeeded", *why))
            else:
                self.routing = share(made.rollout)
                if made.rollout == before:
                    return

    def begin(self) -> None:
        """The way to a target that the alias does not point to yet."""
        target, routing = self.seen.target, self.routing
        if isinstance(target, Problem) or self.active is not None or self.failed is not None:
            return
        wanted = Routing(function_version=target.version, additional_version_weights=dict(target.weights))
        at_once = self.seen.alias.spec.rollout is None or target.weights
        if at_once or routing is None or routing.function_version == target.version:
            self.routing = wanted
        elif routing.function_version not in self.seen.exists:
            self.routing = wanted
            gone = f"version {routing.function_version} was deleted: version {target.version} has all of the traffic"
            self.told.append(RecordEvent(True, Reason.VERSION_NOT_FOUND, gone))
        elif not self.take_request:
            generation, versions = self.seen.alias.generation, (routing.function_version, target.version)
            self.routing = Routing(function_version=routing.function_version)
            self.rollout = begun(self.seen.new_id, versions, self.plan, generation, self.seen.now)
            self.unread = bool(self.plan.alarms)
            self.told.append(RecordEvent(False, Reason.ROLLOUT_STARTED, f"{title(self.rollout)}, {self.plan.named}"))

    def _end(self, rollout: RolloutStatus, ending: Ending) -> None:
        self.rollout = ended(rollout, ending, self.seen.alias.generation, self.seen.now)
        self.routing = routing_after(self.rollout)
        self.history = recorded(self.rollout, self.history)
        self.told.append(told_of(self.rollout))

    def decision(self) -> Decision:
        """What was made."""
        seen, alias, rollout, target = self.seen, self.seen.alias, self.active, self.seen.target
        conditions = conditions_of(target, self.routing, rollout, self.failed)
        status = alias.status.model_copy(
            update={
                "observed_generation": alias.generation,
                "conditions": stamped(
                    conditions, alias.status.conditions, alias.generation, moments.spell_seconds(seen.now)
                ),
                "alias_arn": seen.arn,
                "target_version": target.version if isinstance(target, Target) else None,
                "routing": self.routing,
                "rollout": self.rollout,
                "history": self.history,
            }
        )
        return Decision(
            status=status,
            asks=self._asks(),
            told=tuple(self.told),
            take_request=self.take_request,
            look_again=0.0 if self.unread else look_again(rollout, self.around) if rollout is not None else None,
        )

    def _asks(self) -> tuple[AskHook, ...]:
        rollout = self.active
        waits = waited_for(rollout) if rollout is not None else None
        event, hook = (due(rollout, self.plan) if rollout is not None else None) or (None, None)
        if rollout is None or waits is None or event is None or hook is None or waits.answered_at is not None:
            return ()
        execution_id = self.seen.execution_id(rollout.deployment_id, event)
        return (AskHook(hook, event, rollout.deployment_id, execution_id),)

"""What do environments of one owner need? Scaling, narrowing, what ended them and what keeps them from starting.

An owner is what has environments of its own: a Function ($LATEST) or the holder of a version's number. What both have
in common stands here; `core.plan` and `core.version_plan` say what else is to be done for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lambent.core import exhaustion, narrowing, readiness, references, revisions, scaling
from lambent.core.events import RecordEvent
from lambent.core.narrowing import Narrowing, NarrowingState
from lambent.core.readiness import Problem, ResolvedImage
from lambent.core.references import Versions
from lambent.core.scaling import Report, ScalingSettings, ScalingState, Snapshot
from lambent.core.workload import EnvironmentFacts, Program
from lambent.model.conditions import ConditionType, Reason
from lambent.model.environments import EnvironmentPod, Key, Scope
from lambent.model.functions import ConditionStatus, FunctionConfiguration, ImageConfig, ImageStatus


@dataclass(frozen=True, slots=True)
class CreatePods:
    """Create environments."""

    count: int
    facts: EnvironmentFacts


@dataclass(frozen=True, slots=True)
class RetirePods:
    """Ask the gateways to give up environments, and delete those they give up."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeletePods:
    """Delete pods that nobody uses."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NarrowPods:
    """Give environments that were started generously the CPU they are entitled to."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TellNotNarrowed:
    """Say that the nodes of these pods refused to."""

    pods: tuple[str, ...]


Action = CreatePods | RetirePods | DeletePods | NarrowPods | TellNotNarrowed | RecordEvent


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything seen of the environments of one owner."""

    pods: tuple[EnvironmentPod, ...]
    reports: tuple[Report, ...]
    gateways_heard: bool
    refusal: Problem | None
    """Why the API server refused the last pod, if it did."""
    now: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What environments of one owner are to be."""

    configuration: FunctionConfiguration
    current: Key | None
    """What new requests are served by; None when nothing was ever ready."""
    facts: EnvironmentFacts | None
    """What environments of that key are made of; None while none can be made."""


@dataclass(frozen=True, slots=True)
class HousingState:
    """What the next decision about an owner's environments needs of this one."""

    scaling: ScalingState = field(default_factory=ScalingState)
    narrowing: NarrowingState = field(default_factory=NarrowingState)
    exhausted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Housing:
    """What should happen, and what is true of the environments."""

    actions: tuple[Action, ...]
    """In the order to apply them."""
    state: HousingState
    look_again: float | None
    """Seconds until time alone may change the answer; None when only an event can."""
    unhealthy: Problem | None
    running: int
    """Environments that run, of any revision."""
    serving: int
    """Those of them that serve the current key."""


def decide(
    seen: Seen, wanted: Wanted, settings: ScalingSettings, state: HousingState, shown: Sequence[ConditionStatus] = ()
) -> Housing:
    """The next step for the environments of one owner; `shown` are the conditions that its status has now."""
    snapshot = Snapshot(
        now=seen.now,
        current=wanted.current,
        may_create=wanted.facts is not None,
        pods=seen.pods,
        reports=seen.reports,
        gateways_heard=seen.gateways_heard,
    )
    step = scaling.decide(snapshot, settings, state.scaling)
    narrowed = narrowing.decide(snapshot, settings.report_fresh, state.narrowing)
    exhausted = exhaustion.decide(seen.pods, wanted.configuration, state.exhausted)
    told = [RecordEvent(True, reason, note) for reason, note in exhausted.told]  # nothing that may fail is before
    waits = [wait for wait in (step.look_again, narrowed.look_again) if wait]
    return Housing(
        actions=(*told, *_pod_actions(step, wanted.facts, narrowed)),
        state=HousingState(step.state, narrowed.state, exhausted.state),
        look_again=min(waits, default=None),
        unhealthy=_unhealthy(seen, wanted.current, step.state, shown),
        running=sum(_serves(pod) for pod in seen.pods),
        serving=sum(_serves(pod) and pod.key == wanted.current for pod in seen.pods),
    )


def farewell(seen: Seen) -> tuple[Action, ...]:
    """An owner on its way out takes its environments with it; their agents let a request in flight finish."""
    pods = tuple(pod.name for pod in seen.pods if not pod.deleting)
    return (DeletePods(pods),) if pods else ()


def key_of(scope: Scope, configuration: FunctionConfiguration, revision: str, shape: revisions.Shape) -> Key:
    """Identity of environments."""
    return Key(*scope, revisions.pod_revision(revision, scope.version, shape, configuration))


def shape_of(image: str, agent_image: str, program: Program | None, versions: Versions) -> revisions.Shape:
    """What shapes a pod beyond the configuration: the agent's image counts only where it is used."""
    return revisions.Shape(image, agent_image if program else "", versions)


def program_of(configuration: FunctionConfiguration, image: ResolvedImage | ImageStatus) -> Program:
    """What runs in a container image: each part by imageConfig, else as the image says."""
    wanted = configuration.image_config or ImageConfig()
    return Program(
        arguments=(*(wanted.entry_point or image.entry_point), *(wanted.command or image.command)),
        directory=wanted.working_directory or image.working_directory or "/",
    )


def missing(configuration: FunctionConfiguration, versions: Versions, unknown: Problem | None) -> Problem | None:
    """What environments need and the namespace does not have, or may not be asked for."""
    return unknown or references.find_missing(configuration, versions)


def events(old: Sequence[ConditionStatus], new: Sequence[ConditionStatus]) -> list[RecordEvent]:
    """What is worth telling of a change: ready, no longer ready and why, environments that cannot be."""
    told: dict[str, RecordEvent] = {}
    for kind in (ConditionType.READY, ConditionType.ENVIRONMENTS_HEALTHY):
        before, after = readiness.find(old, kind), readiness.find(new, kind)
        if after is None or (before is not None and (before.status, before.reason) == (after.status, after.reason)):
            continue
        if after.status == "False":
            warning = after.reason not in readiness.IN_PASSING
            told.setdefault(after.reason, RecordEvent(warning, Reason(after.reason), after.message))
        elif kind == ConditionType.READY:
            told[after.reason] = RecordEvent(False, Reason.AVAILABLE, after.message)
    return list(told.values())


def _serves(pod: EnvironmentPod) -> bool:
    return pod.running and not pod.deleting and not pod.finished


def _unhealthy(
    seen: Seen, current: Key | None, state: ScalingState, shown: Sequence[ConditionStatus]
) -> Problem | None:
    """What keeps environments of the current key from starting; remembered while they are tried again."""
    problem = readiness.blockage(pod for pod in seen.pods if pod.key == current)
    if problem is not None:
        return problem
    if current is None or state.failing != current or not state.failures:
        return None
    if seen.refusal is not None:
        return seen.refusal
    before = readiness.find(shown, ConditionType.ENVIRONMENTS_HEALTHY)
    if before is not None and before.status == "False":
        return Problem(Reason(before.reason), before.message)
    return Problem(Reason.ENVIRONMENT_FAILED, "an environment ended before it was any use")


def _pod_actions(step: scaling.Scaling, facts: EnvironmentFacts | None, narrowed: Narrowing) -> list[Action]:
    actions: list[Action] = []
    if step.create and facts is not None:
        actions.append(CreatePods(step.create, facts))
    if step.retire:
        actions.append(RetirePods(step.retire))
    if step.delete:
        actions.append(DeletePods(step.delete))
    if narrowed.narrow:
        actions.append(NarrowPods(narrowed.narrow))
    if narrowed.refused:
        actions.append(TellNotNarrowed(narrowed.refused))
    return actions

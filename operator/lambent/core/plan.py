"""What is to be done for one function? All the answers of this package together, as a list of actions.

The controller observes, asks here, and applies; nothing here has happened yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.core import narrowing, readiness, revisions, scaling, validity
from lambent.core.narrowing import Narrowing, NarrowingState
from lambent.core.readiness import Findings, Problem, Revisions, StoredCode
from lambent.core.scaling import Report, ScalingSettings, ScalingState, Snapshot
from lambent.core.workload import EnvironmentFacts
from lambent.model import names
from lambent.model.arns import function_arn
from lambent.model.conditions import ConditionType, Reason
from lambent.model.environments import EnvironmentPod, Key
from lambent.model.functions import ConditionStatus, FunctionObject, FunctionStatus


@dataclass(frozen=True, slots=True)
class StoreCode:
    """Package the code and see that the code store has it; everything else waits for the outcome."""


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


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status."""

    status: FunctionStatus


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Tell people of a milestone, or of something with a consequence."""

    warning: bool
    reason: Reason
    note: str


Action = StoreCode | CreatePods | RetirePods | DeletePods | NarrowPods | TellNotNarrowed | WriteStatus | RecordEvent


@dataclass(frozen=True, slots=True)
class Installation:
    """What is the same for every function of this installation."""

    region: str
    runtimes: Mapping[str, str]
    """Runtime identifier → image."""
    scaling: ScalingSettings


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything seen of one function."""

    function: FunctionObject
    account: str
    older: str | None
    """Name of an older object in the namespace with the same function name."""
    code: StoredCode | Problem | None
    """What became of the code of the current specification; None when nobody looked yet."""
    pods: tuple[EnvironmentPod, ...]
    reports: tuple[Report, ...]
    gateways_heard: bool
    refusal: Problem | None
    """Why the API server refused the last pod, if it did."""
    now: float
    """Monotonic seconds."""
    timestamp: str
    """The same moment for people, RFC 3339."""
    since_status: float
    """Seconds since the status was written last."""


@dataclass(frozen=True, slots=True)
class PlanState:
    """What the next plan needs of this one."""

    scaling: ScalingState = field(default_factory=ScalingState)
    narrowing: NarrowingState = field(default_factory=NarrowingState)


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in the order to apply them, the state to remember, and when to look again."""

    actions: tuple[Action, ...]
    state: PlanState
    look_again: float | None


def plan(seen: Observation, installation: Installation, state: PlanState) -> Plan:
    """The next step for one function."""
    function = seen.function
    if function.deleting:
        return _farewell(seen, state)
    stalled = validity.find_problem(function, installation.runtimes, seen.older)
    if stalled is None and seen.code is None:
        return Plan((StoreCode(),), state, None)
    if stalled is None and isinstance(seen.code, Problem) and seen.code.reason == Reason.INVALID_CODE:
        stalled = seen.code
    facts, identities = _identify(seen, installation, stalled)
    current = facts.key if facts else _last_good(function)
    snapshot = Snapshot(
        now=seen.now,
        current=current,
        may_create=facts is not None,
        pods=seen.pods,
        reports=seen.reports,
        gateways_heard=seen.gateways_heard,
    )
    step = scaling.decide(snapshot, installation.scaling, state.scaling)
    narrowed = narrowing.decide(snapshot, installation.scaling.report_fresh, state.narrowing)
    findings = Findings(
        arn=function_arn(installation.region, seen.account, function.function_name),
        stalled=stalled,
        code=seen.code,
        revisions=identities,
        unhealthy=_unhealthy(seen, current, step.state),
        running=sum(_serves(pod) for pod in seen.pods),
        serving=sum(_serves(pod) and pod.key == current for pod in seen.pods),
    )
    actions, wait = _status_actions(seen, readiness.status_of(function, findings, seen.timestamp))
    waits = [wait for wait in (step.look_again, narrowed.look_again, wait) if wait]
    state = PlanState(step.state, narrowed.state)
    return Plan((*_pod_actions(step, facts, narrowed), *actions), state, min(waits, default=None))


def _farewell(seen: Observation, state: PlanState) -> Plan:
    """A Function on its way out takes its environments with it; their agents let a request in flight finish."""
    pods = tuple(pod.name for pod in seen.pods if not pod.deleting)
    return Plan((DeletePods(pods),) if pods else (), state, None)


def _identify(
    seen: Observation, installation: Installation, stalled: Problem | None
) -> tuple[EnvironmentFacts | None, Revisions | None]:
    """What environments of the present specification are; nothing while they cannot be."""
    spec, code = seen.function.spec, seen.code
    if stalled is not None or not isinstance(code, StoredCode) or spec.runtime is None:
        return None, None
    image = installation.runtimes[spec.runtime]
    revision = revisions.revision(spec, code.sha256_hex)
    pod_revision = revisions.pod_revision(revision, names.VERSION_LATEST_LABEL, image, spec)
    key = Key(seen.function.uid, names.VERSION_LATEST_LABEL, pod_revision)
    return EnvironmentFacts(key, image), Revisions(revision, pod_revision)


def _last_good(function: FunctionObject) -> Key | None:
    """What gateways go on routing to while the present specification cannot be served."""
    pod_revision = function.status.pod_revision
    return Key(function.uid, names.VERSION_LATEST_LABEL, pod_revision) if pod_revision else None


def _serves(pod: EnvironmentPod) -> bool:
    return pod.running and not pod.deleting and not pod.finished


def _unhealthy(seen: Observation, current: Key | None, state: ScalingState) -> Problem | None:
    """What keeps environments of the current key from starting; remembered while they are tried again."""
    problem = readiness.blockage(pod for pod in seen.pods if pod.key == current)
    if problem is not None:
        return problem
    if current is None or state.failing != current or not state.failures:
        return None
    if seen.refusal is not None:
        return seen.refusal
    shown = _condition(seen.function.status, ConditionType.ENVIRONMENTS_HEALTHY)
    if shown is not None and shown.status == "False":
        return Problem(Reason(shown.reason), shown.message)
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


def _status_actions(seen: Observation, status: FunctionStatus) -> tuple[list[Action], float | None]:
    """The write, when one is due, and the Events it is worth; else how long it can wait."""
    old = seen.function.status
    wait = readiness.write_wait(old, status, seen.since_status)
    if wait is None or wait > 0:
        return [], wait
    return [WriteStatus(status), *events(old, status)], None


def events(old: FunctionStatus, new: FunctionStatus) -> list[RecordEvent]:
    """What is worth telling of a change: ready, no longer ready and why, environments that cannot be."""
    told: dict[str, RecordEvent] = {}
    for kind in (ConditionType.READY, ConditionType.ENVIRONMENTS_HEALTHY):
        before, after = _condition(old, kind), _condition(new, kind)
        if after is None or (before is not None and (before.status, before.reason) == (after.status, after.reason)):
            continue
        if after.status == "False":
            told.setdefault(after.reason, RecordEvent(True, Reason(after.reason), after.message))
        elif kind == ConditionType.READY:
            told[after.reason] = RecordEvent(False, Reason.AVAILABLE, after.message)
    return list(told.values())


def _condition(status: FunctionStatus, kind: ConditionType) -> ConditionStatus | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)

"""What is to be done for one function? All the answers of this package together, as a list of actions.

The controller observes, asks here, and applies; nothing here has happened yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from lambent.core import exhaustion, layer_use, narrowing, readiness, references, revisions, scaling, validity
from lambent.core.layer_use import ResolvedLayer
from lambent.core.narrowing import Narrowing, NarrowingState
from lambent.core.readiness import Findings, Obtained, Problem, ResolvedImage, Revisions
from lambent.core.references import Versions
from lambent.core.scaling import Report, ScalingSettings, ScalingState, Snapshot
from lambent.core.workload import EnvironmentFacts, Program
from lambent.model import names
from lambent.model.arns import function_arn
from lambent.model.conditions import ConditionType, Reason
from lambent.model.environments import EnvironmentPod, Key
from lambent.model.functions import ConditionStatus, FunctionObject, FunctionSpec, FunctionStatus, ImageConfig


@dataclass(frozen=True, slots=True)
class ObtainCode:
    """Fetch and package the code and see that the code store has it, or resolve the image; all else waits for it."""


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


NOTHING_TO_RUN = (
    "The image has neither ENTRYPOINT nor CMD, and imageConfig gives none: there is nothing to run "
    "(Runtime.InvalidEntrypoint)."
)
PROGRAM_BYTES_MAX = 64 * 1024
"""Of ENTRYPOINT and CMD: as JSON, escapes and all, they have to fit into one variable (Linux allows 128 KiB)."""
TOO_MUCH_TO_RUN = f"ENTRYPOINT and CMD together have more than {PROGRAM_BYTES_MAX} bytes (Runtime.InvalidEntrypoint)."
_FINAL = (Reason.INVALID_CODE, Reason.INVALID_IMAGE)
"""Problems of the code that only a person can mend."""

Action = ObtainCode | CreatePods | RetirePods | DeletePods | NarrowPods | TellNotNarrowed | WriteStatus | RecordEvent


@dataclass(frozen=True, slots=True)
class Installation:
    """What is the same for every function of this installation."""

    region: str
    runtimes: Mapping[str, str]
    """Runtime identifier → image."""
    scaling: ScalingSettings
    agent_image: str = ""
    """What brings the agent into container images; empty: packageType Image is not offered."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything seen of one function."""

    function: FunctionObject
    account: str
    older: str | None
    """Name of an older object in the namespace with the same function name."""
    code: Obtained | Problem | None
    """What became of the code of the current specification; None when nobody looked yet."""
    versions: Versions
    """Secrets and ConfigMaps that the function refers to, as far as they exist."""
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
    unknown: Problem | None = None
    """Why it cannot be known what of `versions` exists."""
    layers: tuple[ResolvedLayer, ...] | Problem = ()
    """The layers that the specification names, as far as they exist."""


@dataclass(frozen=True, slots=True)
class PlanState:
    """What the next plan needs of this one."""

    scaling: ScalingState = field(default_factory=ScalingState)
    narrowing: NarrowingState = field(default_factory=NarrowingState)
    exhausted: frozenset[str] = frozenset()


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
    today = date.fromisoformat(seen.timestamp[:10])
    stalled = validity.find_problem(function, installation.runtimes, installation.agent_image, seen.older, today)
    if stalled is None and seen.code is None:
        return Plan((ObtainCode(),), state, None)
    if stalled is None and isinstance(seen.code, Problem) and seen.code.reason in _FINAL:
        stalled = seen.code
    if stalled is None and isinstance(seen.code, ResolvedImage):
        stalled = _program_problem(program_of(function.spec, seen.code))
    stalled = stalled or layer_use.refusal(seen.layers, seen.code)
    waiting = seen.unknown or references.find_missing(function.spec, seen.versions) or layer_use.missing(seen.layers)
    facts, identities = _identify(seen, installation, stalled or waiting)
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
        waiting=waiting,
        layers=layer_use.in_use(seen.layers),
        revisions=identities,
        unhealthy=_unhealthy(seen, current, step.state),
        running=sum(_serves(pod) for pod in seen.pods),
        serving=sum(_serves(pod) and pod.key == current for pod in seen.pods),
    )
    actions, wait = _status_actions(seen, readiness.status_of(function, findings, seen.timestamp))
    waits = [wait for wait in (step.look_again, narrowed.look_again, wait) if wait]
    exhausted = exhaustion.decide(seen.pods, function.spec, state.exhausted)
    told = [RecordEvent(True, reason, note) for reason, note in exhausted.told]  # nothing that may fail is before
    state = PlanState(step.state, narrowed.state, exhausted.state)
    return Plan((*told, *_pod_actions(step, facts, narrowed), *actions), state, min(waits, default=None))


def _farewell(seen: Observation, state: PlanState) -> Plan:
    """A Function on its way out takes its environments with it; their agents let a request in flight finish."""
    pods = tuple(pod.name for pod in seen.pods if not pod.deleting)
    return Plan((DeletePods(pods),) if pods else (), state, None)


def _identify(
    seen: Observation, installation: Installation, problem: Problem | None
) -> tuple[EnvironmentFacts | None, Revisions | None]:
    """What environments of the present specification are; nothing while they cannot be."""
    spec, code = seen.function.spec, seen.code
    if problem is not None or code is None or isinstance(code, Problem):
        return None, None
    program: Program | None = None
    if isinstance(code, ResolvedImage):
        image, digest = code.resolved_uri, code.digest_hex
        program = program_of(spec, code)
    else:
        assert spec.runtime is not None
        image, digest = installation.runtimes[spec.runtime], code.sha256_hex
    revision = revisions.revision(spec, digest, [one.code_sha256 for one in layer_use.in_use(seen.layers)])
    shape = revisions.Shape(image, installation.agent_image if program else "", seen.versions)
    pod_revision = revisions.pod_revision(revision, names.VERSION_LATEST_LABEL, shape, spec)
    key = Key(seen.function.uid, names.VERSION_LATEST_LABEL, pod_revision)
    return EnvironmentFacts(key, image, program), Revisions(revision, pod_revision)


def _program_problem(program: Program) -> Problem | None:
    if not program.arguments:
        return Problem(Reason.INVALID_IMAGE, NOTHING_TO_RUN)
    size = sum(len(word.encode("utf-8", "surrogatepass")) + 1 for word in program.arguments)
    return Problem(Reason.INVALID_IMAGE, TOO_MUCH_TO_RUN) if size > PROGRAM_BYTES_MAX else None


def program_of(spec: FunctionSpec, image: ResolvedImage) -> Program:
    """What runs in a container image: each part by imageConfig, else as the image says."""
    wanted = spec.image_config or ImageConfig()
    return Program(
        arguments=(*(wanted.entry_point or image.entry_point), *(wanted.command or image.command)),
        directory=wanted.working_directory or image.working_directory or "/",
    )


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
    incompatible = [
        RecordEvent(True, Reason.LAYER_INCOMPATIBLE, note) for note in layer_use.warnings(seen.layers, old, status)
    ]
    return [WriteStatus(status), *events(old, status), *incompatible], None


def events(old: FunctionStatus, new: FunctionStatus) -> list[RecordEvent]:
    """What is worth telling of a change: ready, no longer ready and why, environments that cannot be."""
    told: dict[str, RecordEvent] = {}
    for kind in (ConditionType.READY, ConditionType.ENVIRONMENTS_HEALTHY):
        before, after = _condition(old, kind), _condition(new, kind)
        if after is None or (before is not None and (before.status, before.reason) == (after.status, after.reason)):
            continue
        if after.status == "False":
            warning = after.reason != Reason.PROGRESSING  # somebody is at work on it
            told.setdefault(after.reason, RecordEvent(warning, Reason(after.reason), after.message))
        elif kind == ConditionType.READY:
            told[after.reason] = RecordEvent(False, Reason.AVAILABLE, after.message)
    return list(told.values())


def _condition(status: FunctionStatus, kind: ConditionType) -> ConditionStatus | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)

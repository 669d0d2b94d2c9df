"""What is to be done for one function? All the answers of this package together, as a list of actions.

The controller observes, asks here, and applies; nothing here has happened yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from lambent.core import housing, layer_use, readiness, revisions, validity
from lambent.core.events import RecordEvent
from lambent.core.housing import HousingState
from lambent.core.layer_use import ResolvedLayer
from lambent.core.readiness import Findings, Obtained, Problem, ResolvedImage, Revisions
from lambent.core.references import Versions
from lambent.core.scaling import ScalingSettings
from lambent.core.workload import EnvironmentFacts, Program
from lambent.model.arns import function_arn
from lambent.model.conditions import Reason
from lambent.model.environments import Key
from lambent.model.functions import FunctionObject, FunctionStatus


@dataclass(frozen=True, slots=True)
class ObtainCode:
    """Fetch and package the code and see that the code store has it, or resolve the image; all else waits for it."""


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status."""

    status: FunctionStatus


NOTHING_TO_RUN = (
    "The image has neither ENTRYPOINT nor CMD, and imageConfig gives none: there is nothing to run "
    "(Runtime.InvalidEntrypoint)."
)
PROGRAM_BYTES_MAX = 64 * 1024
"""Of ENTRYPOINT and CMD: as JSON, escapes and all, they have to fit into one variable (Linux allows 128 KiB)."""
TOO_MUCH_TO_RUN = f"ENTRYPOINT and CMD together have more than {PROGRAM_BYTES_MAX} bytes (Runtime.InvalidEntrypoint)."
_FINAL = (Reason.INVALID_CODE, Reason.INVALID_IMAGE)
"""Problems of the code that only a person can mend."""

Action = ObtainCode | WriteStatus | housing.Action


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
    environments: housing.Seen
    timestamp: str
    """Now, for people, RFC 3339."""
    since_status: float
    """Seconds since the status was written last."""
    unknown: Problem | None = None
    """Why it cannot be known what of `versions` exists."""
    layers: tuple[ResolvedLayer, ...] | Problem = ()
    """The layers that the specification names, as far as they exist."""
    latest_version: str | None = None
    """Number of the newest version that is published of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in the order to apply them, the state to remember, and when to look again."""

    actions: tuple[Action, ...]
    state: HousingState
    look_again: float | None


def plan(seen: Observation, installation: Installation, state: HousingState) -> Plan:
    """The next step for one function."""
    function = seen.function
    if function.deleting:
        return Plan(housing.farewell(seen.environments), state, None)
    today = date.fromisoformat(seen.timestamp[:10])
    stalled = validity.find_problem(function, installation.runtimes, installation.agent_image, seen.older, today)
    if stalled is None and seen.code is None:
        return Plan((ObtainCode(),), state, None)
    if stalled is None and isinstance(seen.code, Problem) and seen.code.reason in _FINAL:
        stalled = seen.code
    if stalled is None and isinstance(seen.code, ResolvedImage):
        stalled = _program_problem(housing.program_of(function.spec, seen.code))
    stalled = stalled or layer_use.refusal(seen.layers, seen.code)
    waiting = housing.missing(function.spec, seen.versions, seen.unknown) or layer_use.missing(seen.layers)
    facts, identities = _identify(seen, installation, stalled or waiting)
    wanted = housing.Wanted(function.spec, facts.key if facts else _last_good(function), facts)
    shown = function.status.conditions
    housed = housing.decide(seen.environments, wanted, installation.scaling, state, shown)
    findings = Findings(
        arn=function_arn(installation.region, seen.account, function.function_name),
        stalled=stalled,
        code=seen.code,
        waiting=waiting,
        layers=layer_use.in_use(seen.layers),
        revisions=identities,
        unhealthy=housed.unhealthy,
        running=housed.running,
        serving=housed.serving,
        latest_version=seen.latest_version,
    )
    actions, wait = _status_actions(seen, readiness.status_of(function, findings, seen.timestamp))
    waits = [wait for wait in (housed.look_again, wait) if wait]
    return Plan((*housed.actions, *actions), housed.state, min(waits, default=None))


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
        program = housing.program_of(spec, code)
    else:
        assert spec.runtime is not None
        image, digest = installation.runtimes[spec.runtime], code.sha256_hex
    revision = revisions.revision(spec, digest, [one.code_sha256 for one in layer_use.in_use(seen.layers)])
    shape = housing.shape_of(image, installation.agent_image, program, seen.versions)
    key = housing.key_of(seen.function.scope, spec, revision, shape)
    return EnvironmentFacts(key, image, program), Revisions(revision, key.pod_revision)


def _program_problem(program: Program) -> Problem | None:
    if not program.arguments:
        return Problem(Reason.INVALID_IMAGE, NOTHING_TO_RUN)
    size = sum(len(word.encode("utf-8", "surrogatepass")) + 1 for word in program.arguments)
    return Problem(Reason.INVALID_IMAGE, TOO_MUCH_TO_RUN) if size > PROGRAM_BYTES_MAX else None


def _last_good(function: FunctionObject) -> Key | None:
    """What gateways go on routing to while the present specification cannot be served."""
    pod_revision = function.status.pod_revision
    return Key(*function.scope, pod_revision) if pod_revision else None


def _status_actions(seen: Observation, status: FunctionStatus) -> tuple[list[Action], float | None]:
    """The write, when one is due, and the Events it is worth; else how long it can wait."""
    old = seen.function.status
    wait = readiness.write_wait(old, status, seen.since_status)
    if wait is None or wait > 0:
        return [], wait
    incompatible = [
        RecordEvent(True, Reason.LAYER_INCOMPATIBLE, note) for note in layer_use.warnings(seen.layers, old, status)
    ]
    return [WriteStatus(status), *housing.events(old.conditions, status.conditions), *incompatible], None

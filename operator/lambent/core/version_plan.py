"""What is to be done for one published version? Its environments, its status; never its number or its snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lambent.core import housing, readiness, validity
from lambent.core.events import RecordEvent
from lambent.core.housing import Housing, HousingState
from lambent.core.plan import Installation
from lambent.core.readiness import Problem
from lambent.core.references import Versions
from lambent.core.workload import EnvironmentFacts, Program
from lambent.model.arns import function_arn
from lambent.model.conditions import Condition, ConditionType, Reason
from lambent.model.environments import Key
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject, VersionStatus

LOST = "the Function that this version was published of does not exist any more"

REFERRING_MAX = 1000
"""Names that the kind takes; one is enough to keep a version."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Write the owner reference and the labels that a version of this function has."""

    function: FunctionObject


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status."""

    status: VersionStatus


Action = Adopt | WriteStatus | housing.Action


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything seen of one version that has a number."""

    version: VersionObject
    shown: VersionStatus
    """What stands in the object; the version's own may be about to be written."""
    alive: bool
    """Whether the very Function that it was published of exists and is not on its way out."""
    function: FunctionObject | None
    """That Function; None also when it has another shape."""
    holder: str | None
    """Name of the object that holds the number; None when the last one is on its way out."""
    account: str
    versions: Versions
    """Secrets and ConfigMaps that the configuration refers to, as far as they exist."""
    unknown: Problem | None
    """Why it cannot be known what of them exists."""
    environments: housing.Seen
    referenced_by: tuple[str, ...]
    """Names of the aliases that refer to the number."""
    timestamp: str
    """Now, for people, RFC 3339."""
    since_status: float
    """Seconds since the status was written last."""

    @property
    def holds(self) -> bool:
        """Whether the number's environments and references are this object's."""
        return self.holder == self.version.name


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in the order to apply them, the state to remember, and when to look again."""

    actions: tuple[Action, ...]
    state: HousingState
    look_again: float | None
    status: VersionStatus


def plan(seen: Observation, installation: Installation, state: HousingState) -> Plan:
    """The next step for one version."""
    version, old = seen.version, seen.version.status
    if version.deleting or not seen.alive:
        pods = housing.farewell(seen.environments) if seen.holds or seen.holder is None else ()
        if version.deleting or version.owner_uid == version.function_uid:  # the garbage collector sees to it
            return Plan(pods, state, None, old)
        lost = _status(seen, installation, _Found(Problem(Reason.FUNCTION_NOT_FOUND, LOST)))
        actions, wait = _status_actions(seen, lost)
        return Plan((*pods, *actions), state, wait, lost)
    snapshot = version.configuration
    today = date.fromisoformat(seen.timestamp[:10])
    stalled = validity.find_obstacle(snapshot, installation.runtimes, installation.agent_image, today, exists=True)
    waiting = housing.missing(snapshot, seen.versions, seen.unknown)
    facts = None if stalled or waiting else _identify(seen, installation)
    found = _Found(stalled, waiting, facts)
    housed: Housing | None = None
    if seen.holds:
        wanted = housing.Wanted(snapshot, facts.key if facts else _last_good(version), facts)
        housed = housing.decide(seen.environments, wanted, installation.scaling, state, seen.shown.conditions)
        state = housed.state
    status = _status(seen, installation, found, housed)
    actions, wait = _status_actions(seen, status)
    adopt = (Adopt(seen.function),) if seen.function is not None and _is_unmarked(version) else ()
    waits = [each for each in (housed.look_again if housed else None, wait) if each]
    return Plan((*(housed.actions if housed else ()), *adopt, *actions), state, min(waits, default=None), status)


@dataclass(frozen=True, slots=True)
class _Found:
    stalled: Problem | None
    """Only a person can help."""
    waiting: Problem | None = None
    """What has to appear before environments can be made."""
    facts: EnvironmentFacts | None = None


def _identify(seen: Observation, installation: Installation) -> EnvironmentFacts:
    """What environments of this version are."""
    version = seen.version
    snapshot = version.configuration
    program: Program | None = None
    if snapshot.image is not None:
        image = snapshot.image.resolved_uri
        program = housing.program_of(snapshot, snapshot.image)
    else:
        assert snapshot.runtime is not None
        image = installation.runtimes[snapshot.runtime]
    shape = housing.shape_of(image, installation.agent_image, program, seen.versions)
    return EnvironmentFacts(housing.key_of(version.scope, snapshot, snapshot.revision, shape), image, program)


def _last_good(version: VersionObject) -> Key | None:
    pod_revision = version.status.pod_revision
    return Key(*version.scope, pod_revision) if pod_revision else None


def _is_unmarked(version: VersionObject) -> bool:
    """Whether somebody took away what says whose version it is."""
    return version.owner_uid != version.function_uid or version.marks != version.scope


def _status(
    seen: Observation, installation: Installation, found: _Found, housed: Housing | None = None
) -> VersionStatus:
    version = seen.version
    old = version.status
    arn = function_arn(installation.region, seen.account, version.function_name, version.number)
    fields: dict[str, object] = {
        "observed_generation": version.generation,
        "function_arn": arn,
        "pod_revision": found.facts.key.pod_revision if found.facts else old.pod_revision,
        "environments": housed.running if housed else None,
        "referenced_by": list(seen.referenced_by[:REFERRING_MAX]) if seen.holds else [],
    }
    conditions = readiness.stamped(
        _conditions(seen, found, housed), seen.shown.conditions, version.generation, seen.timestamp
    )
    return old.model_copy(update={**fields, "conditions": conditions})


def _conditions(seen: Observation, found: _Found, housed: Housing | None) -> list[Condition]:
    # what stands in the way of environments stands in the way of invocations unless some are there already
    unhealthy = housed.unhealthy if housed and not housed.serving else None
    problem = found.stalled or found.waiting or unhealthy
    number = seen.version.number
    if problem is None:
        conditions = [Condition(ConditionType.READY, True, Reason.AVAILABLE, f"version {number} can be invoked")]
    else:
        conditions = [Condition(ConditionType.READY, False, problem.reason, problem.message)]
    if found.stalled is not None:
        conditions.append(Condition(ConditionType.STALLED, True, found.stalled.reason, found.stalled.message))
    if housed is not None:
        conditions += readiness.environment_conditions(housed.unhealthy, housed.running)
    if seen.holder is not None and not seen.holds:
        message = f"nothing had changed since version {number}, which the Version object {seen.holder} holds"
        conditions.append(Condition(ConditionType.DUPLICATE, True, Reason.UNCHANGED, message))
    return conditions


def _status_actions(seen: Observation, status: VersionStatus) -> tuple[list[Action], float | None]:
    """The write, when one is due, and the Events it is worth; else how long it can wait."""
    old = seen.shown
    wait = readiness.write_wait(old, status, seen.since_status)
    if wait is None or wait > 0:
        return [], wait
    return [WriteStatus(status), *_events(seen, status)], None


def _events(seen: Observation, status: VersionStatus) -> list[RecordEvent]:
    told = housing.events(seen.shown.conditions, status.conditions)
    if seen.shown.version == status.version:
        return told
    problems = [event for event in told if event.reason != Reason.AVAILABLE]
    if seen.holds:
        return [RecordEvent(False, Reason.VERSION_PUBLISHED, f"published {status.function_arn}"), *problems]
    return [RecordEvent(False, Reason.UNCHANGED, f"nothing has changed since {status.function_arn}"), *problems]

"""What is true of a function, and what should its status say? Specification and observations in, conditions out.

Ready means that the function can be invoked with its current specification; scaled to zero is healthy. Times are
stamped only where a status changed, so that the status of a quiet function equals the one that is there.

`observedGeneration` of the status advances only with what gateways may route by: a revision whose code is stored, or
the finding that the specification can never work. Until then it names the generation that revision belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lambent.model.conditions import Condition, ConditionType, Reason
from lambent.model.environments import EnvironmentPod, PodFailure
from lambent.model.function_statuses import LayerInUse
from lambent.model.functions import ConditionStatus, FunctionObject, FunctionStatus, ImageStatus
from lambent.model.layers import LayerStatus
from lambent.model.versions import VersionStatus

MESSAGE_CHARS_MAX = 1024
STATUS_EVERY_S = 10.0
"""What is only sampled (environments, Active) is written at most this often."""

_IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_REFERENCE_REASONS = frozenset({"CreateContainerConfigError"})
"""A Secret or ConfigMap, or a key of one, that is not there."""
TRIED_AGAIN = {
    Reason.CODE_STORE_UNAVAILABLE: "storing the deployment package",
    Reason.CODE_UNAVAILABLE: "fetching the deployment package",
    Reason.IMAGE_UNAVAILABLE: "asking the registry for the image",
}
"""What keeps code from being had for now, and what is tried again."""
IN_PASSING = frozenset({Reason.PROGRESSING, Reason.FUNCTION_NOT_FOUND, Reason.FUNCTION_NOT_READY})
"""Reasons of Ready=False that are no warning: somebody is at work on it, or it is waited for."""
_AT_WORK = {**TRIED_AGAIN, Reason.PROGRESSING: "fetching the deployment package"}
_BOUNDED = re.compile(
    "exceeded quota|must specify (limits|requests)|"
    r"(maximum|minimum) \S+ usage per (Container|Pod)|max limit to request ratio per (Container|Pod)"
)
"""In what the API server says: a ResourceQuota, then a LimitRange."""
_SCHEDULING_REASONS = frozenset({"Unschedulable", "SchedulerError", "SchedulingGated"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way, as a condition's reason and message."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class StoredCode:
    """A deployment package that is in the code store."""

    sha256_hex: str
    sha256_base64: str
    size: int
    source: str = ""
    """`core.sources.identity` of where it came from."""
    unzipped: int = 0
    """Bytes of its files; 0 where a status of long ago does not tell."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """A container image as its registry shows it."""

    resolved_uri: str
    """Repository and digest: `registry/repository@sha256:…`."""
    digest_hex: str
    size: int
    """Bytes of its compressed layers."""
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = "/"
    source: str = ""


Obtained = StoredCode | ResolvedImage


@dataclass(frozen=True, slots=True)
class Revisions:
    """Identities of the publish and of its environments."""

    revision: str
    pod_revision: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that a status is made of."""

    arn: str
    stalled: Problem | None = None
    """Only a person can help: the specification, or the code itself."""
    code: Obtained | Problem | None = None
    """None when it was not looked at."""
    waiting: Problem | None = None
    """What has to appear before environments can be made; nothing is done about it here."""
    layers: tuple[LayerInUse, ...] = ()
    """What environments get under /opt."""
    revisions: Revisions | None = None
    """Present when the code is stored and nothing is stalled."""
    unhealthy: Problem | None = None
    running: int = 0
    """Environments that run, of any revision."""
    serving: int = 0
    """Those of them that serve the current one."""
    latest_version: str | None = None
    """Number of the newest version that is published of it."""


def blockage(pods: Iterable[EnvironmentPod]) -> Problem | None:
    """What keeps environments from starting, as their pods show it; the gravest first."""
    failures = [pod.blocked for pod in pods if pod.blocked and not pod.running and not pod.deleting]
    problems = [_pod_problem(failure) for failure in failures]
    order = (
        Reason.ENVIRONMENT_FAILED,
        Reason.REFERENCE_NOT_FOUND,
        Reason.IMAGE_PULL_FAILED,
        Reason.UNSCHEDULABLE,
    )
    return min((problem for problem in problems if problem), key=lambda it: order.index(it.reason), default=None)


def _pod_problem(failure: PodFailure) -> Problem | None:
    if failure.reason in _SCHEDULING_REASONS:
        return Problem(Reason.UNSCHEDULABLE, f"no node can take the environment: {failure.message}")
    if failure.reason in _IMAGE_REASONS:
        return Problem(Reason.IMAGE_PULL_FAILED, f"{failure.reason}: {failure.message}")
    if failure.reason in _REFERENCE_REASONS:
        return Problem(Reason.REFERENCE_NOT_FOUND, f"{failure.reason}: {failure.message}")
    if failure.exit_code == 0 or failure.out_of_memory or failure.out_of_storage:  # in order, or the function's doing
        return None
    ended = f" with exit code {failure.exit_code}" if failure.exit_code is not None else ""
    return Problem(
        Reason.ENVIRONMENT_FAILED, f"an environment ended{ended}: {failure.reason} {failure.message}".strip()
    )


def creation_refused(reason: str, message: str, service_account: str | None) -> Problem:
    """What the API server's refusal of a pod means for the function."""
    if _BOUNDED.search(message):
        return Problem(Reason.QUOTA_EXCEEDED, message)
    if service_account is not None and "service account" in message and "not found" in message:
        return Problem(
            Reason.ROLE_NOT_FOUND,
            f"The role means the ServiceAccount {service_account}, which does not exist in this namespace: {message}",
        )
    return Problem(Reason.POD_REFUSED, f"{reason}: {message}")


def status_of(function: FunctionObject, findings: Findings, now: str) -> FunctionStatus:
    """The status to show; `now` is RFC 3339."""
    old = function.status
    code, revisions = findings.code, findings.revisions
    routable = revisions is not None or findings.stalled is not None
    fields: dict[str, object] = {
        "observed_generation": function.generation if routable else old.observed_generation,
        "function_arn": findings.arn,
        "latest_version": findings.latest_version,
        "environments": findings.running,
    }
    if isinstance(code, Obtained) and revisions is not None:
        changed = revisions.revision != old.revision or old.last_modified is None
        fields |= {
            "code_sha256": code.sha256_base64 if isinstance(code, StoredCode) else code.digest_hex,
            "code_size": code.size,
            "code_unzipped_size": (code.unzipped or None) if isinstance(code, StoredCode) else None,
            "code_source": code.source or None,
            "layers": list(findings.layers) or None,
            "image": _image_status(code) if isinstance(code, ResolvedImage) else None,
            "revision": revisions.revision,
            "pod_revision": revisions.pod_revision,
            "last_modified": now if changed else old.last_modified,
        }
    conditions = stamped(_conditions(findings), old.conditions, function.generation, now)
    return old.model_copy(update={**fields, "conditions": conditions})


def _image_status(image: ResolvedImage) -> ImageStatus:
    return ImageStatus(
        resolved_uri=image.resolved_uri,
        entry_point=list(image.entry_point),
        command=list(image.command),
        working_directory=image.working_directory,
    )


def malformed_status(old: FunctionStatus, generation: int, message: str, now: str) -> FunctionStatus:
    """The status of an object that is no Function to us; the others are none the worse for it."""
    conditions = [
        Condition(ConditionType.READY, False, Reason.INVALID_SPEC, message),
        Condition(ConditionType.STALLED, True, Reason.INVALID_SPEC, message),
    ]
    shown = stamped(conditions, old.conditions, generation, now)
    return old.model_copy(update={"observed_generation": generation, "conditions": shown})


Status = FunctionStatus | LayerStatus | VersionStatus
_Sampled = TypeVar("_Sampled", FunctionStatus, VersionStatus)


def find(conditions: Iterable[ConditionStatus], kind: ConditionType) -> ConditionStatus | None:
    """The condition of a type; None when there is none."""
    return next((condition for condition in conditions if condition.type == kind), None)


def same(old: Status, new: Status) -> bool:
    """Whether two statuses say the same; the order of conditions says nothing."""
    return _ordered(old) == _ordered(new)


def _ordered(status: Status) -> Status:
    return status.model_copy(update={"conditions": sorted(status.conditions, key=lambda one: one.type)})


def write_wait(old: _Sampled, new: _Sampled, since_last_write: float) -> float | None:
    """Seconds until a status has to be written: 0 for now, None when it need not be."""
    if same(old, new):
        return None
    if old.conditions and same(old, _unsampled(new, old)):
        return max(0.0, STATUS_EVERY_S - since_last_write)
    return 0.0


def _unsampled(new: _Sampled, old: _Sampled) -> _Sampled:
    """The new status with the old samples."""
    before = {condition.type: condition for condition in old.conditions}
    conditions = [
        before.get(condition.type, condition) if condition.type == ConditionType.ACTIVE else condition
        for condition in new.conditions
    ]
    return new.model_copy(update={"environments": old.environments, "conditions": conditions})


def _conditions(findings: Findings) -> list[Condition]:
    conditions = [_ready(findings)]
    if conditions[0].reason in _AT_WORK:
        conditions.append(
            Condition(ConditionType.RECONCILING, True, Reason.PROGRESSING, _AT_WORK[conditions[0].reason])
        )
    if findings.stalled is not None:
        conditions.append(Condition(ConditionType.STALLED, True, findings.stalled.reason, findings.stalled.message))
    if isinstance(findings.code, Obtained):
        conditions.append(Condition(ConditionType.CODE_STORED, True, Reason.STORED))
    elif findings.code is not None:
        conditions.append(Condition(ConditionType.CODE_STORED, False, findings.code.reason, findings.code.message))
    return [*conditions, *environment_conditions(findings.unhealthy, findings.running)]


def environment_conditions(unhealthy: Problem | None, running: int) -> list[Condition]:
    """What is true of environments: whether they can be, and whether there are any."""
    health = Condition(ConditionType.ENVIRONMENTS_HEALTHY, True, Reason.HEALTHY)
    if unhealthy is not None:
        health = Condition(ConditionType.ENVIRONMENTS_HEALTHY, False, unhealthy.reason, unhealthy.message)
    reason = Reason.ENVIRONMENTS_RUNNING if running else Reason.SCALED_TO_ZERO
    return [health, Condition(ConditionType.ACTIVE, running > 0, reason)]


def _ready(findings: Findings) -> Condition:
    code_problem = findings.code if isinstance(findings.code, Problem) else None
    # what stands in the way of environments stands in the way of invocations unless some are there already
    unhealthy = findings.unhealthy if not findings.serving else None
    problem = findings.stalled or code_problem or findings.waiting or unhealthy
    if problem is None:
        return Condition(ConditionType.READY, True, Reason.AVAILABLE, "the function can be invoked")
    return Condition(ConditionType.READY, False, problem.reason, problem.message)


def stamped(
    conditions: Iterable[Condition], old: Sequence[ConditionStatus], generation: int, now: str
) -> list[ConditionStatus]:
    """Conditions as a status has them: `now`, RFC 3339, only where the status of one has changed."""
    before = {condition.type: condition for condition in old}
    shown = []
    for condition in conditions:
        status = "True" if condition.status else "False"
        previous = before.get(condition.type)
        kept = previous is not None and previous.status == status
        shown.append(
            ConditionStatus(
                type=condition.type.value,
                status=status,
                observed_generation=generation,
                last_transition_time=previous.last_transition_time if previous is not None and kept else now,
                reason=condition.reason.value,
                message=_short(condition.message),
            )
        )
    return shown


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_CHARS_MAX else message[: MESSAGE_CHARS_MAX - 1] + "…"

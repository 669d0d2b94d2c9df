"""Why did a cold start take too long, and how did an environment die? Answers for people, from what was observed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lambent.core.routing import mount_failure
from lambent.model.conditions import ConditionType
from lambent.model.environments import EnvironmentPod, PodFailure
from lambent.model.errors import EFSMountTimeout, LambdaError, ServiceFailed
from lambent.model.functions import ConditionStatus

_IMAGE_REASONS = frozenset(
    ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
)
_DETAIL_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A request that waited for an environment in vain."""

    seconds: float
    pods: Sequence[EnvironmentPod]
    """Those of its key."""
    conditions: Sequence[ConditionStatus]
    claim_failure: str | None = None
    """What the last attempt to claim one of the pods ran into."""
    file_systems: Sequence[str] = ()
    """ARNs of what has to be mounted."""


def cold_start_failure(start: ColdStart) -> LambdaError:
    """The answer to it: what Lambda says of file systems, ServiceException for all else."""
    if (unmounted := mount_failure(start.conditions)) is not None:
        return unmounted
    words = cold_start_timeout(start)
    waiting = [pod for pod in start.pods if not pod.deleting and not pod.running]
    if start.file_systems and not any(pod.blocked for pod in waiting) and any(pod.mounting for pod in waiting):
        return EFSMountTimeout(EFSMountTimeout.words(start.file_systems[0], words))
    return ServiceFailed(words)


def cold_start_timeout(start: ColdStart) -> str:
    """What happened and the likeliest cause."""
    pods, conditions, claim_failure = start.pods, start.conditions, start.claim_failure
    why = (
        _blocked_pods([pod for pod in pods if not pod.deleting])
        or _unhealthy(conditions)
        or (f"the environment could not be set up: {_short(claim_failure)}" if claim_failure else None)
        or _slow_pods([pod for pod in pods if not pod.deleting and not pod.finished])
        or "no execution environment was created in time"
    )
    return f"Lambda could not start an execution environment within {start.seconds:g} seconds: {why}"


def _blocked_pods(pods: list[EnvironmentPod]) -> str | None:
    failures = [pod.blocked for pod in pods if not pod.running]
    return next((_in_the_way(failure) for failure in failures if failure is not None), None)


def _in_the_way(failure: PodFailure) -> str:
    why = f"{failure.reason}: {_short(failure.message)}"
    if failure.reason in _IMAGE_REASONS:
        why = f"its image cannot be pulled ({failure.reason}): {_short(failure.message)}"
    elif failure.reason == "Unschedulable":
        why = f"no node can take it (Unschedulable): {_short(failure.message)}"
    elif failure.out_of_storage:
        why = f"it wrote more than it may while it started (Evicted): {_short(failure.message)}"
    elif failure.out_of_memory:
        why = "it ran out of memory while it started (OOMKilled)"
    elif failure.exit_code is not None:
        why = f"it ended with exit status {failure.exit_code} before it was ready"
    return why


def _unhealthy(conditions: Sequence[ConditionStatus]) -> str | None:
    """What the controller says stands in the way: quota, role, admission."""
    for wanted in (ConditionType.ENVIRONMENTS_HEALTHY, ConditionType.READY):
        for condition in conditions:
            if condition.type == wanted and condition.status == "False" and condition.reason != "Progressing":
                return f"{condition.reason}: {_short(condition.message)}"
    return None


def _slow_pods(pods: list[EnvironmentPod]) -> str | None:
    if any(pod.running for pod in pods):
        return "it runs, but its agent or its init did not finish in time"
    if any(pod.mounting for pod in pods):
        return "its volumes or its network are not there yet (ContainerCreating); the pod's Events say more"
    if pods:
        return "it is still being created (ContainerCreating)"
    return None


def _short(text: str | None) -> str:
    text = " ".join((text or "").split())
    return text if len(text) <= _DETAIL_CHARS_MAX else text[: _DETAIL_CHARS_MAX - 1] + "…"


def environment_lost(request_id: str, pod: EnvironmentPod, ending: PodFailure | None) -> str | None:
    """Lambda's error message of an invocation whose environment ended under it; None when it was not its doing.

    A pod that was deleted, or evicted for what its node lacks, or lost with its node is the service's failure, as is
    one that still runs. A pod that was evicted for what it wrote has used up its /tmp; Lambda knows no eviction, so its
    words for a process that was killed stand first and the reason behind them.
    """
    manner = _manner(ending, deleting=pod.deleting) if ending is not None else None
    if manner is None:
        return None
    return f"RequestId: {request_id} Error: Runtime exited {manner}"


def exit_error(message: str) -> bytes:
    """The payload with such a message."""
    return json.dumps({"errorType": EXIT_ERROR, "errorMessage": message}, separators=(",", ":")).encode()


EXIT_ERROR = "Runtime.ExitError"
_KILLED = "with error: signal: killed"
_STATUS_KILLED = 137
"""128 + SIGKILL, as container runtimes report it."""


def _manner(ending: PodFailure, *, deleting: bool) -> str | None:
    """How Lambda would say that the runtime exited."""
    if ending.out_of_memory:
        return _KILLED
    if ending.reason == "Evicted":
        return f"{_KILLED} (no space left on device: /tmp is full)" if ending.out_of_storage else None
    if ending.exit_code is None or deleting:
        return None
    if ending.exit_code == 0:
        return "without providing a reason"
    return _KILLED if ending.exit_code == _STATUS_KILLED else f"with error: exit status {ending.exit_code}"

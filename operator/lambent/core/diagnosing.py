"""Why did a cold start take too long, and how did an environment die? Answers for people, from what was observed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from lambent.model.conditions import ConditionType
from lambent.model.environments import EnvironmentPod, PodFailure
from lambent.model.functions import ConditionStatus

_IMAGE_REASONS = frozenset(
    ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
)
_DETAIL_CHARS_MAX = 512


def cold_start_timeout(
    seconds: float,
    pods: Iterable[EnvironmentPod],
    conditions: Sequence[ConditionStatus],
    claim_failure: str | None = None,
) -> str:
    """The message of the ServiceException for a request that waited `seconds` for an environment in vain.

    `pods` are those of its key, `claim_failure` is what the last attempt to claim one of them ran into.
    """
    why = (
        _blocked_pods([pod for pod in pods if not pod.deleting])
        or _unhealthy(conditions)
        or (f"the environment could not be set up: {_short(claim_failure)}" if claim_failure else None)
        or _slow_pods([pod for pod in pods if not pod.deleting and not pod.finished])
        or "no execution environment was created in time"
    )
    return f"Lambda could not start an execution environment within {seconds:g} seconds: {why}"


def _blocked_pods(pods: list[EnvironmentPod]) -> str | None:
    for pod in pods:
        failure = pod.blocked
        if failure is None or pod.running:
            continue
        if failure.reason in _IMAGE_REASONS:
            return f"its image cannot be pulled ({failure.reason}): {_short(failure.message)}"
        if failure.reason == "Unschedulable":
            return f"no node can take it (Unschedulable): {_short(failure.message)}"
        if failure.out_of_memory:
            return "it ran out of memory while it started (OOMKilled)"
        if failure.exit_code is not None:
            return f"it ended with exit status {failure.exit_code} before it was ready"
        return f"{failure.reason}: {_short(failure.message)}"
    return None


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
    if pods:
        return "it is still being created (ContainerCreating)"
    return None


def _short(text: str | None) -> str:
    text = " ".join((text or "").split())
    return text if len(text) <= _DETAIL_CHARS_MAX else text[: _DETAIL_CHARS_MAX - 1] + "…"


def environment_lost(request_id: str, pod: EnvironmentPod, ending: PodFailure | None) -> bytes | None:
    """Lambda's payload for an invocation whose environment ended under it; None when that was not the function's doing.

    A pod that was deleted, evicted or lost with its node is the service's failure, as is one that still runs.
    """
    if ending is None:
        return None
    if ending.out_of_memory:
        return _runtime_exit(request_id, "with error: signal: killed")
    if ending.exit_code is None or pod.deleting:
        return None
    if ending.exit_code == 0:
        return _runtime_exit(request_id, "without providing a reason")
    if ending.exit_code == _KILLED:
        return _runtime_exit(request_id, "with error: signal: killed")
    return _runtime_exit(request_id, f"with error: exit status {ending.exit_code}")


_KILLED = 137
"""128 + SIGKILL, as container runtimes report it."""


def _runtime_exit(request_id: str, manner: str) -> bytes:
    payload = {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: Runtime exited {manner}",
    }
    return json.dumps(payload, separators=(",", ":")).encode()

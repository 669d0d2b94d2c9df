"""CodeDeploy's PutLifecycleEventHookExecutionStatus as it is spoken: `POST /` with X-Amz-Target, JSON 1.1.

Every other JSON service of AWS comes to `POST /` as well, when its client is sent here: it is told in the same protocol
that there is no such operation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lambent.model.errors import LambentError

OPERATION = "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus"
PATH = b"/"
BODY_BYTES_MAX = 64 * 1024
FINAL = ("Succeeded", "Failed")
"""What a hook reports in the end."""
UNDER_WAY = ("InProgress", "Pending")
"""What it may report before: nothing comes of it."""

_TARGET, _LENGTH = b"x-amz-target", b"content-length"
_JSON = (b"Content-Type", b"application/x-amz-json-1.1")
_ID_CHARS_MAX, _LENGTH_DIGITS_MAX = 512, 10

Fields = list[tuple[bytes, bytes]]


class ReportRefused(LambentError):
    """An error of CodeDeploy; its message is for whoever wrote the hook."""

    status = 400

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CannotRecord(ReportRefused):
    """The report is good and cannot be written down now: CodeDeploy's clients send it again by themselves."""

    status = 503

    def __init__(self, message: str) -> None:
        super().__init__("ServiceUnavailableException", message)


@dataclass(frozen=True, slots=True)
class Report:
    """What a hook says."""

    deployment_id: str
    execution_id: str
    status: str


def is_call(method: str, target: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is one of a JSON service; header names are in lower case."""
    return method == "POST" and target.partition(b"?")[0] == PATH and _TARGET in headers


def check_head(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what nobody needs to read the body of.

    Raises:
        ReportRefused: another operation, or a body that is too long or does not say how long it is.
    """
    named = headers[_TARGET].decode("latin-1")
    if named != OPERATION:
        raise ReportRefused("UnknownOperationException", f"Only {OPERATION} is served here.")
    length = headers.get(_LENGTH, b"")
    if not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX or int(length) > BODY_BYTES_MAX:
        raise _too_large()


def parse_report(headers: Mapping[bytes, bytes], body: bytes | bytearray | None) -> Report:
    """Parse a call.

    Raises:
        ReportRefused: as CodeDeploy words it.
    """
    check_head(headers)
    if body is None or len(body) > BODY_BYTES_MAX:
        raise _too_large()
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ReportRefused("SerializationException", "The request body is no JSON object.")
    deployment, execution, status = (
        given.get(name) for name in ("deploymentId", "lifecycleEventHookExecutionId", "status")
    )
    if not isinstance(deployment, str) or not 0 < len(deployment) <= _ID_CHARS_MAX:
        raise ReportRefused("DeploymentIdRequiredException", "At least one deployment ID must be specified.")
    if not isinstance(execution, str) or not 0 < len(execution) <= _ID_CHARS_MAX:
        raise unknown_execution()
    if status not in (*FINAL, *UNDER_WAY):
        raise ReportRefused(
            "InvalidLifecycleEventHookExecutionStatusException",
            f"The status of a hook is one of {', '.join((*FINAL, *UNDER_WAY))}.",
        )
    return Report(deployment, execution, status)


def unknown_execution() -> ReportRefused:
    """The id is no hook's."""
    return ReportRefused(
        "InvalidLifecycleEventHookExecutionIdException",
        "The lifecycleEventHookExecutionId is of no hook of a rollout that is going on.",
    )


def unknown_deployment(deployment_id: str) -> ReportRefused:
    """The hook is another deployment's."""
    return ReportRefused("DeploymentDoesNotExistException", f"The deployment {deployment_id} is not this hook's.")


def completed() -> ReportRefused:
    """It reported otherwise before, or nobody waits any more."""
    return ReportRefused(
        "LifecycleEventAlreadyCompletedException", "This hook has reported already, or its rollout is over."
    )


def _too_large() -> ReportRefused:
    return ReportRefused(
        "RequestEntityTooLargeException", f"The body must have a Content-Length of at most {BODY_BYTES_MAX}."
    )


def encode_taken(report: Report, request_id: str) -> tuple[Fields, bytes]:
    """Headers and body of the answer 200."""
    return _encoded({"lifecycleEventHookExecutionId": report.execution_id}, request_id)


def encode_refusal(refused: ReportRefused, request_id: str) -> tuple[Fields, bytes]:
    """Headers and body of an error; its status is `refused.status`."""
    return _encoded({"__type": refused.code, "message": str(refused)}, request_id)


def _encoded(members: dict[str, str], request_id: str) -> tuple[Fields, bytes]:
    return [_JSON, (b"x-amzn-RequestId", request_id.encode())], json.dumps(members).encode()

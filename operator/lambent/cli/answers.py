"""What an invocation came to, for people and for `--output`: the same words for a cluster and for this machine."""

from __future__ import annotations

import base64
import json
from typing import Any, Protocol


class Answered(Protocol):
    """What is known of an invocation that has been answered."""

    @property
    def status(self) -> int: ...  # noqa: D102

    @property
    def executed_version(self) -> str: ...  # noqa: D102

    @property
    def request_id(self) -> str: ...  # noqa: D102

    @property
    def function_error(self) -> str | None: ...  # noqa: D102

    @property
    def log(self) -> str | None: ...  # noqa: D102


def facts(outcome: Answered, body: bytes) -> dict[str, Any]:
    """For `--output json`; a response that is no JSON stands there as base64."""
    found: dict[str, Any] = {
        "statusCode": outcome.status,
        "executedVersion": outcome.executed_version or None,
        "requestId": outcome.request_id,
        "functionError": outcome.function_error,
    }
    try:
        found["payload"] = json.loads(body) if body else None
    except ValueError:
        found["payloadBase64"] = base64.b64encode(body).decode()
    found["log"] = (outcome.log or "").replace("\r", "\n") or None
    return {key: value for key, value in found.items() if value is not None or key == "payload"}


def story(body: bytes, request_id: str) -> str:
    """What the function says about its failure: type and message first, then the stack."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return f"error: the function failed: {body.decode('utf-8', 'replace')}"
    kind, message = said.get("errorType"), said.get("errorMessage")
    told = ": ".join(str(part) for part in (kind, message) if part) or "it gave no reason"
    stack = said.get("stackTrace") or said.get("trace") or []
    lines = [f"error: the function failed: {told}"]
    if isinstance(stack, list):
        lines += [str(line).rstrip("\n") for line in stack]
    return "\n".join([*lines, f"request id: {request_id}"])

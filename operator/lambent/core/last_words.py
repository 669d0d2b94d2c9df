"""What would the log of an invocation say whose environment was lost with its agent?

On cgroup version 2 running out of memory takes the whole container, the agent included: nobody writes END and REPORT.
Who asks for the log's tail is given them all the same, with what is known outside: Lambda's lines, in the function's
format.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from lambent.core.diagnosing import EXIT_ERROR
from lambent.core.routes import Route
from lambent.model.environments import PodFailure

_OUT_OF_MEMORY = "Runtime.OutOfMemory"


@dataclass(frozen=True, slots=True)
class Lost:
    """One such invocation."""

    request_id: str
    message: str
    """What its caller is told."""
    milliseconds: float
    """From sending it to losing its environment."""
    ending: PodFailure
    at: str
    """When, RFC 3339 with milliseconds."""


def tail(lost: Lost, route: Route) -> bytes:
    """START to REPORT, or their records."""
    return _records(lost, route) if route.logging.get("logFormat") == "JSON" else _lines(lost, route)


def _lines(lost: Lost, route: Route) -> bytes:
    # the message is `RequestId: <id> Error: …`, which is how Lambda's line begins too
    memory = f"Max Memory Used: {route.memory_mb} MB\t" if lost.ending.out_of_memory else ""
    return (
        f"START RequestId: {lost.request_id} Version: {route.version}\n"
        f"{lost.message}\n{EXIT_ERROR}\n"
        f"END RequestId: {lost.request_id}\n"
        f"REPORT RequestId: {lost.request_id}\tDuration: {lost.milliseconds:.2f} ms\t"
        f"Billed Duration: {math.ceil(lost.milliseconds)} ms\tMemory Size: {route.memory_mb} MB\t{memory}"
        f"Status: error\tError Type: {_type(lost)}\t\n"
    ).encode()


def _records(lost: Lost, route: Route) -> bytes:
    metrics: dict[str, object] = {
        "durationMs": round(lost.milliseconds, 3),
        "billedDurationMs": math.ceil(lost.milliseconds),
        "memorySizeMB": route.memory_mb,
    }
    if lost.ending.out_of_memory:
        metrics["maxMemoryUsedMB"] = route.memory_mb
    report = {"requestId": lost.request_id, "status": "error", "errorType": _type(lost), "metrics": metrics}
    start = {"requestId": lost.request_id, "version": route.version}
    records = (("platform.start", start), ("platform.report", report))
    return b"".join(
        json.dumps({"time": lost.at, "type": kind, "record": record}, separators=(",", ":")).encode() + b"\n"
        for kind, record in records
    )


def _type(lost: Lost) -> str:
    return _OUT_OF_MEMORY if lost.ending.out_of_memory else EXIT_ERROR

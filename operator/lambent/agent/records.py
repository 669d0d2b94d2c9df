"""The records of the Telemetry API: what happened, as values, and how each is written as JSON. Pure.

Each maker gets the `Origin` first and then what the journal was told. Field names, and which of them are left out when
there is nothing to say, are those of Lambda's schema 2022-12-13 (2025-01-29 adds the function's name, version and ARN
and the instance; earlier readers ignore them). `dialects` says the same in the words of the older Logs API.
"""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .faults import Fault
from .invocations import Invocation
from .protocol.claims import Claim
from .reports import Report, runtime_version

PLATFORM: Final = "platform"
FUNCTION: Final = "function"
EXTENSION: Final = "extension"
STREAMS: Final = (PLATFORM, FUNCTION, EXTENSION)

_MIB: Final = 1024 * 1024
_LAST_SECOND: Final = 253_402_300_799.0  # of the year 9999; a frame may claim to be later


@dataclass(frozen=True, slots=True)
class Event:
    """`time` is epoch seconds; `kind` is the envelope's `type`; a record is an object, or text.

    `written` is the record as JSON where somebody else has written it already: then it goes out as it is.
    """

    time: float
    stream: str
    kind: str
    record: dict[str, Any] | str
    written: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose events they are. The log stream is what tells one environment from another."""

    claim: Claim
    log_stream: str

    @property
    def log_group(self) -> str:
        """`/aws/lambda/<name>` unless the function names another."""
        return str(self.claim.logging.get("logGroup") or f"/aws/lambda/{self.claim.functionName}")


@dataclass(frozen=True, slots=True)
class Clock:
    """What both clocks said at one moment, seconds: spans start at epoch times, durations are monotonic."""

    monotonic: float
    epoch: float

    def at(self, monotonic: float) -> float:
        """The epoch time of another moment of the monotonic clock."""
        return self.epoch - (self.monotonic - monotonic)


@lru_cache(maxsize=4)
def stamp(epoch: float) -> str:
    """RFC 3339 in UTC with milliseconds: `2022-10-12T00:00:15.064Z`. Years have four digits, whatever is asked."""
    millis = int(min(max(epoch, 0.0), _LAST_SECOND) * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(millis // 1000))}.{millis % 1000:03d}Z"


def envelope(event: Event, more: str = "") -> bytes:
    """One event as JSON on one line, without a newline. `more` are further members, as `members` writes them."""
    record = event.written or _json(event.record)
    return f'{{"time":"{stamp(event.time)}","type":"{event.kind}","record":{record}{more}}}'.encode("utf-8", "replace")


def members(**fields: str) -> str:
    """Further members of an envelope: `,"name":"value"` for each."""
    return "".join([f",{_json(name)}:{_json(value)}" for name, value in fields.items()])


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# Init


def init_start(origin: Origin, phase: str) -> dict[str, Any]:
    """`phase` is `init`, or `invoke` where init happens inside an invocation."""
    claim = origin.claim
    record: dict[str, Any] = {"initializationType": claim.initType, "phase": phase}
    version = runtime_version(claim.runtime)
    if version:
        record["runtimeVersion"] = version
    return {
        **record,
        "functionName": claim.functionName,
        "functionVersion": claim.version,
        "functionArn": claim.arn,
        "instanceId": origin.log_stream,
        "instanceMaxMemory": claim.memoryMb * _MIB,
    }


def init_runtime_done(origin: Origin, phase: str, fault: Fault | None) -> dict[str, Any]:
    """The runtime has asked for its first event, or has failed before."""
    return {"initializationType": origin.claim.initType, "phase": phase, **_outcome(fault)}


def init_report(origin: Origin, phase: str, fault: Fault | None, milliseconds: float) -> dict[str, Any]:
    """Runtime and extensions are ready, or not."""
    return {
        "initializationType": origin.claim.initType,
        "phase": phase,
        **_outcome(fault),
        "metrics": {"durationMs": _rounded(milliseconds)},
    }


# Invocations


def start(origin: Origin, invocation: Invocation) -> dict[str, Any]:
    """An invocation begins."""
    return {"requestId": invocation.request_id, "version": origin.claim.version, **_tracing(invocation)}


def runtime_done(_: Origin, invocation: Invocation, now: float, clock: Clock) -> dict[str, Any]:
    """The runtime has done with it, at `now` (monotonic). Spans only when it has answered: silence has no latency."""
    record: dict[str, Any] = {"requestId": invocation.request_id}
    if invocation.fault is not None:
        # The runtime is gone: what Lambda calls a failure; `error` is the handler's own.
        status = "timeout" if invocation.fault.status == "timeout" else "failure"
        record |= {"status": status, **_error_type(invocation.fault.report_type)}
    elif invocation.error_type:
        record |= {"status": "error", "errorType": invocation.error_type}
    else:
        record["status"] = "success"
    record |= _tracing(invocation)
    began, ended = invocation.responding_at, invocation.responded_at
    if ended:
        record["spans"] = [
            _span("responseLatency", clock.at(invocation.started), began - invocation.started),
            _span("responseDuration", clock.at(began), ended - began),
            _span("runtimeOverhead", clock.at(ended), now - ended),
        ]
    duration = _rounded((now - invocation.started) * 1000)
    return {**record, "metrics": {"durationMs": duration, "producedBytes": invocation.produced_bytes}}


def report(_: Origin, invocation: Invocation, figures: Report, overhead: tuple[float, float] | None) -> dict[str, Any]:
    """The figures of REPORT. `overhead` is when the extensions were waited for, from an epoch time, for seconds."""
    metrics: dict[str, float] = {
        "durationMs": _rounded(figures.duration_ms),
        "billedDurationMs": figures.billed_ms,
        "memorySizeMB": figures.memory_mb,
        "maxMemoryUsedMB": figures.max_memory_mb,
    }
    if figures.init_ms is not None:
        metrics["initDurationMs"] = _rounded(figures.init_ms)
    if figures.fault is None and invocation.error_type:
        outcome: dict[str, Any] = {"status": "error", "errorType": invocation.error_type}
    else:
        outcome = _outcome(figures.fault)
    record = {"requestId": figures.request_id, **outcome, "metrics": metrics, **_tracing(invocation)}
    if overhead is not None:
        record["spans"] = [_span("extensionOverhead", *overhead)]
    return record


# At any time


def extension(_: Origin, name: str, state: str, events: Sequence[str], error_type: str) -> dict[str, Any]:
    """An extension is ready, or was lost in another state."""
    return {"name": name, "state": state, "events": list(events), **_error_type(error_type)}


def telemetry_subscription(_: Origin, name: str, state: str, types: Sequence[str]) -> dict[str, Any]:
    """`state` is `Subscribed` or `Already subscribed`."""
    return {"name": name, "state": state, "types": list(types)}


def logs_dropped(records: int, size: int, reason: str) -> dict[str, Any]:
    """What a consumer did not take in time. `size` in bytes."""
    return {"droppedBytes": size, "droppedRecords": records, "reason": reason}


def fault(_: Origin, text: str) -> str:
    """Why the environment failed: a record of the Logs API, and a line of the JSON log. One or more lines of text."""
    return text.rstrip("\n")


MAKERS: Final[dict[str, Callable[..., dict[str, Any] | str]]] = {
    "platform.initStart": init_start,
    "platform.initRuntimeDone": init_runtime_done,
    "platform.initReport": init_report,
    "platform.start": start,
    "platform.runtimeDone": runtime_done,
    "platform.report": report,
    "platform.extension": extension,
    "platform.telemetrySubscription": telemetry_subscription,
    "platform.fault": fault,
}


Note = tuple[float, str, tuple[Any, ...]]
"""What the journal was told, before anybody has asked how it reads: epoch time, kind, and what its maker takes.

Of `function` and `extension`: bytes, and whether they are one event or lines.
"""


def expand(origin: Origin, note: Note, *, parses: bool) -> list[Event]:
    """The events in a note; `parses` says that a line may be an object (the function's log is JSON)."""
    when, kind, details = note
    if kind not in {FUNCTION, EXTENSION}:
        return [Event(when, PLATFORM, kind, MAKERS[kind](origin, *details))]
    data, whole = details
    return [_of_line(when, kind, line, parses=parses) for line in ([data] if whole else split_lines(data))]


def _of_line(when: float, stream: str, line: bytes, *, parses: bool) -> Event:
    if parses and parse_object(line) is not None:
        return Event(when, stream, stream, "", line.decode().strip())
    return Event(when, stream, stream, line.decode("utf-8", "replace"))


def split_lines(data: bytes) -> list[bytes]:
    """Whole lines, each with its newline. Only LF ends one."""
    lines = data.split(b"\n")
    rest = lines.pop()
    whole = [line + b"\n" for line in lines]
    return [*whole, rest] if rest else whole


def parse_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line is; None for anything else."""
    text = line.strip()
    if not text.startswith(b"{") or not text.endswith(b"}"):
        return None
    try:
        fields = json.loads(text.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _refuse(constant: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(constant)


def _outcome(failure: Fault | None) -> dict[str, Any]:
    return {"status": "success"} if failure is None else {"status": failure.status, **_error_type(failure.report_type)}


def _error_type(error_type: str) -> dict[str, str]:
    return {"errorType": error_type} if error_type else {}


def _tracing(invocation: Invocation) -> dict[str, Any]:
    header = invocation.trace_id.decode("utf-8", "replace")
    if not header:
        return {}
    context = {"type": "X-Amzn-Trace-Id", "value": header}
    parent = _PARENT.search(header)
    return {"tracing": {"spanId": parent[1], **context} if parent is not None else context}


_PARENT: Final = re.compile(r"(?:^|;) *Parent=([0-9a-fA-F]{16})(?:;|$)")


def _span(name: str, began: float, seconds: float) -> dict[str, Any]:
    return {"name": name, "start": stamp(began), "durationMs": _rounded(max(seconds, 0.0) * 1000)}


def _rounded(milliseconds: float) -> float:
    """Lambda gives microseconds."""
    return round(milliseconds, 3)

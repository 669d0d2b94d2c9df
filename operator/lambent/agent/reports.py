"""The platform's lines in a function's log, in AWS's format (its emulator differs)."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .faults import Fault

_RUNTIME: Final = re.compile(r"([a-z]+)\.?([0-9a-z.]*?)(?:\.x)?")
_TRACE: Final = re.compile(r"(?:^|;) *(Root|Parent|Sampled)=([^;]*)")


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one invocation; milliseconds. `init_ms` only on a cold start, `trace_id` as its header came."""

    request_id: str
    duration_ms: float
    billed_ms: int
    memory_mb: int
    max_memory_mb: int
    init_ms: float | None = None
    fault: Fault | None = None
    trace_id: bytes = b""

    def line(self) -> bytes:
        """Every field ends with a tab, Init Duration comes after Max Memory Used."""
        fields = (
            f"REPORT RequestId: {self.request_id}\tDuration: {self.duration_ms:.2f} ms\t"
            f"Billed Duration: {self.billed_ms} ms\tMemory Size: {self.memory_mb} MB\t"
            f"Max Memory Used: {self.max_memory_mb} MB\t"
        )
        if self.init_ms is not None:
            fields += f"Init Duration: {self.init_ms:.2f} ms\t"
        if self.fault is not None:
            fields += f"Status: {self.fault.status}\t"
            if self.fault.report_type:
                fields += f"Error Type: {self.fault.report_type}\t"
        if self.trace_id:
            fields += _trace_line(self.trace_id)
        return f"{fields}\n".encode()


def runtime_version(runtime: str) -> str:
    """`python3.13` as Lambda's log names it: `python:3.13`. Empty for images, which have no runtime of ours."""
    form = _RUNTIME.fullmatch(runtime)
    return f"{form[1]}:{form[2]}".rstrip(":") if form is not None else runtime


def init_start_line(runtime: str) -> bytes:
    """Before each init."""
    return f"INIT_START Runtime Version: {runtime_version(runtime) or 'provided'}\n".encode()


def launch_error_line(fault: Fault, arguments: Sequence[str], folder: str) -> bytes:
    """Why a container image could not be started, and what was tried."""
    return (
        f"IMAGE\tLaunch error: {fault.message}\tEntrypoint and Cmd: [{' '.join(arguments)}]\tWorkingDir: [{folder}]\n"
    ).encode("utf-8", "replace")


def init_report_line(milliseconds: float, phase: str, fault: Fault) -> bytes:
    """Only failed inits have one: a good one is part of the first REPORT."""
    error_type = f"\tError Type: {fault.report_type}" if fault.report_type else ""
    return (
        f"INIT_REPORT Init Duration: {milliseconds:.2f} ms\tPhase: {phase}\tStatus: {fault.status}{error_type}\n"
    ).encode()


def extension_line(name: str, state: str, events: Sequence[str], error_type: str) -> bytes:
    """After an extension asked for its first event, or was lost."""
    error = f"\tError Type: {error_type}" if error_type else ""
    return f"EXTENSION\tName: {name}\tState: {state}\tEvents: [{', '.join(events)}]{error}\n".encode("utf-8", "replace")


def subscription_line(api: str, name: str, state: str, types: Sequence[str]) -> bytes:
    """An extension wants telemetry. `api` is TELEMETRY or LOGS."""
    listed = ", ".join(kind.capitalize() for kind in types)
    return f"{api}\tName: {name}\tState: {state}\tTypes: [{listed}]\n".encode("utf-8", "replace")


def start_line(request_id: str, version: str) -> bytes:
    """Before each event."""
    return f"START RequestId: {request_id} Version: {version}\n".encode()


def end_line(request_id: str) -> bytes:
    """After each invocation, before its REPORT."""
    return f"END RequestId: {request_id}\n".encode()


def fault_line(fault: Fault, request_id: str, now: float) -> bytes:
    """`<time> <id> Task timed out …` or `RequestId: <id> Error: …` with the type below. `now` in epoch seconds."""
    if fault.status == "timeout":
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        return f"{stamp}.{int(now * 1000) % 1000:03d}Z {request_id} {fault.message}\n\n".encode()
    if fault.body is not None:
        return b""  # the runtime has written its own
    return f"RequestId: {request_id} Error: {fault.message}\n{fault.error_type}\n".encode()


def _trace_line(header: bytes) -> str:
    """The second line of a report, only for what is sampled. The segment is the one that the header names as parent."""
    trace = dict(_TRACE.findall(header.decode("utf-8", "replace")))
    if trace.get("Sampled") != "1" or "Root" not in trace:
        return ""
    segment = f"SegmentId: {trace['Parent']}\t" if trace.get("Parent") else ""
    return f"\nXRAY TraceId: {trace['Root']}\t{segment}Sampled: true\t"

"""Every record of the Telemetry API and every line of the log, as Lambda writes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.agent.dialects import logs_2020, logs_2021, telemetry
from lambent.agent.faults import exited, reported_init_error, timed_out
from lambent.agent.invocations import Invocation
from lambent.agent.levels import LineFilter, rank, system_rank
from lambent.agent.protocol.claims import Claim
from lambent.agent.records import Clock, Event, Origin, envelope, expand, logs_dropped, members, stamp
from lambent.agent.reports import (
    Report,
    end_line,
    fault_line,
    init_report_line,
    init_start_line,
    runtime_version,
    start_line,
    subscription_line,
)

NOON = 1665576015.0643  # 2022-10-12T12:00:15.064Z
TRACE = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"
TRACING = {"spanId": "0efbd19962d95b05", "type": "X-Amzn-Trace-Id", "value": TRACE}
CRASH = exited(1, out_of_memory=False)
LATE = timed_out(3000)
SAID = reported_init_error(b"{}", "Runtime.ImportModuleError")


def claim(**changes):
    fields = {
        "claimId": "c",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:hello",
        "functionName": "hello",
        "version": "$LATEST",
        "revision": "r",
        "runtime": "python3.13",
        "handler": "app.handler",
        "timeoutMs": 3000,
        "memoryMb": 128,
    }
    return Claim(**{**fields, **changes})


ORIGIN = Origin(claim(), "2022/10/12/[$LATEST]ab")


def invocation(**changes):
    fields = {"request_id": "r1", "timeout_ms": 3000, "event": b"", "fields": b"", "exchange": None, "tail": None}
    return Invocation(**{**fields, "started": 100.0, **changes})


ANSWERED = {"responding_at": 100.002, "responded_at": 100.0025, "produced_bytes": 40}
SPANS = [
    {"name": "responseLatency", "start": "2022-10-12T12:00:15.053Z", "durationMs": 2.0},
    {"name": "responseDuration", "start": "2022-10-12T12:00:15.055Z", "durationMs": 0.5},
    {"name": "runtimeOverhead", "start": "2022-10-12T12:00:15.055Z", "durationMs": 8.5},
]
CLOCK = Clock(100.011, NOON)
ON_DEMAND = {"initializationType": "on-demand", "phase": "init"}
IDENTITY = {
    "functionName": "hello",
    "functionVersion": "$LATEST",
    "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:hello",
    "instanceId": "2022/10/12/[$LATEST]ab",
    "instanceMaxMemory": 134217728,
}
FIGURES = {"durationMs": 11.642, "billedDurationMs": 12, "memorySizeMB": 128, "maxMemoryUsedMB": 67}


def figures(**changes):
    return Report(
        **{
            "request_id": "r1",
            "duration_ms": 11.6424,
            "billed_ms": 12,
            "memory_mb": 128,
            "max_memory_mb": 67,
            **changes,
        }
    )


RECORDS = {
    "init start": ("platform.initStart", ("init",), {**ON_DEMAND, "runtimeVersion": "python:3.13", **IDENTITY}),
    "init done": ("platform.initRuntimeDone", ("init", None), {**ON_DEMAND, "status": "success"}),
    "init done, but not well": (
        "platform.initRuntimeDone",
        ("init", SAID),
        {**ON_DEMAND, "status": "error", "errorType": "Runtime.ImportModuleError"},
    ),
    "init done too late": ("platform.initRuntimeDone", ("init", LATE), {**ON_DEMAND, "status": "timeout"}),
    "init report": (
        "platform.initReport",
        ("init", None, 173.7784),
        {**ON_DEMAND, "status": "success", "metrics": {"durationMs": 173.778}},
    ),
    "suppressed init that fails": (
        "platform.initReport",
        ("invoke", CRASH, 5.0),
        {
            "initializationType": "on-demand",
            "phase": "invoke",
            "status": "error",
            "errorType": "Runtime.ExitError",
            "metrics": {"durationMs": 5.0},
        },
    ),
    "start": ("platform.start", (invocation(),), {"requestId": "r1", "version": "$LATEST"}),
    "traced start": (
        "platform.start",
        (invocation(trace_id=TRACE.encode()),),
        {"requestId": "r1", "version": "$LATEST", "tracing": TRACING},
    ),
    "start with a trace that has no parent": (
        "platform.start",
        (invocation(trace_id=b"Root=1-a-b"),),
        {"requestId": "r1", "version": "$LATEST", "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-a-b"}},
    ),
    "runtime done": (
        "platform.runtimeDone",
        (invocation(**ANSWERED), 100.011, CLOCK),
        {
            "requestId": "r1",
            "status": "success",
            "spans": SPANS,
            "metrics": {"durationMs": 11.0, "producedBytes": 40},
        },
    ),
    "runtime done with the handler's error": (
        "platform.runtimeDone",
        (invocation(**ANSWERED, error_type="Function.Oops", trace_id=TRACE.encode()), 100.011, CLOCK),
        {
            "requestId": "r1",
            "status": "error",
            "errorType": "Function.Oops",
            "tracing": TRACING,
            "spans": SPANS,
            "metrics": {"durationMs": 11.0, "producedBytes": 40},
        },
    ),
    "runtime gone": (
        "platform.runtimeDone",
        (invocation(fault=CRASH), 100.011, CLOCK),
        {
            "requestId": "r1",
            "status": "failure",
            "errorType": "Runtime.ExitError",
            "metrics": {"durationMs": 11.0, "producedBytes": 0},
        },
    ),
    "runtime too late": (
        "platform.runtimeDone",
        (invocation(fault=LATE), 103.0, Clock(103.0, NOON)),
        {"requestId": "r1", "status": "timeout", "metrics": {"durationMs": 3000.0, "producedBytes": 0}},
    ),
    "report": (
        "platform.report",
        (invocation(), figures(), None),
        {"requestId": "r1", "status": "success", "metrics": FIGURES},
    ),
    "report of a cold start with an extension": (
        "platform.report",
        (invocation(trace_id=TRACE.encode()), figures(init_ms=174.0551), (NOON, 0.0012)),
        {
            "requestId": "r1",
            "status": "success",
            "metrics": {**FIGURES, "initDurationMs": 174.055},
            "tracing": TRACING,
            "spans": [{"name": "extensionOverhead", "start": "2022-10-12T12:00:15.064Z", "durationMs": 1.2}],
        },
    ),
    "report of a handler's error": (
        "platform.report",
        (invocation(error_type="Function.Oops"), figures(), None),
        {"requestId": "r1", "status": "error", "errorType": "Function.Oops", "metrics": FIGURES},
    ),
    "report of a crash": (
        "platform.report",
        (invocation(fault=CRASH), figures(fault=CRASH), None),
        {"requestId": "r1", "status": "error", "errorType": "Runtime.ExitError", "metrics": FIGURES},
    ),
    "report of a timeout": (
        "platform.report",
        (invocation(fault=LATE), figures(fault=LATE), None),
        {"requestId": "r1", "status": "timeout", "metrics": FIGURES},
    ),
    "extension": (
        "platform.extension",
        ("agent", "Ready", ("INVOKE", "SHUTDOWN"), ""),
        {"name": "agent", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]},
    ),
    "lost extension": (
        "platform.extension",
        ("agent", "ExitError", (), "Extension.Crash"),
        {"name": "agent", "state": "ExitError", "events": [], "errorType": "Extension.Crash"},
    ),
    "subscription": (
        "platform.telemetrySubscription",
        ("agent", "Subscribed", ("platform",)),
        {"name": "agent", "state": "Subscribed", "types": ["platform"]},
    ),
    "fault": ("platform.fault", ("RequestId: r1 Error: x\nT\n",), "RequestId: r1 Error: x\nT"),
}


@pytest.mark.parametrize(("kind", "details", "expected"), RECORDS.values(), ids=RECORDS)
def test_a_record_has_lambdas_fields(kind, details, expected):
    """And no others; what there is nothing to say about is left out."""
    [event] = expand(ORIGIN, (NOON, kind, details), parses=False)
    assert json.loads(envelope(event)) == {"time": "2022-10-12T12:00:15.064Z", "type": kind, "record": expected}


def test_an_image_has_no_runtime_version():
    """Its runtime is its own business."""
    [event] = expand(Origin(claim(runtime=""), "s"), (NOON, "platform.initStart", ("init",)), parses=False)
    assert "runtimeVersion" not in event.record


def test_dropped_logs_are_counted_in_records_and_bytes():
    """Sizes are those of the events as they would have been sent."""
    assert logs_dropped(3, 900, "slow") == {"droppedRecords": 3, "droppedBytes": 900, "reason": "slow"}


LINES = {
    "a line with its newline": (b"hello\n", False, ["hello\n"]),
    "several lines are several events": (b"a\nb\n", False, ["a\n", "b\n"]),
    "a carriage return ends nothing": (b"a\rb\n", False, ["a\rb\n"]),
    "invalid UTF-8 is replaced": (b"\xff!\n", False, ["�!\n"]),
    "an object stays text in a text log": (b'{"a": 1}\n', False, ['{"a": 1}\n']),
    "an object is an object in a JSON log": (b'{"a": 1, "b":[2]}\n', True, [{"a": 1, "b": [2]}]),
    "other lines of a JSON log stay text": (b"plain\n[1]\n{broken\n", True, ["plain\n", "[1]\n", "{broken\n"]),
    "NaN is not JSON": (b'{"a": NaN}\n', True, ['{"a": NaN}\n']),
    "an unfinished line is a line": (b"a\nb", False, ["a\n", "b"]),
}


@pytest.mark.parametrize(("data", "parses", "expected"), LINES.values(), ids=LINES)
def test_output_becomes_one_event_a_line(data, parses, expected):
    """The record is the line as it was written, or the object that it is."""
    events = expand(ORIGIN, (NOON, "function", (data, False)), parses=parses)
    assert [json.loads(envelope(event))["record"] for event in events] == expected


def test_one_event_of_several_lines_stays_one():
    """What the runtime's client frames is not cut."""
    [event] = expand(ORIGIN, (NOON, "function", (b"Traceback\n  File\n", True)), parses=False)
    assert event.record == "Traceback\n  File\n"


@given(st.text(), st.binary())
def test_an_envelope_is_one_line_of_json(name, line):
    """Whatever the function writes and however it is called."""
    for parses in (False, True):
        for event in expand(ORIGIN, (NOON, "function", (line, False)), parses=parses):
            written = envelope(event, members(functionArn=name))
            assert b"\n" not in written
            assert json.loads(written)["functionArn"] == name.encode("utf-8", "replace").decode()


@given(st.floats(0, 4e9))
def test_a_stamp_never_runs_ahead(epoch):
    """Milliseconds are cut, and always three digits."""
    from datetime import UTC, datetime

    parsed = datetime.fromisoformat(stamp(epoch)).astimezone(UTC).timestamp()
    assert len(stamp(epoch)) == 24
    assert 0 <= epoch - parsed < 0.0011


def test_a_stamp_has_four_digits_of_a_year_whatever_a_frame_claims():
    """A function may frame events itself, with any time."""
    assert stamp(2**64 / 1e6) == "9999-12-31T23:59:59.000Z"
    assert stamp(-1.0) == "1970-01-01T00:00:00.000Z"


# The Logs API


def told(kind, record):
    return Event(NOON, "platform", kind, record)


REPORT = {"requestId": "r1", "status": "success", "metrics": FIGURES, "tracing": TRACING, "spans": []}
WORDS = {
    "init is not told": (told("platform.initStart", {}), [], []),
    "nor when it is done": (told("platform.initRuntimeDone", {}), [], []),
    "nor reported": (told("platform.initReport", {}), [], []),
    "a start without tracing": (
        told("platform.start", {"requestId": "r1", "version": "1", "tracing": TRACING}),
        *[[("platform.start", {"requestId": "r1", "version": "1"})]] * 2,
    ),
    "runtimeDone only in the newer schema": (
        told("platform.runtimeDone", {"requestId": "r1", "status": "success", "spans": [], "metrics": {}}),
        [],
        [("platform.runtimeDone", {"requestId": "r1", "status": "success"})],
    ),
    "where an error is a failure": (
        told("platform.runtimeDone", {"requestId": "r1", "status": "error"}),
        [],
        [("platform.runtimeDone", {"requestId": "r1", "status": "failure"})],
    ),
    "an end before each report": (
        told("platform.report", REPORT),
        *[
            [
                ("platform.end", {"requestId": "r1"}),
                ("platform.report", {"requestId": "r1", "metrics": FIGURES, "tracing": TRACING}),
            ]
        ]
        * 2,
    ),
    "a subscription to logs": (
        told("platform.telemetrySubscription", {"name": "a"}),
        *[[("platform.logsSubscription", {"name": "a"})]] * 2,
    ),
    "a fault": (told("platform.fault", "x"), *[[("platform.fault", "x")]] * 2),
    "an extension": (told("platform.extension", {"name": "a"}), *[[("platform.extension", {"name": "a"})]] * 2),
}


@pytest.mark.parametrize(("event", "older", "newer"), WORDS.values(), ids=WORDS)
def test_the_logs_api_has_its_own_words(event, older, newer):
    """Schemas 2020-08-15 and 2021-03-18."""
    assert [(said.kind, said.record) for said in logs_2020(event)] == older
    assert [(said.kind, said.record) for said in logs_2021(event)] == newer


def test_the_telemetry_api_has_no_faults():
    """Strict readers refuse a type that they do not know; everything else passes as it is."""
    assert telemetry(told("platform.fault", "x")) == ()
    event = told("platform.report", REPORT)
    assert telemetry(event) == (event,)


# Levels


LEVELS = {
    "start": (told("platform.start", {}), "INFO"),
    "runtimeDone, success": (told("platform.runtimeDone", {"status": "success"}), "DEBUG"),
    "runtimeDone, timeout": (told("platform.runtimeDone", {"status": "timeout"}), "WARN"),
    "report, success": (told("platform.report", {"status": "success"}), "INFO"),
    "report, error": (told("platform.report", {"status": "error"}), "WARN"),
    "initStart of a managed runtime": (told("platform.initStart", {"runtimeVersion": "python:3.13"}), "INFO"),
    "initStart of an image": (told("platform.initStart", {}), "DEBUG"),
    "initRuntimeDone, success": (told("platform.initRuntimeDone", {"status": "success"}), "DEBUG"),
    "initRuntimeDone, error": (told("platform.initRuntimeDone", {"status": "error"}), "WARN"),
    "initReport, on demand": (
        told("platform.initReport", {"status": "success", "initializationType": "on-demand"}),
        "DEBUG",
    ),
    "initReport, provisioned": (
        told("platform.initReport", {"status": "success", "initializationType": "provisioned-concurrency"}),
        "INFO",
    ),
    "initReport, error": (told("platform.initReport", {"status": "error", "initializationType": "on-demand"}), "WARN"),
    "extension": (told("platform.extension", {}), "INFO"),
    "telemetrySubscription": (told("platform.telemetrySubscription", {}), "INFO"),
    "logsDropped": (told("platform.logsDropped", {}), "WARN"),
    "fault": (told("platform.fault", ""), "ERROR"),
}


@pytest.mark.parametrize(("event", "level"), LEVELS.values(), ids=LEVELS)
def test_a_system_event_has_the_documented_level(event, level):
    """Lambda's table of system log levels."""
    assert system_rank(event) == rank(level)


FILTERED = {
    "a plain line always passes": (b"hello\n", "FATAL", True),
    "an object without a level is INFO": (b'{"message":"x"}\n', "INFO", True),
    "and not wanted above": (b'{"message":"x"}\n', "WARN", False),
    "levels in any case": (b'{"level":"debug"}\n', "INFO", False),
    "a level that does not exist is INFO": (b'{"level":"LOUD"}\n', "WARN", False),
    "a level that is no text is INFO": (b'{"level":50}\n', "WARN", False),
    "Python's WARNING is WARN": (b'{"level":"WARNING"}\n', "WARN", True),
    "Python's CRITICAL is FATAL": (b'{"level":"CRITICAL"}\n', "FATAL", True),
    "an array is a plain line": (b'["level"]\n', "FATAL", True),
    "TRACE takes all": (b'{"level":"TRACE"}\n', "TRACE", True),
    "what only looks like an object passes": (b"{level}\n", "FATAL", True),
    "a deep object is no object": (b"{" + b'"a":{' * 100_000 + b"}\n", "FATAL", True),
}


@pytest.mark.parametrize(("line", "level", "passes"), FILTERED.values(), ids=FILTERED)
def test_a_line_is_filtered_by_its_own_level(line, level, passes):
    """Only a JSON object has one; its neighbours are not touched."""
    assert LineFilter(level).passed(b"before\n" + line + b"after\n") == b"before\n" + line * passes + b"after\n"


# Text


FIELDS = (
    "REPORT RequestId: r1\tDuration: 11.64 ms\tBilled Duration: 12 ms\tMemory Size: 128 MB\tMax Memory Used: 67 MB\t"
)
TEXT = {
    "init start": (init_start_line("python3.13"), "INIT_START Runtime Version: python:3.13\n"),
    "init start of an image": (init_start_line(""), "INIT_START Runtime Version: provided\n"),
    "start": (start_line("r1", "7"), "START RequestId: r1 Version: 7\n"),
    "end": (end_line("r1"), "END RequestId: r1\n"),
    "report": (figures().line(), f"{FIELDS}\n"),
    "cold report": (figures(init_ms=110.1).line(), f"{FIELDS}Init Duration: 110.10 ms\t\n"),
    "failed report": (figures(fault=CRASH).line(), f"{FIELDS}Status: error\tError Type: Runtime.ExitError\t\n"),
    "late report": (figures(fault=LATE).line(), f"{FIELDS}Status: timeout\t\n"),
    "traced report": (
        figures(trace_id=TRACE.encode()).line(),
        f"{FIELDS}\nXRAY TraceId: 1-62e900b2-710d76f009d6e7785905449a\tSegmentId: 0efbd19962d95b05\tSampled: true\t\n",
    ),
    "report of an unsampled trace": (figures(trace_id=b"Root=1-a-b;Parent=c;Sampled=0").line(), f"{FIELDS}\n"),
    "failed init": (
        init_report_line(9999.9, "init", LATE),
        "INIT_REPORT Init Duration: 9999.90 ms\tPhase: init\tStatus: timeout\n",
    ),
    "init with an error": (
        init_report_line(5.0, "invoke", SAID),
        "INIT_REPORT Init Duration: 5.00 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError\n",
    ),
    "timeout": (fault_line(LATE, "r1", NOON), "2022-10-12T12:00:15.064Z r1 Task timed out after 3.00 seconds\n\n"),
    "crash": (
        fault_line(CRASH, "r1", NOON),
        "RequestId: r1 Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n",
    ),
    "what the runtime has said itself": (fault_line(SAID, "r1", NOON), ""),
    "a subscription": (
        subscription_line("TELEMETRY", "agent", "Subscribed", ("platform", "function")),
        "TELEMETRY\tName: agent\tState: Subscribed\tTypes: [Platform, Function]\n",
    ),
    "a subscription to logs": (
        subscription_line("LOGS", "agent", "Already subscribed", ("extension",)),
        "LOGS\tName: agent\tState: Already subscribed\tTypes: [Extension]\n",
    ),
}


@pytest.mark.parametrize(("line", "expected"), TEXT.values(), ids=TEXT)
def test_a_line_is_lambdas_own(line, expected):
    """To the tab."""
    assert line.decode() == expected


VERSIONS = {
    "python3.13": "python:3.13",
    "nodejs22.x": "nodejs:22",
    "java21": "java:21",
    "java8.al2": "java:8.al2",
    "dotnet8": "dotnet:8",
    "ruby3.4": "ruby:3.4",
    "provided.al2023": "provided:al2023",
    "provided": "provided",
    "": "",
}


@pytest.mark.parametrize(("runtime", "version"), VERSIONS.items(), ids=VERSIONS)
def test_a_runtime_version_is_named_as_in_lambdas_log(runtime, version):
    """Name and version, apart; which build of it is not known here."""
    assert runtime_version(runtime) == version

"""The function's log as JSON, and the installation's sink: the real agent with AWS's Python client."""

import asyncio
import json
import os
import re

import pytest
from tests.agent.consuming import Consumer
from tests.agent.driving import python

from lambent.agent.faults import Fault
from lambent.agent.journal import Journal
from lambent.agent.logs import Output
from lambent.agent.subscriptions import TELEMETRY, parse_subscription

SOURCE = r"""
import json, logging, os, sys
log = logging.getLogger()
print("at import")
def handler(event, context):
    if event == "exit":
        os._exit(3)
    if event == "raise":
        raise ValueError("no\nway")
    if event == "levels":
        for level in ("TRACE", "debug", "INFO", "WARN"):
            print(json.dumps({"level": level, "message": "mine"}))
        log.debug("quiet")
        log.error("loud")
    print("plain")
    return event
"""
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def claim(**logging):
    return python(SOURCE, logging={"logFormat": "JSON", **logging})


async def lines(agent):
    """The log's lines, objects where they are."""
    return [json.loads(line) if line.startswith("{") else line for line in (await agent.text()).splitlines()]


def platform(log):
    return [line["type"] for line in log if isinstance(line, dict) and "type" in line]


async def test_a_json_log_has_the_telemetry_records(start):
    """At INFO: no runtimeDone, no init records of an on-demand environment that is well."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim())
    await caller.invoke(1, request_id="one")
    log = await lines(agent)
    assert platform(log) == ["platform.initStart", "platform.start", "platform.report"]
    begin, report = log[0], log[-1]
    assert begin["record"]["functionName"] == "hello"
    assert STAMP.fullmatch(begin["time"])
    assert log.index("at import") < platform_index(log, "platform.start") < log.index("plain") < len(log) - 1
    assert report["record"]["requestId"] == "one"
    assert report["record"]["status"] == "success"
    assert report["record"]["metrics"].keys() == {
        "durationMs",
        "billedDurationMs",
        "memorySizeMB",
        "maxMemoryUsedMB",
        "initDurationMs",
    }


def platform_index(log, kind):
    return next(i for i, line in enumerate(log) if isinstance(line, dict) and line.get("type") == kind)


async def test_debug_has_all_records(start):
    """In the order in which things happened."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim(systemLogLevel="DEBUG"))
    await caller.invoke(1)
    log = await lines(agent)
    assert platform(log) == [
        "platform.initStart",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    done = log[platform_index(log, "platform.runtimeDone")]["record"]
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert done["metrics"]["producedBytes"] == 1


async def test_warn_has_only_what_went_wrong(start):
    """A success says nothing; a crash its reason."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim(systemLogLevel="WARN"))
    await caller.invoke(1)
    await caller.invoke("exit", request_id="r")
    log = await lines(agent)
    assert platform(log) == ["platform.runtimeDone", "platform.fault", "platform.report"]
    done, fault, report = [line for line in log if isinstance(line, dict) and "type" in line]
    assert fault["record"] == "RequestId: r Error: Runtime exited with error: exit status 3\nRuntime.ExitError"
    assert (done["record"]["status"], done["record"]["errorType"]) == ("failure", "Runtime.ExitError")
    assert (report["record"]["status"], report["record"]["errorType"]) == ("error", "Runtime.ExitError")


async def test_application_lines_are_filtered_by_level(start):
    """The function's own objects by the agent, its logging by AWS's client; plain lines pass."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim(applicationLogLevel="WARN"))
    await caller.invoke("levels")
    said = [line for line in await lines(agent) if isinstance(line, dict) and "level" in line]
    assert [(line["level"], line["message"]) for line in said] == [("WARN", "mine"), ("ERROR", "loud")]
    assert "plain" in await lines(agent)


async def test_the_tail_is_what_the_log_has(start):
    """JSON too."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim())
    answer = await caller.invoke(1, Lambent_Log_Type="Tail")
    whole = await agent.written()
    assert whole.endswith(answer.log)
    assert json.loads(answer.log.splitlines()[0])["type"] == "platform.start"


async def test_a_failed_invocation_is_an_error_in_its_report(start):
    """The handler's own error too, which a text REPORT does not show."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim())
    await caller.invoke("raise")
    log = await lines(agent)
    assert log[-1]["record"]["status"] == "error"
    told = next(line for line in log if isinstance(line, dict) and line.get("errorType") == "ValueError")
    assert told["errorMessage"] == "no\nway"


TRACE = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"


async def test_a_traced_report_has_its_second_line(start):
    """In text; as JSON the records name the trace."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(SOURCE))
    await caller.invoke(1, Lambent_Trace_Id=TRACE)
    assert (await agent.text()).endswith(
        "\nXRAY TraceId: 1-62e900b2-710d76f009d6e7785905449a\tSegmentId: 0efbd19962d95b05\tSampled: true\t\n"
    )


# What has no invocation


class Written:
    """A journal whose log is a pipe."""

    def __init__(self, **logging):
        self.reader, writer = os.pipe()
        self.journal = Journal(Output(asyncio.get_running_loop(), writer))
        self.journal.claimed(claim(**logging), "stream")

    def lines(self):
        self.journal.flush()
        return os.read(self.reader, 65536).decode().splitlines()


async def test_the_agents_own_words_are_objects_in_a_json_log():
    """So that every line of the platform's can be parsed."""
    written = Written()
    written.journal.note("something odd")
    [line] = written.lines()
    assert (json.loads(line)["type"], json.loads(line)["record"]) == ("lambent.note", "something odd")


async def test_an_image_that_does_not_start_says_what_was_tried():
    """As a fault, at level ERROR."""
    written = Written(systemLogLevel="WARN")
    written.journal.launch_error(Fault("Runtime.InvalidEntrypoint", "no such file"), ["/x", "y"], "/z")
    [line] = written.lines()
    assert json.loads(line)["record"] == (
        "IMAGE\tLaunch error: no such file\tEntrypoint and Cmd: [/x y]\tWorkingDir: [/z]"
    )


async def test_an_extensions_lines_pass_as_they_are():
    """Its level is its own business; what the client of the runtime has chosen passes, too."""
    written = Written(applicationLogLevel="FATAL")
    written.journal.extension_output("e", b'{"level":"TRACE"}\n')
    written.journal.function_event(b'{"level":"DEBUG"}\n', 0.0)
    written.journal.function_output(b'{"level":"ERROR"}\n')
    assert written.lines() == ['{"level":"TRACE"}', '{"level":"DEBUG"}']


async def test_what_is_kept_for_later_subscribers_is_bounded():
    """A flood in init costs no more than 256 KiB and the line that filled it."""
    written = Written(logFormat="Text")
    written.journal.init_start("init")
    for _ in range(100):
        written.journal.function_output(b"x" * 65535 + b"\n")
    subscription = parse_subscription(
        TELEMETRY, b'{"schemaVersion":"2022-12-13","types":["function"],"destination":{"protocol":"TCP","port":1}}', ()
    )
    written.journal.subscribe("e", subscription)
    [listener] = written.journal._audience._listeners
    heard = listener.delivery.held_bytes
    listener.delivery.close()
    assert 256 * 1024 < heard < 400 * 1024


async def test_a_flood_of_empty_lines_is_counted_and_not_looked_at():
    """What a consumer has no room for costs next to nothing, and none is forgotten."""
    _, writer = os.pipe()
    journal = Journal(Output(asyncio.get_running_loop(), writer), sink="tcp://127.0.0.1:1")
    journal.claimed(python(SOURCE), "stream")
    [listener] = journal._audience._listeners
    for _ in range(64):
        journal.function_output(b"\n" * 65536)
    await asyncio.sleep(0)
    delivery = listener.delivery
    held = len(delivery._events) + len(delivery._sending)
    delivery.close()
    assert 1000 < held < 11_000
    assert held + delivery._dropped[0] == 64 * 65536


async def test_a_generation_that_begins_finds_nobody_frozen():
    """Its predecessor may have died while it stood still."""
    consumer = Consumer()
    await consumer.open(consumer.serve_tcp)
    journal = Written(logFormat="Text").journal
    journal.init_start("init")
    body = {
        "schemaVersion": "2022-12-13",
        "types": ["platform"],
        "destination": {"protocol": "TCP", "port": consumer.port},
        "buffering": {"timeoutMs": 25},
    }
    journal.subscribe("e", parse_subscription(TELEMETRY, json.dumps(body).encode(), ()))
    journal.frozen()
    journal.init_start("invoke")
    await consumer.until(lambda events: "invoke" in [event["record"].get("phase") for event in events])
    for listener in journal._audience._listeners:
        listener.delivery.close()


# The sink


async def end(agent, caller):
    """Drained, left alone, gone."""
    assert (await caller.call(b"POST", b"/v1/drain")).status == 200
    await caller.close()
    await asyncio.to_thread(agent.process.wait)


async def hear(start, consumer, address, **logging):
    """What a sink hears of one invocation, in order."""
    agent = start(LAMBENT_LOG_SINK=address)
    caller = await agent.connect()
    await caller.claim(python(SOURCE, logging=logging))
    await caller.invoke("levels", request_id="one")
    text = await agent.text()
    await end(agent, caller)
    return text, flat(consumer)


def flat(consumer):
    return [event for batch in consumer.batches for event in (batch if isinstance(batch, list) else [batch])]


async def test_a_sink_hears_all_streams(start):
    """With the function's ARN, log group and log stream in every envelope; the text log stays what it was."""
    consumer = await Consumer().open()
    text, events = await hear(start, consumer, f"http://127.0.0.1:{consumer.port}/in", logGroup="/mine")
    assert {(event["functionArn"], event["logGroup"]) for event in events} == {
        ("arn:aws:lambda:us-east-1:123456789012:function:hello", "/mine")
    }
    [stream] = {event["logStream"] for event in events}
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    kinds = [event["type"] for event in events]
    assert [kind for kind in kinds if kind != "function"] == [
        "platform.initStart",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    assert [event["record"] for event in events if event["type"] == "function"][-1] == "plain\n"
    assert consumer.heads[0].startswith(b"POST /in HTTP/1.1\r\n")
    assert text.splitlines()[0] == "INIT_START Runtime Version: python:3.11"
    assert "REPORT RequestId: one\t" in text


async def test_a_sink_over_tcp_gets_lines(start):
    """NDJSON; the lines of a JSON log are objects in it."""
    consumer = Consumer()
    await consumer.open(consumer.serve_tcp)
    _, events = await hear(start, consumer, f"tcp://127.0.0.1:{consumer.port}", logFormat="JSON")
    said = [event["record"] for event in events if event["type"] == "function"]
    assert {"level": "INFO", "message": "mine"} in said


async def test_a_sink_that_does_not_listen_delays_nobody(start):
    """Neither an invocation nor the end."""
    free = await Consumer().open()
    free.server.close()
    await free.server.wait_closed()
    agent = start(LAMBENT_LOG_SINK=f"tcp://127.0.0.1:{free.port}")
    caller = await agent.connect()
    await caller.claim(python(SOURCE))
    assert (await caller.invoke(1)).body == b"1"
    await end(agent, caller)


async def test_the_last_words_reach_the_sink(start):
    """What a drain leaves behind is delivered before the agent goes."""
    consumer = await Consumer().open()
    agent = start(LAMBENT_LOG_SINK=f"http://127.0.0.1:{consumer.port}/")
    caller = await agent.connect()
    await caller.claim(python(SOURCE))
    await caller.invoke(1)
    await end(agent, caller)
    assert flat(consumer)[-1]["type"] == "platform.report"


async def test_a_sink_that_makes_no_sense_stops_the_agent(start):
    """At once, with the variable's name."""
    with pytest.raises(AssertionError, match="did not start"):
        start(LAMBENT_LOG_SINK="collector")

"""The Telemetry API and the Logs API, heard by a real external extension over HTTP and TCP."""

import asyncio
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.driving import ROOT, Caller, python

from lambent.agent.protocol.http1 import ResponseDecoder

TELEMETRY = b"/2022-07-01/telemetry"
LOGS = b"/2020-08-15/logs"
SOURCE = r"""
import logging, os, time
print("at import")
def handler(event, context):
    print("hello", event)
    if event == "exit":
        os._exit(1)
    if event == "raise":
        raise ValueError("no")
    if event == "flood":
        os.write(1, b"".join(b"%07d %s\n" % (i, b"x" * 1000) for i in range(4000)))
    if event == "sleep":
        time.sleep(60)
    if event == "wait":
        while '"platform.report"' not in open(os.environ["HEARD"]).read():
            time.sleep(0.005)
    if event == "log":
        print("before")
        logging.getLogger().error("several\nlines")
        print("between", end="")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger().exception("oh")
        print("after")
    return event
"""


class Heard:
    """What the extension has written down."""

    def __init__(self, path):
        self.path = path

    def said(self):
        whole = self.path.read_text().rpartition("\n")[0] if self.path.exists() else ""  # it may be writing one
        return [json.loads(line) for line in whole.splitlines()]

    @property
    def events(self):
        return [event for batch in self.said() if isinstance(batch, list) for event in batch]

    @property
    def answers(self):
        return [answer for answer in self.said() if isinstance(answer, dict)]

    def kinds(self):
        return [event["type"] for event in self.events]

    def records(self, kind):
        return [event["record"] for event in self.events if event["type"] == kind]

    async def until(self, ready):
        while not ready(self):
            await asyncio.sleep(0.005)


@pytest.fixture
def listen(start):
    """An agent whose function has the extension `listener`: (agent, caller, what it hears)."""

    async def begin(plan=None, source=SOURCE, claim=None, **settings):
        agent = start(**settings)
        folder = agent.opt_root / "extensions"
        folder.mkdir(parents=True)
        program = folder / "listener"
        script = (ROOT / "tests/agent/listener.py").read_text().splitlines(keepends=True)
        program.write_text("".join([f"#!{sys.executable}\n", *script[1:]]))
        program.chmod(0o755)
        heard = Heard(agent.folder / "heard")
        caller = await agent.connect()
        environment = {"LISTENER": json.dumps(plan or {}), "HEARD": str(heard.path)}
        answer = await caller.claim(python(source, env=environment, **(claim or {})))
        assert answer.error is None, answer
        return agent, caller, heard

    return begin


async def drained(caller):
    assert (await caller.call(b"POST", b"/v1/drain")).status == 200


INIT = ["platform.initStart", "platform.initRuntimeDone", "platform.extension", "platform.initReport"]
INVOKED = ["platform.start", "platform.runtimeDone", "platform.report"]


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
async def test_an_extension_hears_everything_since_init_began(listen, protocol):
    """In order, each once, the three streams; the report of the last invocation reaches it in its shutdown."""
    agent, caller, heard = await listen({"protocol": protocol})
    await caller.invoke(1, request_id="one")
    await caller.invoke(2, request_id="two")
    await drained(caller)
    told = [kind for kind in heard.kinds() if kind not in {"function", "extension", "platform.telemetrySubscription"}]
    assert told == [*INIT, *INVOKED, *INVOKED]
    assert heard.records("platform.telemetrySubscription") == [
        {"name": "listener", "state": "Subscribed", "types": ["platform", "function", "extension"]}
    ]
    assert heard.records("platform.extension") == [
        {"name": "listener", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    ]
    assert heard.records("function") == ["at import\n", "hello 1\n", "hello 2\n"]
    assert heard.records("extension") == ["the extension speaks\n"]
    assert heard.answers[0] == {"answer": 200, "body": '"OK"', "time": 0}
    report = heard.records("platform.report")[0]
    assert [span["name"] for span in report["spans"]] == ["extensionOverhead"]
    log = await asyncio.to_thread(agent.log_path.read_text)
    assert "\nTELEMETRY\tName: listener\tState: Subscribed\tTypes: [Platform, Function, Extension]\n" in log
    assert "\nEXTENSION\tName: listener\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n" in log


async def test_only_what_was_asked_for_is_sent(listen):
    """One stream of the three."""
    _, caller, heard = await listen({"types": ["function"]})
    await caller.invoke(1)
    await drained(caller)
    assert set(heard.kinds()) == {"function"}
    assert heard.records("function") == ["at import\n", "hello 1\n"]


async def test_a_subscription_is_closed_after_init(listen):
    """The extension asks again when it shuts down."""
    _, caller, heard = await listen()
    await drained(caller)
    await heard.until(lambda heard: len(heard.answers) == 2)
    late = heard.answers[-1]
    assert (late["answer"], late["shutdown"]) == (403, "spindown")
    assert json.loads(late["body"]) == {
        "errorMessage": "Telemetry API subscription is closed already",
        "errorType": "Telemetry.SubscriptionClosed",
    }


async def test_a_second_subscription_changes_nothing(listen):
    """It is answered as the first; events come once."""
    _, caller, heard = await listen({"times": 2})
    await caller.invoke(1)
    await drained(caller)
    states = [record["state"] for record in heard.records("platform.telemetrySubscription")]
    assert states == ["Subscribed", "Already subscribed"]
    assert heard.records("function") == ["at import\n", "hello 1\n"]


async def test_the_logs_api_tells_its_own_records(listen):
    """No init; an end for each start; the fault of a crash."""
    agent, caller, heard = await listen({"api": "logs"})
    await caller.invoke(1, request_id="one")
    await caller.invoke("exit", request_id="two")
    await caller.invoke(3, request_id="three")
    await drained(caller)
    told = [kind for kind in heard.kinds() if kind.startswith("platform.")]
    assert told == [
        "platform.logsSubscription",
        "platform.extension",
        "platform.start",
        "platform.runtimeDone",
        "platform.end",
        "platform.report",
        "platform.start",
        "platform.runtimeDone",
        "platform.fault",
        "platform.end",
        "platform.report",
        "platform.start",
        "platform.logsSubscription",
        "platform.extension",
        "platform.runtimeDone",
        "platform.end",
        "platform.report",
    ]
    assert heard.records("platform.runtimeDone")[1] == {"requestId": "two", "status": "failure"}
    assert heard.records("platform.fault") == [
        "RequestId: two Error: Runtime exited with error: exit status 1\nRuntime.ExitError"
    ]
    log = await asyncio.to_thread(agent.log_path.read_text)
    assert "\nLOGS\tName: listener\tState: Subscribed\tTypes: [Platform, Function, Extension]\n" in log


async def test_a_timeout_is_heard_by_the_extension_that_lives_through_it(listen):
    """Its end comes after the news."""
    _, caller, heard = await listen()
    await caller.invoke("sleep", request_id="late", timeout_ms=100)
    await heard.until(lambda heard: heard.records("platform.runtimeDone"))
    [done] = heard.records("platform.runtimeDone")
    assert (done["requestId"], done["status"]) == ("late", "timeout")
    assert [answer["shutdown"] for answer in heard.answers if "shutdown" in answer] in ([], ["timeout"])


async def test_what_the_client_logs_at_once_is_one_event(listen):
    """However many lines it has, and in its place among what the function prints."""
    agent, caller, heard = await listen({"types": ["function"]})
    await caller.invoke("log", request_id="one")
    await drained(caller)
    _, _, before, several, between, traceback, after = heard.records("function")
    assert (before, between, after) == ("before\n", "between\n", "after\n")
    assert several.startswith("[ERROR]\t")
    assert several.endswith("\tone\tseveral\nlines\n")
    assert traceback.count("\n") > 3
    assert traceback.endswith("ZeroDivisionError: division by zero\n")
    log = agent.log_path.read_text()
    assert "".join([before, several, between, traceback, after]) in log


async def test_objects_of_a_json_log_are_objects(listen):
    """And the platform's records stand in the log and at the extension alike."""
    source = (
        "import json\ndef handler(event, context):\n    print(json.dumps({'level': 'DEBUG', 'a': 1}))\n    print('b')\n"
    )
    agent, caller, heard = await listen(
        source=source, claim={"logging": {"logFormat": "JSON", "systemLogLevel": "DEBUG"}}
    )
    await caller.invoke(1)
    await drained(caller)
    assert heard.records("function") == [{"level": "DEBUG", "a": 1}, "b\n"]
    log = [json.loads(line) for line in agent.log_path.read_text().splitlines() if line.startswith('{"time"')]
    known = {json.dumps(event) for event in heard.events}
    assert [event for event in log if json.dumps(event) not in known] == []


async def test_a_slow_extension_loses_events_and_is_told(listen):
    """The function is not slowed down, nothing grows without bounds, and every record is delivered or counted."""
    agent, caller, heard = await listen({"slow": 0.2, "types": ["function"]}, LAMBENT_FREEZE="0")
    await caller.invoke("flood", timeout_ms=30_000)

    def lines():
        return [record for record in heard.records("function") if record[:7].isdigit()]

    def dropped():
        return sum(record["droppedRecords"] for record in heard.records("platform.logsDropped"))

    await heard.until(lambda _: len(lines()) + dropped() == 4000)
    assert dropped() > 0
    assert lines() == sorted(lines())
    log = await asyncio.to_thread(agent.log_path.read_text)
    assert "hello flood" in log


async def test_a_frozen_extension_is_not_judged(listen):
    """Between invocations nothing is sent; what was told meanwhile comes with the next."""
    _, caller, heard = await listen()
    await caller.invoke(1, request_id="one")
    assert heard.records("platform.report") == []
    await caller.invoke("wait", request_id="two", timeout_ms=30_000)
    assert [record["requestId"] for record in heard.records("platform.report")] == ["one"]
    await drained(caller)
    assert [record["requestId"] for record in heard.records("platform.report")] == ["one", "two"]
    assert heard.records("platform.logsDropped") == []


# The calls themselves


async def ask(agent, method, path, body=b"", **headers):
    """One call on the Runtime API's port."""
    caller = Caller(*await asyncio.open_connection("127.0.0.1", agent.runtime_port), ResponseDecoder())
    answer = await caller.call(method, path, body, token=None, owner=None, **headers)
    await caller.close()
    return answer


async def refused(agent, path, body=b"{}", **headers):
    answer = await ask(agent, b"PUT", path, body, **headers)
    error = answer.json()
    return answer.status, error["errorType"], error["errorMessage"]


NOBODY = "00000000-0000-4000-8000-000000000000"
STRANGERS = {
    "without an identifier": (
        {},
        "Extension.MissingExtensionIdentifier",
        "Missing Lambda-Extension-Identifier header",
    ),
    "with one that is none": (
        {"Lambda_Extension_Identifier": "x"},
        "Extension.InvalidExtensionIdentifier",
        "Invalid Lambda-Extension-Identifier",
    ),
    "with an unknown one": (
        {"Lambda_Extension_Identifier": NOBODY},
        "Extension.UnknownExtensionIdentifier",
        f"Unknown extension {NOBODY}",
    ),
}


async def test_strangers_are_refused(start):
    """Only a registered extension may subscribe, to either API."""
    agent = start(managed=False)
    for path in (TELEMETRY, LOGS):
        for who, (headers, error_type, message) in STRANGERS.items():
            assert await refused(agent, path, **headers) == (403, error_type, message), who


async def registered(start):
    """An agent in init, its runtime being this test, and the identifier of an internal extension."""
    agent = start(managed=False)
    bootstrap = agent.task_root / "bootstrap"
    bootstrap.write_text("#!/bin/sh\nexec sleep 60\n")
    bootstrap.chmod(0o755)
    caller = await agent.connect()
    from tests.agent.driving import claim_of

    from lambent.agent.protocol import names

    caller.send(b"POST", names.CLAIM_PATH, claim_of(None).to_json())
    while "INIT_START" not in agent.log():
        await asyncio.sleep(0.005)
    answer = await ask(
        agent, b"POST", b"/2020-01-01/extension/register", b'{"events":[]}', Lambda_Extension_Name="inside"
    )
    return agent, answer.headers[b"lambda-extension-identifier"].decode()


async def test_mistakes_are_told_by_both_apis(start):
    """Each with its own error type; the words are the parser's."""
    agent, identifier = await registered(start)
    who = {"Lambda_Extension_Identifier": identifier}
    body = b'{"schemaVersion":"2022-12-13","types":[],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain"}}'
    message = "URI port is not provided; types should not be empty"
    assert await refused(agent, TELEMETRY, body, **who) == (400, "ValidationError", message)
    body = body.replace(b"2022-12-13", b"2020-08-15")
    assert await refused(agent, LOGS, body, **who) == (400, "Logs.ValidationError", message)
    large = b'"' + b"x" * 300_000 + b'"'
    assert await refused(agent, TELEMETRY, large, **who) == (400, "ValidationError", "request body is too large")
    own = (
        b'{"schemaVersion":"2022-12-13","types":["platform"],"destination":{"protocol":"TCP","port":%d}}'
        % agent.runtime_port
    )
    assert await refused(agent, TELEMETRY, own, **who) == (
        400,
        "ValidationError",
        f"port {agent.runtime_port} is reserved",
    )


async def test_one_extension_uses_one_of_the_two_apis(start):
    """After the first, the other one is refused."""
    agent, identifier = await registered(start)
    who = {"Lambda_Extension_Identifier": identifier}
    body = b'{"schemaVersion":"%b","types":["platform"],"destination":{"protocol":"TCP","port":1}}'
    assert (await ask(agent, b"PUT", TELEMETRY, body % b"2025-01-29", **who)).body == b'"OK"'
    assert await refused(agent, LOGS, body % b"2020-08-15", **who) == (
        400,
        "Logs.ValidationError",
        "extension is subscribed to the Telemetry API already",
    )


async def test_only_put_is_known(start):
    """On these paths, with or without a slash at the end."""
    agent = start(managed=False)
    for path in (TELEMETRY, LOGS, TELEMETRY + b"/", LOGS + b"/"):
        assert (await ask(agent, b"GET", path)).status == 405
        assert (await ask(agent, b"PUT", path)).status == 403
    for path in (TELEMETRY + b"/x", TELEMETRY + b"x", b"/2022-07-01/logs"):
        assert (await ask(agent, b"PUT", path)).status == 404


# AWS's own crate


@pytest.fixture(scope="session")
def crate():
    """The program of `rust_extension`, built once and kept in $LAMBENT_STATE."""
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is missing: AWS's crate lambda-extension cannot be built")
    state = Path(os.environ.get("LAMBENT_STATE") or Path.home() / ".cache/lambent") / "rust-extension"
    source = ROOT / "tests/agent/rust_extension"
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("Cargo.toml", "src/main.rs"):
            target = state / name
            target.parent.mkdir(exist_ok=True)
            if not target.exists() or target.read_bytes() != (source / name).read_bytes():
                shutil.copy(source / name, target)
        subprocess.run([cargo, "build", "--release", "--quiet"], cwd=state, check=True)
    return state / "target/release/rust-extension"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def through_the_crate(start, crate, api):
    """What AWS's crate has made of one good and one failed invocation, a line a record."""
    agent = start()
    folder = agent.opt_root / "extensions"
    folder.mkdir(parents=True)
    shutil.copy(crate, folder / "rust")
    heard = agent.folder / "heard"
    caller = await agent.connect()
    environment = {"LISTENER": api, "LISTENER_PORT": str(free_port()), "HEARD": str(heard)}
    answer = await caller.claim(python(SOURCE, env=environment))
    assert answer.error is None, answer
    trace = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"
    await caller.invoke("log", request_id="one", Lambent_Trace_Id=trace)
    await caller.invoke("raise", request_id="two")
    await drained(caller)
    return heard.read_text().splitlines()


async def test_awss_crate_reads_every_telemetry_record(start, crate):
    """It refuses a whole batch for one record that it cannot parse."""
    said = [json.loads(line) for line in await through_the_crate(start, crate, "telemetry")]
    told = [event["type"] for event in said if event["type"] not in {"function", "extension"}]
    assert sorted(told) == sorted([*INIT, "platform.telemetrySubscription", *INVOKED, *INVOKED])
    reports = [event["record"] for event in said if event["type"] == "platform.report"]
    assert [(report["requestId"], report["status"]) for report in reports] == [("one", "success"), ("two", "error")]
    assert reports[0]["tracing"]["spanId"] == "0efbd19962d95b05"
    assert "".join([event["record"] for event in said if event["type"] == "function"]).startswith("at import\n")


async def test_awss_crate_reads_every_record_of_the_logs_api(start, crate):
    """As its own types."""
    said = await through_the_crate(start, crate, "logs")
    kinds = [line.split("(")[0].split(" ")[0] for line in said]
    assert [kind for kind in kinds if kind.startswith("Platform")] == [
        "PlatformLogsSubscription",
        "PlatformExtension",
        *["PlatformStart", "PlatformRuntimeDone", "PlatformEnd", "PlatformReport"] * 2,
    ]
    assert 'Function("before\\n")' in said

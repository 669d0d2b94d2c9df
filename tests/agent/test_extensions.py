"""Extensions as real processes beside a real runtime: what they are told, what waits for them, and how they fail."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from tests.agent.driving import ROOT, claim_of, zipped

from lambent.agent.protocol import names
from lambent.agent.protocol.states import State
from lambent.agent.supervising import descendants

CLIENT = """#!/usr/bin/python3 -IS
import http.client, json, os, sys, time
NAME = os.path.basename(sys.argv[0])
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, **headers):
    api.request(method, "/2020-01-01/extension/" + path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = api.getresponse()
    return answer, answer.read()
def register(*events, **more):
    answer, body = call("POST", "register", json.dumps({"events": events}), Lambda_Extension_Name=NAME, **more)
    return answer.headers["Lambda-Extension-Identifier"], json.loads(body)
def say(*words):
    print(NAME, *words, flush=True)
"""
LOOP = (
    CLIENT
    + """
me, told = register("INVOKE", "SHUTDOWN", Lambda_Extension_Accept_Feature="accountId")
say("registered", json.dumps(told))
say("environment", json.dumps(dict(os.environ)))
while True:
    answer, body = call("GET", "event/next", Lambda_Extension_Identifier=me)
    event = json.loads(body)
    say("event", json.dumps(event))
    if event["eventType"] == "SHUTDOWN":
        sys.exit(0)
"""
)
RUNTIME = """#!/usr/bin/python3 -IS
import http.client, os, signal, threading
def end():
    signal.sigwait([signal.SIGTERM])  # a handler may be missed: frozen just before it reads, Python hears after it
    os.write(1, b"runtime ends\\n")
    os._exit(0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
threading.Thread(target=end, daemon=True).start()
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = api.getresponse()
    event, request_id = answer.read(), answer.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", "/2018-06-01/runtime/invocation/%s/response" % request_id, event)
    api.getresponse().read()
"""
HANDLER = "import os\ndef handler(event, context):\n    print('handled', event)\n    return os.getpid()"


@pytest.fixture
def function(start):
    """Claims a Python function beside external extensions: `await function({"name": source})` gives agent, caller, answer."""

    async def begin(extensions, source=HANDLER, files=None, managed=True, settings=None, **changes):
        agent = start(managed=managed, **(settings or {}))
        folder = agent.opt_root / "extensions"
        folder.mkdir()
        (folder / "a-folder").mkdir()
        for name, text in extensions.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        caller = await agent.connect()
        code = zipped(files or {"app.py": source}, ("bootstrap",))
        claimed = await caller.claim(claim_of(code, **changes))
        return agent, caller, claimed

    return begin


def said(log: str, name: str, what: str) -> list:
    return [json.loads(text) for text in re.findall(rf"^{name} {what} (.*)$", log, re.M)]


async def test_an_extension_learns_of_each_invocation_and_of_the_end(function):
    """Started before the runtime, told who it serves; INVOKE with the runtime's own deadline; SHUTDOWN at the end."""
    agent, caller, claimed = await function({"watcher": LOOP}, accountId="123456789012")
    assert claimed.error is None, (claimed, agent.log())
    await caller.invoke("x", request_id="r1", Lambent_Trace_Id="Root=1-2-3", Lambent_Arn="arn:x:live")
    await caller.invoke("y", request_id="r2")
    agent.process.terminate()
    assert await asyncio.to_thread(agent.process.wait, 20) == 0
    log = agent.log()
    assert said(log, "watcher", "registered") == [
        {
            "accountId": "123456789012",
            "functionName": "hello",
            "functionVersion": "$LATEST",
            "handler": "app.handler",
        }
    ]
    first, second, last = said(log, "watcher", "event")
    assert {key: first[key] for key in ("eventType", "requestId", "invokedFunctionArn", "tracing")} == {
        "eventType": "INVOKE",
        "requestId": "r1",
        "invokedFunctionArn": "arn:x:live",
        "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-2-3"},
    }
    assert first["deadlineMs"] > 1_600_000_000_000
    assert second["requestId"] == "r2"
    assert "tracing" not in second
    assert (last["eventType"], last["shutdownReason"]) == ("SHUTDOWN", "spindown")
    assert set(last) == {"eventType", "shutdownReason", "deadlineMs"}
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n" in log


@pytest.mark.skipif(shutil.which("curl") is None, reason="the guide's extension needs curl")
async def test_the_guides_extension_in_shell_works(function):
    """As it stands on the page."""
    page = (ROOT / "docs/guide/extensions.md").read_text()
    source = re.search(r"^```sh\n(.*?)^```$", page, re.M | re.S)[1]
    agent, caller, claimed = await function({"from-the-guide": source}, env={"PATH": os.environ["PATH"]})
    assert claimed.error is None, (claimed, agent.log())
    for number in range(3):
        assert (await caller.invoke(request_id=f"r{number}")).error is None
    agent.process.terminate()
    assert await asyncio.to_thread(agent.process.wait, 20) == 0
    told = [json.loads(line) for line in agent.log().splitlines() if line.startswith('{"eventType"')]
    assert [event.get("requestId", event["eventType"]) for event in told] == ["r0", "r1", "r2", "SHUTDOWN"]
    assert "ShutdownFailed" not in agent.log()


async def test_an_extension_has_the_functions_environment_without_the_runtimes(function):
    """Lambda's list: no handler, no task root, no log stream, no X-Ray, nothing with an underscore in front."""
    agent, caller, _ = await function({"watcher": LOOP}, env={"OWN": "1"})
    await caller.invoke()
    [got] = said(await agent.text(), "watcher", "environment")
    assert (got["OWN"], got["AWS_LAMBDA_FUNCTION_NAME"], got["AWS_REGION"]) == ("1", "hello", "us-east-1")
    kept_back = ("_", "AWS_XRAY_", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")
    assert [name for name in got if name.startswith((*kept_back, "LAMBENT_"))] == []


async def test_the_runtime_starts_when_every_extension_has_registered(function):
    """The function's own code runs last, however slow an extension is."""
    slow = (
        CLIENT
        + "time.sleep(0.3); me, _ = register(); say('registered'); call('GET', 'event/next', Lambda_Extension_Identifier=me)"
    )
    agent, caller, claimed = await function({"slow": slow, "watcher": LOOP}, source="print('imported')\n" + HANDLER)
    assert claimed.error is None
    assert claimed.initMs >= 300
    log = await agent.text()
    assert log.index("slow registered") < log.index("imported")
    assert (await caller.invoke()).error is None


async def test_the_answer_does_not_wait_for_extensions_but_the_end_does(function):
    """The response leaves at once; trailers, REPORT and the next invocation wait."""
    busy = LOOP.replace("    if event", "    time.sleep(0.4)\n    if event")
    _agent, caller, _ = await function({"watcher": busy})
    loop = asyncio.get_running_loop()
    caller.send_invoke("x", request_id="r1")
    begun = loop.time()
    _, body = await caller.head_and_body()
    answered = loop.time()
    end = await caller.event()
    assert body
    assert loop.time() - answered > 0.2
    assert float(end.trailers[names.DURATION_MS_KEY]) >= 400
    assert answered - begun < loop.time() - begun
    assert (await caller.state()).state is State.IDLE


async def test_extensions_stand_still_between_invocations(function):
    """After init and after each invocation, and both are there again for the next."""
    agent, caller, _ = await function({"watcher": LOOP})
    for number in range(3):
        for pid in descendants(agent.process.pid):
            while Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"T":
                await asyncio.sleep(0.002)
        assert (await caller.invoke(request_id=f"r{number}")).error is None
    told = [event["requestId"] for event in said(await agent.text(), "watcher", "event")]
    assert told == ["r0", "r1", "r2"]


async def test_the_timeout_covers_extensions(function):
    """The response stands; the environment is reset, and the reason is told to who still listens."""
    stuck = LOOP.replace("    if event", "    if event['eventType'] == 'INVOKE': time.sleep(1000)\n    if event")
    agent, caller, _ = await function({"stuck": stuck, "watcher": LOOP})
    answer = await caller.invoke("x", request_id="r1", timeout_ms=300)
    assert answer.error is None
    assert answer.trailers[names.STATE_KEY] == b"failed"
    log = await agent.text()
    assert "r1 Task timed out after 0.30 seconds" in log
    assert re.search(r"REPORT RequestId: r1\t.*Status: timeout\t\n", log)
    assert said(log, "watcher", "event")[-1]["shutdownReason"] == "timeout"
    assert "EXTENSION\tName: stuck\tState: ShutdownFailed\tEvents: [INVOKE, SHUTDOWN]\n" in log


async def test_after_a_crash_everything_is_new_and_ready_again(function):
    """Suppressed init starts extensions too."""
    source = "import os\ndef handler(event, context):\n    if event == 'die': os._exit(3)\n    return os.getpid()"
    agent, caller, _ = await function({"watcher": LOOP}, source=source)
    first = (await caller.invoke("x")).json()
    answer = await caller.invoke("die", request_id="r2")
    assert answer.json() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r2 Error: Runtime exited with error: exit status 3",
    }
    assert (await caller.invoke("x", request_id="r3", timeout_ms=20_000)).json() != first
    events = said(await agent.text(), "watcher", "event")
    told = [event.get("requestId", event.get("shutdownReason")) for event in events]
    assert told == ["request-1", "r2", "failure", "r3"]
    assert (await agent.text()).count("watcher registered") == 2


INIT_FAILURES = {
    "exits before it registers": ("sys.exit(7)", "Extension.Crash", "exit status 7"),
    "exits well before it is ready": ("register('INVOKE')\nsys.exit(0)", "Extension.Crash", "exit code 0"),
    "is killed": ("register()\nos.kill(os.getpid(), 9)", "Extension.Crash", "signal: killed"),
    "reports an error and ends": (
        "me, _ = register()\ncall('POST', 'init/error', Lambda_Extension_Identifier=me, Lambda_Extension_Function_Error_Type='Extension.NoKey')\nsys.exit(1)",
        "Extension.InitError",
        "exit status 1",
    ),
    "reports an error and stays": (
        "me, _ = register()\ncall('POST', 'init/error', Lambda_Extension_Identifier=me, Lambda_Extension_Function_Error_Type='Extension.NoKey')\ntime.sleep(1000)",
        "Extension.InitError",
        "Extension.NoKey",
    ),
}


@pytest.mark.parametrize(("source", "error_type", "words"), INIT_FAILURES.values(), ids=INIT_FAILURES)
async def test_an_extension_that_fails_in_init_fails_the_function(function, source, error_type, words):
    """At the claim and in each invocation, with the extension's type; the log names it and the phase."""
    agent, caller, claimed = await function({"bad": CLIENT + source})
    assert (claimed.state, claimed.error) == (State.FAILED, {"errorType": error_type, "errorMessage": words})
    answer = await caller.invoke(request_id="r1", timeout_ms=20_000)
    assert (answer.error, answer.json()) == (
        b"Unhandled",
        {"errorType": error_type, "errorMessage": f"RequestId: r1 Error: {words}"},
    )
    log = await agent.text()
    assert re.search(rf"INIT_REPORT Init Duration: .* ms\tPhase: init\tStatus: error\tError Type: {error_type}\n", log)
    assert re.search(r"EXTENSION\tName: bad\tState: \w+\tEvents: \[.*\]\tError Type: \S+\n", log)
    assert f"RequestId: r1 Error: {words}\n{error_type}\n" in log


async def test_an_extension_that_cannot_be_started_is_a_launch_error(start):
    """Not executable, or no program: Extension.LaunchError, and the runtime is never started."""
    agent = start()
    folder = agent.opt_root / "extensions"
    folder.mkdir()
    (folder / "bad").write_text("no program")
    caller = await agent.connect()
    claimed = await caller.claim(claim_of(zipped({"app.py": "print('imported')\n" + HANDLER})))
    assert claimed.error == {
        "errorType": "Extension.LaunchError",
        "errorMessage": f"fork/exec {folder}/bad: permission denied",
    }
    log = await agent.text()
    assert "EXTENSION\tName: bad\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n" in log
    assert "imported" not in log


async def test_more_than_ten_extensions_are_too_many(function):
    """Lambda's limit; the eleventh is not started."""
    _, _, claimed = await function({f"e{number:02}": "#!/bin/sh\nexec sleep 1000\n" for number in range(11)})
    assert claimed.error == {"errorType": "Extension.LaunchError", "errorMessage": "Extension limit (10) reached"}


IN_INVOKE = {
    "crashes": ("sys.exit(5)", "Extension.Crash", "exit status 5"),
    "reports exit/error": (
        "call('POST', 'exit/error', Lambda_Extension_Identifier=me, Lambda_Extension_Function_Error_Type='Extension.Lost')\n        sys.exit(2)",
        "Extension.ExitError",
        "exit status 2",
    ),
}


@pytest.mark.parametrize(("source", "error_type", "words"), IN_INVOKE.values(), ids=IN_INVOKE)
async def test_an_extension_that_fails_in_an_invocation_fails_it(function, source, error_type, words):
    """The caller who has no response yet gets the extension's error; the next one a new environment."""
    bad = LOOP.replace("    if event", f"    if event.get('requestId') == 'r1':\n        {source}\n    if event")
    slow = "import time, os\ndef handler(event, context):\n    if event == 'slow': time.sleep(100)\n    return 1"
    agent, caller, _ = await function({"bad": bad}, source=slow)
    answer = await caller.invoke("slow", request_id="r1", timeout_ms=20_000)
    assert answer.json() == {"errorType": error_type, "errorMessage": f"RequestId: r1 Error: {words}"}
    assert f"RequestId: r1 Error: {words}\n{error_type}\n" in await agent.text()
    assert (await caller.invoke("x", request_id="r2", timeout_ms=20_000)).json() == 1


async def test_an_extension_that_crashes_in_shutdown_delays_nobody(function):
    """It is named in the log and the environment ends all the same."""
    bad = LOOP.replace("sys.exit(0)", "sys.exit(9)")
    agent, caller, _ = await function({"bad": bad})
    await caller.invoke()
    assert (await caller.call(b"POST", names.DRAIN_PATH)).json() == {"drained": True}
    assert await asyncio.to_thread(agent.process.wait, 20) == 0
    expected = "EXTENSION\tName: bad\tState: ShutdownFailed\tEvents: [INVOKE, SHUTDOWN]\tError Type: Extension.Crash\n"
    assert expected in agent.log()


@pytest.mark.parametrize("extensions", [{"watcher": LOOP}, {}], ids=["with extensions", "without"])
async def test_the_runtime_hears_sigterm_only_where_there_are_extensions(function, extensions):
    """And before they hear SHUTDOWN; without extensions SIGKILL is all."""
    files = {"bootstrap": RUNTIME}
    agent, _, claimed = await function(extensions, files=files, managed=False, runtime="provided.al2023")
    assert claimed.error is None
    agent.process.terminate()
    assert await asyncio.to_thread(agent.process.wait, 20) == 0
    log = agent.log()
    if extensions:
        assert log.index("runtime ends") < log.index('"SHUTDOWN"')
    else:
        assert "runtime ends" not in log


async def test_an_invocation_that_waits_for_an_earlier_end_to_its_timeout_starts_nothing(function):
    """The next one brings up one generation, not two."""
    deaf = LOOP.replace("        sys.exit(0)", "        time.sleep(1000)")
    source = "import os, threading\ndef handler(e, c):\n  threading.Timer(0.05, os._exit, [1]).start(); return 1"
    agent, caller, _ = await function({"deaf": deaf}, source=source, settings={"LAMBENT_FREEZE": "0"})
    await caller.invoke(request_id="r1")
    while (await caller.state()).state is not State.FAILED:
        await asyncio.sleep(0.005)
    assert (await caller.invoke(request_id="r2", timeout_ms=100)).json()["errorType"] == "Sandbox.Timedout"
    assert (await caller.invoke(request_id="r3", timeout_ms=20_000)).json() == 1
    assert (await agent.text()).count("INIT_START") == 2


async def test_a_slow_loris_of_an_extension_holds_up_init_to_its_limit_only(function):
    """It sends half a registration and waits: the init's limit ends it, and an invocation's does."""
    loris = CLIENT + (
        "import socket\nhost, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')\n"
        "s = socket.create_connection((host, int(port)))\n"
        "s.sendall(b'POST /2020-01-01/extension/register HTTP/1.1\\r\\nLambda-Ext'); time.sleep(1000)"
    )
    agent, caller, claimed = await function({"loris": loris}, initTimeoutMs=300)
    assert claimed.error["errorType"] == "Sandbox.Timedout"
    answer = await caller.invoke(request_id="r1", timeout_ms=300)
    assert answer.json()["errorMessage"] == "RequestId: r1 Error: Task timed out after 0.30 seconds"
    assert "INIT_REPORT Init Duration: 3" in await agent.text()

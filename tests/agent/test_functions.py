"""Functions that go right and wrong under the real runtime client: what the caller sees and what the log says."""

import asyncio
import os
import re

import pytest
from tests.agent.driving import claim_of, python, zipped

from lambent.agent.protocol import names
from lambent.agent.protocol.states import State

RAISES = "def handler(event, context): raise KeyError('nothing')"
UNSERIALISABLE = "def handler(event, context): return {1, 2}"
HANDLED = {
    "raises": (RAISES, "KeyError", "'nothing'"),
    "answers what JSON cannot say": (
        UNSERIALISABLE,
        "Runtime.MarshalError",
        "Unable to marshal response: Object of type set is not JSON serializable",
    ),
}


@pytest.mark.parametrize(("source", "error_type", "message"), HANDLED.values(), ids=HANDLED)
async def test_a_handler_error_is_passed_on_and_the_process_lives(start, source, error_type, message):
    """200, Unhandled, the runtime's own body; the environment is idle again and the process the same."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python("import os\nprint('pid', os.getpid())\n" + source))
    for _ in range(2):
        answer = await caller.invoke()
        assert (answer.error, answer.json()["errorType"]) == (b"Unhandled", error_type)
        assert answer.json()["errorMessage"] == message
        assert (await caller.state()).state is State.IDLE
    assert (await agent.text()).count("pid ") == 1
    assert "Status:" not in (await agent.text())


BROKEN = {
    "does not import": ("import nothing_like_this", "Runtime.ImportModuleError", "No module named"),
    "syntax error": ("def handler(event, context) return 1", "Runtime.UserCodeSyntaxError", "Syntax error in module"),
    "no handler": ("x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing"),
    "raises at import": ("raise RuntimeError('no')", "RuntimeError", "no"),
}


@pytest.mark.parametrize(("source", "error_type", "words"), BROKEN.values(), ids=BROKEN)
async def test_an_init_error_fails_the_claim_and_each_invocation(start, source, error_type, words):
    """The claim's answer tells it; every invocation repeats init and is answered with its error (suppressed init)."""
    agent = start()
    caller = await agent.connect()
    claimed = await caller.claim(python(source))
    assert (claimed.state, claimed.error["errorType"]) == (State.FAILED, error_type)
    assert words in claimed.error["errorMessage"]
    assert b"INIT_REPORT Init Duration: " in claimed.log
    for number in range(2):
        answer = await caller.invoke(request_id=f"r{number}")
        assert (answer.status, answer.error, answer.json()["errorType"]) == (200, b"Unhandled", error_type)
        assert answer.trailers[names.STATE_KEY] == b"failed"
        assert float(answer.trailers[names.INIT_MS_KEY]) > 0
        assert (await caller.state()).state is State.FAILED
    assert "Phase: init\tStatus: error" in (await agent.text())
    assert "Phase: invoke\tStatus: error" in (await agent.text())


EXITS = {
    "sys.exit(0)": ("import sys; sys.exit(0)", "Runtime exited without providing a reason"),
    "sys.exit(3)": ("import sys; sys.exit(3)", "Runtime exited with error: exit status 3"),
    "os._exit(7)": ("import os; os._exit(7)", "Runtime exited with error: exit status 7"),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    "SIGSEGV": ("import os; os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
}


@pytest.mark.parametrize(("statement", "words"), EXITS.values(), ids=EXITS)
async def test_an_exit_in_the_handler_is_an_exit_error(start, statement, words):
    """Noticed at once, said as Lambda says it, and the next invocation runs in a fresh process."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(f"def handler(event, context):\n    if event: {statement}\n    return 'fine'"))
    assert (await caller.invoke()).json() == "fine"
    answer = await caller.invoke({"exit": 1}, request_id="the-id", timeout_ms=60_000)
    assert answer.error == b"Unhandled"
    assert answer.json() == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: the-id Error: {words}"}
    assert answer.trailers[names.STATE_KEY] == b"failed"
    assert f"RequestId: the-id Error: {words}\nRuntime.ExitError\nEND RequestId: the-id\n" in (await agent.text())
    assert "Status: error\tError Type: Runtime.ExitError\t\n" in (await agent.text())
    again = await caller.invoke()
    assert (again.error, again.json()) == (None, "fine")
    assert float(again.trailers[names.INIT_MS_KEY]) > 0


@pytest.mark.parametrize(("statement", "words"), list(EXITS.values())[:3], ids=list(EXITS)[:3])
async def test_an_exit_at_init_is_an_exit_error(start, statement, words):
    """At the claim without a request id, in the invocation with it."""
    caller = await start().connect()
    claimed = await caller.claim(python(statement))
    assert (claimed.error["errorType"], claimed.error["errorMessage"]) == ("Runtime.ExitError", words)
    answer = await caller.invoke(request_id="r1")
    assert answer.json() == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: r1 Error: {words}"}


HANGS = """
import os, pathlib, subprocess, time
START = time.monotonic()
def handler(event, context):
    folder = pathlib.Path(event["folder"])
    kept = (folder / "kept").exists()
    (folder / "kept").write_text("still here")
    if event.get("hang"):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        child = subprocess.Popen("setsid sleep 2000 & echo $!", shell=True, stdout=subprocess.PIPE)
        (folder / "pids").write_text(f"{os.getpid()} {child.stdout.readline().decode()}")
        print("no newline at the end", end="", flush=True)
        time.sleep(100)
    return {"pid": os.getpid(), "kept": kept}
"""


async def test_a_timeout_kills_everything_and_tmp_survives(start, tmp_path):
    """Lambda's payload and lines; survivors are gone when the caller hears; the next one runs in a new process."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(HANGS))
    event = {"folder": str(tmp_path)}
    first = (await caller.invoke(event)).json()
    caller.send_invoke({**event, "hang": True}, request_id="slow", timeout_ms=700, Lambent_Log_Type="Tail")
    head, body = await caller.head_and_body()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    trailers = (await caller.event()).trailers
    assert head.headers[names.FUNCTION_ERROR_KEY] == b"Unhandled"
    assert body == (
        b'{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: slow Error: Task timed out after 0.70 seconds"}'
    )
    assert trailers[names.STATE_KEY] == b"failed"
    assert (trailers[names.DURATION_MS_KEY], trailers[names.BILLED_MS_KEY]) == (b"700.000", b"700")
    line = r"no newline at the end\n20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z slow Task timed out after 0\.70 seconds\n\n"
    assert re.search(line + r"END RequestId: slow\nREPORT RequestId: slow\tDuration: 700\.00 ms\t", await agent.text())
    assert "Status: timeout\t\n" in (await agent.text())
    second = (await caller.invoke(event)).json()
    assert second["kept"] is True
    assert second["pid"] != first["pid"]


async def test_an_init_that_hangs_is_ended_and_repeated_inside_the_invocation(start):
    """The claim fails at the init limit; the invocation's own timeout then covers its init."""
    caller = await start().connect()
    claimed = await caller.claim(python("import time; time.sleep(60)", initTimeoutMs=400))
    assert (claimed.state, claimed.error["errorType"]) == (State.FAILED, "Sandbox.Timedout")
    assert b"Phase: init\tStatus: timeout\n" in claimed.log
    answer = await caller.invoke(request_id="r1", timeout_ms=500)
    assert answer.json()["errorMessage"] == "RequestId: r1 Error: Task timed out after 0.50 seconds"


async def test_a_suppressed_init_may_succeed(start, tmp_path):
    """A function whose first init failed works in the next invocation; that init is in the duration, not beside it."""
    marker = tmp_path / "marker"
    source = f"""
import os
if not os.path.exists({str(marker)!r}):
    open({str(marker)!r}, "w").close()
    raise RuntimeError("the first time")
def handler(event, context): return "up"
"""
    agent = start()
    caller = await agent.connect()
    assert (await caller.claim(python(source))).state is State.FAILED
    answer = await caller.invoke(timeout_ms=20_000)
    assert (answer.json(), answer.error) == ("up", None)
    assert float(answer.trailers[names.INIT_MS_KEY]) < float(answer.trailers[names.DURATION_MS_KEY])
    assert int(answer.trailers[names.BILLED_MS_KEY]) - float(answer.trailers[names.DURATION_MS_KEY]) < 1
    assert "Init Duration: " not in (await agent.text()).split("REPORT")[-1]
    assert (await caller.state()).state is State.IDLE


async def test_an_answer_over_the_limit_is_an_error_of_the_function(start):
    """6,291,556 bytes pass; one more is Function.ResponseSizeTooLarge, and the environment is usable afterwards."""
    caller = await start().connect()
    await caller.claim(python("def handler(event, context): return 'x' * event"))
    assert len((await caller.invoke(6_291_554, timeout_ms=20_000)).body) == 6_291_556
    answer = await caller.invoke(6_291_555, timeout_ms=20_000)
    assert answer.error == b"Unhandled"
    assert answer.body == (
        b'{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).",'
        b'"errorType":"Function.ResponseSizeTooLarge"}'
    )
    assert (await caller.invoke(1, timeout_ms=20_000)).json() == "x"


async def test_a_response_stands_when_the_process_dies_after_it(start):
    """The caller has the answer; the trailers say that the environment failed."""
    source = """
import os, threading
def handler(event, context):
    from awslambdaric import lambda_runtime_client as client
    original = client.BaseLambdaRuntimeClient.wait_next_invocation
    client.BaseLambdaRuntimeClient.wait_next_invocation = lambda self: os._exit(5)
    return "posted"
"""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(source))
    answer = await caller.invoke()
    assert (answer.json(), answer.error) == ("posted", None)
    assert answer.trailers[names.STATE_KEY] == b"failed"
    assert "exit status 5" in (await agent.text())


async def test_a_disconnecting_caller_does_not_stop_the_handler(start, tmp_path):
    """As in Lambda: the result is dropped and the environment is idle afterwards."""
    agent = start()
    caller = await agent.connect()
    done = tmp_path / "done"
    await caller.claim(python(f"import time\ndef handler(e, c):\n  time.sleep(0.3); open({str(done)!r}, 'w').close()"))
    caller.send_invoke()
    other = await agent.connect()
    while (await other.state()).state is not State.BUSY:
        await asyncio.sleep(0.005)
    await caller.close()
    while (await other.state()).state is State.BUSY:
        await asyncio.sleep(0.01)
    assert done.exists()
    assert (await other.invoke()).error is None


async def test_the_runtime_learns_who_it_is(start, monkeypatch):
    """Lambda's variables, the function's own, and no way to override reserved ones or to see the agent's."""
    source = "import os\ndef handler(event, context):\n  return [dict(os.environ), os.getcwd(), context.aws_request_id, context.get_remaining_time_in_millis(), context.invoked_function_arn, context.client_context.custom, context.identity.cognito_identity_id]"
    agent = start()
    caller = await agent.connect()
    own = {"COLOUR": "grün", "AWS_REGION": "mars", "_X": "1", "LAMBENT_TOKEN_SHA256": "x", "TZ": "Europe/Zurich"}
    await caller.claim(python(source, env=own, region="eu-central-2", memoryMb=512, version="7"))
    answer = await caller.invoke(
        Lambent_Arn="arn:aws:lambda:eu-central-2:123456789012:function:hello:live",
        Lambent_Trace_Id="Root=1-5759e988-bd862e3fe1be46a994272793",
        Lambent_Client_Context="eyJjdXN0b20iOiB7ImEiOiAxfX0=",
        Lambent_Cognito_Identity='{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}',
    )
    variables, folder, request_id, remaining, arn, custom, identity = answer.json()
    expected = {
        "COLOUR": "grün",
        "TZ": "Europe/Zurich",
        "_HANDLER": "app.handler",
        "AWS_REGION": "eu-central-2",
        "AWS_DEFAULT_REGION": "eu-central-2",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "AWS_LAMBDA_FUNCTION_NAME": "hello",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/hello",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{agent.runtime_port}",
        "LAMBDA_TASK_ROOT": str(agent.task_root),
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}", variables["AWS_LAMBDA_LOG_STREAM_NAME"])
    assert not [name for name in variables if name.startswith("LAMBENT") or name == "_X"]
    assert (folder, request_id) == (str(agent.task_root), "request-1")
    assert 0 < remaining <= 3000
    assert arn.endswith(":live")
    assert (custom, identity) == ({"a": 1}, "id")


LATE = {
    "PYTHONHASHSEED needs a new interpreter": ({"PYTHONHASHSEED": "0"}, "hash('lambda') == {hash}"),
    "PYTHONOPTIMIZE needs a new interpreter": ({"PYTHONOPTIMIZE": "1"}, "not __debug__"),
    "TZ is applied to the waiting one": ({"TZ": "XYZ-7"}, "__import__('time').localtime(0).tm_hour == 7"),
    "JSON logs are applied to the waiting one": (
        {},
        "type(__import__('logging').getLogger().handlers[0].formatter).__name__ == 'JsonFormatter'",
    ),
}


@pytest.mark.parametrize(("env", "truth"), LATE.values(), ids=LATE)
async def test_variables_work_although_the_interpreter_was_there_first(start, env, truth):
    """What cannot be applied to a waiting interpreter makes it execute itself afresh."""
    caller = await start().connect()
    if "{hash}" in truth:
        import subprocess
        import sys

        seeded = subprocess.run(
            [sys.executable, "-c", "print(hash('lambda'))"],
            env={"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
        truth = truth.format(hash=seeded.stdout.strip())
    logging = {} if env else {"logFormat": "JSON", "applicationLogLevel": "DEBUG"}
    claimed = await caller.claim(python(f"def handler(event, context): return {truth}", env=env, logging=logging))
    assert claimed.error is None, claimed
    assert (await caller.invoke()).body == b"true"


async def test_a_wrapper_script_wraps_the_runtime(start):
    """AWS_LAMBDA_EXEC_WRAPPER gets the runtime's command as arguments; a missing one exits with 127."""
    files = {
        "app.py": "import os\ndef handler(event, context): return os.environ['WRAPPED']",
        "wrap": '#!/bin/sh\nWRAPPED=yes exec "$@"\n',
    }
    agent, broken = start(), start()
    caller = await agent.connect()
    code = zipped(files, ("wrap",))
    await caller.claim(claim_of(code, env={"AWS_LAMBDA_EXEC_WRAPPER": f"{agent.task_root}/wrap"}))
    assert (await caller.invoke()).json() == "yes"
    claimed = await (await broken.connect()).claim(claim_of(code, env={"AWS_LAMBDA_EXEC_WRAPPER": "/no/such"}))
    assert claimed.error["errorMessage"] == "Runtime exited with error: exit status 127"


async def test_the_task_root_cannot_be_written(start):
    """/var/task is read-only as far as a process of the same user allows (root in these tests may write anyway)."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(claim_of(zipped({"app.py": "def handler(e, c): return 1", "lib/data.txt": "x"})))
    modes = [os.stat(agent.task_root / name).st_mode & 0o777 for name in (".", "lib", "app.py", "lib/data.txt")]
    assert modes == [0o555, 0o555, 0o444, 0o444]


async def test_an_idle_runtime_that_dies_is_replaced_in_the_next_invocation(start):
    """Nobody waits for it, so nobody hears an error."""
    source = (
        "import os, threading\ndef handler(e, c):\n  threading.Timer(0.1, os._exit, [1]).start(); return os.getpid()"
    )
    caller = await start(LAMBENT_FREEZE="0").connect()  # or it would not live to die
    await caller.claim(python(source))
    first = (await caller.invoke()).json()
    while (await caller.state()).state is not State.FAILED:
        await asyncio.sleep(0.01)
    answer = await caller.invoke()
    assert answer.error is None
    assert answer.json() != first


async def test_an_orphan_ends_itself(start):
    """A claimed environment that no owner speaks to exits; one that is spoken to does not."""
    agent = start(LAMBENT_ORPHAN_SECONDS="1")
    caller = await agent.connect()
    await caller.claim(python("def handler(e, c): return 1"))
    for _ in range(6):
        await asyncio.sleep(0.3)
        assert (await caller.invoke()).json() == 1
    assert await asyncio.to_thread(agent.process.wait, 20) == 0


async def test_sigterm_drains(start):
    """What the kubelet sends: the invocation finishes, the process exits with 0."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python("import time\ndef handler(e, c): time.sleep(0.3); return 'finished'"))
    caller.send_invoke()
    other = await agent.connect()
    while (await other.state()).state is not State.BUSY:
        await asyncio.sleep(0.005)
    agent.process.terminate()
    assert (await caller.answer()).json() == "finished"
    assert await asyncio.to_thread(agent.process.wait, 10) == 0

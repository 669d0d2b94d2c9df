"""Container images: what the agent starts, with what, and Lambda's words when it cannot."""

import json
import sys

import pytest
from tests.agent.driving import ROOT, claim_of

from lambent.agent.protocol.states import State

PROGRAM = """#!/usr/bin/python3 -IS
import http.client, json, os, sys
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/" + path, body)
    answer = api.getresponse()
    return answer.headers, answer.read()
signals = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if line.startswith("Sig"))
seen = {"arguments": sys.argv, "folder": os.getcwd(), "env": dict(os.environ), "signals": signals}
while True:
    headers, event = call("GET", "invocation/next")
    call("POST", "invocation/%s/response" % headers["Lambda-Runtime-Aws-Request-Id"], json.dumps(seen))
"""


@pytest.fixture
def image(tmp_path):
    """A folder as an image might have it."""
    folder = tmp_path / "image"
    (folder / "bin").mkdir(parents=True)
    for name, text, mode in (
        ("bin/program", PROGRAM, 0o755),
        ("not-executable", PROGRAM, 0o644),
        ("no-format", "\x7fELF nonsense", 0o755),
        ("no-interpreter", "#!/no/such\n", 0o755),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    return folder


@pytest.fixture
def begin(start, image):
    """Starts an agent for an image: `begin(command, folder, **environment)`."""

    def begin(command, folder=None, **environment):
        told = {"LAMBENT_COMMAND": json.dumps(command), "LAMBENT_WORKING_DIRECTORY": folder or str(image)}
        return start(managed=False, PATH=f"{image}/bin:/usr/bin:/bin", **told, **environment)

    return begin


def claim(**changes):
    """As a gateway claims for an image: no code, no runtime, no handler."""
    return claim_of(None, **{"runtime": "", "handler": "", **changes})


async def seen(agent, **changes):
    caller = await agent.connect()
    claimed = await caller.claim(claim(**changes))
    assert (claimed.state, claimed.error) == (State.IDLE, None), claimed
    return (await caller.invoke()).json()


WAYS = {
    "an absolute path": lambda image: f"{image}/bin/program",
    "a path relative to the working directory": lambda image: "bin/program",
    "a bare name on the PATH": lambda image: "program",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_entrypoint_and_cmd_are_started(begin, image, way):
    """In the working directory, with the arguments, and the last one as _HANDLER."""
    program = way(image)
    got = await seen(begin([program, "-x", "app.handler"]))
    assert got["arguments"][1:] == ["-x", "app.handler"]
    assert got["folder"] == str(image)
    assert got["env"]["_HANDLER"] == "app.handler"


async def test_a_program_alone_has_no_handler(begin):
    """Lambda takes the last argument, when there is one."""
    assert (await seen(begin(["program"])))["env"]["_HANDLER"] == ""


async def test_the_path_is_the_functions(begin, image):
    """A function's own PATH says where a bare name is found."""
    (image / "bin/program").rename(image / "elsewhere")
    (image / "own").mkdir()
    (image / "elsewhere").rename(image / "own/program")
    got = await seen(begin(["program"]), env={"PATH": f"{image}/own:/usr/bin:/bin"})
    assert got["env"]["PATH"].startswith(f"{image}/own")


async def test_the_images_environment_reaches_the_function(begin):
    """Below Lambda's; without ours and without what the kubelet adds to every container."""
    agent = begin(
        ["program"],
        LD_LIBRARY_PATH="/image/lib",
        GREETING="grüezi",
        TZ="Europe/Zurich",
        AWS_REGION="mars",
        KUBERNETES_SERVICE_HOST="10.96.0.1",
        KUBERNETES_PORT_443_TCP="tcp://10.96.0.1:443",
        KUBERNETES_OWN="the image's",
        LAMBENT_VARIABLE_PASSWORD="geheim",
        LAMBENT_VARIABLE_AWS_SECRET_ACCESS_KEY="no",
        LAMBENT_OTHER="x",
    )
    got = (await seen(agent, env={"OWN": "1", "GREETING_2": "2"}, region="eu-central-2"))["env"]
    expected = {
        "LD_LIBRARY_PATH": "/image/lib",
        "GREETING": "grüezi",
        "TZ": "Europe/Zurich",
        "AWS_REGION": "eu-central-2",
        "KUBERNETES_OWN": "the image's",
        "PASSWORD": "geheim",
        "OWN": "1",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{agent.runtime_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "hello",
    }
    assert {name: got.get(name) for name in expected} == expected
    hidden = ("LAMBENT_", "KUBERNETES_SERVICE", "KUBERNETES_PORT")
    assert [name for name in got if name.startswith(hidden)] == []
    assert "AWS_SECRET_ACCESS_KEY" not in got
    assert "AWS_EXECUTION_ENV" not in got


async def test_a_managed_runtime_gets_referred_variables_too(start):
    """LAMBENT_VARIABLE_<NAME> is <NAME>, like a variable of the claim."""
    from tests.agent.driving import python

    caller = await start(LAMBENT_VARIABLE_PASSWORD="geheim").connect()
    await caller.claim(python("import os\ndef handler(e, c): return os.environ.get('PASSWORD')"))
    assert (await caller.invoke()).json() == "geheim"


async def test_a_function_starts_with_ordinary_signals(begin):
    """What the agent blocks and ignores for itself is neither blocked nor ignored in its child."""
    signals = (await seen(begin(["program"])))["signals"]
    assert int(signals["SigBlk"], 16) == 0
    the_programs_own = (1 << 12) | (1 << 24)  # SIGPIPE and SIGXFSZ, by its interpreter
    the_c_librarys = (1 << 31) | (1 << 32)  # posix_spawn's, for the two signals that glibc keeps for itself
    assert int(signals["SigIgn"], 16) & ~the_programs_own & ~the_c_librarys == 0


CANNOT = {
    "no such file": (["/no/such", "x"], None, "fork/exec /no/such: no such file or directory"),
    "permission denied": (["./not-executable"], None, "fork/exec ./not-executable: permission denied"),
    "exec format error": (["./no-format"], None, "fork/exec ./no-format: exec format error"),
    "no interpreter": (["./no-interpreter"], None, "fork/exec ./no-interpreter: no such file or directory"),
    "nowhere on the PATH": (
        ["bash-that-is-not-there"],
        None,
        "Couldn't find valid bootstrap(s): [bash-that-is-not-there]",
    ),
    "nothing to start": ([], None, "Couldn't find valid bootstrap(s): []"),
}


@pytest.mark.parametrize(("command", "folder", "words"), CANNOT.values(), ids=CANNOT)
async def test_an_image_that_cannot_start_says_why(begin, command, folder, words):
    """Runtime.InvalidEntrypoint at the claim and in each invocation; the log says what was tried."""
    agent = begin(command, folder)
    caller = await agent.connect()
    claimed = await caller.claim(claim())
    assert claimed.error == {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": words}
    for _ in range(2):
        answer = await caller.invoke(request_id="r1")
        assert answer.json() == {
            "errorType": "Runtime.InvalidEntrypoint",
            "errorMessage": f"RequestId: r1 Error: {words}",
        }
    assert f"IMAGE\tLaunch error: {words}\tEntrypoint and Cmd: [{' '.join(command)}]\t" in await agent.text()


FOLDERS = {
    "is not there": ("/no/such", "chdir /no/such: no such file or directory"),
    "is a file": ("/etc/passwd", "chdir /etc/passwd: not a directory"),
    "is relative": ("here", "the working directory 'here' is invalid, it needs to be an absolute path"),
}


@pytest.mark.parametrize(("folder", "words"), FOLDERS.values(), ids=FOLDERS)
async def test_a_working_directory_that_cannot_be_entered_is_named(begin, folder, words):
    """Runtime.InvalidWorkingDir, and not a word about the program."""
    claimed = await (await begin(["program"], folder).connect()).claim(claim())
    assert claimed.error == {"errorType": "Runtime.InvalidWorkingDir", "errorMessage": words}


EXITS = {
    "at once, well": (["true"], "Runtime exited without providing a reason"),
    "at once, badly": (["sh", "-c", "exit 3"], "Runtime exited with error: exit status 3"),
    "AWS's entry point without a handler": (
        ["sh", str(ROOT / "examples/images/aws-base/lambda-entrypoint.sh")],
        "Runtime exited with error: exit status 142",
    ),
}


@pytest.mark.parametrize(("command", "words"), EXITS.values(), ids=EXITS)
async def test_an_entrypoint_that_exits_is_an_exit_error(begin, command, words):
    """At the claim and in each invocation, at once and not at the init limit."""
    agent = begin(command)
    caller = await agent.connect()
    claimed = await caller.claim(claim())
    assert claimed.error == {"errorType": "Runtime.ExitError", "errorMessage": words}
    answer = await caller.invoke(request_id="r1", timeout_ms=60_000)
    assert answer.json() == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: r1 Error: {words}"}


@pytest.mark.parametrize("command", ["nonsense", "{}", "[1]", '"sh"', '["a\\u0000b"]'])
def test_a_command_that_makes_no_sense_ends_the_agent(command, tmp_path):
    """With one line that names the variable; the controller writes it, so nobody else has to read it."""
    import subprocess

    environment = {"LAMBENT_TOKEN_SHA256": "0" * 64, "LAMBENT_COMMAND": command, "PYTHONPATH": str(ROOT / "operator")}
    ended = subprocess.run(
        [sys.executable, "-m", "lambent.agent"], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "lambent: LAMBENT_COMMAND must be a JSON list of strings\n")

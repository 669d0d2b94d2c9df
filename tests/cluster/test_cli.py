"""The command line as a person uses it: through the real API server, with client certificates, on real environments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from driving import eventually

from lambent.cli.outcomes import ExitCode

ROOT = Path(__file__).resolve().parents[2]
ECHO = """
def handler(event, context):
    print("got", event)
    if event == "fail":
        raise KeyError("nothing here")
    return event
"""


@dataclass
class Done:
    code: int
    out: bytes
    err: str


class Shell:
    """Runs `lambent` as a process of its own."""

    def __init__(self, release, namespace):
        # a proxy of the machine is not the way to the cluster
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LAMBENT_")}
        self.environment = {
            **inherited,
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": release.cluster.kubeconfig,
            "LAMBENT_SYSTEM_NAMESPACE": release.namespace,
        }
        self.command = [sys.executable, "-m", "lambent", "--namespace", namespace]

    def start(self, *arguments, **how):
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        return subprocess.Popen([*self.command, *arguments], env=self.environment, **pipes)

    def run(self, *arguments, stdin=None):
        started = self.start(*arguments, **({"stdin": subprocess.PIPE} if stdin is not None else {}))
        out, err = started.communicate(stdin, timeout=120)
        return Done(started.returncode, out, err.decode())

    def invoke(self, *arguments, stdin=None):
        return self.run("invoke", "--service-account", "tester", *arguments, stdin=stdin)


@pytest.fixture
def shell(driver, release, token) -> Shell:
    """`token` makes the service account `tester`, who may invoke."""
    return Shell(release, driver.namespace)


@pytest.fixture
def echo(driver) -> str:
    return driver.function(ECHO)


def test_a_payload_comes_back_through_the_api_server(shell, echo):
    """By argument, standard input and file; byte for byte, with Lambda's largest body."""
    assert shell.invoke(echo, '{"a": 1}').out == b'{"a": 1}'
    assert shell.invoke(f"{shell.command[-1]}/{echo}", stdin=b"[1, 2]").out == b"[1, 2]"


def test_lambdas_largest_payload_passes_every_time(shell, echo, tmp_path):
    """The API server has no smaller limit, and its proxy cuts nothing off."""
    payload = b'"' + b"x" * (5 * 1024 * 1024) + b'"'
    (tmp_path / "event").write_bytes(payload)
    for _ in range(10):
        done = shell.invoke(echo, "--file", str(tmp_path / "event"))
        assert (done.code, done.err, len(done.out)) == (0, "", len(payload))


def test_the_outcome_is_the_exit_code(shell, echo):
    """A failing function, a function that is not there, a payload that is none."""
    failed = shell.invoke(echo, '"fail"')
    assert (failed.code, failed.out) == (ExitCode.FUNCTION_FAILED, b"")
    assert failed.err.startswith("error: the function failed: KeyError: 'nothing here'\n")
    missing = shell.invoke("no-such-function", "{}")
    assert missing.code == ExitCode.NOT_FOUND
    assert missing.err.startswith("error: ResourceNotFoundException: Function not found: arn:aws:lambda:")
    assert shell.invoke(echo, "{").code == ExitCode.USAGE


def test_log_tail_and_json_tell_of_the_invocation(shell, echo):
    """START to REPORT on standard error; the same facts as JSON."""
    tailed = shell.invoke(echo, "1", "--log-tail")
    assert (tailed.out, tailed.err.split()[0]) == (b"1", "START")
    assert "got 1" in tailed.err
    facts = json.loads(shell.invoke(echo, "2", "-o", "json").out)
    assert (facts["statusCode"], facts["executedVersion"], facts["payload"]) == (200, "$LATEST", 2)
    assert f"REPORT RequestId: {facts['requestId']}" in facts["log"]


def test_who_may_not_invoke_is_told_the_binding_that_helps(shell, echo, cluster):
    """The default service account has no rights; the printed command gives them."""
    done = shell.run("invoke", echo, "{}")
    assert done.code == ExitCode.DENIED
    advice = done.err.splitlines()[1]
    command = advice.removeprefix("to allow it: kubectl ")
    assert command != advice
    cluster.run_kubectl(*command.split(), "--dry-run=server")
    assert "-invoker" in command
    assert f"--serviceaccount={shell.command[-1]}:default" in command


def test_one_requests_lines_are_found_again(shell, echo):
    """By its id, from START to REPORT."""
    for event in ("1", "2", "3"):
        facts = json.loads(shell.invoke(echo, event, "-o", "json").out)
        if event == "2":
            wanted = facts["requestId"]
    found = eventually(lambda: shell.run("logs", echo, "--request-id", wanted))
    lines = found.out.decode().splitlines()
    assert found.code == 0
    assert lines[0].startswith(f"START RequestId: {wanted}")
    assert "got 2" in lines
    assert lines[-1].startswith(f"REPORT RequestId: {wanted}")


def test_logs_are_followed_into_environments_that_come_later(shell, driver):
    """Two at the same time need two environments; Ctrl-C ends it in silence."""
    name = driver.function("import time\ndef handler(event, context):\n    print('event', event)\n    time.sleep(3)\n")
    following = shell.start("logs", name, "--follow", "--prefix")
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(line.decode() for line in following.stdout), daemon=True)
    reader.start()
    time.sleep(1)
    both = [shell.start("invoke", "--service-account", "tester", name, event) for event in ("1", "2")]
    assert [each.wait(60) for each in both] == [0, 0]
    eventually(lambda: len({line.split()[0] for line in lines if "event" in line}) == 2)
    eventually(lambda: sum("REPORT" in line for line in lines) == 2)
    following.send_signal(signal.SIGINT)
    assert following.wait(30) == ExitCode.INTERRUPTED
    assert following.stderr.read() == b""


def test_top_shows_what_runs_now(shell, driver):
    """A request in flight is concurrency 1, in the gateway's own figures."""
    name = driver.function("import time\ndef handler(event, context):\n    time.sleep(event)\n    return 1\n")
    assert shell.invoke(name, "0").code == 0
    running = shell.start("invoke", "--service-account", "tester", name, "8")

    def seen():
        rows = json.loads(shell.run("top", "-o", "json", "--interval", "500ms").out or b"[]")
        return [row for row in rows if row["function"] == name and row["running"] == 1]

    [row] = eventually(seen, 8)
    assert (row["idle"], row["starting"]) == (0, 0)
    assert running.wait(60) == 0


def test_get_prints_what_kubectl_prints(shell, echo, cluster):
    """The server's own columns; only the age may differ by a second."""
    ours = [line.split()[:-1] for line in shell.run("get", echo).out.decode().splitlines()]
    theirs = cluster.run_kubectl("get", "fn", echo, "-n", shell.command[-1]).splitlines()
    assert ours == [line.split()[:-1] for line in theirs]
    assert json.loads(shell.run("get", echo, "-o", "json").out)["metadata"]["name"] == echo
    assert shell.run("get", "no-such-function").code == ExitCode.NOT_FOUND


def test_version_lists_the_release(shell, release):
    """Every process with its image."""
    found = json.loads(shell.run("version", "-o", "json").out)
    assert {each["process"] for each in found["processes"]} >= {"controller", "gateway", "codestore"}
    assert {each["namespace"] for each in found["processes"]} == {release.namespace}


def test_kubectl_finds_its_plugin(shell, echo, cluster, tmp_path):
    """`kubectl lambent get` runs `kubectl-lambent` from PATH, which calls itself by that name."""
    plugin = tmp_path / "kubectl-lambent"
    plugin.write_text(f"#!{sys.executable}\nimport sys\nfrom lambent.__main__ import main\nsys.exit(main())\n")
    plugin.chmod(0o755)
    environment = {**shell.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = cluster.kubectl_command("lambent", "get", echo, "-n", shell.command[-1], "-o", "name")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"function.lambent.dev/{echo}\n")
    command = cluster.kubectl_command("lambent", "get", "--help")
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.startswith(
        "Usage: kubectl lambent get"
    )

"""From the shell to an exit code: names, interruptions, pipes, and what is not imported."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lambent.cli import commands, entering
from lambent.cli.outcomes import ExitCode


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/lambent", "lambent"),
        ("/usr/bin/kubectl-lambent", "kubectl lambent"),
        ("C:/kubectl-lambent.exe", "kubectl lambent"),
        ("/x/lambent/__main__.py", "lambent"),
    ],
)
def test_the_program_is_called_as_the_person_calls_it(path, name):
    """kubectl runs its plugin by another name."""
    assert entering.program_name(path) == name


def test_as_a_plugin_the_help_says_kubectl(kubeconfig, capfd):
    """So that its examples can be typed."""
    assert entering.run(["get", "--help"], "kubectl lambent") == 0
    assert capfd.readouterr().out.startswith("Usage: kubectl lambent get")


def test_no_arguments_show_the_help_and_are_a_usage_error(cli):
    """On standard error, as nobody asked for it."""
    done = cli()
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "Commands:" in done.err


def test_ctrl_c_is_silent(cluster, process):
    """Exit code 130, as the shell expects."""
    function = cluster.function("hello")
    cluster.environment("hello-x-aaaaa", function, ["2026-01-01T00:00:01Z a"], still_writing=True)
    started = process("logs", "hello", "-f")
    assert started.stdout.readline() == b"a\n"
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == ExitCode.INTERRUPTED
    assert started.stderr.read() == b""


def test_a_broken_pipe_is_silent(cluster, process):
    """`lambent logs hello | head -1`."""
    lines = [f"2026-01-01T00:00:01Z {'x' * 200}" for _ in range(20_000)]
    cluster.environment("hello-x-aaaaa", cluster.function("hello"), lines)
    started = process("logs", "hello")
    started.stdout.readline()
    started.stdout.close()
    assert started.wait(60) == ExitCode.BROKEN_PIPE
    assert started.stderr.read() == b""


def test_what_is_piped_in_is_the_payload(cluster, process):
    """A real pipe, to a process of its own."""
    cluster.release()
    started = process("invoke", "hello", stdin=subprocess.PIPE)
    out, err = started.communicate(b'{"piped": true}', 60)
    assert (started.returncode, out, err) == (0, b'{"piped": true}', b"")


def test_a_closed_standard_input_is_no_payload(cluster, process):
    """As in a cron job."""
    cluster.release()
    started = process("invoke", "hello", stdin=subprocess.DEVNULL)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (0, b"null", b"")


HEAVY = ("kubernetes", "aiohttp", "kopf", "pydantic", "asyncio", "yaml", "prometheus_client", "botocore")


def imported(arguments):
    """Top-level modules after running `lambent` with these arguments."""
    script = (
        "import sys\n"
        f"sys.argv = ['lambent', *{arguments!r}]\n"
        "import lambent.__main__ as entry\n"
        "import contextlib, io\n"
        "import importlib as real\n"
        "def stop(name):\n"
        "    if name.endswith('.process'): raise SystemExit\n"
        "    return load(name)\n"
        "load, real.import_module = real.import_module, stop\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    with contextlib.suppress(SystemExit): entry.main()\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="operator")
    return set(eval(done.stdout))


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in commands.COMMANDS if name != "top")])
def test_help_imports_nothing_heavy(arguments):
    """It comes at once: the Kubernetes library alone would take half a second."""
    assert not imported(arguments) & set(HEAVY)


def test_the_overview_needs_not_even_http():
    """Only what prints it."""
    assert not imported(["--help"]) & {"http", "ssl", "email"}


@pytest.mark.parametrize("process_name", ["controller", "gateway", "codestore"])
def test_processes_are_started_without_the_command_line(process_name):
    """They live for weeks and need no click."""
    assert "click" not in imported([process_name])

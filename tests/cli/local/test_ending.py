"""Nothing stays: whoever ends the command line ends every process of the function."""

from __future__ import annotations

import os
import select
import shutil
import signal

import pytest

from lambent.cli.outcomes import ExitCode

FORKS = """
    import os, subprocess, time
    def handler(event, context):
        away = subprocess.Popen(["sleep", "600"], start_new_session=True)
        os.write(1, b"pids %d %d\\n" % (os.getpid(), away.pid))
        time.sleep(event.get("seconds", 60))
"""


def started(process, project, event):
    """A run that has got as far as to have forked; and the processes of the function, as descriptors."""
    project.python(FORKS)
    run = process("local", "invoke", "-f", str(project.manifest), "--timeout", "60s", "-e", event)
    for line in run.stderr:
        if line.startswith(b"pids "):
            return run, [os.pidfd_open(int(pid)) for pid in line.split()[1:]]
    raise AssertionError("the function did not start")


def ended(descriptors):
    """Waits for every one of them to end."""
    for each in descriptors:
        assert select.select([each], [], [], 60)[0]
        os.close(each)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(process, project, number):
    """Ctrl-C and kill: also what has left the session and the process group."""
    run, descriptors = started(process, project, "{}")
    run.send_signal(number)
    assert run.wait(60) == ExitCode.INTERRUPTED
    assert ended(descriptors)


def test_the_agent_ends_when_the_command_line_is_killed(process, project, temporary):
    """It finishes the invocation and drains. Only the folder stays: nobody is left to remove it."""
    run, descriptors = started(process, project, '{"seconds": 0.5}')
    run.kill()
    assert ended(descriptors)
    (folder,) = temporary.iterdir()
    (folder / "task").chmod(0o755)
    shutil.rmtree(folder)


def test_a_function_that_daemonises_is_ended_after_its_answer(process, project):
    """As a shutdown on Lambda ends all processes."""
    run, descriptors = started(process, project, '{"seconds": 0}')
    assert run.wait(60) == 0
    assert ended(descriptors)

"""The agent's process on this machine: its start, what it writes, and its end with everything below it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import lambent
from lambent.cli.outcomes import CommandFailed, ExitCode

Sink = Callable[[bytes], None]

_PROGRAM = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
if os.getppid() != int(sys.argv[1]): sys.exit(0)
sys.path.insert(0, sys.argv[2])
from lambent.agent.__main__ import main
sys.exit(main())
"""
"""Asks the kernel for SIGTERM when the command line is killed (PR_SET_PDEATHSIG); it may have been already."""
_END_SECONDS = 10.0


class Agent:
    """One agent with ports of its own; `sink` gets what agent and function write, in whole lines, in a thread."""

    def __init__(self, settings: Mapping[str, str], sink: Sink) -> None:
        """Returns once it runs, before it listens.

        Raises:
            CommandFailed: it cannot be started.
        """
        self.token = secrets.token_urlsafe(32)
        self._ready, writer = os.pipe()
        root = str(Path(lambent.__file__).resolve().parents[1])
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(os.getpid()), root]
        environment = {
            "LAMBENT_TOKEN_SHA256": hashlib.sha256(self.token.encode()).hexdigest(),
            "LAMBENT_AGENT_HOST": "127.0.0.1",
            "LAMBENT_AGENT_PORT": "0",
            "LAMBENT_RUNTIME_PORT": "0",
            "LAMBENT_READY_FD": str(writer),
            **settings,
        }
        try:
            # A session of its own: the terminal's Ctrl-C is for the command line, which then ends the agent.
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._ready)
            raise CommandFailed(ExitCode.SERVICE_FAILED, f"the agent cannot be started: {error.strerror}") from error
        finally:
            os.close(writer)
        self._relay = threading.Thread(target=self._pass_on, args=(sink,), name="log", daemon=True)
        self._relay.start()

    def port(self) -> int:
        """Where its door is; waits until it listens. Raises CommandFailed when it never will."""
        descriptor, self._ready = self._ready, -1
        with os.fdopen(descriptor, "rb") as ready:
            line = ready.readline()
        if not line:
            raise CommandFailed(ExitCode.SERVICE_FAILED, "the agent has ended before it listened")
        return int(json.loads(line)["port"])

    def wait(self) -> None:
        """Until it has ended by itself and all that it wrote has been passed on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self.end()

    def end(self) -> None:
        """At once, with every process of the function: they are below it, wherever they tried to go."""
        while self._process.poll() is None:
            killed = [_kill(pid) for pid in descendants(self._process.pid)]
            if not any(killed):
                self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.01)
        self._relay.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def _pass_on(self, sink: Sink) -> None:
        """The lines of one traceback are joined by CR, so that it stays one event in a log: here a person reads it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            sink(line.rstrip(b"\r\n").replace(b"\r", b"\n") + b"\n")


def _kill(pid: int) -> bool:
    """Whether it could be; one that has changed its user cannot."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def descendants(root: int) -> list[int]:
    """Pids below `root`, as /proc shows them now."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and (parent := _parent(place)):
            children.setdefault(parent, []).append(int(place.name))
    found, frontier = [], [root]
    while frontier:
        below = children.get(frontier.pop(), [])
        found += below
        frontier += below
    return found


def _parent(process: Path) -> int:
    """0 of what has ended meanwhile, and of what only waits to be reaped."""
    try:
        # The name in parentheses may contain anything, so count from its end.
        state, parent = (process / "stat").read_bytes().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return 0
    return 0 if state == b"Z" else int(parent)

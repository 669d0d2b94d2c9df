"""The processes of one environment: starting the runtime, reaping everything, ending everything.

Kills only descendants: all processes but ourselves where we are PID 1 of a container, otherwise what /proc shows
below us (we are the subreaper, so whoever daemonises comes back to us).
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from .hardening import prefer_as_oom_victim

_PATIENCE: Final = 5.0  # after SIGKILL only the kernel can delay the end of a process


@dataclass(frozen=True, slots=True)
class Command:
    """`arguments[0]` is the program's path. `kept` descriptors stay open in the child."""

    arguments: Sequence[str]
    environment: dict[str, str]
    folder: str
    output: int
    kept: tuple[int, ...] = field(default=())


class Processes:
    """`on_exit(pid, code)` hears of processes that were started here, not of their descendants."""

    def __init__(self, on_exit: Callable[[int, int], None]) -> None:
        self._on_exit = on_exit
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        self.childless = True

    def start(self, command: Command) -> int:
        """The pid. OSError when the program cannot be executed, with execve's errno."""
        process = subprocess.Popen(
            command.arguments,
            env=command.environment,
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=command.output,
            stderr=command.output,
            pass_fds=command.kept,
            start_new_session=True,
        )
        self._started[process.pid] = process
        self.childless = False
        prefer_as_oom_victim(process.pid)
        return process.pid

    def reap(self) -> None:
        """Takes every ended child, also those that were handed to us as PID 1 or subreaper."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return
            if pid == 0:
                self.childless = False
                return
            process = self._started.pop(pid, None)
            if process is not None:
                process.returncode = os.waitstatus_to_exitcode(status)
                self._on_exit(pid, process.returncode)

    async def end_all(self) -> None:
        """Returns when no process of the function is left. TimeoutError when the kernel does not let go."""
        pause, waited = 0.001, 0.0
        while True:
            self._kill_all()
            self.reap()
            if self.childless:
                return
            if waited > _PATIENCE:
                raise TimeoutError("processes survive SIGKILL")
            await asyncio.sleep(pause)
            waited += pause
            pause = min(pause * 2, 0.05)

    def _kill_all(self) -> None:
        if os.getpid() == 1:
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                return
        else:
            for pid in descendants(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def descendants(root: int) -> list[int]:
    """Pids below `root`, as /proc shows them now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = _parent(name)
            if parent:
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    frontier = [root]
    while frontier:
        below = children.get(frontier.pop(), [])
        found += below
        frontier += below
    return found


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The name in parentheses may contain anything, so count from its end.
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0

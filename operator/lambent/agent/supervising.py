"""The processes of one environment: starting runtime and extensions, reaping everything, ending everything.

Kills only descendants: all processes but ourselves where we are PID 1 of a container, otherwise what /proc shows
below us (we are the subreaper, so whoever daemonises comes back to us).
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .hardening import prefer_as_oom_victim

# Python ignores two, whoever started us perhaps more (nohup: SIGHUP); a function expects the default of all.
_ORDINARY: Final = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
_PATIENCE: Final = 5.0  # after SIGKILL only the kernel can delay the end of a process


@dataclass(frozen=True, slots=True)
class Command:
    """`program` is a path, relative to `folder` if it is relative; `arguments[0]` is how it is called."""

    program: str
    arguments: Sequence[str]
    environment: dict[str, str]
    folder: str


class BadFolder(OSError):
    """The working directory cannot be entered."""


class Processes:
    """`on_exit(pid, code)` hears of processes that were started here, not of their descendants."""

    def __init__(self, on_exit: Callable[[int, int], None]) -> None:
        self._on_exit = on_exit
        self.started: dict[int, asyncio.Event] = {}
        """Each leads a session, and so a group, of its own. The event is set when it has ended."""
        self.childless = True

    def start(self, command: Command, output: int, kept: Mapping[int, int] | None = None) -> int:
        """The pid; `output` becomes stdout and stderr, `kept` are the child's further descriptors and which of ours.

        BadFolder, or OSError when the program cannot be executed, with execve's errno.
        """
        try:
            os.chdir(command.folder)  # inherited; nothing else of this process asks where it is
        except OSError as error:
            raise BadFolder(error.errno, error.strerror, command.folder) from error
        try:
            pid = os.posix_spawn(
                command.program,
                tuple(command.arguments),
                command.environment,
                file_actions=_redirections(output, kept or {}),
                setsid=True,
                setsigmask=(),  # what `endings` blocks here must not be blocked there
                setsigdef=_ORDINARY,
            )
        finally:
            os.chdir("/")
        self.started[pid] = asyncio.Event()
        self.childless = False
        prefer_as_oom_victim(pid)
        return pid

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
            gone = self.started.pop(pid, None)
            if gone is not None:
                gone.set()
                self._on_exit(pid, os.waitstatus_to_exitcode(status))

    async def wait(self, pid: int, seconds: float) -> bool:
        """Whether a process that was started here has ended, at once or within `seconds`."""
        gone = self.started.get(pid)
        if gone is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await gone.wait()
        except TimeoutError:
            return False
        return True

    def signal(self, pid: int, number: int) -> None:
        """To one process that was started here; SIGKILL to its group as well. Nothing when it has ended."""
        if pid in self.started:
            send = os.killpg if number == signal.SIGKILL else os.kill
            try:
                send(pid, number)
            except ProcessLookupError:
                return

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


def _redirections(output: int, kept: Mapping[int, int]) -> list[tuple[Any, ...]]:
    return [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
        *((os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in kept.items()),  # clears close-on-exec
    ]


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

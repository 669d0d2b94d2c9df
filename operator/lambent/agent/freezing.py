"""Between invocations every process of the function stands still, its extensions included.

A container may not write to its cgroup, so the kernel's freezer is not ours to use: SIGSTOP and SIGCONT are. As PID 1
one `kill(-1, …)` reaches everybody else at once. Elsewhere the groups of what was started here stop at once, and a
moment later, when nobody has called meanwhile, whoever has left them: looking for those takes longer than an echo.
"""

import asyncio
import os
import signal
from typing import Final

from .journal import Journal
from .supervising import Processes, descendants

_MOMENT: Final = 0.01  # seconds


class Freezer:
    """Stops and continues; `on` false does neither."""

    def __init__(self, journal: Journal, processes: Processes, *, on: bool) -> None:
        self._journal = journal
        self._processes = processes
        self._on = on
        self._frozen = False
        self._alone = os.getpid() == 1
        self._strays: list[int] = []
        self._search: asyncio.TimerHandle | None = None

    def freeze(self) -> None:
        """Nobody of the function runs any more."""
        if self._on and not self._frozen:
            self._frozen = True
            self._signal(signal.SIGSTOP)
            if not self._alone:
                self._search = asyncio.get_running_loop().call_later(_MOMENT, self._stop_strays)
            self._journal.frozen()

    def thaw(self) -> None:
        """They go on where they were."""
        if self._frozen:
            self._signal(signal.SIGCONT)
            for pid in self._strays:
                _send(pid, signal.SIGCONT)
            self.forget()

    def forget(self) -> None:
        """Nobody stands still any more; numbers of processes may soon be others'."""
        if self._frozen:
            self._frozen = False
            self._journal.thawed()
        self._strays = []
        if self._search is not None:
            self._search.cancel()
            self._search = None

    def _signal(self, number: int) -> None:
        if self._alone:
            _send(-1, number)
        else:
            for pid in self._processes.started:
                _send(-pid, number)

    def _stop_strays(self) -> None:
        self._search = None
        self._strays = stop_tree(os.getpid())


def _send(target: int, number: int) -> None:
    try:
        os.kill(target, number)
    except OSError:
        return  # ended meanwhile


def stop_tree(root: int) -> list[int]:
    """Stops everything below `root`, parents before their children; gives the pids."""
    try:
        frontier = _children(root)
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        frontier = descendants(root)
    stopped = []
    while frontier:
        pid = frontier.pop()
        try:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
            frontier += _children(pid)
        except OSError:
            continue
    return stopped


def _children(pid: int) -> list[int]:
    text = b""
    for thread in os.listdir(f"/proc/{pid}/task"):
        descriptor = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
        try:
            while piece := os.read(descriptor, 65536):
                text += piece
        finally:
            os.close(descriptor)
    return [int(child) for child in text.split()]

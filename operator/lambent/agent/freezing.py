"""Between invocations every process of the function stands still, its extensions included.

A container may not write to its cgroup, so the kernel's freezer is not ours to use: SIGSTOP and SIGCONT are. As PID 1
one `kill(-1, …)` reaches everybody else at once; elsewhere our descendants are signalled one by one, parents first, so
that nobody can fork behind our back. Costs two system calls an invocation as PID 1.
"""

import os
import signal
from collections.abc import Callable

from .journal import Journal
from .supervising import descendants


class Freezer:
    """Stops and continues; `on` false does neither."""

    def __init__(self, journal: Journal, *, on: bool) -> None:
        self._journal = journal
        self._on = on
        self._frozen = False
        self._stopped: list[int] = []
        alone = os.getpid() == 1
        self._stop: Callable[[], None] = _stop_everybody if alone else self._stop_descendants
        self._continue: Callable[[], None] = _continue_everybody if alone else self._continue_descendants

    def freeze(self) -> None:
        """Nobody of the function runs any more."""
        if self._on and not self._frozen:
            self._frozen = True
            self._stop()
            self._journal.frozen()

    def thaw(self) -> None:
        """They go on where they were."""
        if self._frozen:
            self._frozen = False
            self._continue()
            self._journal.thawed()

    def forget(self) -> None:
        """Whoever stood still is no more."""
        self._frozen = False
        self._stopped = []

    def _stop_descendants(self) -> None:
        self._stopped = stop_tree(os.getpid())

    def _continue_descendants(self) -> None:
        for pid in self._stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
        self._stopped = []


def _stop_everybody() -> None:
    try:
        os.kill(-1, signal.SIGSTOP)
    except ProcessLookupError:
        return


def _continue_everybody() -> None:
    try:
        os.kill(-1, signal.SIGCONT)
    except ProcessLookupError:
        return


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

"""How much memory the function has used at most, and whether the kernel killed for lack of it.

As PID 1 the container's cgroup is ours: version 2 (`memory.peak`, `memory.events`) or 1 (`max_usage_in_bytes`,
`memory.oom_control`). Outside a container the cgroup belongs to others too, so the resident pages of our
descendants are summed instead. Files stay open: reading one is a single pread on the path of every invocation.
"""

import os
from collections.abc import Iterable
from typing import Final

_PEAKS: Final = ("memory.peak", "memory/memory.max_usage_in_bytes", "memory.current")
_EVENTS: Final = ("memory.events", "memory/memory.oom_control")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 1024 * 1024


class CgroupMeter:
    """Reads the cgroup that is mounted at `folder`."""

    def __init__(self, folder: str = "/sys/fs/cgroup") -> None:
        self._peak_fd = _open_first(folder, _PEAKS)
        self._events_fd = _open_first(folder, _EVENTS)
        self._most = 0

    def watch(self, pid: int) -> None:
        """A cgroup needs no telling."""

    def max_used_mb(self) -> int:
        """Whole megabytes, rounded up; the most there ever was."""
        if self._peak_fd >= 0:
            self._most = max(self._most, _first_number(os.pread(self._peak_fd, 64, 0)))
        return _megabytes(self._most)

    def oom_kills(self) -> int:
        """The kernel's counter; a rise together with SIGKILL means out of memory."""
        if self._events_fd < 0:
            return 0
        for line in os.pread(self._events_fd, 1024, 0).splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return _first_number(count)
        return 0


class ResidentMeter:
    """Sums resident pages where there is no cgroup of our own: of the runtime on each reading."""

    def __init__(self) -> None:
        self._fd = -1
        self._most = 0

    def watch(self, pid: int) -> None:
        """From now on this process is meant."""
        if self._fd >= 0:
            os.close(self._fd)
        try:
            self._fd = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def max_used_mb(self) -> int:
        """Whole megabytes, rounded up; the most there ever was."""
        if self._fd >= 0:
            try:
                resident = os.pread(self._fd, 128, 0).split()[1]
            except (OSError, IndexError):
                return _megabytes(self._most)  # ended: the last reading stands
            self._most = max(self._most, int(resident) * _PAGE)
        return _megabytes(self._most)

    def oom_kills(self) -> int:
        """Nobody counts them here."""
        return 0


Meter = CgroupMeter | ResidentMeter


def choose_meter(pid: int | None = None, folder: str = "/sys/fs/cgroup") -> Meter:
    """PID 1 reads its container's cgroup, anybody else sums pages."""
    return CgroupMeter(folder) if (pid or os.getpid()) == 1 else ResidentMeter()


def _open_first(folder: str, names: Iterable[str]) -> int:
    for name in names:
        try:
            return os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
    return -1


def _first_number(text: bytes) -> int:
    digits = text.strip().split(b"\n")[0]
    return int(digits) if digits.isdigit() else 0


def _megabytes(size: int) -> int:
    return -(-size // _MIB)

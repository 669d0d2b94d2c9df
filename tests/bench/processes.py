"""Processes under test: started on one core, waited for, measured, and ended with everything below them.

Only processes that were started here are ended: by process id and start time, children first found through /proc.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TICKS = os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None)


class DidNotStart(Exception):
    """The process ended or stayed silent; the message ends with the tail of what it wrote."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process id means one process only together with its start."""

    pid: int
    started: int


def on_core(core: int) -> Callable[[], None]:
    """What a child does before it becomes its program: stay on one core, and die with the bench."""

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a killed bench leaves nothing running

    return prepare


@contextlib.contextmanager
def running(
    arguments: Sequence[str],
    *,
    core: int,
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
    keep: Sequence[int] = (),
    document: bytes | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """One process and its descendants on one core; its stdout is discarded, its stderr kept in `log`.

    `keep` are descriptors it inherits; `document` is its stdin, small enough for a pipe.
    """
    with log.open("ab") as errors:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL if document is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
            preexec_fn=on_core(core),  # noqa: PLW1509 - the bench has no threads
        )
    try:
        if process.stdin is not None and document is not None:
            process.stdin.write(document)
            process.stdin.close()
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience: float = 3.0) -> None:
    """SIGTERM, and SIGKILL for whatever of its family is left."""
    family = [identity for pid in descendants(process.pid) if (identity := identify(pid))]
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if process.poll() is None:
        process.kill()
        process.wait()
    for identity in family:
        if identify(identity.pid) == identity:
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGKILL)


def await_port(process: subprocess.Popen[bytes], host: str, port: int, log: Path, patience: float = 15.0) -> None:
    """Returns when somebody listens there. Raises DidNotStart."""
    limit = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
            return
        time.sleep(0.02)
    raise DidNotStart(f"nobody listens on {host}:{port} ({process.args!r}): {tail(log)}")


def read_ready(descriptor: int) -> bytes:
    """The line that a process writes when it is ready; empty when it ended without one."""
    line = b""
    while not line.endswith(b"\n") and (piece := os.read(descriptor, 4096)):
        line += piece
    return line


def tail(log: Path, size: int = 2000) -> str:
    """The end of a log, for complaints."""
    return log.read_bytes()[-size:].decode("utf-8", "replace") if log.exists() else ""


def identify(pid: int) -> Identity | None:
    """None when there is no such process any more."""
    fields = _stat(pid)
    return Identity(pid, int(fields[19])) if fields else None


def descendants(root: int) -> list[int]:
    """Pids below `root`, as /proc shows them now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    frontier = [root]
    while frontier:
        below = children.get(frontier.pop(), [])
        found += below
        frontier += below
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far; 0 when it is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def family_cpu_seconds(root: int) -> tuple[float, float]:
    """CPU time of a process, and of everything below it."""
    return cpu_seconds(root), sum(cpu_seconds(pid) for pid in descendants(root))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, so that index 0 is the state; empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def peak_mb(pid: int) -> float:
    """The most memory that a process had resident so far, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

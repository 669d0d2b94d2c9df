"""The processes that a run started: remembered by process id *and* start time, and stopped by them.

The kernel gives a process id to somebody else one day; the start time (in clock ticks since boot) and the
boot's own id together say whether a process is still the one that was started. Nothing is ever stopped by
its name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Record:
    """One started process."""

    name: str
    pid: int
    ticks: int  # /proc/PID/stat, field 22: when it started, in clock ticks since boot
    boot: str  # /proc/sys/kernel/random/boot_id
    since: float  # seconds since the epoch, for people
    argv: tuple[str, ...]


def boot_id(proc: Path = PROC) -> str:
    """Changes with every boot of the machine."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int, proc: Path = PROC) -> int | None:
    """When the process started, None when there is none or only a zombie."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may itself hold spaces and brackets.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def lives(record: Record, proc: Path = PROC) -> bool:
    """Whether this very process still runs."""
    return record.boot == boot_id(proc) and start_ticks(record.pid, proc) == record.ticks


def load(folder: Path, name: str) -> Record | None:
    """What was written about `name`, None when there is nothing (or half of it, after a power cut)."""
    try:
        raw = json.loads((folder / f"{name}.json").read_text())
        return Record(**{**raw, "argv": tuple(raw["argv"])})
    except (FileNotFoundError, json.JSONDecodeError, TypeError, KeyError):
        return None


def running(folder: Path, name: str) -> Record | None:
    """The record of `name` if its process lives."""
    record = load(folder, name)
    return record if record and lives(record) else None


def start(folder: Path, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Record:
    """Start a process of its own session, which outlives this one, and write it down."""
    folder.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/", env=env
        )
    # Between fork and here the process cannot be reaped by anyone but us, so its id is still its own.
    record = Record(name, child.pid, start_ticks(child.pid) or 0, boot_id(), time.time(), tuple(argv))
    draft = folder / f"{name}.json.new"
    draft.write_text(json.dumps(asdict(record), indent=1))
    draft.replace(folder / f"{name}.json")
    return record


def stop(folder: Path, name: str, *, patience: float) -> str:
    """Ask a process to end, make it end after `patience` seconds; says what happened in one word."""
    record = load(folder, name)
    if record is None or not lives(record):
        forget(folder, name)
        return "absent"
    how = "stopped"
    send(record, signal.SIGTERM)
    if not gone(record, patience):
        how = "killed"
        send(record, signal.SIGKILL)
        gone(record, 5)
    forget(folder, name)
    return how


def send(record: Record, sign: signal.Signals) -> None:
    """Signal the process; the descriptor pins it, so that the check and the signal mean the same one."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(record.pid)
        try:
            if lives(record):
                signal.pidfd_send_signal(descriptor, sign)
        finally:
            os.close(descriptor)


def gone(record: Record, seconds: float) -> bool:
    """Wait for the process to end."""
    deadline = time.monotonic() + seconds
    while lives(record):
        if time.monotonic() > deadline:
            return False
        with suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)  # it may be this process's own child
        time.sleep(POLL_SECONDS)
    return True


def forget(folder: Path, name: str) -> None:
    (folder / f"{name}.json").unlink(missing_ok=True)

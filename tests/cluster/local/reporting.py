"""What `status` says: which cluster, which processes, since when, how much memory and disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import binaries, processes
from .choosing import Choice
from .programs import programs
from .state import State

PAGE = os.sysconf("SC_PAGE_SIZE")


def status(state: State, choice: Choice) -> str:
    """A small table for people."""
    lines = [f"cluster     {choice.kind} {choice.kubeconfig}".rstrip(), f"state       {state.root}"]
    if choice.kind == "node":
        lines += node_lines(state)
    lines += [f"{name:<11} {megabytes(size_of(getattr(state, name)))}" for name in ("binaries", "images", "containerd")]
    return "\n".join(lines)


def node_lines(state: State) -> list[str]:
    """One line a process of the node."""
    if (tools := binaries.remembered(state)) is None:
        return ["node        down"]
    lines = [f"kubeconfig  {state.kubeconfig}", f"audit log   {state.audit_log}"]
    for name in (program.name for program in programs(state, tools)):
        if record := processes.running(state.node / "run", name):
            age = time.time() - record.since
            lines.append(f"  {name:<24} pid {record.pid:<8} {duration(age):>9} {megabytes(resident(record.pid))}")
        else:
            lines.append(f"  {name:<24} down")
    return lines


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def size_of(folder: Path) -> int:
    """Bytes on disk below a folder."""
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(Path(where, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def duration(seconds: float) -> str:
    """Like 2h05m or 12m40s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m{rest:02}s"


def megabytes(size: int) -> str:
    return f"{size / 2**20:>7.0f} MiB"

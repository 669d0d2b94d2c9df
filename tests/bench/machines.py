"""The machine a run ran on: its cores, its fingerprint, and how much of it others used meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from . import places, ratios

NOISY, STOLEN = 0.10, 0.01
"""Shares of the CPUs used by other processes and taken by the hypervisor from which a block is disturbed."""
_TICKS = os.sysconf("SC_CLK_TCK")
_FSYNCS = 200


@dataclass(frozen=True, slots=True)
class Cores:
    """The system under test has one core, load and backend the other."""

    test: int
    load: int


def cores() -> Cores | None:
    """None on a machine with a single core, where nothing can be kept apart."""
    available = sorted(os.sched_getaffinity(0))
    return Cores(available[0], available[-1]) if len(available) > 1 else None


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all CPUs together since boot."""

    busy: float
    idle: float
    steal: float


def cpu_times() -> CpuTimes:
    """From /proc/stat: user nice system idle iowait irq softirq steal."""
    fields = [
        int(field) / _TICKS for field in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]
    ]
    user, nice, system, idle, iowait, irq, softirq, steal = fields[:8]
    return CpuTimes(user + nice + system + irq + softirq, idle + iowait, steal)


@dataclass(frozen=True, slots=True)
class Shares:
    """Of all CPU time: used by processes that are none of ours, and taken away by the hypervisor."""

    foreign: float
    steal: float


def shares(before: CpuTimes, after: CpuTimes, own: float) -> Shares:
    """`own` is what our processes used between the two."""
    busy, steal = after.busy - before.busy, after.steal - before.steal
    total = busy + steal + after.idle - before.idle
    return Shares(round(max(0.0, busy - own) / total, 3), round(steal / total, 3)) if total else Shares(0.0, 0.0)


def fingerprint() -> dict[str, Any]:
    """What has to be the same for two runs' absolute figures to be compared."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8"),
        "packages": {name: _version(name) for name in ("awslambdaric", "aiohttp", "uvloop")},
        "loadavg": os.getloadavg(),
        "real_time": real_time(),
        "fdatasync_us": fdatasync(places.RESULTS),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def fdatasync(folder: Path, times: int = _FSYNCS) -> dict[str, float]:
    """p50 and p99 in µs of appending 4 KB and fdatasync, on the disk that holds the results."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            os.write(file.fileno(), b"\0" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1e6)
    taken.sort()
    return {"p50": round(ratios.quantile(taken, 0.5), 1), "p99": round(ratios.quantile(taken, 0.99), 1)}


def real_time() -> bool:
    """Whether the bench, and so everything it starts, goes before all ordinary processes (`chrt -r 10`)."""
    return os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)


def commit() -> dict[str, Any]:
    """Which code was measured, and whether the work tree differs from it."""
    return {"commit": _git("rev-parse", "HEAD") or None, "changed": bool(_git("status", "--porcelain", "operator"))}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(places.ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def warn_if_noisy() -> None:
    """Absolute figures of a busy machine mean nothing, and ratios little."""
    before = cpu_times()
    time.sleep(1.0)
    share = shares(before, cpu_times(), 0.0)
    if share.foreign > NOISY and not real_time():
        print(f"bench: others use {share.foreign:.0%} of the CPUs: wait for a quiet machine", file=sys.stderr)

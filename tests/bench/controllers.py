"""A real controller and code store as processes beside a real API server, and what they use.

Nothing is invoked, so no pod is made; the gateway's Service does not exist, so nothing is dialled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import clusters, places
from .processes import DidNotStart, await_port, cpu_seconds, running, tail

RUNTIMES = '{"python3.11": "registry.invalid/python:3.11"}'
_MB = 1024


@dataclass(frozen=True, slots=True)
class Side:
    """Where the processes keep their things, and where they run."""

    namespace: str
    folder: Path
    core: int
    codestore_port: int

    def environment(self) -> dict[str, str]:
        """What both processes are told."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(places.OPERATOR),
            "KUBECONFIG": str(clusters.kubeconfig()),
            "TMPDIR": str(self.folder),
        }


@dataclass(frozen=True, slots=True)
class Process:
    """One of ours, with its metrics."""

    popen: subprocess.Popen[bytes]
    metrics_port: int
    log: Path

    def memory_mb(self, which: str = "VmRSS") -> float:
        """Resident now, or at most so far (VmHWM), in MiB."""
        for line in Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{which}:"):
                return int(line.split()[1]) / _MB
        raise DidNotStart(f"the process has ended: {tail(self.log)}")

    def cpu(self) -> float:
        """Seconds used so far."""
        return cpu_seconds(self.popen.pid)

    def metric(self, name: str) -> float:
        """Sum over all labels; NaN while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except (OSError, urllib.error.URLError):
            return float("nan")
        found = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    async def wait(self, what: str, at_least: float, patience: float) -> None:
        """Until a metric is as large. Raises DidNotStart."""
        limit = time.monotonic() + patience
        while not await asyncio.to_thread(self.metric, what) >= at_least:
            if self.popen.poll() is not None or time.monotonic() > limit:
                raise DidNotStart(f"{what} did not reach {at_least:g}: {tail(self.log)}")
            await asyncio.sleep(0.2)

    async def settled(self, functions: int, patience: float) -> None:
        """Until every Function was looked at once and none waits. Raises DidNotStart."""
        await self.wait("lambent_controller_leading", 1, patience)
        await self.wait("lambent_controller_reconcile_seconds_count", functions, patience)
        while await asyncio.to_thread(self.metric, "lambent_controller_queue_depth") > 0:
            await asyncio.sleep(0.2)


@contextlib.contextmanager
def codestore(namespace: str, folder: Path, core: int) -> Iterator[tuple[Side, Process]]:
    """A code store over a fresh directory, and what a controller needs to know of it."""
    keys, blobs, log = folder / "keys", folder / "blobs", folder / "codestore.log"
    keys.mkdir()
    blobs.mkdir()
    (keys / "url-key").write_text(secrets.token_hex(32), encoding="ascii")
    (keys / "agent-key").write_text(secrets.token_hex(32), encoding="ascii")
    (folder / "token").write_text("a token", encoding="ascii")
    side = Side(namespace, folder, core, places.free_port())
    metrics_port = places.free_port()
    environment = {
        **side.environment(),
        "LAMBENT_CODESTORE_DIR": str(blobs),
        "LAMBENT_CODESTORE_PORT": str(side.codestore_port),
        "LAMBENT_KEYS_DIR": str(keys),
        "LAMBENT_METRICS_PORT": str(metrics_port),
    }
    arguments = [sys.executable, "-m", "lambent", "codestore"]
    with running(arguments, core=core, log=log, env=environment, cwd=folder) as popen:
        await_port(popen, "127.0.0.1", side.codestore_port, log)
        yield side, Process(popen, metrics_port, log)


@contextlib.contextmanager
def controller(side: Side) -> Iterator[Process]:
    """A controller of the one namespace, as `lambent controller` runs it."""
    log, metrics_port = side.folder / "controller.log", places.free_port()
    environment = {
        **side.environment(),
        "LAMBENT_NAMESPACES": side.namespace,
        "LAMBENT_POD_NAMESPACE": side.namespace,
        "LAMBENT_POD_NAME": f"bench-{secrets.token_hex(3)}",
        "LAMBENT_KEYS_SECRET": "bench-keys",
        "LAMBENT_CODESTORE_URL": f"http://127.0.0.1:{side.codestore_port}",
        "LAMBENT_INTERNAL_TOKEN_FILE": str(side.folder / "token"),
        "LAMBENT_GATEWAY_SERVICE": "bench-gateway",
        "LAMBENT_RUNTIMES": RUNTIMES,
        "LAMBENT_METRICS_PORT": str(metrics_port),
        "LAMBENT_ENVIRONMENT_POLICY": "on",
        "LAMBENT_RELEASE_NAME": "bench",
    }
    arguments = profiled([sys.executable, "-m", "lambent", "controller"], side.folder)
    with running(arguments, core=side.core, log=log, env=environment, cwd=side.folder) as popen:
        yield Process(popen, metrics_port, log)


def profiled(arguments: list[str], folder: Path) -> list[str]:
    """With LAMBENT_BENCH_PROFILE=<file>, under cProfile: the figures are void then, the profile is not."""
    wanted = os.environ.get("LAMBENT_BENCH_PROFILE")
    if not wanted:
        return arguments
    return [arguments[0], "-m", "cProfile", "-o", f"{wanted}.{folder.name}.{secrets.token_hex(2)}", *arguments[1:]]


async def stop(process: Process, patience: float = 20.0) -> None:
    """SIGTERM, and wait: the Lease is given back."""
    process.popen.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.popen.wait, patience)


async def keys_secret(cluster: clusters.Cluster, folder: Path) -> None:
    """The installation's keys, as the code store has them: else the controller makes others."""
    data = {name: (folder / "keys" / name).read_text(encoding="ascii") for name in ("url-key", "agent-key")}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bench-keys"}, "stringData": data}
    await cluster.client.request("POST", f"/api/v1/namespaces/{cluster.namespace}/secrets", body=body)

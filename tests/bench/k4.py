"""K4: what an idle system uses: controller, gateway and code store with 100 idle functions, without Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import clusters, controllers, places
from .controllers import Process, Side
from .machines import Cores
from .processes import await_port, running
from .results import Measured
from .shapes import Plan

FUNCTIONS = 100
WATCHED_S, SHORT_S = 120, 20
SETTLING_S = 20.0


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoCluster, DidNotStart."""
    seconds = WATCHED_S if plan.full else SHORT_S
    return Measured(dict(asyncio.run(_measure(seconds, cores))), seconds)


async def _measure(seconds: float, cores: Cores) -> dict[str, float]:
    names = [f"f{number:03}" for number in range(FUNCTIONS)]
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        async with clusters.cluster("k4") as cluster:
            side, codestore = stack.enter_context(controllers.codestore(cluster.namespace, Path(place), cores.test))
            await controllers.keys_secret(cluster, side.folder)
            controller = stack.enter_context(controllers.controller(side))
            await controller.wait("lambent_controller_leading", 1, 60)
            gateway = stack.enter_context(_gateway(side))
            await cluster.create_all(names, clients=4)
            await cluster.readiness.wait(names, 120)
            await asyncio.sleep(SETTLING_S)
            processes = {"controller": controller, "gateway": gateway, "codestore": codestore}
            before = {name: process.cpu() for name, process in processes.items()}
            begun = time.monotonic()
            await asyncio.sleep(seconds)
            took = time.monotonic() - begun
            cpu = {name: 100 * (process.cpu() - before[name]) / took for name, process in processes.items()}
            memory = {name: process.memory_mb() for name, process in processes.items()}
            stack.close()
    return {
        "cpu_percent": sum(cpu.values()),
        "rss_mb": sum(memory.values()),
        **{f"{name}_cpu_percent": value for name, value in cpu.items()},
        **{f"{name}_rss_mb": value for name, value in memory.items()},
    }


@contextlib.contextmanager
def _gateway(side: Side) -> Iterator[Process]:
    """As `lambent gateway` runs it, over the same namespace."""
    log, metrics_port, port = side.folder / "gateway.log", places.free_port(), places.free_port()
    environment = {
        **side.environment(),
        "LAMBENT_NAMESPACES": side.namespace,
        "LAMBENT_DEFAULT_NAMESPACE": side.namespace,
        "LAMBENT_POD_NAMESPACE": side.namespace,
        "LAMBENT_POD_NAME": "bench-gateway",
        "LAMBENT_CODESTORE_URL": f"http://127.0.0.1:{side.codestore_port}",
        "LAMBENT_KEYS_DIR": str(side.folder / "keys"),
        "LAMBENT_CONTROLLER_USER": f"system:serviceaccount:{side.namespace}:bench-controller",
        "LAMBENT_PUBLIC_PORT": str(port),
        "LAMBENT_INTERNAL_PORT": str(places.free_port()),
        "LAMBENT_METRICS_PORT": str(metrics_port),
        "LAMBENT_AUTH_MODE": "none",
        "HOME": os.environ.get("HOME", "/"),
    }
    arguments = [sys.executable, "-m", "lambent", "gateway"]
    with running(arguments, core=side.core, log=log, env=environment, cwd=side.folder) as popen:
        await_port(popen, "127.0.0.1", port, log, patience=30)
        yield Process(popen, metrics_port, log)

"""K2: many Functions: 1,000 created until all are Ready, 10,000 held in memory, a restart without a single write.

Writes are counted from outside: an object that was written has another resourceVersion, a written Event is a new one.
The time to create is bound by what the API server of the machine takes: two writes of the controller (status, Event)
for each of the load's.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from . import clusters, controllers
from .clusters import Cluster
from .controllers import Side
from .machines import Cores
from .results import Measured
from .shapes import Plan

CREATED, HELD = 1_000, 10_000
SHORT_CREATED, SHORT_HELD = 200, 1_000
QUIET_S = 15.0
"""Twice: before what was used is read, and after the restart, for writes that come late."""
PATIENCE_S = 900.0


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoCluster, DidNotStart."""
    created, held = (CREATED, HELD) if plan.full else (SHORT_CREATED, SHORT_HELD)
    figures = asyncio.run(_measure(created, held, cores))
    return Measured(dict(figures), held)


async def _measure(created: int, held: int, cores: Cores) -> dict[str, float]:
    names = [f"f{number:05}" for number in range(held)]
    with tempfile.TemporaryDirectory() as place:
        async with clusters.cluster("k2") as cluster:
            with controllers.codestore(cluster.namespace, Path(place), cores.test) as (side, _):
                await controllers.keys_secret(cluster, side.folder)
                figures = await _fill(cluster, side, names, created)
                return {**figures, **await _restart(cluster, side, held)}


async def _fill(cluster: Cluster, side: Side, names: list[str], created: int) -> dict[str, float]:
    with controllers.controller(side) as controller:
        await controller.wait("lambent_controller_leading", 1, 60)
        await cluster.create_all(["first"])
        await cluster.readiness.wait(["first"], 60)
        begun, used = time.monotonic(), controller.cpu()
        await cluster.create_all(names[:created])
        posted = time.monotonic() - begun
        await cluster.readiness.wait(names[:created], PATIENCE_S)
        took, cpu = time.monotonic() - begun, controller.cpu() - used
        _say(f"{created} created in {took:.1f} s (posted in {posted:.1f} s, {cpu:.1f} s CPU of the controller)")
        begun = time.monotonic()
        await cluster.create_all(names[created:])
        await cluster.readiness.wait(names, PATIENCE_S)
        _say(f"{len(names)} held after {time.monotonic() - begun:.0f} s more")
        await asyncio.sleep(QUIET_S)
        figures = {
            "create_s": took,
            "create_posted_s": posted,
            "create_cpu_s": cpu,
            "rss_filled_mb": controller.memory_mb(),
            "peak_filled_mb": controller.memory_mb("VmHWM"),
        }
        await controllers.stop(controller)
        return figures


async def _restart(cluster: Cluster, side: Side, held: int) -> dict[str, float]:
    before = await cluster.versions()
    begun = time.monotonic()
    with controllers.controller(side) as controller:
        await controller.settled(held, PATIENCE_S)
        took = time.monotonic() - begun
        await asyncio.sleep(QUIET_S)
        after = await cluster.versions()
        used = controller.cpu()
        await asyncio.sleep(QUIET_S)
        writes = sum(before.get(name) != version for name, version in after.items())
        _say(f"in sync again after {took:.1f} s, {writes} writes")
        return {
            "restart_s": took,
            "writes": writes,
            "rss_mb": controller.memory_mb(),
            "peak_mb": controller.memory_mb("VmHWM"),
            "idle_cpu_percent": 100 * (controller.cpu() - used) / QUIET_S,
        }


def _say(text: str) -> None:
    print(f"bench: K2: {text}", file=sys.stderr)

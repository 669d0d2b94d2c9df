"""K1: from applying a Function to Ready, at one a second: p99."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from . import clusters, controllers, ratios
from .machines import Cores
from .results import Measured
from .shapes import Plan

FUNCTIONS, SHORT = 120, 20
EVERY_S = 1.0


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoCluster, DidNotStart."""
    waits = asyncio.run(_measure(FUNCTIONS if plan.full else SHORT, cores))
    ordered = sorted(waits)
    return Measured(
        {
            "p99_s": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
            "p50_s": ratios.median(ordered),
            "max_s": ordered[-1],
        },
        len(waits),
    )


async def _measure(functions: int, cores: Cores) -> list[float]:
    names = [f"f{number:04}" for number in range(functions)]
    with tempfile.TemporaryDirectory() as place:
        async with clusters.cluster("k1") as cluster:
            with controllers.codestore(cluster.namespace, Path(place), cores.test) as (side, _):
                await controllers.keys_secret(cluster, side.folder)
                with controllers.controller(side) as controller:
                    await controller.wait("lambent_controller_leading", 1, 60)
                    await cluster.create("first")
                    await cluster.readiness.wait(["first"], 60)
                    begun = {}
                    start = time.monotonic()
                    for number, name in enumerate(names):
                        await asyncio.sleep(max(0.0, start + number * EVERY_S - time.monotonic()))
                        begun[name] = time.monotonic()
                        await cluster.create(name)
                    await cluster.readiness.wait(names, 120)
        return [cluster.readiness.ready[name] - begun[name] for name in names]

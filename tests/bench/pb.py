"""PB: how many versions a second are published: one Version for each of many functions, posted as fast as they are taken."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import VERSIONS
from lambent.model import names

from . import clusters, controllers
from .machines import Cores
from .processes import DidNotStart
from .results import Measured
from .shapes import Plan

FUNCTIONS, SHORT = 500, 100
CLIENTS = 16
PATIENCE_S = 180.0


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoCluster, DidNotStart."""
    functions = FUNCTIONS if plan.full else SHORT
    seconds, posted = asyncio.run(_measure(functions, cores))
    return Measured({"rate": functions / seconds, "posted_s": posted, "published_s": seconds}, functions)


async def _measure(functions: int, cores: Cores) -> tuple[float, float]:
    """Seconds from the first POST to the last number, and to the last POST."""
    named = [f"f{number:04}" for number in range(functions)]
    with tempfile.TemporaryDirectory() as place:
        async with clusters.cluster("pb") as cluster:
            with controllers.codestore(cluster.namespace, Path(place), cores.test) as (side, _):
                await controllers.keys_secret(cluster, side.folder)
                with controllers.controller(side) as controller:
                    await controller.wait("lambent_controller_leading", 1, 60)
                    await cluster.create_all(named)
                    await cluster.readiness.wait(named, PATIENCE_S)
                    return await _publish(cluster.client, cluster.namespace, named)


async def _publish(client: KubeClient, namespace: str, functions: list[str]) -> tuple[float, float]:
    numbers = Numbers(len(functions))
    watching = asyncio.create_task(clusters.follow(client, VERSIONS, namespace, numbers.note))
    waiting = iter(functions)

    async def post() -> None:
        for function in waiting:
            body = {
                "apiVersion": names.API_VERSION,
                "kind": "Version",
                "metadata": {"name": f"{function}.first"},
                "spec": {"functionName": function},
            }
            await client.request("POST", VERSIONS.collection(namespace), body=body)

    begun = time.monotonic()
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(post())
        posted = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            await numbers.complete.wait()
        return max(numbers.seen.values()) - begun, posted - begun
    except TimeoutError:
        raise DidNotStart(f"{len(functions) - len(numbers.seen)} versions were not published") from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@dataclass(slots=True)
class Numbers:
    """When each Version was seen with its number, on the clock of `time.monotonic`."""

    wanted: int
    seen: dict[str, float] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, body: dict[str, Any]) -> None:
        """One object as observed."""
        if (body.get("status") or {}).get("version") and body["metadata"]["name"] not in self.seen:
            self.seen[body["metadata"]["name"]] = time.monotonic()
            if len(self.seen) == self.wanted:
                self.complete.set()

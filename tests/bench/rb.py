"""RB: from a demand line that shows a breach to all of the traffic being back at the old version.

The controller's own parts, from the board that demand lines go to, in this process, before a real API server. It ends
when somebody else who watches aliases, as gateways do, sees the routing; an open stream brings the line before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from lambent.adapters.gateways import Retirement
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.events import EventRecorder
from lambent.adapters.kube.resources import ALIASES, FUNCTIONS, VERSIONS
from lambent.controller.alarming import Alarms, PrometheusPolls
from lambent.controller.alias_reconciling import AliasReconciler
from lambent.controller.applying import Tools
from lambent.controller.demanding import DemandBoard
from lambent.controller.hooking import HookRunner
from lambent.controller.measuring import ControllerMetrics
from lambent.controller.metering import Metering
from lambent.controller.queueing import WorkQueue
from lambent.controller.referring import ReferenceBoard
from lambent.controller.store import Store
from lambent.controller.sweeping import Sweeper
from lambent.core.workload import WorkloadSettings
from lambent.model import names
from lambent.model.environments import Counters, Demand, Key

from . import clusters, ratios
from .machines import Cores
from .processes import DidNotStart
from .results import Measured
from .shapes import Plan

ROLLOUTS, SHORT = 1000, 100
EVERY_S = 0.05
GATEWAY = "http://10.0.0.1:8081"
PATIENCE_S = 120.0
STEPS = [{"percentage": 10, "seconds": 3600}]
ALARM = {"name": "errors", "metric": "ErrorRate", "threshold": 5, "period": 30}
SNAPSHOT = {"codeSha256": "c29tZQ==", "codeSize": 1, "revision": "0011223344556677", "runtime": "python3.11"}


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises NoCluster, DidNotStart."""
    waits = sorted(asyncio.run(_measure(ROLLOUTS if plan.full else SHORT)))
    figures = {
        "p99_ms": 1000 * ratios.quantile(waits, 0.99),
        "p50_ms": 1000 * ratios.quantile(waits, 0.5),
        "max_ms": 1000 * waits[-1],
    }
    return Measured(figures, len(waits))


async def _measure(rollouts: int) -> list[float]:
    aliases = [f"f{number:04}.live" for number in range(rollouts)]
    async with clusters.cluster("rb") as cluster, await KubeClient.connect() as observer:
        bed = Bed(cluster)
        await bed.make(aliases)
        routings = Routings()
        async with _running(clusters.follow(observer, ALIASES, cluster.namespace, routings.note)), _running(bed.run()):
            await bed.sweep()
            await routings.wait(aliases, "1")
            await bed.point(aliases)
            await routings.wait(aliases, "1+2")
            for alias in aliases:
                bed.say(alias, invocations=0, errors=0)
            begun = {}
            start = time.monotonic()
            for number, alias in enumerate(aliases):
                await asyncio.sleep(max(0.0, start + number * EVERY_S - time.monotonic()))
                begun[alias] = time.monotonic()
                bed.say(alias, invocations=20, errors=20)
            await routings.wait(aliases, "1", since=begun)
        return [routings.seen[alias][1] - begun[alias] for alias in aliases]


@dataclass(slots=True)
class Routings:
    """What an observer of aliases sees: versions that get traffic, and since when, on the clock of `time.monotonic`."""

    seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, body: dict[str, Any]) -> None:
        """One object as observed."""
        routing = (body.get("status") or {}).get("routing")
        if routing is None:
            return
        shown = "+".join([routing["functionVersion"], *routing.get("additionalVersionWeights", {})])
        name = body["metadata"]["name"]
        if self.seen.get(name, ("", 0.0))[0] != shown:
            self.seen[name] = (shown, time.monotonic())
            self.changed.set()

    async def wait(self, aliases: Iterable[str], routing: str, since: dict[str, float] | None = None) -> None:
        """Until all of them have this routing. Raises DidNotStart."""
        missing = set(aliases)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while missing := {name for name in missing if self.seen.get(name, ("", 0.0))[0] != routing}:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise DidNotStart(f"{len(missing)} aliases did not come to {routing}") from None
        if since is not None and any(self.seen[name][1] < begun for name, begun in since.items()):
            raise DidNotStart("an alias was taken back before its breach")


class Bed:
    """The controller's parts for aliases, and what they work on."""

    def __init__(self, cluster: clusters.Cluster) -> None:
        self._client, self._namespace = cluster.client, cluster.namespace
        self._create = cluster.create_all
        self._queue = WorkQueue()
        self._store = Store(self._queue.add)
        self._board = DemandBoard(lambda _key: None)
        self._board.expect(GATEWAY)
        self._board.found(GATEWAY)
        self._sweeper = Sweeper(cluster.client, self._store, (cluster.namespace,))
        tools = Tools(
            cluster.client,
            _Nobody(),
            self._board,
            self._store,
            ReferenceBoard(self._queue.add),
            EventRecorder(cluster.client, names.FIELD_MANAGER_CONTROLLER, "bench"),
            ControllerMetrics(CollectorRegistry()),
            WorkloadSettings(door_port=9000),
            b"key",
        )
        hooks = HookRunner(_Nobody(), self._board.connected, self._queue.add)
        alarms = Alarms(Metering(self._board, self._queue.add), PrometheusPolls(None, self._queue.add))
        self._aliases = AliasReconciler(tools, "us-east-1", hooks, alarms)
        self._uids: dict[str, str] = {}

    async def make(self, aliases: list[str]) -> None:
        """A function with two versions for every alias, which points to the first."""
        await self._create([_function(alias) for alias in aliases])
        answer = await self._client.request("GET", FUNCTIONS.collection(self._namespace))
        self._uids = {body["metadata"]["name"]: body["metadata"]["uid"] for body in answer["items"]}
        await _each(aliases, self._make)

    async def _make(self, alias: str) -> None:
        function = _function(alias)
        for number in ("1", "2"):
            name = f"{function}.{number}"
            body = _body("Version", name, {"functionName": function})
            await self._client.request("POST", VERSIONS.collection(self._namespace), body=body)
            status = {"functionUid": self._uids[function], "version": number, "snapshot": SNAPSHOT}
            path = VERSIONS.item(self._namespace, name)
            applied = {**_body("Version", name), "status": status}
            await self._client.apply(path, applied, "bench", force=True, subresource="status")
        body = _body("Alias", alias, {"functionName": function, "functionVersion": "1"})
        await self._client.request("POST", ALIASES.collection(self._namespace), body=body)

    async def point(self, aliases: list[str]) -> None:
        """Begin a rollout of every alias."""

        async def move(alias: str) -> None:
            body = {"spec": {"functionVersion": "2", "rollout": {"steps": STEPS, "alarms": [ALARM]}}}
            path = ALIASES.item(self._namespace, alias)
            answer = await self._client.request("PATCH", path, body=body, content_type="application/merge-patch+json")
            self._store.aliases.put_alias(answer)

        await _each(aliases, move)

    def say(self, alias: str, *, invocations: int, errors: int) -> None:
        """A gateway's line of the new version."""
        counters = Counters(invocations, errors, 0, (invocations,))
        key = Key(self._uids[_function(alias)], "2", "r")
        self._board.note(GATEWAY, Demand(1, key, 0, 0, 0, counters=counters))

    async def sweep(self) -> None:
        """See everything."""
        await self._sweeper.sweep()

    async def run(self) -> None:
        """Work on aliases; on nothing else."""

        async def work_on(uid: str) -> float | None:
            return await self._aliases.reconcile(uid) if self._store.aliases.has_known(uid) else None

        try:
            await self._queue.run(work_on)
        finally:
            await self._aliases.close()


class _Nobody:
    """No gateway that could be asked."""

    async def retire(self, url: str, pods: Iterable[str]) -> Retirement:
        raise NotImplementedError

    async def invoke(self, url: str, target: str, event: bytes) -> Any:
        raise NotImplementedError


def _function(alias: str) -> str:
    return alias.partition(".")[0]


def _body(kind: str, name: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    body = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": {"name": name}}
    return {**body, "spec": spec} if spec else body


async def _each(items: Iterable[str], work: Callable[[str], Any], clients: int = 16) -> None:
    waiting = iter(items)

    async def some() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(some())


@contextlib.asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

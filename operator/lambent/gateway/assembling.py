"""A gateway put together: everything between its doors, with the outside handed in. `process` gives it the real one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from lambent.adapters.agents.doors import AgentDoor
from lambent.adapters.http.servers import BoundedServer
from lambent.adapters.telemetry.metrics import AuthMetrics, Metrics
from lambent.adapters.telemetry.serving import Health, TelemetryServer
from lambent.core.routing import RoutingTable
from lambent.model.environments import EnvironmentPod, Key

from . import internal_door
from .accounts import Accounts
from .answering import Answering
from .authenticating import Authenticator, Identify, Tokens
from .authorizing import Authorize, Counters, Gate, KubernetesGate, OpenGate
from .bodies import Room
from .claiming import Claiming, CodeLinks
from .codes import BlobSource, CodeCache
from .demand_streams import DemandStreams
from .environments import Environments
from .hook_reports import ApplyStatus, HookReports
from .internal_door import InternalDoor
from .internal_invocations import InternalInvocations
from .invoking import Bounds, Invoking
from .keeping import Keeping
from .measuring import Measures
from .ownership import Ownership
from .pools import Pools
from .public_door import PublicDoor
from .retiring import Retiring
from .serving import HttpServer
from .settings import NONE, Settings
from .spanning import Spans
from .tending import Pace, Tending
from .watching import Source, Watching

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
ASK_SECONDS = 5.0
"""How long readiness waits for agents that were there before us; who does not answer by then is busy or gone."""


@dataclass(frozen=True, slots=True)
class Callers:
    """What the API server is asked about whoever comes to a door."""

    internal: Identify
    public: Identify
    authorize: Authorize


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything that is not the gateway itself."""

    source: Source
    blobs: BlobSource
    callers: Callers
    make_door: Callable[[EnvironmentPod, Callable[[], None]], AgentDoor]
    apply_alias_status: ApplyStatus
    clock: Callable[[], float]
    """Seconds since the epoch."""
    spans: Spans | None = None
    """Where spans of sampled invocations go."""


class Gateway:
    """Serves from `start` to `stop`; `drain` in between ends it in order."""

    def __init__(
        self, settings: Settings, outside: Outside, bounds: Bounds | None = None, pace: Pace | None = None
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._draining = False
        self._broken: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._public: HttpServer | None = None
        self._internal: web.ServerRunner | None = None
        self.ports: dict[str, int] = {}
        """Port numbers by door, once started."""
        registry = CollectorRegistry()
        self._auth = AuthMetrics(registry)
        self.streams = DemandStreams()
        self.table = RoutingTable(settings.region, settings.default_namespace)
        self._measures = Measures(Metrics(registry), self._in_flight)
        self.pools = Pools(self.streams.changed, self._measures.of)
        self.environments = Environments(self.pools, outside.make_door, self.table.route_of)
        self._ownership = Ownership(settings.pod_name, int(outside.clock() * 1000))
        self.environments.tend = self._tending(pace or Pace())
        self._bounds = bounds or Bounds(
            cold_start=settings.cold_start_timeout_seconds, account_concurrency=settings.account_concurrency
        )
        self._accounts = Accounts(self._bounds.account_concurrency)
        self._reports = HookReports(outside.apply_alias_status, outside.clock)
        self.watching = Watching(self.table, self._reports, self.environments, self._measures, self._accounts)
        self._telemetry = TelemetryServer(registry, Health(live=self._unwell, ready=self._unready))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def _tending(self, pace: Pace) -> Tending:
        settings, outside = self._settings, self._outside
        links = CodeLinks(settings.codestore_url, settings.url_key, outside.clock)
        claiming = Claiming(CodeCache(outside.blobs), links, settings.region, settings.inline_code_bytes)
        return Tending(self.environments, self._ownership, claiming, self.table.route_of, pace)

    def _gate(self) -> Gate:
        settings, callers, clock = self._settings, self._outside.callers, self._outside.clock
        if settings.auth_mode == NONE:
            return OpenGate(settings.default_namespace)
        tokens = Tokens(callers.public, clock, self._auth.reviews("TokenReview"))
        counters = Counters(self._auth.door("public"), self._auth.reviews("SubjectAccessReview"))
        return KubernetesGate(self.table, tokens, callers.authorize, clock, counters)

    def _authenticator(self) -> Authenticator:
        tokens = Tokens(self._outside.callers.internal, self._outside.clock, self._auth.reviews("TokenReview"))
        return Authenticator(tokens, self._settings.controller_user, self._auth.door("internal"))

    @property
    def epoch(self) -> int:
        """The epoch that agents hear now."""
        return self._ownership.epoch

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and watch; `/readyz` says when requests should come."""
        settings = self._settings
        await self._telemetry.start(settings.metrics_port, settings.host)
        self.ports["metrics"] = self._telemetry.port
        invoking = Invoking(self.table, self.environments, self._ownership, self._accounts, self._bounds)
        invoking.spans = self._outside.spans
        answering = Answering(self.table, invoking)
        door = PublicDoor(self._gate(), answering, self._reports)
        room = Room(settings.bodies_bytes)
        self._public = HttpServer(door, lambda: self._draining, door.admit, room)
        authenticator = self._authenticator()
        retiring = Retiring(self.environments, self._ownership)
        invocations = InternalInvocations(self.table, answering)
        internal = InternalDoor(authenticator, self.pools, self.streams, retiring, invocations)
        self._spawn(self.watching.run(self._outside.source, settings.namespaces))
        self._spawn(self._settle())
        self._spawn(self._sweep())
        self._spawn(Keeping(self.environments, self._ownership, self._outside.make_door).run())
        await self._public.start(settings.host, settings.public_port)
        self.ports["public"] = self._public.port
        self.ports["internal"] = await self._listen(internal, settings.internal_port)

    async def drain(self) -> None:
        """Not ready any more, but still accepting until endpoints are gone; then finish what is in flight."""
        self._draining = True
        await asyncio.sleep(self._settings.linger_seconds)

    async def stop(self) -> None:
        """Accept no more, let requests in flight end (within `drain_seconds`), then let go of everything."""
        self._draining = True
        if self._public is None:
            return
        public, self._public = self._public, None
        await public.stop(self._settings.drain_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._internal is not None:
            await self._internal.cleanup()
        for environment in list(self.environments.all()):
            self.environments.forget(environment.name)
        await self._telemetry.stop()

    async def _listen(self, door: InternalDoor, port: int) -> int:
        server = BoundedServer(door, internal_door.unreadable)
        # nothing is in flight here that is worth waiting for: the streams never end by themselves
        self._internal = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._internal.setup()
        await web.TCPSite(self._internal, self._settings.host, port).start()
        address: tuple[str, int] = self._internal.addresses[0]
        return address[1]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.critical("a loop of the gateway died", exc_info=task.exception())
            self._broken = f"{task.exception()!r}"

    async def _settle(self) -> None:
        """Be ready once everything was seen and every agent that was there before us was asked."""
        loop = asyncio.get_running_loop()
        await self.watching.synced.wait()
        deadline = loop.time() + ASK_SECONDS
        for environment in list(self.environments.all()):
            while environment.pod.running and not environment.asked and loop.time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)  # simpler than an event in each of a thousand environments
        self._ownership.settled = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.environments.cut_off_late()
            self.pools.sweep()

    # --- what is asked about it ---------------------------------------------------------------------------------

    def _in_flight(self, key: Key) -> int:
        """Of all keys of the same function and version."""
        return sum(pool.admission.in_flight for pool in self.pools.of_version(key))

    def _unwell(self) -> str | None:
        return self._broken

    def _unready(self) -> str | None:
        if self._draining:
            return "draining"
        if self.watching.behind:
            return f"not seen yet: {', '.join(sorted(self.watching.behind))}"
        return None if self._ownership.settled else "asking the environments for their state"


_LOOK_SECONDS = 0.02

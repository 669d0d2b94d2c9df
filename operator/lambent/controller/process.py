"""The controller's composition root: everything is put together here and nothing is decided here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from lambent.adapters.code.client import CodeStoreClient
from lambent.adapters.gateways import GatewayClient
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.events import EventRecorder
from lambent.adapters.kube.leases import Candidacy, lead
from lambent.adapters.kube.observing import Deleted, Listed, Pace, observe
from lambent.adapters.kube.pulses import Pulses
from lambent.adapters.kube.resources import ENDPOINT_SLICES, PODS
from lambent.adapters.prometheus import PrometheusClient
from lambent.adapters.telemetry.logs import configure_logging
from lambent.adapters.telemetry.serving import Health, TelemetryServer
from lambent.controller.alarming import Alarms, PrometheusPolls
from lambent.controller.alias_reconciling import AliasReconciler
from lambent.controller.applying import Tools
from lambent.controller.collecting import Collector, CollectorMetrics
from lambent.controller.demanding import DemandBoard, DemandListener
from lambent.controller.dispatching import Dispatcher
from lambent.controller.hooking import HookRunner
from lambent.controller.keys import Keys, ensure_keys
from lambent.controller.layer_reconciling import LayerReconciler
from lambent.controller.measuring import ControllerMetrics
from lambent.controller.metering import Metering
from lambent.controller.needing import CodeNeeds
from lambent.controller.policing import PolicyKeeper
from lambent.controller.publishing import Publisher, key_of
from lambent.controller.queueing import WorkQueue
from lambent.controller.reconciling import Reconciler
from lambent.controller.reference_watches import Manner, ReferenceWatches
from lambent.controller.referring import ReferenceBoard
from lambent.controller.settings import ControllerSettings
from lambent.controller.store import Nudge, Store
from lambent.controller.storing import CodeShelf
from lambent.controller.supplying import supplied
from lambent.controller.sweeping import Sweeper
from lambent.controller.version_book import Name
from lambent.controller.version_reconciling import VersionReconciler
from lambent.controller.watching import Watcher
from lambent.core.workload import WorkloadSettings
from lambent.model import names
from lambent.model.errors import LambentError, Unavailable

log = logging.getLogger(__name__)

PUBLISHERS = 16
"""Functions of which versions are published at once."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the work of a leader finds in its process."""

    metrics: ControllerMetrics
    pulses: Pulses
    collecting: CollectorMetrics


def run() -> int:
    """Be the controller until told to stop. 0 after SIGTERM, 1 when the Lease or a watch is lost, 2 for settings."""
    try:
        settings = ControllerSettings.from_environment(os.environ)
    except ValueError as error:
        print(f"lambent controller: {error}", file=sys.stderr)
        return 2
    configure_logging("controller", settings.log_level)
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    return asyncio.run(_main(settings))


async def _main(settings: ControllerSettings) -> int:
    registry = CollectorRegistry()
    metrics, pulses = ControllerMetrics(registry), Pulses()
    # a standby is as ready as a leader, and has nothing to watch
    telemetry = TelemetryServer(registry, Health(live=pulses.problem))
    await telemetry.start(settings.metrics_port)
    main = asyncio.current_task()
    assert main is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, main.cancel)
    try:
        async with await KubeClient.connect() as client:
            keys = await _patiently(lambda: ensure_keys(client, settings.pod_namespace, settings.keys_secret))
            candidacy = Candidacy(settings.lease_name, settings.pod_namespace, settings.pod_name)
            log.info("waiting for the lease %s/%s", settings.pod_namespace, settings.lease_name)
            around = Surroundings(metrics, pulses, CollectorMetrics(registry))
            led = await lead(client, candidacy, lambda: _work(settings, client, keys, around))
            return 0 if led else 1
    except asyncio.CancelledError:
        log.info("stopped")
        return 0
    except LambentError as error:  # the API server refused: no place in the code to look at
        log.error("the controller ends: %s", error)  # noqa: TRY400
        return 1
    except Exception:
        log.exception("the controller ends")
        return 1
    finally:
        await telemetry.stop()


async def _patiently(ask: Callable[[], Awaitable[Keys]]) -> Keys:
    """An API server that is away is waited for: ending helps nobody, and being restarted takes longer each time."""
    wait = 1.0
    while True:
        try:
            return await ask()
        except Unavailable as error:
            log.warning("the API server does not answer; again in %.0f s: %s", wait, error)
            await asyncio.sleep(wait)
            wait = min(15.0, wait * 2)


async def _work(settings: ControllerSettings, client: KubeClient, keys: Keys, around: Surroundings) -> None:
    """What the leader does, until anything breaks."""
    log.info("leading")
    metrics, pulses = around.metrics, around.pulses
    metrics.leading.set(1)
    queue = WorkQueue(settings.workers)
    store = Store(queue.add)
    board = DemandBoard(store.nudge_owner)
    references = ReferenceBoard(queue.add)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        suppliers = await stack.enter_async_context(supplied(settings.sources, client, session, metrics))
        gateways = GatewayClient(session, settings.internal_token_file)
        recorder = EventRecorder(client, names.FIELD_MANAGER_CONTROLLER, settings.pod_name)
        codestore = CodeStoreClient(settings.codestore_url, session)
        shelf = CodeShelf(codestore, keys.url, suppliers=suppliers, nudge=queue.add)
        workload = await _workload(settings.workload, client)
        tools = Tools(client, gateways, board, store, references, recorder, metrics, workload, keys.agent)
        aliases = _aliases(settings, tools, gateways, session, queue.add)
        asked = WorkQueue(PUBLISHERS)
        metrics.depth.set_function(lambda: queue.depth + asked.depth)
        work_with = _dispatcher(settings, tools, shelf, aliases, asked)
        listener = DemandListener(board, gateways)
        sweeper = Sweeper(client, store, settings.namespaces)
        await sweeper.first()  # nothing is decided before everything was seen
        log.info("seen %d functions", len(store.uids()))
        work: dict[str, Coroutine[Any, Any, None]] = {
            "queue": queue.run(work_with.work_on),
            "publishing": asked.run(work_with.publisher.work),
            "watching": Watcher(store, settings.namespaces, pulses).run(),
            "sweeping": sweeper.run(),
            "gateways": _find_gateways(settings, client, listener, pulses),
            "references": ReferenceWatches(client, references, Manner(everywhere=not settings.namespaces)).run(),
        }
        if settings.collect_seconds:
            needs = CodeNeeds(store, shelf, work_with.has_judged)
            collector = Collector(codestore, keys.url, needs, around.collecting, settings.collecting)
            work["collecting"] = collector.run(settings.collect_seconds)
        if settings.policies is not None:
            work["policies"] = PolicyKeeper(client, store, settings.policies, settings.namespaces).run()
        tasks = [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:  # none of them ever ends well
                task.result()
                raise Unavailable(f"{task.get_name()} ended")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await listener.close()
            await work_with.close()
            await shelf.close()
            metrics.leading.set(0)


def _aliases(
    settings: ControllerSettings, tools: Tools, gateways: GatewayClient, session: aiohttp.ClientSession, nudge: Nudge
) -> AliasReconciler:
    prometheus = PrometheusClient(session, settings.prometheus) if settings.prometheus.url else None
    hooks = HookRunner(gateways, tools.board.connected, nudge)
    alarms = Alarms(Metering(tools.board, nudge), PrometheusPolls(prometheus, nudge))
    return AliasReconciler(tools, settings.installation.region, hooks, alarms)


def _dispatcher(
    settings: ControllerSettings, tools: Tools, shelf: CodeShelf, aliases: AliasReconciler, asked: WorkQueue
) -> Dispatcher:
    installation = settings.installation

    def ask(name: Name) -> None:
        asked.add(key_of(name))

    versions = VersionReconciler(tools, ask, installation)
    functions = Reconciler(tools, shelf, installation, ask)
    layers = LayerReconciler(tools, shelf, installation.region)
    return Dispatcher(
        tools.store, functions, versions, aliases, layers, Publisher(tools, versions, installation.region)
    )


async def _workload(wanted: WorkloadSettings, client: KubeClient) -> WorkloadSettings:
    """What is wanted of environments, without what this cluster cannot do: CPU that it could not take back."""
    if not wanted.start_cpu_millicores or await client.offers(PODS, "resize"):
        return wanted
    log.warning("this cluster cannot resize pods (Kubernetes 1.33 can): environments start with their share of CPU")
    return replace(wanted, start_cpu_millicores=0)


async def _find_gateways(
    settings: ControllerSettings, client: KubeClient, listener: DemandListener, pulses: Pulses
) -> None:
    """Gateways are the endpoints of their headless Service, ready or not: they report demand either way."""
    watcher = ENDPOINT_SLICES.collection(settings.pod_namespace)
    pulses.expect([watcher])
    pace = Pace(beat=lambda: pulses.beat(watcher))
    slices: dict[str, list[str]] = {}
    selector = f"kubernetes.io/service-name={settings.gateway_service}"
    async for seen in observe(client, ENDPOINT_SLICES, namespace=settings.pod_namespace, selector=selector, pace=pace):
        match seen:
            case Listed(objects):
                slices = {body["metadata"]["name"]: _addresses(body) for body in objects}
            case Deleted(body):
                slices.pop(body["metadata"]["name"], None)
            case changed:
                slices[changed.object["metadata"]["name"]] = _addresses(changed.object)
        hosts = {address for addresses in slices.values() for address in addresses}
        listener.set_gateways(
            f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway_port}" for host in hosts
        )


def _addresses(body: dict[str, object]) -> list[str]:
    endpoints = body.get("endpoints") or []
    assert isinstance(endpoints, list)
    return [address for endpoint in endpoints for address in endpoint.get("addresses") or []]

"""The controller's composition root: everything is put together here and nothing is decided here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from lambent.adapters.code.client import CodeStoreClient
from lambent.adapters.gateways import GatewayClient
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.events import EventRecorder
from lambent.adapters.kube.leases import Candidacy, lead
from lambent.adapters.kube.observing import Deleted, Listed, observe
from lambent.adapters.kube.resources import ENDPOINT_SLICES, PODS
from lambent.adapters.telemetry.logs import configure_logging
from lambent.adapters.telemetry.serving import Health, TelemetryServer
from lambent.controller.applying import Tools
from lambent.controller.demanding import DemandBoard, DemandListener
from lambent.controller.keys import Keys, ensure_keys
from lambent.controller.measuring import ControllerMetrics
from lambent.controller.queueing import WorkQueue
from lambent.controller.reconciling import Reconciler
from lambent.controller.referring import ReferenceBoard
from lambent.controller.settings import ControllerSettings
from lambent.controller.store import Store
from lambent.controller.storing import CodeShelf
from lambent.controller.watching import Sweeper, watch
from lambent.core.workload import WorkloadSettings
from lambent.model import names
from lambent.model.errors import LambentError, Unavailable

log = logging.getLogger(__name__)

STOPPING_SECONDS = 1.0
"""Kopf waits for all tasks that are younger than itself, whoever made them; the Lease has to be given back in time."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the work of a leader finds in its process."""

    metrics: ControllerMetrics
    main: asyncio.Task[int]


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
    metrics = ControllerMetrics(registry)
    telemetry = TelemetryServer(registry, Health())  # a standby is as ready as a leader
    await telemetry.start(settings.metrics_port)
    main = asyncio.current_task()
    assert main is not None
    _stop_on_signals(main)
    try:
        async with await KubeClient.connect() as client:
            keys = await ensure_keys(client, settings.pod_namespace, settings.keys_secret)
            candidacy = Candidacy(settings.lease_name, settings.pod_namespace, settings.pod_name)
            log.info("waiting for the lease %s/%s", settings.pod_namespace, settings.lease_name)
            led = await lead(client, candidacy, lambda: _work(settings, client, keys, Surroundings(metrics, main)))
            return 0 if led else 1
    except asyncio.CancelledError:
        log.info("stopped")
        return 0
    except LambentError as error:  # the API server refused or is away: no place in the code to look at
        log.error("the controller ends: %s", error)  # noqa: TRY400
        return 1
    except Exception:
        log.exception("the controller ends")
        return 1
    finally:
        await telemetry.stop()


def _stop_on_signals(main: asyncio.Task[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, main.cancel)


async def _work(settings: ControllerSettings, client: KubeClient, keys: Keys, around: Surroundings) -> None:
    """What the leader does, until anything breaks."""
    log.info("leading")
    metrics = around.metrics
    metrics.leading.set(1)
    queue = WorkQueue(settings.workers)
    metrics.depth.set_function(lambda: queue.depth)
    store = Store(queue.add)
    board = DemandBoard(queue.add)
    async with aiohttp.ClientSession() as session:
        gateways = GatewayClient(session, settings.internal_token_file)
        recorder = EventRecorder(client, names.FIELD_MANAGER_CONTROLLER, settings.pod_name)
        shelf = CodeShelf(CodeStoreClient(settings.codestore_url, session), keys.url)
        workload = await _workload(settings.workload, client)
        references = ReferenceBoard(queue.add)
        tools = Tools(client, gateways, board, store, references, recorder, metrics, workload, keys.agent)
        reconciler = Reconciler(tools, shelf, settings.installation)
        listener = DemandListener(board, gateways)
        sweeper = Sweeper(client, store, settings.namespaces)
        await sweeper.sweep()  # nothing is decided before everything was seen
        log.info("seen %d functions", len(store.uids()))
        background = [
            asyncio.create_task(queue.run(reconciler.reconcile), name="queue"),
            asyncio.create_task(sweeper.run(), name="sweeper"),
            asyncio.create_task(_find_gateways(settings, client, listener), name="gateways"),
        ]
        started, stop = asyncio.Event(), asyncio.Event()
        watching = asyncio.create_task(watch(store, settings.namespaces, started, stop), name="kopf")
        try:
            await _first(started.wait(), [watching, *background])
            _stop_on_signals(around.main)  # kopf took them, but it would stop our tasks as if they were its own
            await _first(asyncio.Event().wait(), [watching, *background])
        finally:
            await listener.close()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            stop.set()  # kopf closes its connections when it is asked, and not when it is cancelled
            await asyncio.wait({watching}, timeout=STOPPING_SECONDS)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            metrics.leading.set(0)


async def _workload(wanted: WorkloadSettings, client: KubeClient) -> WorkloadSettings:
    """What is wanted of environments, without what this cluster cannot do: CPU that it could not take back."""
    if not wanted.start_cpu_millicores or await client.offers(PODS, "resize"):
        return wanted
    log.warning("this cluster cannot resize pods (Kubernetes 1.33 can): environments start with their share of CPU")
    return replace(wanted, start_cpu_millicores=0)


async def _first(wanted: Coroutine[Any, Any, object], background: list[asyncio.Task[None]]) -> None:
    """Wait for something, unless one of the tasks that never end does: that is raised."""
    waiting = asyncio.ensure_future(wanted)
    try:
        done, _ = await asyncio.wait({waiting, *background}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
            raise Unavailable(f"{task.get_name()} ended")
    finally:
        waiting.cancel()


async def _find_gateways(settings: ControllerSettings, client: KubeClient, listener: DemandListener) -> None:
    """Gateways are the endpoints of their headless Service, ready or not: they report demand either way."""
    slices: dict[str, list[str]] = {}
    selector = f"kubernetes.io/service-name={settings.gateway_service}"
    async for seen in observe(client, ENDPOINT_SLICES, namespace=settings.pod_namespace, selector=selector):
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

"""The code store as a process: settings in, a door and a health port out, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time

from aiohttp import web
from prometheus_client import CollectorRegistry

from lambent.adapters.code.directory import BlobDirectory
from lambent.adapters.telemetry.logs import configure_logging
from lambent.adapters.telemetry.serving import Health, TelemetryServer
from lambent.model.errors import LambentError

from .metering import Metrics, VolumeWatch
from .serving import Door
from .settings import InvalidSettings, Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS, CLEANUP_SECONDS = 20.0, 3.0
"""For requests under way, and for what is left of them; Kubernetes kills after 30."""
BACKLOG = 1024
"""Cold starts come in crowds."""


def run() -> int:
    """Serve until SIGTERM or SIGINT. 2 when the settings are wrong, 1 when the volume is."""
    try:
        settings = Settings.from_environment(os.environ)
    except InvalidSettings as error:
        print(f"lambent codestore: {error}", file=sys.stderr)
        return 2
    configure_logging("codestore", settings.log_level)
    # What it would log of a malformed request is its first line, and with it a signature.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    try:
        asyncio.run(_serve(settings))
    except (LambentError, OSError) as error:
        log.critical("the code store cannot run", extra={"reason": str(error)})
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    blobs = BlobDirectory(settings.directory)
    await blobs.prepare()
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    watch = VolumeWatch(blobs, metrics, time.monotonic)
    telemetry = TelemetryServer(registry, Health(ready=watch.problem))
    door = Door(blobs, settings.url_key, time.time, metrics)
    runner = web.AppRunner(door.application(), access_log=None, shutdown_timeout=CLEANUP_SECONDS)
    await runner.setup()
    watching = asyncio.create_task(watch.run())
    try:
        await telemetry.start(settings.metrics_port)
        site = web.TCPSite(runner, port=settings.port, backlog=BACKLOG)
        await site.start()
        log.info("serving", extra={"port": settings.port, "metricsPort": settings.metrics_port})
        await _until(stopping, watching)
        log.info("stopping")
        await site.stop()
        await door.traffic.drain(DRAIN_SECONDS)
    finally:
        await runner.cleanup()
        watching.cancel()
        await telemetry.stop()


async def _until(stopping: asyncio.Event, watching: asyncio.Task[None]) -> None:
    """Wait for the signal; a watch that ended by itself is a bug, and a process without one must not go on."""
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((waiting, watching), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if watching.done():
        watching.result()

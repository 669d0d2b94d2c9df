"""The code store as a process: settings in, a door and a health port out, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time

from prometheus_client import CollectorRegistry

from lambent.adapters.telemetry.logs import configure_logging
from lambent.adapters.telemetry.serving import Health, TelemetryServer
from lambent.model.errors import LambentError, Unavailable

from .backends import Backend, backend
from .listening import Port
from .metering import COUNT_SECONDS, Metrics, VolumeWatch
from .scrubbing import Scrubber
from .serving import Door
from .settings import InBucket, InvalidSettings, Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0
"""For requests under way; Kubernetes kills after 30."""
TIDY_SECONDS = 3600.0
COUNT_BUCKET_SECONDS = 600.0
"""A bucket's lists are paid for, one for every thousand blobs."""


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
    async with backend(settings.place) as blobs:
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        in_bucket = isinstance(settings.place, InBucket)
        watch = VolumeWatch(blobs, metrics, time.monotonic, COUNT_BUCKET_SECONDS if in_bucket else COUNT_SECONDS)
        telemetry = TelemetryServer(registry, Health(ready=watch.problem))
        door = Door(blobs, settings.url_key, time.time, metrics)
        port = Port(door.application())
        background = [asyncio.create_task(watch.run()), asyncio.create_task(_tidy(blobs))]
        if settings.scrub_bytes_per_second:
            scrubber = Scrubber(blobs, metrics, settings.scrub_bytes_per_second, time.monotonic)
            background.append(asyncio.create_task(scrubber.run()))
        try:
            await telemetry.start(settings.metrics_port)
            await port.open(None, settings.port)
            log.info("serving", extra={"port": port.number, "metricsPort": telemetry.port})
            await _until(stopping, background)
            log.info("stopping")
            port.close()
            await door.traffic.drain(DRAIN_SECONDS)
        finally:
            await port.clean_up()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await telemetry.stop()


async def _tidy(blobs: Backend) -> None:
    while True:
        try:
            await blobs.tidy()
        except Unavailable as error:
            log.warning("what killed processes left cannot be swept", extra={"reason": str(error)})
        await asyncio.sleep(TIDY_SECONDS)


async def _until(stopping: asyncio.Event, background: list[asyncio.Task[None]]) -> None:
    """Wait for the signal; a loop that ended by itself is a bug, and a process without one must not go on."""
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((waiting, *background), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in background:
        if task.done():
            task.result()

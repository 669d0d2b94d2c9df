"""What the client speaks to. Each passes the same suite: Debian's own Prometheus, which reads a small exporter, and a
fake that answers the same queries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter, start_http_server

from lambent.adapters.prometheus import PrometheusClient, PrometheusSettings

from .debian_prometheus import DebianPrometheus, debian_prometheus
from .fake_prometheus import serving

SECONDS_TO_SCRAPE = 60.0


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianPrometheus]:
    """It has read the exporter once."""
    registry = CollectorRegistry()
    orders = Counter("shop_orders", "Orders by the version that took them.", ["version"], registry=registry)
    orders.labels("2").inc(42)
    orders.labels("1").inc(7)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    folder: Path = tmp_path_factory.mktemp("prometheus")
    try:
        with debian_prometheus(folder, f"127.0.0.1:{server.server_port}") as made:
            limit = time.monotonic() + SECONDS_TO_SCRAPE
            while made.value("shop_orders_total") is None:
                assert time.monotonic() < limit, (folder / "log").read_text()
                time.sleep(0.05)
            yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(params=["debian", "fake"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "debian":
        yield request.getfixturevalue("debian").url
        return
    async with serving() as made:
        yield made


@pytest.fixture
async def client(url: str) -> AsyncIterator[PrometheusClient]:
    async with aiohttp.ClientSession() as session:
        yield PrometheusClient(session, PrometheusSettings(url))

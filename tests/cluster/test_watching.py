"""kopf before a real API server, through a connection that goes silent, breaks, stalls or is slow (R14)."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.pulses import Pulses
from lambent.adapters.kube.resources import FUNCTIONS
from lambent.controller.store import Store
from lambent.controller.watching import Watcher

PATIENCE_S = 150.0
"""For what is promised within 75 s, on a machine that may be busy."""


class Weather:
    """A TCP proxy before the API server: what is in the way, it does to whoever is connected."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._connections: set[asyncio.Task] = set()
        self._silenced: set[asyncio.Task] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.delay = 0.0

    @asynccontextmanager
    async def blowing(self):
        """Yields the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Every connection is reset."""
        for task in self._connections:
            task.cancel()

    def silence(self) -> None:
        """Every connection that is open now stays open, and nothing goes through it any more. New ones work."""
        self._silenced |= self._connections

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._connections.add(task)
        upstream = None
        try:
            there, upstream = await asyncio.open_connection(*self._upstream)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(task, reader, upstream))
                both.create_task(self._carry(task, there, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            for one in filter(None, (writer, upstream)):
                one.transport.abort()

    async def _carry(self, task, reader, writer) -> None:
        while data := await reader.read(65536):
            if task in self._silenced:
                continue
            await asyncio.sleep(self.delay)
            await self.open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@pytest.fixture
def _definition(request, cluster):
    """The kind exists: a release's, else the session's release is installed."""
    if not cluster.run_kubectl("get", "crd", "functions.lambent.dev", "--ignore-not-found", "-o", "name"):
        request.getfixturevalue("release")


@pytest.fixture
async def weather(kubeconfig, tmp_path: Path, monkeypatch, _definition):
    """The connection; KUBECONFIG leads through it."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    weather = Weather(server.hostname, server.port)
    async with weather.blowing() as port:
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        async with await KubeClient.connect() as client:  # past the weather
            weather.client = client
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
            yield weather


@asynccontextmanager
async def watched(namespace: str):
    store, pulses = Store(lambda _: None), Pulses()
    task = asyncio.create_task(Watcher(store, (namespace,), pulses).run())
    try:
        yield store, pulses
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def sees(store: Store, *names: str) -> float:
    """Seconds until the store holds exactly these Functions."""
    begun = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        while sorted(store.function(uid).name for uid in store.uids()) != sorted(names):
            await asyncio.sleep(0.05)
    return time.monotonic() - begun


async def create(weather: Weather, namespace: str, name: str) -> None:
    spec = {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x = 1"}}
    body = {"apiVersion": "lambent.dev/v1alpha1", "kind": "Function", "metadata": {"name": name}, "spec": spec}
    await weather.client.request("POST", FUNCTIONS.collection(namespace), body=body)


async def delete(weather: Weather, namespace: str, name: str) -> None:
    await weather.client.request("DELETE", FUNCTIONS.item(namespace, name))


async def silent(weather: Weather) -> None:
    weather.silence()


async def broken(weather: Weather) -> None:
    for _ in range(5):
        weather.cut()
        await asyncio.sleep(0.3)


async def stalled(weather: Weather) -> None:
    weather.open.clear()
    asyncio.get_running_loop().call_later(20, weather.open.set)


async def slow(weather: Weather) -> None:
    weather.delay = 0.5
    weather.cut()


KINDS = {"silent": silent, "broken again and again": broken, "stalled for 20 s": stalled, "slow": slow}


@pytest.mark.parametrize("strike", KINDS.values(), ids=KINDS.keys())
async def test_what_was_created_during_bad_weather_is_seen(weather, namespace, strike, record_property):
    """And its watcher was alive for the kubelet all the time, though nothing came through."""
    async with watched(namespace) as (store, pulses):
        await create(weather, namespace, "early")
        await sees(store, "early")
        await strike(weather)
        await create(weather, namespace, "late")
        took = await sees(store, "early", "late")
        record_property("seconds", round(took, 1))
        print(f"seen after {took:.1f} s")
        assert pulses.problem() is None


@pytest.mark.parametrize("stall", [5, 20])
async def test_a_loop_that_stands_still_misses_nothing(weather, namespace, stall):
    """Created, deleted and created anew while no event could be taken."""
    async with watched(namespace) as (store, _):
        await create(weather, namespace, "early")
        await sees(store, "early")
        await delete(weather, namespace, "early")
        await create(weather, namespace, "late")
        time.sleep(stall)
        await sees(store, "late")

"""The controller as its own process, over a fake API server: what it waits for, and how it leaves."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from tests.adapters.kube.fake_api import FakeApi

from lambent.adapters.kube.resources import FUNCTIONS, LAYERS

OPERATOR = Path(__file__).resolve().parents[2] / "operator"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/system/leases/lambent-controller"
FUNCTION = {
    "apiVersion": "lambent.dev/v1alpha1",
    "kind": "Function",
    "metadata": {"name": "f"},
    "spec": {"runtime": "python3.11", "handler": "i.h", "code": {"inline": "x = 1"}},
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
async def controller(tmp_path):
    """A process, the port that its API server is expected on, and the port of its health."""
    port, metrics_port = free_port(), free_port()
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    (tmp_path / "token").write_text("t")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(OPERATOR),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "LAMBENT_CODESTORE_URL": f"http://127.0.0.1:{free_port()}",
        "LAMBENT_INTERNAL_TOKEN_FILE": str(tmp_path / "token"),
        "LAMBENT_GATEWAY_SERVICE": "gateway",
        "LAMBENT_KEYS_SECRET": "keys",
        "LAMBENT_POD_NAME": "pod-1",
        "LAMBENT_POD_NAMESPACE": "system",
        "LAMBENT_RUNTIMES": '{"python3.11": "image"}',
        "LAMBENT_METRICS_PORT": str(metrics_port),
    }
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lambent", "controller", env=environment, stderr=log, stdout=log, cwd=tmp_path
        )
    process.api_port, process.health_port, process.log = port, metrics_port, tmp_path / "log"
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def health(process):
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{process.health_port}/healthz") as answer,
        ):
            return answer.status
    except aiohttp.ClientError:
        return None


async def until(condition, process):
    async with asyncio.timeout(60):
        while not condition():
            assert process.returncode is None, process.log.read_text()
            await asyncio.sleep(0.05)


async def test_an_api_server_that_is_away_is_waited_for_and_the_lease_is_given_back(controller):
    """It starts before the API server does, loses it for a while, and leaves in order when told to."""
    async with asyncio.timeout(60):
        while await health(controller) is None:
            await asyncio.sleep(0.05)
    await asyncio.sleep(2.5)
    assert controller.returncode is None, controller.log.read_text()
    assert await health(controller) == 200
    api = await FakeApi().start(controller.api_port)
    try:
        api.add("/api/v1/namespaces", {"metadata": {"name": "a", "uid": "uid-a"}})
        api.add(FUNCTIONS.collection("a"), FUNCTION)
        written = lambda name: bool(api.objects[f"{FUNCTIONS.collection('a')}/{name}"].get("status"))  # noqa: E731
        await until(lambda: written("f"), controller)
        assert api.objects[LEASE]["spec"]["holderIdentity"] == "pod-1"

        api.fail("GET", "/functions", status=503, times=3)
        api.cut()
        api.add(FUNCTIONS.collection("a"), {**FUNCTION, "metadata": {"name": "g"}})
        await until(lambda: written("g"), controller)
        layer = {"metadata": {"name": "libs"}, "spec": {"content": {"zipFile": "UEsFBg=="}}}
        api.add(LAYERS.collection("a"), layer)
        await until(lambda: api.objects[f"{LAYERS.collection('a')}/libs"].get("status"), controller)
        assert await health(controller) == 200

        begun = time.monotonic()
        controller.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(controller.wait(), 30) == 0
        assert api.objects[LEASE]["spec"]["holderIdentity"] == ""
        assert time.monotonic() - begun < 10
    finally:
        await api.stop()


async def test_without_the_rights_it_needs_it_ends_and_says_which(controller):
    """There is nothing to do without Functions: a person has to see that, and the log says why."""
    api = await FakeApi().start(controller.api_port)
    api.fail("GET", "/functions", status=403, reason="Forbidden", message="may not list functions", times=100)
    try:
        assert await asyncio.wait_for(controller.wait(), 60) == 1
        assert "may not list functions" in controller.log.read_text()
        assert "Traceback" not in controller.log.read_text()
    finally:
        await api.stop()

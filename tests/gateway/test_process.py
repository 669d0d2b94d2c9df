"""The process: its settings, its start without an API server, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from tests.adapters.kube.fake_api import FakeApi
from tests.agent.driving import ROOT
from tests.gateway.clusters import function
from tests.gateway.conftest import free_port
from tests.gateway.publications import alias, rollout, version

from lambent.adapters.kube.observing import Changed, Listed
from lambent.gateway.process import KubeSource, alias_status_writer
from lambent.gateway.settings import Settings
from lambent.model.errors import Refused


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "agent-key").write_bytes(b"agent\n")
    (tmp_path / "url-key").write_bytes(b"url")
    return {"LAMBENT_KEYS_DIR": str(tmp_path)}


def test_settings_are_parsed_once_with_defaults(keys):
    """Keys lose an editor's newline and never show in a representation."""
    settings = Settings.from_environment(keys)
    assert (settings.agent_key, settings.url_key) == (b"agent", b"url")
    assert (settings.public_port, settings.internal_port, settings.metrics_port) == (8080, 8081, 9090)
    assert (settings.namespaces, settings.cold_start_timeout_seconds) == ((), 60.0)
    assert "agent'" not in repr(settings)


def test_settings_are_what_the_environment_says(keys):
    """Lists are split; a service link of Kubernetes is not mistaken for a port."""
    environment = {
        **keys,
        "LAMBENT_NAMESPACES": "a, b,",
        "LAMBENT_PUBLIC_PORT": "tcp://10.0.0.1:80",
        "LAMBENT_INTERNAL_PORT": "0",
        "LAMBENT_COLD_START_TIMEOUT_SECONDS": "7.5",
        "LAMBENT_ACCOUNT_CONCURRENCY": "10",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    }
    settings = Settings.from_environment(environment)
    assert (settings.namespaces, settings.public_port, settings.internal_port) == (("a", "b"), 8080, 0)
    assert (settings.cold_start_timeout_seconds, settings.account_concurrency) == (7.5, 10)
    assert settings.otlp_endpoint == "http://collector:4318"


def test_nonsense_is_refused_at_the_start(keys):
    """Not at the first request."""
    with pytest.raises(ValueError, match="abc"):
        Settings.from_environment({**keys, "LAMBENT_PUBLIC_PORT": "abc"})
    with pytest.raises(OSError, match="agent-key"):
        Settings.from_environment({"LAMBENT_KEYS_DIR": "/nowhere"})


COLLECTION = "/apis/lambent.dev/v1alpha1/namespaces/default/{}"


@pytest.fixture
async def api():
    fake = await FakeApi().start()
    yield fake
    await fake.stop()


async def test_versions_and_aliases_are_listed_and_watched(api):
    """Of one namespace, or of all."""
    hello = function()
    api.add(COLLECTION.format("versions"), version(hello, 1))
    api.add(COLLECTION.format("aliases"), alias(hello, "live", 1))
    for source, namespace in ((KubeSource(api.client, ()), None), (KubeSource(api.client, ("default",)), "default")):
        for stream, name in ((source.versions(namespace), "hello.1"), (source.aliases(namespace), "hello.live")):
            listed = await anext(stream)
            assert isinstance(listed, Listed)
            assert [body["metadata"]["name"] for body in listed.objects] == [name]
            await stream.aclose()
    stream = KubeSource(api.client, ()).aliases(None)
    await anext(stream)
    api.change(COLLECTION.format("aliases/hello.live"), lambda body: body["status"].update(targetVersion="2"))
    changed = await anext(stream)
    assert isinstance(changed, Changed)
    assert changed.object["status"]["targetVersion"] == "2"
    await stream.aclose()


async def test_what_hooks_reported_is_applied_to_the_status_that_was_seen(api):
    """By server-side apply, as the gateway's own field manager; refused when somebody wrote meanwhile."""
    known = api.add(COLLECTION.format("aliases"), alias(function(), "live", 1, status={"rollout": rollout("one")}))
    write = alias_status_writer(api.client)
    body = {
        "apiVersion": "lambent.dev/v1alpha1",
        "kind": "Alias",
        "metadata": {"name": "hello.live", "resourceVersion": known["metadata"]["resourceVersion"]},
        "status": {"hookResults": []},
    }
    written = await write("default", "hello.live", body)
    assert written["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]
    assert api.requests[-1] == ("PATCH", COLLECTION.format("aliases/hello.live/status"))
    with pytest.raises(Refused) as raised:
        await write("default", "hello.live", body)
    assert raised.value.status == 409


def get(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_without_an_api_server_it_lives_is_not_ready_and_ends_in_order(keys, tmp_path):
    """It waits for the API server; SIGTERM ends it with 0; its log is JSON and holds no key."""
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "u", "user": {}}]}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", **config}))
    port = free_port()
    environment = {
        **os.environ,
        **keys,
        "PYTHONPATH": str(ROOT / "operator"),
        "KUBECONFIG": str(kubeconfig),
        "LAMBENT_HOST": "127.0.0.1",
        "LAMBENT_PUBLIC_PORT": "0",
        "LAMBENT_INTERNAL_PORT": "0",
        "LAMBENT_METRICS_PORT": str(port),
        "LAMBENT_LINGER_SECONDS": "0.1",
    }
    process = subprocess.Popen([sys.executable, "-m", "lambent", "gateway"], env=environment, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while get(port, "/healthz") != 200:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        assert get(port, "/readyz") == 503
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["message"] for line in lines if line["message"].startswith("gateway")] == [
        "gateway serves",
        "gateway ended",
    ]
    assert b"agent\\n" not in log

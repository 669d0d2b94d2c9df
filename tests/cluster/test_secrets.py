"""Secrets reach the function and nothing else: changed ones bring new environments, planted ones are found nowhere."""

from __future__ import annotations

import base64
import json
import secrets

import pytest
from botocore.exceptions import ClientError
from conftest import NAMESPACE, client_of
from driving import eventually

SHOW = "import os\ndef handler(e, c): return {k: os.environ.get(k) for k in e['names']}\n"
PLANTED = 200


@pytest.fixture
def secret(cluster, driver):
    """Writes a Secret (or ConfigMap) and removes it afterwards."""
    written = []

    def write(name: str, kind: str = "Secret", **data: str) -> str:
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": driver.namespace}}
        body["stringData" if kind == "Secret" else "data"] = data
        cluster.run_kubectl("apply", "-f", "-", stdin=json.dumps(body))
        written.append(f"{kind.lower()}/{name}")
        return name

    yield write
    for each in written:
        cluster.run_kubectl("delete", each, "-n", driver.namespace, "--ignore-not-found", "--wait=false")


def from_secret(variable, name, key):
    return {"name": variable, "secretKeyRef": {"name": name, "key": key}}


def fresh(prefix="s"):
    return f"{prefix}-{secrets.token_hex(4)}"


def test_a_function_gets_values_of_secrets_and_config_maps(driver, secret):
    """Beside its plain variables; and no reserved one is overridden by them."""
    name = secret(fresh(), password="from the secret", other="x")
    config = secret(fresh("c"), "ConfigMap", mode="from the map")
    function = driver.function(
        SHOW,
        environment={
            "variables": {"PLAIN": "as it stands"},
            "valueFrom": [
                from_secret("PASSWORD", name, "password"),
                {"name": "MODE", "configMapKeyRef": {"name": config, "key": "mode"}},
            ],
        },
    )
    names = ["PASSWORD", "MODE", "PLAIN", "other"]
    assert driver.invoke(function, {"names": names}).json == {
        "PASSWORD": "from the secret",
        "MODE": "from the map",
        "PLAIN": "as it stands",
        "other": None,
    }


def test_a_changed_secret_brings_new_environments(driver, secret):
    """And the old ones go."""
    name = secret(fresh(), key="one")
    function = driver.function(SHOW, environment={"valueFrom": [from_secret("KEY", name, "key")]})
    assert driver.invoke(function, {"names": ["KEY"]}).json == {"KEY": "one"}
    [before] = driver.pods(function)
    secret(name, key="two")
    assert eventually(lambda: driver.invoke(function, {"names": ["KEY"]}).json == {"KEY": "two"})
    gone = before["metadata"]["name"]
    eventually(lambda: gone not in {pod["metadata"]["name"] for pod in driver.pods(function)}, 90)


def test_a_missing_secret_is_named_and_picked_up_when_it_appears(driver, secret):
    """Ready says which; nobody has to touch the function."""
    name = fresh()
    function = driver.apply(SHOW, environment={"valueFrom": [from_secret("KEY", name, "key")]})
    ready = eventually(lambda: (c := driver.condition(function, "Ready")).get("status") == "False" and c)
    assert ready["reason"] == "ReferenceNotFound"
    assert name in ready["message"]
    assert not driver.pods(function)
    secret(name, key="late")
    driver.wait_ready(function)
    assert driver.invoke(function, {"names": ["KEY"]}).json == {"KEY": "late"}


def test_a_missing_key_is_named_in_the_error(driver, secret):
    """The kubelet's own words."""
    name = secret(fresh(), other="x")
    function = driver.function(SHOW, environment={"valueFrom": [from_secret("KEY", name, "key")]})
    with pytest.raises(driver.client.exceptions.ServiceException, match="couldn't find key key in Secret"):
        driver.invoke(function, {"names": ["KEY"]})
    healthy = eventually(
        lambda: (c := driver.condition(function, "EnvironmentsHealthy")).get("status") == "False" and c
    )
    assert healthy["reason"] == "ReferenceNotFound"


SOURCES = {
    "works": "def handler(e, c): return 1\n",
    "does not import": "import no_such_module\n",
    "raises": "def handler(e, c): raise ValueError('oh')\n",
    "exits": "import os\ndef handler(e, c): os._exit(3)\n",
    "exits at import": "import os\nos._exit(4)\n",
    "hangs": "import time\ndef handler(e, c): time.sleep(60)\n",
    "runs out of memory": "def handler(e, c): return len(bytearray(1 << 31))\n",
    "answers what JSON has not": "def handler(e, c): return {1}\n",
    "answers too much": "def handler(e, c): return 'x' * 7_000_000\n",
    "is no Python": "def handler(e, c) return 1\n",
}


def test_no_planted_secret_is_found_anywhere(cluster, driver, release, gateway_url, secret):
    """S5: 200 values in Secrets, variables and tokens; none in logs, Events, status, metrics or error bodies."""
    planted: list[str] = []

    def plant() -> str:
        planted.append(f"canary-{secrets.token_hex(12)}")
        return planted[-1]

    bodies: list[bytes] = []
    names = []
    for source in SOURCES.values():
        name = secret(fresh(), **{f"k{i}": plant() for i in range(10)})
        names.append(
            driver.apply(
                source,
                timeout=2,
                memorySize=256,
                environment={
                    "variables": {f"PLAIN_{i}": plant() for i in range(8)},
                    "valueFrom": [from_secret(f"KEY_{i}", name, f"k{i}") for i in range(10)],
                },
            )
        )
    # values that make a function Stalled, a pod refused, an archive unreadable
    too_large = {f"LARGE_{i}": plant() for i in range(8)}
    names.append(driver.apply(SOURCES["works"], runtime="python3.9", environment={"variables": too_large}))
    while len(planted) < PLANTED - 4:
        plant()
    for word in planted[-4:]:
        with pytest.raises(ClientError) as error:
            client_of(gateway_url, word).invoke(FunctionName=names[0], Payload=json.dumps({"secret": plant()}))
        bodies.append(repr(error.value.response).encode())
    for name in names:
        for _ in range(2):
            try:
                answer = driver.invoke(name)
                bodies += [answer.payload, answer.log.encode(), repr(answer.headers).encode()]
            except ClientError as error:
                bodies.append(repr(error.response).encode())
    assert len(planted) == PLANTED
    # what is seen of them must be where they were put, so that looking can fail
    assert planted[0] in str(cluster.get("secrets", "-n", NAMESPACE)) or any(
        planted[0] in base64.b64decode(value).decode()
        for each in cluster.get("secrets", "-n", NAMESPACE)["items"]
        for value in (each.get("data") or {}).values()
    )
    seen = {**_everything_seen(cluster, release), "errors": b"\n".join(bodies)}
    found = {f"{place}: {word[:10]}" for place, text in seen.items() for word in planted if word.encode() in text}
    assert found == set()
    assert all(len(text) > 200 for text in seen.values())


def _everything_seen(cluster, release) -> dict[str, bytes]:
    system = release.namespace
    logs, metrics = b"", b""
    for namespace in (system, NAMESPACE):
        for pod in cluster.get("pods", "-n", namespace)["items"]:
            name = pod["metadata"]["name"]
            logs += cluster.run_kubectl("logs", name, "-n", namespace, "--all-containers", check=False).encode()
            if namespace == system:
                path = f"/api/v1/namespaces/{system}/pods/{name}:9090/proxy/metrics"
                metrics += cluster.run_kubectl("get", "--raw", path, check=False).encode()
    functions = cluster.get("fn", "-n", NAMESPACE)["items"]
    return {
        "logs": logs,
        "metrics": metrics,
        "events": json.dumps(cluster.get("events", "-n", NAMESPACE)).encode(),
        "statuses": json.dumps([each.get("status") for each in functions]).encode(),
        "pods": json.dumps(cluster.get("pods", "-n", NAMESPACE)["items"]).encode(),
    }

"""C3: a cold start through everything against a bare pod of the same image, agent and code, one after the other.

`ours`    a request for a function without environments, at the gateway's public door, to the last byte of its answer
`theirs`  creating such a pod by hand, dialling its agent the moment it has an address, claiming and invoking it

What Lambent may add to what Kubernetes needs: `p50_of_allowed` = p50(ours) / (1.15 * p50(theirs) + 100 ms).
"""

from __future__ import annotations

import asyncio
import copy
import http.client
import io
import os
import secrets
import time
import urllib.parse
import zipfile
from hashlib import sha256
from typing import Any

from lambent.adapters.agents.doors import AgentDoor
from lambent.adapters.agents.failures import AgentNotConnected, AgentUnavailable
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import PODS
from lambent.agent.protocol import names as door_names
from lambent.agent.protocol.claims import Claim, Code
from lambent.model import names

from .beds import NAMESPACE, Bed, bed
from .machines import Cores
from .results import Measured
from .shapes import Plan

NAME, SOURCE = "cold", "def handler(e, c): return e\n"
ROUNDS, SHORT_ROUNDS = 40, 8
WITHIN_S = 60.0


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart."""
    rounds = ROUNDS if plan.full else SHORT_ROUNDS
    with bed() as laid:
        os.environ["KUBECONFIG"] = laid.cluster.kubeconfig
        laid.apply(NAME, SOURCE, memorySize=1769, timeout=10)
        ours, theirs = asyncio.run(_rounds(laid, rounds))
    allowed = {"p50": 1.15 * _at(theirs, 0.5) + 0.1, "p99": 1.15 * _at(theirs, 0.99) + 0.1}
    figures = {
        "p50_of_allowed": _at(ours, 0.5) / allowed["p50"],
        "p99_of_allowed": _at(ours, 0.99) / allowed["p99"],
        "ours_p50_ms": _at(ours, 0.5) * 1000,
        "bare_p50_ms": _at(theirs, 0.5) * 1000,
        "ours_p99_ms": _at(ours, 0.99) * 1000,
        "bare_p99_ms": _at(theirs, 0.99) * 1000,
        "errors": 2 * rounds - len(ours) - len(theirs),
    }
    return Measured({name: float(value) for name, value in figures.items()}, min(len(ours), len(theirs)))


def _at(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def _rounds(laid: Bed, rounds: int) -> tuple[list[float], list[float]]:
    """A B B A, so that what drifts falls on both."""
    ours: list[float] = []
    theirs: list[float] = []
    async with await KubeClient.connect() as client:
        await asyncio.to_thread(_invoke, laid)  # images pulled, caches warm
        pattern = await _pattern(client)
        for number in range(rounds):
            order = ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours")
            for side in order:
                await _cleared(client)
                if side == "ours":
                    ours.append(await asyncio.to_thread(_invoke, laid))
                else:
                    theirs.append(await _bare(client, pattern))
        await _cleared(client)
    return ours, theirs


def _invoke(laid: Bed) -> float:
    address = urllib.parse.urlsplit(laid.url)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=WITHIN_S)
    headers = {"Authorization": f"Bearer {laid.token}"}
    connection.request("POST", f"/2015-03-31/functions/{NAME}/invocations", b'{"a":1}', headers)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    connection.close()
    if answer.status != 200 or body != b'{"a": 1}':
        raise RuntimeError(f"the gateway answered {answer.status}: {body[:500]!r}")
    return took


async def _pattern(client: KubeClient) -> dict[str, Any]:
    """The pod that the controller made, without what makes it the controller's."""
    listed = await client.request(
        "GET", PODS.collection(NAMESPACE), query={"labelSelector": names.ENVIRONMENT_SELECTOR}
    )
    [made] = [pod for pod in listed["items"] if not pod["metadata"].get("deletionTimestamp")]
    spec = copy.deepcopy(made["spec"])
    for filled in ("nodeName", "tolerations", "serviceAccount", "serviceAccountName", "priority", "preemptionPolicy"):
        spec.pop(filled, None)
    container = spec["containers"][0]
    container["resources"]["limits"]["cpu"] = "1"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"bench": "bare"}}, "spec": spec}


async def _bare(client: KubeClient, pattern: dict[str, Any]) -> float:
    body, token, name = copy.deepcopy(pattern), secrets.token_hex(32), f"bare-{secrets.token_hex(5)}"
    body["metadata"]["name"] = name
    for variable in body["spec"]["containers"][0]["env"]:
        if variable["name"] == "LAMBENT_TOKEN_SHA256":
            variable["value"] = sha256(token.encode()).hexdigest()
    began = time.perf_counter()
    made = await client.request("POST", PODS.collection(NAMESPACE), body=body)
    address = await _address(client, name, made["metadata"]["resourceVersion"])
    door = AgentDoor(address, door_names.DOOR_PORT, token, _lost)
    while True:
        try:
            await door.connect(2.0)
            break
        except (AgentUnavailable, AgentNotConnected):
            await asyncio.sleep(0.005)
    await door.claim(_claim(name), b"bench;epoch=1", 30.0)
    await asyncio.to_thread(_invoke_agent, address, token)
    took = time.perf_counter() - began
    door.close()
    return took


async def _address(client: KubeClient, name: str, version: str) -> str:
    query: dict[str, str | int | bool] = {
        "watch": True,
        "fieldSelector": f"metadata.name={name}",
        "resourceVersion": version,
        "timeoutSeconds": int(WITHIN_S),
    }
    async for event in client.stream(PODS.collection(NAMESPACE), query):
        if address := event["object"].get("status", {}).get("podIP"):
            return str(address)
    raise RuntimeError(f"{name} got no address")


def _claim(name: str) -> Claim:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("index.py", SOURCE)
    data = archive.getvalue()
    return Claim(
        claimId=name,
        arn=f"arn:aws:lambda:us-east-1:000000000000:function:{NAME}",
        functionName=NAME,
        version="$LATEST",
        revision="0" * 16,
        runtime="python3.11",
        handler="index.handler",
        timeoutMs=10_000,
        memoryMb=1769,
        code=Code(sha256(data).hexdigest(), len(data), inline=data),
    )


def _invoke_agent(host: str, token: str) -> None:
    connection = http.client.HTTPConnection(host, door_names.DOOR_PORT, timeout=WITHIN_S)
    headers = {
        "Authorization": f"Bearer {token}",
        "Lambent-Owner": "bench;epoch=1",
        "Lambent-Request-Id": secrets.token_hex(8),
        "Lambent-Timeout-Ms": "10000",
        "Lambent-Arn": "arn",
        "Lambent-Trace-Id": "Root=1-0-0",
    }
    connection.request("POST", door_names.INVOKE_PATH.decode(), b'{"a":1}', headers)
    answer = connection.getresponse()
    body = answer.read(8)
    connection.close()
    if answer.status != 200 or body != b'{"a": 1}':
        raise RuntimeError(f"the agent answered {answer.status}: {body!r}")


async def _cleared(client: KubeClient) -> None:
    """No environment, and none that is still going: nobody's cold start pays for another's end."""
    path = PODS.collection(NAMESPACE)
    while (await client.request("GET", path))["items"]:
        await client.request("DELETE", path, query={"gracePeriodSeconds": 1})
        await asyncio.sleep(0.3)
    await asyncio.sleep(1.0)


def _lost() -> None:
    """The connection was for one claim."""

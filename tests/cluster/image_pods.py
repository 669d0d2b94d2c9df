"""Environments of container images without a release: the pod that `core` makes, and a caller at its agent's door."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from releases import Cluster
from tests.agent.driving import Caller, claim_of

from lambent.agent.protocol.claims import Claim, ClaimAnswer
from lambent.core.workload import EnvironmentFacts, PodIdentity, Program, WorkloadSettings, environment_pod
from lambent.model.environments import Key
from lambent.model.functions import FunctionObject

T = TypeVar("T")
TOKEN = "a-token-of-the-tests"  # what driving.Caller sends


@dataclass
class ImagePods:
    """Makes them in one namespace, with this agent."""

    cluster: Cluster
    namespace: str
    agent_image: str
    made: list[str] = field(default_factory=list)

    def create(self, image: str, command: list[str], folder: str = "/", **spec: Any) -> str:
        """A pod that runs `command` of the image; its name."""
        name = f"t-{secrets.token_hex(4)}"
        body = {
            "metadata": {"name": "hello", "namespace": self.namespace, "uid": secrets.token_hex(8), "generation": 1},
            "spec": {"packageType": "Image", "code": {"imageUri": "x/y:1"}, "memorySize": 512, **spec},
        }
        facts = EnvironmentFacts(Key("uid", "latest", "0" * 16), image, Program(tuple(command), folder))
        settings = WorkloadSettings(9000, agent_image=self.agent_image, start_cpu_millicores=1000)
        identity = PodIdentity(name, "nonce", hashlib.sha256(TOKEN.encode()).hexdigest())
        pod = environment_pod(FunctionObject.from_kubernetes(body), facts, settings, identity)
        del pod["metadata"]["ownerReferences"]  # of a Function that does not exist: it would be collected
        self.cluster.run_kubectl("create", "-f", "-", stdin=json.dumps(pod))
        self.made.append(name)
        return name

    def get(self, name: str) -> dict[str, Any]:
        """The pod as the API server shows it."""
        return self.cluster.get("pod", name, "-n", self.namespace)

    def log(self, name: str) -> str:
        """What the environment wrote."""
        return self.cluster.run_kubectl("logs", name, "-n", self.namespace, "-c", "environment")

    def address(self, name: str, seconds: float = 60) -> str:
        """The pod's address once its environment container runs; the pod's own words when it ended."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.get(name)["status"]
            states = [entry["state"] for entry in status.get("containerStatuses", ())]
            if states and "running" in states[0]:
                return str(status["podIP"])
            assert status["phase"] == "Pending", status
            assert time.monotonic() < deadline, status
            time.sleep(0.1)

    def clean_up(self) -> None:
        """At once: nothing of them is needed."""
        if self.made:
            self.cluster.run_kubectl(
                "delete", "pod", *self.made, "-n", self.namespace, "--grace-period=0", "--force", "--wait=false"
            )


async def connect(address: str, seconds: float = 20) -> Caller:
    """A connection to the agent's door; it opens some moments after the container has started."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return Caller(*await asyncio.open_connection(address, 9000))
        except OSError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


def image_claim(**changes: Any) -> Claim:
    """As a gateway claims for an image: no code, no runtime, no handler."""
    return claim_of(None, **{"runtime": "", "handler": "", "timeoutMs": 10_000, **changes})


async def claimed(address: str, **changes: Any) -> tuple[Caller, ClaimAnswer]:
    """A caller and how the claim went."""
    caller = await connect(address)
    return caller, await caller.claim(image_claim(**changes))


def run(work: Callable[[], Awaitable[T]]) -> T:
    """For tests that are no coroutines, since fixtures of the cluster block."""
    return asyncio.run(work())  # type: ignore[arg-type]

"""Container images in real pods under the agent, without a release: every kind of image, and a hostile function.

The namespace enforces Pod Security `restricted`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import samples
from driving import eventually
from image_pods import ImagePods, claimed, connect
from releases import Cluster
from tests.agent.driving import claim_of

from lambent.agent.protocol.states import State

ATTACK = ["python3", "-IS", "-c", (Path(__file__).resolve().parents[1] / "agent/hostile.py").read_text(), "hostile"]


@pytest.fixture(scope="module")
def sample_images(cluster: Cluster) -> dict[str, str]:
    """Kind → name in the cluster."""
    if cluster.kind == "given":
        pytest.skip("a given cluster pulls its images itself, and these are in no registry")
    return {kind: samples.load(sample) for kind, sample in samples.build(cluster.state).items()}


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[str]:
    name = f"lambent-test-{secrets.token_hex(4)}"
    cluster.run_kubectl("create", "namespace", name)
    cluster.run_kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    cluster.run_kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def pods(cluster: Cluster, images: dict[str, str], restricted: str) -> Iterator[ImagePods]:
    making = ImagePods(cluster, restricted, images["agent"])
    yield making
    making.clean_up()


@pytest.mark.parametrize("kind", samples.STARTS)
def test_an_image_answers_whatever_is_in_it(pods, sample_images, kind):
    """glibc, musl, nothing at all; with and without a shell: uid 993, two invocations of one environment."""
    command, folder = samples.STARTS[kind]
    address = pods.address(pods.create(sample_images[kind], command, folder))

    async def invoked():
        caller, answer = await claimed(address)
        assert (answer.state, answer.error) == (State.IDLE, None), answer
        return [(await caller.invoke({"n": n}, timeout_ms=10_000)).json() for n in range(2)]

    first, second = asyncio.run(invoked())
    assert (first["event"], second["event"]) == ({"n": 0}, {"n": 1})
    assert first["uid"] == 993


def test_the_image_is_as_its_author_left_it(pods, sample_images):
    """Its variables, its working directory and its last argument are there; its root cannot be written."""
    command, folder = samples.STARTS["python"]
    address = pods.address(pods.create(sample_images["python"], command, folder))

    async def invoked():
        caller, _ = await claimed(address)
        return (await caller.invoke({}, timeout_ms=10_000)).json()

    said = asyncio.run(invoked())
    assert (said["greeting"], said["folder"], said["handler"]) == ("from the image", "/function", "app.handler")
    assert said["root"] == "Read-only file system"
    hidden = ("LAMBENT_", "KUBERNETES_SERVICE", "KUBERNETES_PORT")
    assert [name for name in said["names"] if name.startswith(hidden)] == []


CANNOT = {
    "no shell": ("distroless", ["/bin/sh", "-c", "x"], "/", "Runtime.InvalidEntrypoint", "no such file or directory"),
    "no such name": ("go", ["python3"], "/", "Runtime.InvalidEntrypoint", "valid bootstrap(s): [python3]"),
    "may not be read": ("python", ["true"], "/root", "Runtime.InvalidWorkingDir", "chdir /root: permission denied"),
    "exits at once": ("shell", ["false"], "/", "Runtime.ExitError", "Runtime exited with error: exit status 1"),
}


@pytest.mark.parametrize("row", CANNOT.values(), ids=CANNOT)
def test_an_image_that_cannot_start_says_why(pods, sample_images, row):
    """In Lambda's words; the environment lives on."""
    kind, command, folder, error_type, words = row
    address = pods.address(pods.create(sample_images[kind], command, folder))

    async def invoked():
        caller, answer = await claimed(address)
        return answer, (await caller.invoke(request_id="r1", timeout_ms=10_000)).json()

    answer, said = asyncio.run(invoked())
    assert answer.error["errorType"] == said["errorType"] == error_type
    assert words in answer.error["errorMessage"]
    assert said["errorMessage"].startswith("RequestId: r1 Error: ")


def test_a_hostile_function_gets_nowhere(pods, sample_images):
    """Its agent's port, memory and signals in a real pod: nothing opens, nothing ends, and SIGTERM of the node does."""
    name = pods.create(sample_images["python"], ATTACK, "/tmp", timeout=900)
    address = pods.address(name)

    async def attack():
        caller = await connect(address)
        answer = await caller.claim(claim_of(None, runtime="", handler="", timeoutMs=20_000))
        assert answer.error is None, answer
        told = {
            way: (await caller.invoke({"do": way}, timeout_ms=20_000)).json()
            for way in ("who", "port", "memory", "secrets", "signals", "hold", "processes")
        }
        told["forked"] = (await caller.invoke({"do": "fork"}, timeout_ms=3_000)).json()
        told["afterwards"] = (await caller.invoke({"do": "processes"}, timeout_ms=20_000)).json()
        return told, await caller.state()

    told, state = asyncio.run(attack())
    assert told["who"] == [993, 990, "/tmp"]
    assert set(told["port"].values()) == {401}
    assert set(told["memory"].values()) <= {"EACCES", "EPERM"}, told["memory"]
    assert told["secrets"] == {"token": False, "lambent": []}
    assert told["signals"]["SIGTERM"] == "sent"
    assert told["forked"]["errorType"] == "Sandbox.Timedout"
    assert told["afterwards"] == 2
    assert (state.state, state.draining) == (State.IDLE, False)
    # The node would wait for 905 seconds before it insists.
    pods.cluster.run_kubectl("delete", "pod", name, "-n", pods.namespace, "--timeout=60s")
    pods.made.remove(name)


def test_a_full_tmp_ends_the_environment_and_nothing_else(pods, sample_images):
    """Kubernetes' way: the pod is evicted, its reason names the volume; the node goes on."""
    name = pods.create(sample_images["python"], ATTACK, "/tmp", memorySize=1024)
    address = pods.address(name)

    async def fill():
        caller = await connect(address)
        await caller.claim(claim_of(None, runtime="", handler="", timeoutMs=60_000))
        return (await caller.invoke({"do": "fill"}, timeout_ms=60_000)).json()

    assert asyncio.run(fill()) == 600

    def told() -> list[str]:
        found = pods.cluster.get("events", "-n", pods.namespace, "--field-selector", f"involvedObject.name={name}")
        return [event["message"] for event in found["items"] if event["reason"] == "Evicted"]

    # the Event stays; of the status the pod's own end may be the last word
    assert '"tmp"' in eventually(told, seconds=180)[0]
    assert eventually(lambda: pods.get(name)["status"]["phase"] in ("Failed", "Succeeded"), seconds=60)


def test_the_api_server_counts_the_init_container_for_nothing(cluster, pods, sample_images):
    """What the scheduler reserves is what the environment asks for."""
    name = pods.create(sample_images["go"], ["/bootstrap"])
    spec = pods.get(name)["spec"]
    [init], [container] = spec["initContainers"], spec["containers"]
    assert init["resources"] == container["resources"]

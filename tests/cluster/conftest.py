"""Fixtures of the cluster tests: one release for the session, functions by name, AWS's own client.

The release watches two namespaces of its own, so that it and a running demo do not work on the same objects.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parent))
import registries
import samples
from driving import Driver
from local.network import NODE_ADDRESS
from local.state import State
from registries import ImageFiles, Registry
from releases import FURTHER, RUNTIMES, Cluster, Release, build_images, step

NAMESPACE, OTHER_NAMESPACE, SYSTEM = "lambent-test", "lambent-test-other", "lambent-test-system"
IDLE_SECONDS = 20
COLD_START_TIMEOUT_SECONDS = 25


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster; images are loaded by the fixture that needs them."""
    return Cluster.up()


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> str:
    return cluster.kubeconfig


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace that no release watches."""
    name = f"lambent-test-{secrets.token_hex(4)}"
    cluster.run_kubectl("create", "namespace", name)
    yield name
    cluster.run_kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    return build_images() | build_images(*FURTHER)


@pytest.fixture(scope="session")
def release(cluster: Cluster, images: dict[str, str]) -> Iterator[Release]:
    """The chart, installed for the tests; removed with its namespaces at the end."""
    installed = Release(cluster, "lambent", SYSTEM)
    for name in (NAMESPACE, OTHER_NAMESPACE):
        if not cluster.run_kubectl("get", "namespace", name, "--ignore-not-found", "-o", "name"):
            cluster.run_kubectl("create", "namespace", name)
        cluster.run_kubectl("delete", "fn", "--all", "-n", name, "--ignore-not-found", check=False)
    with step("install the release under test"):
        installed.install(
            images,
            {
                "watchNamespaces": [NAMESPACE, OTHER_NAMESPACE],
                "defaultNamespace": NAMESPACE,
                "environments": {"idleSeconds": IDLE_SECONDS},
                "gateway": {"coldStartTimeoutSeconds": COLD_START_TIMEOUT_SECONDS},
                # servers of the tests, on the local node's own address; everything else in the cluster stays closed
                "codeSources": {
                    "allowedNetworks": [f"{NODE_ADDRESS}/32"],
                    "insecureRegistries": [registries.OPEN, registries.AUTHENTICATED, registries.STALLING],
                },
                "runtimes": {
                    **{identifier: images[name] for identifier, name in RUNTIMES.items()},
                    "python3.10": "localhost/lambent/does-not-exist:1",
                },
            },
        )
    yield installed
    if os.environ.get("LAMBENT_KEEP"):
        return
    installed.uninstall([NAMESPACE, OTHER_NAMESPACE])


@pytest.fixture(scope="session")
def gateway_url(release: Release) -> str:
    from demo import endpoint

    return endpoint(release)


@pytest.fixture(scope="session")
def token(release: Release) -> str:
    """A caller who may invoke in the namespace under test, and nowhere else."""
    return release.caller(NAMESPACE, "tester")


def client_of(url: str, token: str | None):
    """AWS's own client, one try a call, so that what it reports is what happened. The token goes as session token."""
    return boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=120, max_pool_connections=64),
    )


@pytest.fixture(scope="session")
def lambda_client(gateway_url: str, token: str):
    return client_of(gateway_url, token)


@pytest.fixture
def driver(cluster: Cluster, release: Release, lambda_client) -> Iterator[Driver]:
    """What a test does with functions; everything it applied is deleted afterwards."""
    driving = Driver(cluster, release, lambda_client, NAMESPACE)
    yield driving
    driving.clean_up()


@pytest.fixture(scope="session")
def state(cluster: Cluster) -> State:
    """The local node's; these tests need a node whose registries they may choose."""
    if cluster.kind != "node":
        pytest.skip("only the local node can be told of a registry that speaks plain HTTP")
    found = State(Path(cluster.state))
    if not registries.node_reads_folder(found):
        pytest.fail("the node is older than its registries' folder: `tests/cluster/local down`, then `up`")
    return found


@pytest.fixture(scope="session")
def registry(state: State) -> Iterator[Registry]:
    with registries.running(state) as running:
        for kind, sample in samples.build(str(state.root)).items():
            running.push(ImageFiles.of_archive(sample.archive), f"sample/{kind}")
        yield running

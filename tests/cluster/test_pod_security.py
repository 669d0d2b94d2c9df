"""Environments' pods before the real judge: an API server that enforces Pod Security `restricted`."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError
from releases import Cluster
from tests.core.pod_security import mutations
from tests.core.test_pod_security import BROKEN, SETTINGS, pod_of

from lambent.core.workload import WorkloadSettings

SAMPLE = 400
REFUSAL = "violates PodSecurity"


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces the standard, with the ServiceAccount that roles of the sample mean."""
    name = f"lambent-test-{secrets.token_hex(4)}"
    cluster.run_kubectl("create", "namespace", name)
    cluster.run_kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    cluster.run_kubectl("create", "serviceaccount", "reader", "-n", name)
    yield name
    cluster.run_kubectl("delete", "namespace", name, "--wait=false")


def judged(cluster: Cluster, namespace: str, pods: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """How many the API server would create, and what it says of the others. Nothing is created."""
    items = [{**pod, "metadata": {**pod["metadata"], "namespace": namespace}} for pod in pods]
    answer = subprocess.run(
        cluster.kubectl_command("create", "--dry-run=server", "-o", "name", "-f", "-"),
        env=cluster.environment(),
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
        capture_output=True,
        text=True,
        check=False,
    )
    return len(answer.stdout.splitlines()), answer.stderr.splitlines()


def pod_or_none(spec: dict[str, Any], settings: WorkloadSettings) -> dict[str, Any] | None:
    """The pod of a specification; None when the model refuses it."""
    try:
        return pod_of(spec, settings)
    except ValidationError:
        return None


def test_the_api_server_refuses_none_of_a_sample_for_security(cluster, restricted):
    """Four hundred hostile specifications: each pod that is made of one is admitted where `restricted` is enforced."""
    random = Random(SAMPLE)
    pods = [pod for spec in mutations(random, SAMPLE) if (pod := pod_or_none(spec, random.choice(SETTINGS)))]
    assert len(pods) > SAMPLE * 3 / 4
    admitted, words = judged(cluster, restricted, pods)
    print(f"S2 api_server admitted={admitted} of {len(pods)}")
    assert [line for line in words if REFUSAL in line] == []
    assert admitted == len(pods), words[:5]


def test_the_api_server_refuses_a_broken_pod(cluster, restricted):
    """The namespace enforces what the sample passed: each deliberately broken pod is refused, in those words.

    But for one, which is refused before anybody asks for security: an unmasked /proc needs a user namespace.
    """
    for name, pod in BROKEN.items():
        admitted, words = judged(cluster, restricted, [pod])
        assert admitted == 0, name
        assert any(REFUSAL in line or "procMount: Invalid" in line for line in words), (name, words)

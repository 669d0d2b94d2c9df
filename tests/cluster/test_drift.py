"""Applying the same files again changes nothing, whatever the controller has written meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_objects import Objects, definitions, namespace
from kubernetes import client, config
from releases import Cluster

pytestmark = pytest.mark.cluster

BASE = Path(__file__).resolve().parents[2] / "examples" / "gitops" / "kustomize" / "base"
ROLLOUT = {
    "deploymentId": "d-ABCDEFGH1",
    "fromVersion": "6",
    "toVersion": "7",
    "generation": 1,
    "strategy": "LambdaCanary10Percent5Minutes",
    "steps": [{"percentage": 10, "seconds": 300}],
    "phase": "AllowTraffic",
    "step": 1,
    "startedAt": "2026-01-01T00:00:00Z",
}
STATUS = {
    "observedGeneration": 1,
    "targetVersion": "7",
    "routing": {"functionVersion": "6", "additionalVersionWeights": {"7": 0.1}},
    "rollout": ROLLOUT,
}
WAYS = {"client side": [], "server side": ["--server-side"]}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def applied(request: Any, cluster: Cluster) -> Iterator[tuple[list[str], Objects]]:
    """The example in a namespace that no release watches, and what it was applied with."""
    api = config.new_client_from_config(cluster.kubeconfig)
    with definitions(api), namespace(api) as name:
        arguments = [*request.param, "-n", name, "-k", str(BASE)]
        cluster.run_kubectl("apply", *arguments)
        yield arguments, Objects(api, name, "Alias", "aliases")


def written(aliases: Objects) -> dict[str, Any]:
    """The alias after the controller's work: status, owner, and a person's annotation."""
    function = client.CustomObjectsApi(aliases.api).get_namespaced_custom_object(
        "lambent.dev", "v1alpha1", aliases.namespace, "functions", "hello"
    )
    alias = aliases.read({"metadata": {"name": "hello.live"}})
    alias["metadata"]["annotations"] = {**alias["metadata"].get("annotations", {}), "lambent.dev/rollout": "pause"}
    alias["metadata"]["ownerReferences"] = [
        {
            "apiVersion": function["apiVersion"],
            "kind": "Function",
            "name": "hello",
            "uid": function["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    return aliases.write_status(aliases.replace(alias), STATUS)


def difference(cluster: Cluster, arguments: list[str]) -> str:
    """What `kubectl diff` prints."""
    command = cluster.kubectl_command("diff", *arguments)
    done = subprocess.run(command, env=cluster.environment(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_a_second_apply_in_the_middle_of_a_rollout_changes_nothing(
    cluster: Cluster, applied: tuple[list[str], Objects]
) -> None:
    """Not the alias, not its generation, not its weights, not the pause; and a diff is empty."""
    arguments, aliases = applied
    before = written(aliases)
    assert difference(cluster, arguments) == ""
    cluster.run_kubectl("apply", *arguments)
    after = aliases.read(before)
    assert after["spec"] == before["spec"]
    assert after["status"] == before["status"]
    for field in ("generation", "annotations", "ownerReferences", "resourceVersion"):
        assert after["metadata"][field] == before["metadata"][field], field


def test_a_difference_is_shown(cluster: Cluster, applied: tuple[list[str], Objects]) -> None:
    """So that an empty one says something."""
    arguments, aliases = applied
    alias = written(aliases)
    aliases.replace(alias, rollout={**alias["spec"]["rollout"], "bakeSeconds": 1})
    assert "bakeSeconds" in difference(cluster, [one for one in arguments if one != "--server-side"])

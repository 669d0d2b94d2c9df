"""The chart's objects at a real API server: strict about unknown fields, and nothing is written."""

from __future__ import annotations

import json

import pytest
import yaml
from releases import CHART

VALUES = {
    "the defaults": {},
    "every option": {
        "controller": {"replicas": 2},
        "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {}}]},
        "auth": {"audiences": ["lambent"]},
        "codeSources": {"allowedNetworks": ["10.1.0.0/16"], "s3": {"endpoint": "http://minio:9000"}},
        "imagePullSecrets": ["registry"],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podAnnotations": {"example.com/note": "x"},
        "codestore": {"persistence": {"storageClass": "-"}},
        "gateway": {"service": {"type": "LoadBalancer", "annotations": {"example.com/note": "x"}}},
    },
    "code in a bucket": {
        "auth": {"mode": "none"},
        "rbac": {"secrets": False},
        "networkPolicy": {"environments": False},
        "codestore": {
            "backend": "s3",
            "replicas": 2,
            "s3": {"bucket": "code", "credentialsSecret": "keys"},
            "serviceAccountAnnotations": {"example.com/role": "reader"},
        },
    },
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("watch", [[], ["default"]], ids=["all namespaces", "one namespace"])
def test_a_real_api_server_accepts_every_object(cluster, namespace, tmp_path, values, watch):
    """What `helm template` prints is what the cluster knows, field by field."""
    chosen = tmp_path / "values.json"
    chosen.write_text(json.dumps({**values, "watchNamespaces": watch}))
    printed = cluster.run_helm(
        "template", "objects", str(CHART), "--namespace", namespace, "--kube-version", "1.36.0", "--values", str(chosen)
    )
    objects = [each for each in yaml.safe_load_all(printed) if each]
    assert len(objects) > 15
    cluster.run_kubectl("create", "serviceaccount", "objects-selftest", "-n", namespace)  # pods are told if it is not
    applied = cluster.run_kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        "-",
        stdin=yaml.safe_dump_all(objects),
    )
    assert len(applied.splitlines()) == len(objects)


def test_every_pod_of_the_chart_is_admitted_where_restricted_is_enforced(cluster, namespace, tmp_path):
    """Processes and hooks alike: the namespace of a release may enforce what it asks of functions."""
    cluster.run_kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.run_kubectl("wait", "-n", namespace, "--for=create", "serviceaccount/default", "--timeout=30s")
    printed = cluster.run_helm("template", "objects", str(CHART), "--namespace", namespace, "--kube-version", "1.36.0")
    specs = {}
    for each in filter(None, yaml.safe_load_all(printed)):
        if each["kind"] in {"Deployment", "Job"}:
            specs[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            specs[each["metadata"]["name"]] = each["spec"]
    assert len(specs) == 5
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {**spec, "serviceAccountName": "default"},
        }
        for name, spec in specs.items()
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
    created = cluster.run_kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=listed)
    assert len(created.splitlines()) == len(pods)

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
        "networkPolicy": {"enabled": True},
        "imagePullSecrets": ["registry"],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podAnnotations": {"example.com/note": "x"},
        "codestore": {"persistence": {"storageClass": "-"}},
        "gateway": {"service": {"type": "LoadBalancer", "annotations": {"example.com/note": "x"}}},
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

"""A release of the chart on the cluster of `tests/cluster/local`, for what can only be measured there."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from . import places
from .processes import DidNotStart

sys.path.insert(0, str(places.ROOT / "tests" / "cluster"))

from demo import endpoint
from releases import Cluster, Failed, Release, cluster_and_images

NAMESPACE, SYSTEM = "lambent-bench", "lambent-bench-system"


@dataclass(frozen=True, slots=True)
class Bed:
    """Where to invoke, as whom, and the cluster behind it."""

    release: Release
    url: str
    token: str
    images: dict[str, str]

    @property
    def cluster(self) -> Cluster:
        """The cluster."""
        return self.release.cluster

    def apply(self, name: str, source: str, **spec: object) -> None:
        """A Python function, Ready."""
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Function",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": source}, **spec},
        }
        self.cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))
        self.cluster.run_kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", f"fn/{name}", "--timeout=60s")


@contextlib.contextmanager
def bed() -> Iterator[Bed]:
    """Installed for one measurement, removed afterwards. Raises DidNotStart."""
    try:
        cluster, images = cluster_and_images()
        release = Release(cluster, "lambent", SYSTEM)
        if not cluster.run_kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name"):
            cluster.run_kubectl("create", "namespace", NAMESPACE)
        release.install(images, {"watchNamespaces": [NAMESPACE], "defaultNamespace": NAMESPACE})
    except Failed as failed:
        raise DidNotStart(str(failed)) from failed
    try:
        yield Bed(release, endpoint(release), release.caller(NAMESPACE, "bench"), images)
    finally:
        release.uninstall([NAMESPACE])

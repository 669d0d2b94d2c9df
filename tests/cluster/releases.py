"""Installing Lambent on the cluster that `tests/cluster/local` provides: what the demo and the cluster tests share.

Standard library only. Talk goes to standard error; a step longer than two seconds shows that it goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCAL = [sys.executable, str(ROOT / "tests/cluster/local")]
CHART = ROOT / "charts/lambent"


class Failed(Exception):
    """A command failed; the text says which and what it said."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step; say every five seconds that it goes on, and at its end how long it took."""
    started, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(5):
            print(f"  … {what}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    print(f"• {what}", file=sys.stderr, flush=True)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    if (took := time.monotonic() - started) > 2:
        print(f"  done in {took:.1f} s", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Cluster:
    """A cluster to work on: what `tests/cluster/local up` printed."""

    kind: str
    kubeconfig: str
    kubectl: str
    helm: str
    state: str

    @classmethod
    def up(cls) -> Cluster:
        """The given cluster, kind, or the one-binary node, brought up when it is not."""
        facts = json.loads(run_text([*LOCAL, "up"]))
        return cls(**{name: facts[name] for name in ("kind", "kubeconfig", "kubectl", "helm", "state")})

    def environment(self) -> dict[str, str]:
        """Environment for kubectl and helm."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line of a kubectl call (`kubectl` may be a binary with a subcommand)."""
        return [*self.kubectl.split(), *arguments]

    def run_kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed."""
        return run_text(self.kubectl_command(*arguments), self.environment(), check=check, stdin=stdin)

    def run_helm(self, *arguments: str) -> str:
        """Run helm and return what it printed."""
        return run_text([self.helm, *arguments], self.environment())

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`, parsed."""
        return dict(json.loads(self.run_kubectl("get", *arguments, "-o", "json")))


def run_text(
    command: list[str], environment: dict[str, str] | None = None, *, check: bool = True, stdin: str | None = None
) -> str:
    """Standard output of a command; its standard error is shown when it fails."""
    done = subprocess.run(
        command,
        env=environment,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=None if check and not stdin else subprocess.PIPE,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


RUNTIMES = {
    "java17": "java17",
    "java21": "java21",
    "nodejs22.x": "nodejs22",
    "nodejs24.x": "nodejs24",
    "provided.al2023": "provided",
    "python3.11": "python",
    "python3.13": "python313",
}
"""Identifier → name of its image: every runtime that the chart offers."""
FURTHER = tuple(sorted(set(RUNTIMES.values()) - {"provided", "python"}))
"""Images that only the tests of runtimes need."""


def build_images(*names: str, load: bool = True) -> dict[str, str]:
    """Build (what changed) and load images, all that Lambent consists of unless some are named; name → reference."""
    return dict(json.loads(run_text([*LOCAL, "build-images", *names, *([] if load else ["--no-load"])])))


def cluster_and_images(*further: str) -> tuple[Cluster, dict[str, str]]:
    """Bring up the cluster and build the images, some more too, side by side; loading needs both."""
    with ThreadPoolExecutor(2) as pool:
        cluster, built = pool.submit(Cluster.up), pool.submit(build_images, load=False)
        built.result()
        if further:
            build_images(*further, load=False)
        up = cluster.result()
    return up, build_images() | (build_images(*further) if further else {})


@dataclass(frozen=True)
class Release:
    """One installation of the chart."""

    cluster: Cluster
    name: str
    namespace: str

    def install(self, images: dict[str, str], values: dict[str, Any]) -> None:
        """`helm upgrade --install --wait` with the images that were built here."""
        repository, tag = images["lambent"].rsplit(":", 1)
        merged = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
            "agent": {"image": images["agent"]},
            "runtimes": {identifier: images.get(name) for identifier, name in RUNTIMES.items()},  # None: not offered
            **values,
        }
        command = [
            self.cluster.helm,
            "upgrade",
            "--install",
            self.name,
            str(CHART),
            "--namespace",
            self.namespace,
            "--create-namespace",
            "--take-ownership",
            "--values",
            "-",
            "--wait",
            "--timeout",
            "180s",
        ]
        run_text(command, self.cluster.environment(), stdin=json.dumps(merged))

    def caller(self, namespace: str, account: str, *, may_invoke: bool = True) -> str:
        """A token of a ServiceAccount, made for it, that may (or may not) invoke the functions of its namespace."""
        cluster, name = self.cluster, f"lambent-invoker-{account}"
        objects: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}}
        ]
        if may_invoke:
            subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.invoker_role()}
            binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
            objects.append(
                {**binding, "metadata": {"name": name, "namespace": namespace}, "roleRef": role, "subjects": [subject]}
            )
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        cluster.run_kubectl("apply", "-f", "-", stdin=json.dumps(listed))
        return cluster.run_kubectl("create", "token", account, "-n", namespace, "--duration", "6h").strip()

    def invoker_role(self) -> str:
        """The ClusterRole of this release that lets its holder invoke."""
        found = self.cluster.get(
            "clusterroles", "-l", f"lambent.dev/role=invoker,app.kubernetes.io/instance={self.name}"
        )
        names = [role["metadata"]["name"] for role in found["items"]]
        return next(name for name in names if name.startswith(f"{self.name}-{self.namespace}-"))

    def uninstall(self, namespaces: list[str]) -> None:
        """Remove the functions in these namespaces, the release, and all their namespaces. The CRDs stay."""
        for name in namespaces:
            self.cluster.run_kubectl("delete", "fn", "--all", "-n", name, "--ignore-not-found", check=False)
        self.cluster.run_helm("uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found", "--wait")
        self.cluster.run_kubectl(
            "delete", "namespace", *namespaces, self.namespace, "--ignore-not-found", "--wait=false"
        )

    def gateway_url(self) -> str | None:
        """URL of the gateway as the host reaches it without help; None where it needs a port-forward."""
        if self.cluster.kind != "node":
            return None
        service = self.cluster.get("service", f"{self.name}-gateway", "-n", self.namespace)
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"


if __name__ == "__main__":  # what `make test` does before pytest: its progress is seen, pytest would hide it
    with step("cluster and images (the first time: about a quarter of an hour)"):
        cluster_and_images(*FURTHER)

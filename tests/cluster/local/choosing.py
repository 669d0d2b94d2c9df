"""Which cluster to use: one that was given, else kind where Docker is, else a node of our own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["given", "kind", "node"]


@dataclass(frozen=True)
class Choice:
    """The kind of cluster; for a given one also its kubeconfig."""

    kind: Kind
    kubeconfig: str = ""


def choose(
    environment: Mapping[str, str], own: str, docker_answers: Callable[[], bool], has_kind: Callable[[], bool]
) -> Choice:
    """Decide. A name that was set on purpose wins; nobody's default ~/.kube/config is ever touched.

    `own` is the kubeconfig of our own node: whoever exports it still means that node.
    """
    for name in ("LAMBENT_KUBECONFIG", "KUBECONFIG"):
        if given := environment.get(name):
            if given == own:
                return Choice("node")
            return Choice("given", given)
    if has_kind() and docker_answers():
        return Choice("kind")
    return Choice("node")


def docker_answers() -> bool:
    """Whether a Docker daemon answers (the client alone says nothing)."""
    try:
        return subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=10).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def has_kind() -> bool:
    return shutil.which("kind") is not None

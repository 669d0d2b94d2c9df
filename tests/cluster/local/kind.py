"""A cluster made by kind, for machines with Docker. NOT RUN on the machine this was written on: it has no
Docker daemon. Kept to the few documented commands for that reason."""

from __future__ import annotations

from pathlib import Path

from .state import State
from .talking import ask, run

NAME = "lambent"


def up(state: State) -> Path:
    """Create the cluster unless it is there; returns its kubeconfig."""
    kubeconfig = state.root / "kind.kubeconfig"
    if NAME not in ask(["kind", "get", "clusters"]).split():
        log = state.logs / "kind.log"
        run(["kind", "create", "cluster", "--name", NAME, "--wait", "180s", "--kubeconfig", kubeconfig], log)
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    kubeconfig.write_text(ask(["kind", "get", "kubeconfig", "--name", NAME]))
    kubeconfig.chmod(0o600)
    return kubeconfig


def down(state: State) -> None:
    run(["kind", "delete", "cluster", "--name", NAME], state.logs / "kind.log")
    (state.root / "kind.kubeconfig").unlink(missing_ok=True)


def load(state: State, archive: Path) -> None:
    run(["kind", "load", "image-archive", archive, "--name", NAME], state.logs / "kind.log")

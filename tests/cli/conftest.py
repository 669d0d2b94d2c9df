"""The command line against a fake cluster: arguments in, exit code and both streams out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.fake_cluster import FakeCluster

from lambent.cli import entering

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Done:
    code: int
    out: str
    err: str
    raw: bytes = b""


@pytest.fixture
def cluster():
    fake = FakeCluster()
    yield fake
    fake.stop()


@pytest.fixture
def kubeconfig(cluster, tmp_path, monkeypatch):
    """A kubeconfig for the fake cluster, the current one; call it with parts of the user and of the context."""
    for name in [name for name in os.environ if name.startswith(("LAMBENT_", "KUBE")) or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    path = tmp_path / "kubeconfig"

    def write(user=None, **context):
        body = {
            "clusters": [{"name": "c", "cluster": {"server": cluster.url}}],
            "users": [{"name": "u", "user": user if user is not None else {"token": "own-token"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
            "current-context": "here",
        }
        path.write_text(json.dumps(body))
        return path

    monkeypatch.setenv("KUBECONFIG", str(write()))
    return write


@pytest.fixture
def cli(kubeconfig, capfdbinary, monkeypatch):
    """Run one command in this process."""

    def run(*arguments, stdin=None, tmp=None):
        if stdin is not None:
            file = tmp or Path(os.environ["KUBECONFIG"]).parent / "stdin"
            file.write_bytes(stdin)
            monkeypatch.setattr(sys, "stdin", file.open())
        capfdbinary.readouterr()
        code = entering.run(list(arguments), "lambent")
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode("utf-8", "replace"), err.decode(), out)

    return run


@pytest.fixture
def process(kubeconfig):
    """Start the command line as a process of its own."""
    started = []

    def start(*arguments, **how):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), **how.pop("env", {})}
        command = [sys.executable, "-m", "lambent", *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()

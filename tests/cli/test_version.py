"""`lambent version`: this program's, the cluster's, the installed processes'."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from lambent.cli.outcomes import ExitCode
from lambent.cli.version import CLIENT_VERSION

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_packages():
    """The image has the package only, so it stands in the code as well."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == CLIENT_VERSION


def test_both_names_of_the_program_are_one_entry():
    """kubectl finds `kubectl-lambent`."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"lambent": "lambent.__main__:main", "kubectl-lambent": "lambent.__main__:main"}


def test_client_asks_nobody(cluster, cli):
    """One line."""
    assert cli("version", "--client").out == f"Client version: {CLIENT_VERSION}\n"
    assert not cluster.requests


def test_every_installed_process_is_listed(cluster, cli):
    """With its image."""
    cluster.release()
    lines = cli("version").out.splitlines()
    assert lines[:2] == [f"Client version: {CLIENT_VERSION}", "Kubernetes version: v1.36.3"]
    assert [line.split() for line in lines[3:]] == [
        ["RELEASE", "NAMESPACE", "PROCESS", "VERSION", "READY", "IMAGE"],
        ["lambent", "lambent-system", "gateway", "0.1.0", "1/1", "example/gateway:1"],
        ["lambent", "lambent-system", "controller", "0.1.0", "1/1", "example/controller:1"],
    ]
    found = json.loads(cli("version", "-o", "json").out)
    assert [process["process"] for process in found["processes"]] == ["gateway", "controller"]


def test_what_may_not_be_seen_does_not_hide_the_rest(cluster, cli):
    """This program's version first, then the failure and its code."""
    cluster.refuse("GET", "deployments$", 403, message="cannot list deployments")
    done = cli("version")
    assert (done.code, done.out) == (ExitCode.DENIED, f"Client version: {CLIENT_VERSION}\n")
    assert done.err == "error: cannot list deployments\n"

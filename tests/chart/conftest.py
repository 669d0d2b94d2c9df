"""Rendering the chart: `helm template`, parsed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "lambent"
KUBERNETES = "1.36.0"


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    objects: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.all(kind) if each["metadata"]["name"] == name]
        return found

    def pod(self, process: str) -> dict[str, Any]:
        """The pod's specification, whatever makes it."""
        if process == "selftest":
            return self.one("Pod", "lambent-selftest")["spec"]
        kind = "Job" if process == "departure" else "Deployment"
        return self.one(kind, f"lambent-{process}")["spec"]["template"]["spec"]

    def container(self, process: str) -> dict[str, Any]:
        (container,) = self.pod(process)["containers"]
        return container

    def environment(self, process: str) -> dict[str, Any]:
        """Variables of a process; those from elsewhere have None."""
        return {each["name"]: each.get("value") for each in self.container(process)["env"]}


class Helm:
    """helm at this chart."""

    def __init__(self, program: str) -> None:
        self.program = program

    def run(self, *arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        command = [self.program, *arguments]
        if values is not None:
            command += ["--values", "-"]
        return subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=False)

    def notes(self, values: dict[str, Any] | None = None, release: str = "lambent") -> str:
        """NOTES.txt, rendered: as a template of a copy of the chart, because `helm template` leaves it out."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "lambent"
            shutil.copytree(CHART, copy)
            text = (copy / "templates" / "NOTES.txt").read_text()
            body = '{{- define "the.notes" -}}\n' + text + "\n{{- end -}}\n"
            (copy / "templates" / "notes.yaml").write_text(body + 'text: {{ include "the.notes" . | toJson }}\n')
            fixed = (
                "--namespace",
                "lambent-system",
                "--kube-version",
                KUBERNETES,
                "--show-only",
                "templates/notes.yaml",
            )
            done = self.run("template", release, str(copy), *fixed, values=values or {})
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["text"])

    def template(self, values: dict[str, Any] | None = None, *arguments: str, release: str = "lambent") -> Rendered:
        done = self._template(values, *arguments, release=release)
        assert done.returncode == 0, done.stderr
        return Rendered(tuple(each for each in yaml.safe_load_all(done.stdout) if each))

    def refusal(self, values: dict[str, Any]) -> str:
        done = self._template(values)
        assert done.returncode != 0, "the chart accepted the values"
        return done.stderr

    def _template(self, values, *arguments, release="lambent"):
        fixed = ("--namespace", "lambent-system", "--kube-version", KUBERNETES)
        return self.run("template", release, str(CHART), *fixed, *arguments, values=values or {})


@pytest.fixture(scope="session")
def helm() -> Helm:
    state = os.environ.get("LAMBENT_STATE") or Path.home() / ".cache" / "lambent"
    found = (
        os.environ.get("LAMBENT_HELM")
        or os.environ.get("HELM")
        or shutil.which("helm", path=os.pathsep.join([str(Path(state) / "tools"), os.environ.get("PATH", "")]))
    )
    if not found:
        pytest.fail("no helm: `make check` builds one, or name one with LAMBENT_HELM")
    return Helm(found)


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> Rendered:
    return helm.template()

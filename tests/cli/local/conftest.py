"""Functions on this machine: a folder with a manifest, and a place for temporary files that must end up empty."""

from __future__ import annotations

import os
import tempfile
import textwrap
from pathlib import Path

import pytest

from lambent.cli.local.agents import descendants


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files go; afterwards there is none, and no process."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = set(descendants(os.getpid()))
    yield place
    assert list(place.iterdir()) == []
    assert set(descendants(os.getpid())) <= before


class Project:
    """A folder with function.yaml; the code stands beside it unless it is inline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "function.yaml"

    def write(self, spec, code=None, name="hello", **files):
        """`code` is inline; `files` are names with `__` for the dot, and their text."""
        lines = ["apiVersion: lambent.dev/v1alpha1", "kind: Function", f"metadata: {{name: {name}}}", "spec:"]
        lines += textwrap.indent(textwrap.dedent(spec).strip(), "  ").splitlines()
        if code is not None:
            lines += [
                "  code:",
                "    inline: |",
                *textwrap.indent(textwrap.dedent(code).strip(), "      ").splitlines(),
            ]
        self.manifest.write_text("\n".join(lines) + "\n")
        for each, text in files.items():
            self.file(each.replace("__", "."), text)
        return str(self.manifest)

    def file(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
        path.chmod(mode)
        return path

    def python(self, code, more=""):
        """A Python function with inline code."""
        return self.write(f"runtime: python3.11\nhandler: index.handler\n{more}", code)


@pytest.fixture
def project(tmp_path, temporary):
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)

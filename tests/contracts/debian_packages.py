"""Servers out of Debian's packages, for tests: unpacked beside the local cluster's things, never installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cluster.local.state import find, locked


def program(package: str) -> str:
    """The program that a package is named after. Skips where there is no way to get it."""
    installed = shutil.which(package)
    if installed:
        return installed
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip(f"not a Debian machine, and {package} is not installed")
    state = find(os.environ)
    found = state.root / "packages" / package / "usr/bin" / package
    if not found.exists():
        with locked(state, "packages"):
            if not found.exists():
                _unpack(package, found.parents[2])
    return str(found)


def _unpack(package: str, target: Path) -> None:
    draft = target.with_name(f"{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for attempt in ((), ("apt-get", "update", "-q")):
        if attempt:
            subprocess.run(attempt, capture_output=True, check=False)
        got = subprocess.run(
            ["apt-get", "download", "-q", package], cwd=draft, capture_output=True, text=True, check=False
        )
        if got.returncode == 0:
            break
    else:
        pytest.skip(f"Debian's package {package} cannot be downloaded: {got.stderr.strip()[-200:]}")
    archive = next(draft.glob("*.deb"))
    subprocess.run(["dpkg", "-x", archive, draft], check=True)
    archive.unlink()
    draft.rename(target)

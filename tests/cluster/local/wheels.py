"""Python packages for an image, fetched before the build: a RUN has no network where there is no registry.

The requirements are hash-locked files, so the same file gives the same tree, and a tree is fetched once.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import digests
from .talking import Failed, run

MANYLINUX = tuple(f"{name}_{platform.machine()}" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"))


def install(requirements: Path, target: Path, cache: Path, python: str) -> None:
    """Put the packages of a requirements file, for the Python of an image, into the folder `target`."""
    tree = cache / digests.key([python], requirements.parent, [requirements.name])
    if not tree.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fetch(requirements, Path(scratch) / "tree", python)
            (Path(scratch) / "tree").rename(tree)
    # Links instead of copies: the builder only reads them.
    shutil.copytree(tree, target, copy_function=os.link)


def fetch(requirements: Path, folder: Path, python: str) -> None:
    """Install into an empty folder; leaves out the scripts (of this machine's python) and byte code."""
    command = [*installer(folder.parents[2], python), "--require-hashes", "--target", folder, "-r", requirements]
    run(command, folder.parent.parent / "install.log")
    (folder / ".lock").unlink(missing_ok=True)  # of uv
    for scripts in (folder / "bin", *folder.rglob("__pycache__")):
        shutil.rmtree(scripts, ignore_errors=True)


def installer(programs: Path, version: str) -> list[str | Path]:
    """uv, also the one that `make` keeps in `programs`, else any Python's pip; told to serve the Python of an image."""
    only = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", version]
    for uv in filter(None, (shutil.which("uv"), shutil.which("uv", path=str(programs / "uv/bin")))):
        return [uv, "pip", "install", *only]  # 4 s where pip takes 30
    for python in filter(None, (sys.executable, shutil.which("python3"))):
        if subprocess.run([python, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0:
            platforms = [word for name in MANYLINUX for word in ("--platform", name)]
            quiet = ["--disable-pip-version-check", "--no-compile", "--root-user-action=ignore"]
            return [python, "-m", "pip", "install", *only, *quiet, "--implementation", "cp", *platforms]
    raise Failed(f"neither uv nor pip (for {sys.executable}) is installed")

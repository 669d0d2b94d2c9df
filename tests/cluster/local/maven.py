"""AWS's runtime interface client for Java, from Maven Central, every jar held to its SHA-256."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from . import digests, trees
from .talking import Failed, run

IMAGE = Path("runtime-images/java")


def client(repository: Path, cache: Path) -> Path:
    """A folder with the jars of the client and of what it needs."""
    source = repository / IMAGE

    def make(draft: Path) -> None:
        if shutil.which("mvn") is None:
            raise Failed("fetching AWS's client for Java needs mvn")
        copy = ["dependency:copy-dependencies", f"-DoutputDirectory={draft}", "-Dmdep.useBaseVersion=true"]
        run(["mvn", "-q", "-B", "-f", source / "pom.xml", *copy], draft.parent / "mvn.log")
        check(draft, (source / "SHA256SUMS").read_text())

    key = digests.key([], source, ["pom.xml", "SHA256SUMS"])
    return trees.made_once(cache / "maven", f"client-{key}", "AWS's client for Java", make)


def check(folder: Path, sums: str) -> None:
    """Failed unless the folder holds exactly the files of `sums` (as sha256sum writes them)."""
    expected = {name: digest for digest, name in (line.split() for line in sums.splitlines())}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise Failed(f"not what SHA256SUMS promises: {', '.join(wrong)}")

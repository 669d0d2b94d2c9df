"""The programs of the node, built from tests/cluster/node: lambent-node (with kubectl), coredns, helm.

All three come from one Go module, so they share the compiled client libraries and are locked by one
go.sum. The result is keyed by the module's content: a checkout that changes it builds its own.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import debian, digests
from .state import State
from .talking import Failed, ask, run, say, step

SOURCE = Path(__file__).resolve().parent.parent / "node"
TARGETS = (".", "./coredns", "helm.sh/helm/v3/cmd/helm")
PLATFORM = "linux"
CACHE_BYTES = 9 * 2**30  # what go's module and build caches grow to, measured


@dataclass(frozen=True)
class Binaries:
    """Where the built programs are."""

    folder: Path

    @property
    def node(self) -> str:
        return str(self.folder / "lambent-node")

    @property
    def kubectl(self) -> str:
        return str(self.folder / "kubectl")

    @property
    def helm(self) -> str:
        return str(self.folder / "helm")

    @property
    def coredns(self) -> str:
        return str(self.folder / "coredns")


def kubernetes_version() -> str:
    """The version that go.mod asks for, like v1.36.3."""
    for line in (SOURCE / "go.mod").read_text().splitlines():
        words = line.split()
        if words[:1] == ["k8s.io/kubernetes"]:
            return words[1]
    raise Failed(f"{SOURCE / 'go.mod'} names no k8s.io/kubernetes")


def locate(state: State) -> Binaries:
    """Where this checkout's binaries are or will be."""
    return Binaries(state.binaries / digests.key([PLATFORM], SOURCE, ["."]))


def linker_flags(version: str) -> str:
    """Stamp the version, which clients compare with: without it the API server says v0.0.0."""
    major, minor = version.lstrip("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())


def build(state: State) -> Binaries:
    """Build what is not built yet: about five minutes on two cores from an empty cache, else seconds."""
    binaries = locate(state)
    if binaries.folder.exists():
        return binaries
    debian.require(["go"], "install Go 1.26 or newer (the go.mod says which)")
    warn_about_disk()
    draft = binaries.folder.with_name(f".{binaries.folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    env = {**os.environ, "CGO_ENABLED": "0", "GOOS": PLATFORM, "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    flags = ["-trimpath", "-ldflags", linker_flags(kubernetes_version())]
    with step("building kubernetes, coredns and helm (5 to 7 min on 2 cores the first time)"):
        run(["go", "build", *flags, "-o", f"{draft}/", *TARGETS], state.logs / "go.log", cwd=SOURCE, env=env)
    (draft / "kubectl").symlink_to("lambent-node")  # it looks at the name it was called by
    draft.rename(binaries.folder)  # whole or not at all
    return binaries


def remember(state: State, binaries: Binaries) -> None:
    """Write down what the node is started from; a checkout with other sources must not mix its own in."""
    (state.node / "binaries").write_text(binaries.folder.name)


def remembered(state: State) -> Binaries | None:
    """What the running node was started from, None when there is no node."""
    try:
        return Binaries(state.binaries / (state.node / "binaries").read_text())
    except FileNotFoundError:
        return None


def warn_about_disk() -> None:
    """Go's caches are large: say so before the disk is full, not after."""
    cache = Path(ask(["go", "env", "GOCACHE"]).strip())
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < CACHE_BYTES:
        say(f"only {free / 2**30:.1f} GiB free at {cache}; a first build needs up to {CACHE_BYTES >> 30} GiB")

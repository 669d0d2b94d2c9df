"""Images as docker archives: making the pause image by hand, and bringing archives into containerd."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from .configs import PAUSE_IMAGE
from .state import State
from .talking import ask

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's name → the images'
PAUSE_PROGRAM = Path("/usr/bin/catatonit")  # static; -P: sleep, reap orphans, end on SIGTERM


def ctr(state: State, *arguments: str | Path, timeout: float = 120) -> str:
    """containerd's own client, in the namespace that the kubelet looks into."""
    return ask(["ctr", "--address", state.containerd_socket, "-n", "k8s.io", *arguments], timeout=timeout)


def names(state: State) -> set[str]:
    """The images that the node has."""
    return set(ctr(state, "images", "list", "-q").split())


def load(state: State, archive: Path) -> None:
    """Import one docker archive."""
    ctr(state, "images", "import", archive)


def import_pause(state: State) -> None:
    """Make sure of the image that holds every pod's namespaces."""
    if PAUSE_IMAGE in names(state):
        return
    archive = state.node / "pause.tar"
    write_archive(archive, PAUSE_IMAGE, {"pause": PAUSE_PROGRAM.read_bytes()}, ["/pause", "-P"])
    load(state, archive)


def write_archive(target: Path, image: str, files: dict[str, bytes], entrypoint: list[str]) -> None:
    """A docker archive of one layer with some executable files."""
    layer = tarred({name: (body, 0o755) for name, body in files.items()})
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    named = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": named, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    members = {"layer.tar": layer, named: config, "manifest.json": manifest}
    target.write_bytes(tarred({name: (body, 0o644) for name, body in members.items()}))


def tarred(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Files and their modes as one tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (body, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), mode
            tar.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()

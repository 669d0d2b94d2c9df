"""Where a local cluster keeps what it leaves on the machine: one directory, outside every checkout.

One node serves the whole machine, so several checkouts share this directory; `locked` lets one of them at
a time change the node, and one the images. Only paths and the lock live here; what is in the files is the other modules' business.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .talking import say

# A socket's path has at most 107 bytes; the longest one below the root is node/containerd.sock.ttrpc.
LONGEST_ROOT = 107 - len("/node/containerd.sock.ttrpc")


@dataclass(frozen=True)
class State:
    """The directory and the names in it."""

    root: Path

    @property
    def binaries(self) -> Path:
        """One folder per content key of the sources, so that checkouts do not overwrite each other."""
        return self.root / "bin"

    @property
    def images(self) -> Path:
        """Docker archives and base root file systems, named by their content keys."""
        return self.root / "images"

    @property
    def node(self) -> Path:
        """Everything of the running node; `down` removes it, except containerd's images."""
        return self.root / "node"

    @property
    def containerd(self) -> Path:
        """containerd's own data: kept over `down`, because images here came from no registry."""
        return self.root / "containerd"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        return self.node / "kubeconfig"

    @property
    def registries(self) -> Path:
        """containerd's folder of registries: `<host:port>/hosts.toml` says how one is spoken to."""
        return self.node / "certs.d"

    @property
    def containerd_socket(self) -> Path:
        return self.node / "containerd.sock"


def find(environment: Mapping[str, str]) -> State:
    """The directory that the environment names: LAMBENT_STATE, else the user's cache."""
    chosen = environment.get("LAMBENT_STATE")
    cache = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".cache")
    root = Path(chosen) if chosen else Path(cache) / "lambent"
    if len(os.fsencode(root.absolute())) > LONGEST_ROOT:
        raise SystemExit(f"{root} is too long for the sockets below it: set LAMBENT_STATE to a shorter path")
    return State(root.absolute())


@contextmanager
def locked(state: State, what: str) -> Iterator[None]:
    """Hold one of the machine's locks, `node` or `images`; says so when somebody else has it."""
    state.root.mkdir(parents=True, exist_ok=True)
    with open(state.root / f"{what}.lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(f"waiting for process {file.read().strip() or '?'}, which is changing the {what} in {state.root}")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield  # closing the file gives the lock back, also when this process is killed

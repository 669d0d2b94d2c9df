"""The Debian packages that the node and the image builds need: installed when missing, never otherwise."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from .state import State, locked
from .talking import Failed, run, step

# package → a program (or file) that tells that it is there, however it got there
NODE = {
    "catatonit": "/usr/bin/catatonit",  # static init: the pause image
    "conntrack": "conntrack",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iproute2": "ip",
    "iptables": "iptables",  # the kubelet still asks for it
    "nftables": "nft",
    "openssl": "openssl",
    "runc": "runc",
}
IMAGES = {
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}
REGISTRY = {"docker-registry": "docker-registry"}  # a registry for tests of image functions


def absent(wanted: dict[str, str]) -> list[str]:
    """The packages of which the telling file is not there."""
    return [package for package, sign in wanted.items() if not there(sign)]


def there(sign: str) -> bool:
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign) is not None


def install(wanted: dict[str, str], state: State) -> None:
    """Install what is missing. One at a time: node and images may be prepared side by side, apt locks its lists."""
    if not absent(wanted):
        return
    with locked(state, "packages"):
        if missing := absent(wanted):
            _install(missing, state.logs / "apt.log")
    if still := absent(wanted):
        raise Failed(f"installed, but not found where expected: {', '.join(still)}")


def _install(missing: list[str], log: Path) -> None:
    if shutil.which("apt-get") is None:
        raise Failed(f"not a Debian machine, so please install yourself: {', '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {', '.join(missing)}"):
        run(["apt-get", "update", "-q"], log, env=env)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], log, env=env)


def require(programs: Iterable[str], why: str) -> None:
    """Fail with a sentence when a program is missing that no package of ours brings."""
    if missing := [program for program in programs if shutil.which(program) is None]:
        raise Failed(f"{', '.join(missing)} missing: {why}")

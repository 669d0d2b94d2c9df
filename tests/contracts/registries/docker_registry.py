"""Debian's `docker-registry` as a server for tests: its package unpacked beside the local cluster's things, not installed."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contracts.debian_packages import program

PACKAGE = "docker-registry"
USER, PASSWORD = "robot", "secret"
HASHED = "$2b$04$bV.PYMhRpn4/lLBoDzqO2Oza4FNP1IyKorz57J58w09/9lmk1N.z2"
"""The password by bcrypt, at its lowest cost."""


@dataclass(frozen=True)
class DockerRegistry:
    """A running one."""

    place: str
    closed: bool
    pid: int

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def push_token(self) -> str:
        return f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}" if self.closed else ""


@contextmanager
def docker_registry(folder: Path, *, closed: bool) -> Iterator[DockerRegistry]:
    """A registry on a port of its own; a closed one wants to see a user and a password."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{bound.getsockname()[1]}"
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": place, "secret": "only for uploads"},
    }
    if closed:
        (folder / "htpasswd").write_text(f"{USER}:{HASHED}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(PACKAGE), "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        while not _answers(f"http://{place}/v2/"):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield DockerRegistry(place, closed, process.pid)
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True

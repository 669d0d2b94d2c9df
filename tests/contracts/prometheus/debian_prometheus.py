"""Debian's `prometheus` as a server for tests: its package unpacked beside the local cluster's things, not installed."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contracts.debian_packages import program

PACKAGE = "prometheus"
SECONDS_TO_START = 60.0


@dataclass(frozen=True)
class DebianPrometheus:
    """A running one."""

    url: str

    def value(self, query: str) -> str | None:
        """The first value of a query, asked without any code of ours."""
        with urllib.request.urlopen(f"{self.url}/api/v1/query?query={query}", timeout=5) as answer:
            result = json.loads(answer.read())["data"]["result"]
        return result[0]["value"][1] if result else None


@contextmanager
def debian_prometheus(folder: Path, exporter: str) -> Iterator[DebianPrometheus]:
    """A server on a port of its own that reads `exporter` (host:port) once a second."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{bound.getsockname()[1]}"
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [exporter]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    arguments = [
        program(PACKAGE),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={place}",
        "--query.timeout=5s",
        "--query.max-samples=1000",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)
    try:
        limit = time.monotonic() + SECONDS_TO_START
        while not _ready(f"http://{place}/-/ready"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < limit, (folder / "log").read_text()
            time.sleep(0.02)
        yield DebianPrometheus(f"http://{place}")
    finally:
        process.kill()
        process.wait()


def _ready(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True

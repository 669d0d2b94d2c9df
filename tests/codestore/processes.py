"""Code stores as real processes, for the tests that kill, fill or starve them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import lambent
from lambent.wire.signed_urls import LISTING_PATH, blob_path, deletion_path, sign_path

from .conftest import digest_of

KEY = b"the key of this test's code store"
PYTHONPATH = str(Path(lambent.__path__[0]).parent)


def signed(method: str, content: bytes) -> str:
    return sign_path(KEY, method, blob_path(digest_of(content)), int(time.time()) + 600)


def signed_deletion(content: bytes, older_than: int) -> str:
    return sign_path(KEY, "DELETE", deletion_path(digest_of(content), older_than), int(time.time()) + 600)


def signed_listing() -> str:
    return sign_path(KEY, "GET", LISTING_PATH, int(time.time()) + 600)


def free_port() -> int:
    """A port that nobody has right now: port 0 would be another one per address family."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@dataclass
class CodeStore:
    """A process that serves, its ports and what it logs."""

    process: asyncio.subprocess.Process
    url: str
    metrics_url: str
    log: list[dict[str, object]]
    reading: asyncio.Task[None]

    async def ended(self) -> int:
        """Its exit code, when everything it logged was read."""
        code = await self.process.wait()
        await self.reading
        return code

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    def said(self, message: str) -> bool:
        return any(line["message"] == message for line in self.log)


async def spawn(folder: Path, environment: dict[str, str], shell: str = "") -> asyncio.subprocess.Process:
    """The process alone; `shell` runs before it, in the same process."""
    (folder / "url-key").write_bytes(KEY)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "LAMBENT_KEYS_DIR": str(folder),
        "LAMBENT_METRICS_PORT": str(free_port()),
        "LAMBENT_CODESTORE_PORT": str(free_port()),
        **environment,
    }
    command = ("sh", "-ec", f'{shell}\nexec "$0" -m lambent codestore', sys.executable)
    return await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)


async def start(folder: Path, environment: dict[str, str], shell: str = "") -> CodeStore:
    """Start one and wait until it serves."""
    process = await spawn(folder, environment, shell)
    assert process.stderr is not None
    log: list[dict[str, object]] = []
    async for line in process.stderr:
        log.append(json.loads(line))
        if log[-1]["message"] == "serving":
            break
    else:
        raise AssertionError(log)

    async def read_on(stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            log.append(json.loads(line))

    urls = [f"http://127.0.0.1:{log[-1][port]}" for port in ("port", "metricsPort")]
    return CodeStore(process, urls[0], urls[1], log, asyncio.create_task(read_on(process.stderr)))

"""The code store as a real process: start, health, graceful end, and `kill -9` in the middle of everything."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from lambent.adapters.code.client import CodeStoreClient
from lambent.model.errors import Unavailable

from . import processes
from .conftest import digest_of, eventually
from .processes import KEY, PYTHONPATH, CodeStore, signed


@dataclass
class Starter:
    """Starts processes on one volume."""

    folder: Path
    running: list[CodeStore] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "blobs"

    async def spawn(self, changed: dict[str, str]) -> asyncio.subprocess.Process:
        return await processes.spawn(self.folder, {"LAMBENT_CODESTORE_DIR": str(self.root), **changed})

    async def start(self, shell: str = "") -> CodeStore:
        started = await processes.start(self.folder, {"LAMBENT_CODESTORE_DIR": str(self.root)}, shell)
        self.running.append(started)
        return started

    def growing(self) -> list[Path]:
        return [path for path in (self.root / "incoming").iterdir() if not path.name.startswith("probe.")]

    def blobs_on_disk(self) -> dict[str, bytes]:
        found = {path.name: path.read_bytes() for path in self.root.glob("??/*")}
        for name, content in found.items():
            assert hashlib.sha256(content).hexdigest() == name
        return found


@pytest.fixture
async def starter(tmp_path: Path) -> AsyncIterator[Starter]:
    made = Starter(tmp_path)
    yield made
    for running in made.running:
        await running.kill()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def text(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url) as response:
        return response.status, await response.text()


async def test_it_serves_and_says_how_it_is(starter: Starter, session: aiohttp.ClientSession) -> None:
    running = await starter.start()
    client = CodeStoreClient(running.url, session)
    await client.put(signed("PUT", b"code"), b"code")
    assert await client.get(signed("GET", b"code"), 4) == b"code"
    assert await text(session, f"{running.metrics_url}/healthz") == (200, "ok\n")
    while (await text(session, f"{running.metrics_url}/readyz"))[0] != 200:
        await asyncio.sleep(0.02)
    metrics = (await text(session, f"{running.metrics_url}/metrics"))[1]
    assert 'lambent_codestore_requests_total{method="PUT",status="201"} 1.0' in metrics
    assert "lambent_codestore_blobs 1.0" in metrics
    assert "lambent_codestore_bytes 4.0" in metrics


async def test_it_logs_json_and_neither_keys_nor_signatures(starter: Starter, session: aiohttp.ClientSession) -> None:
    running = await starter.start()
    path = signed("PUT", b"code")
    await CodeStoreClient(running.url, session).put(path, b"code")
    signature = path.partition("sig=")[2]
    for request in (b"BREW %b HTTP/1.1\r\n\r\n", b"GET %b HTTP/1.1\r\nbad header\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
        writer.write(request % path.encode())
        await reader.read(16)
        writer.close()
    running.process.terminate()
    assert await running.ended() == 0
    messages = [line["message"] for line in running.log]
    assert [message for message in messages if message != "the volume answers"] == [
        "serving",
        "blob stored",
        "stopping",
    ]
    assert all(line["process"] == "codestore" for line in running.log)
    everything = json.dumps(running.log)
    assert signature not in everything
    assert KEY.decode() not in everything


async def test_terminated_it_finishes_what_it_has_begun(starter: Starter) -> None:
    running = await starter.start()
    content = bytes(300_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
    head = f"PUT {signed('PUT', content)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content[:-1])
    await eventually(starter.growing)
    running.process.terminate()
    await eventually(lambda: any(line["message"] == "stopping" for line in running.log))
    writer.write(content[-1:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
    writer.close()
    assert await running.ended() == 0
    assert starter.blobs_on_disk() == {digest_of(content): content}


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"LAMBENT_KEYS_DIR": "/nowhere"}, 2, "/nowhere/url-key cannot be read"),
        ({"LAMBENT_CODESTORE_DIR": "/dev/null/blobs"}, 1, "Not a directory"),
    ],
)
async def test_what_it_cannot_start_with_it_names(
    starter: Starter, changed: dict[str, str], code: int, said: str
) -> None:
    process = await starter.spawn(changed)
    _, stderr = await process.communicate()
    assert process.returncode == code
    assert said in stderr.decode()
    assert "Traceback" not in stderr.decode()


async def test_a_volume_that_is_full_answers_507_and_keeps_serving(
    starter: Starter, session: aiohttp.ClientSession
) -> None:
    """A limit on file sizes is the full disk that needs no root: the kernel refuses in the middle of a blob."""
    shell = "ulimit -f 500"  # 512-byte or 1 KiB blocks, as the shell counts
    client = CodeStoreClient((await starter.start(shell)).url, session)
    small, large = random.Random(1).randbytes(100_000), random.Random(2).randbytes(2_000_000)
    await client.put(signed("PUT", small), small)
    with pytest.raises(Unavailable, match="full: no room on the volume"):
        await client.put(signed("PUT", large), large)
    assert starter.growing() == []
    assert starter.blobs_on_disk() == {digest_of(small): small}
    assert await client.get(signed("GET", small), len(small)) == small


class TestKilled:
    """`kill -9`: no readable wrong blob, nothing acknowledged is lost, nothing half written stays."""

    async def test_while_a_blob_is_coming_in(self, starter: Starter) -> None:
        running = await starter.start()
        content = bytes(1_000_000)
        _, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
        head = f"PUT {signed('PUT', content)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content[:-1])
        await eventually(lambda: any(path.stat().st_size for path in starter.growing()))
        running.process.kill()
        await running.ended()
        writer.close()
        assert starter.blobs_on_disk() == {}
        assert len(starter.growing()) == 1
        await starter.start()
        assert starter.growing() == []

    async def test_at_any_moment_under_load(self, starter: Starter, session: aiohttp.ClientSession) -> None:
        dice, acknowledged = random.Random(4), dict[str, bytes]()
        for _ in range(4):
            running = await starter.start()
            assert starter.growing() == []
            client = CodeStoreClient(running.url, session)

            async def put_on(client: CodeStoreClient = client) -> None:
                try:
                    while True:
                        content = dice.randbytes(dice.randrange(1, 2_000_000))
                        await client.put(signed("PUT", content), content)
                        acknowledged[digest_of(content)] = content
                except Unavailable:
                    pass

            putting = [asyncio.create_task(put_on()) for _ in range(3)]
            wanted = len(acknowledged) + dice.randrange(1, 6)
            await eventually(lambda: len(acknowledged) >= wanted or all(task.done() for task in putting))
            assert len(acknowledged) >= wanted
            await asyncio.sleep(dice.random() / 50)
            running.process.send_signal(signal.SIGKILL)
            await asyncio.gather(*putting, running.ended())
            assert acknowledged.items() <= starter.blobs_on_disk().items()


KILLED_WRITER = """
import asyncio, hashlib, random, sys
from pathlib import Path
from lambent.adapters.code.directory import BlobDirectory

async def main():
    blobs, dice = BlobDirectory(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
    await blobs.prepare()
    print(sum(1 for _ in (Path(sys.argv[1]) / "incoming").iterdir()), flush=True)
    while True:
        content = dice.randbytes(dice.randrange(1, 1_000_000))
        async def pieces():
            yield content
        digest = hashlib.sha256(content).hexdigest()
        await blobs.put(digest, pieces())
        print(digest, flush=True)

asyncio.run(main())
"""


async def test_a_directory_whose_writer_is_killed_again_and_again_stays_right(tmp_path: Path) -> None:
    """The same without HTTP, which kills much more often inside of the writing."""
    root, dice, acknowledged = tmp_path / "blobs", random.Random(7), set[str]()
    for turn in range(10):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", KILLED_WRITER, str(root), str(turn)),
            env={"PYTHONPATH": PYTHONPATH},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"0\n"  # partial files that were left
        for _ in range(dice.randrange(5)):
            acknowledged.add((await process.stdout.readline()).decode().strip())
        await asyncio.sleep(dice.random() / 100)
        process.kill()
        rest, _ = await process.communicate()
        acknowledged |= {line.decode() for line in rest.splitlines() if len(line) == 64}
    found = {path.name: path.read_bytes() for path in root.glob("??/*")}
    assert all(digest_of(content) == name for name, content in found.items())
    assert acknowledged <= found.keys()

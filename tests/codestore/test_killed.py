"""`kill -9` before and after every single step of a put: what went in and what comes out.

The steps are the calls by which the directory changes the disk; each run dies at the next of them, until one
survives. Then: what was acknowledged is there, what is there is right, and nothing half written stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from lambent.adapters.code.directory import BlobDirectory

from .processes import PYTHONPATH

CONTENTS = [b"first" * 150_000, b"", b"second" * 150_000]

WRITER = """
import asyncio, hashlib, os, signal, sys
from pathlib import Path
from lambent.adapters.code.directory import BlobDirectory

folder, when = Path(sys.argv[1]), sys.argv[2]
steps = 0

def deadly(name, fatal):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global steps
        steps += 1
        if steps == fatal and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        last = steps == fatal
        try:
            return real(*args, **kwargs)
        finally:  # also what fails is a step
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
    return call

async def work(root, fatal, say):
    blobs = BlobDirectory(root)
    await blobs.prepare()
    for name in ("open", "write", "fsync", "mkdir", "link", "utime", "unlink"):
        if name != "write":
            setattr(os, name, deadly(name, fatal))
    write, os.write = os.write, deadly("write", fatal)
    for content in (b"first" * 150_000, b"", b"second" * 150_000, b"first" * 150_000):
        async def pieces():
            for start in range(0, len(content), 300_000):
                yield content[start:start + 300_000]
        digest = hashlib.sha256(content).hexdigest()
        await blobs.put(digest, pieces())
        write(say, digest.encode() + b" ")
    await blobs.delete(digest)
    write(say, b"deleted ")

for step in range(1, 300):  # one process for each, made by forking: what it would import is there already
    pid = os.fork()
    if pid == 0:
        say = os.open(folder / f"{step}.said", os.O_WRONLY | os.O_CREAT)
        asyncio.run(work(folder / str(step), step, say))
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, step
        print(step)
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, step
"""


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_writer_killed_at_any_step_loses_nothing_and_leaves_nothing(tmp_path: Path, when: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, str(tmp_path), when),
        env={"PYTHONPATH": PYTHONPATH},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    survived = int(printed)  # the first that no step killed
    assert survived > 30  # three blobs of several steps each, one renewed, one deleted
    for step in range(1, survived + 1):
        await _check(tmp_path / str(step), (tmp_path / f"{step}.said").read_text().split())


async def _check(root: Path, acknowledged: list[str]) -> None:
    found = {path.name: path.read_bytes() for path in root.glob("??/*")}
    assert all(digest_of(content) == name for name, content in found.items())
    perhaps_deleted = {digest_of(CONTENTS[0])} if len(acknowledged) >= 4 else set()
    assert set(acknowledged) - {"deleted"} - perhaps_deleted <= set(found)
    assert set(found) <= {digest_of(content) for content in CONTENTS}
    if "deleted" in acknowledged:
        assert not perhaps_deleted & set(found)
    await _recovered(root)


async def _recovered(root: Path) -> None:
    blobs = BlobDirectory(root)
    await blobs.prepare()
    assert list((root / "incoming").iterdir()) == []
    for content in CONTENTS:

        async def pieces(content: bytes = content):  # type: ignore[no-untyped-def]
            yield content

        await blobs.put(digest_of(content), pieces())
        async with blobs.open(digest_of(content)) as opened:
            assert opened is not None
            assert b"".join([piece async for piece in opened.read(0, opened.blob.size)]) == content

"""What is true of the directory beyond the contract: its layout, its sweep, a full or broken volume."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lambent.adapters.code import directory, growing
from lambent.adapters.code.blobs import Blob, StoreFull, TooYoung, WrongDigest
from lambent.adapters.code.directory import BlobDirectory
from lambent.model.errors import Unavailable

CONTENT = b"code " * 200_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


async def pieces(content: bytes = CONTENT) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    yield content[len(content) // 2 :]


@pytest.fixture
async def blobs(tmp_path: Path) -> BlobDirectory:
    made = BlobDirectory(tmp_path)
    await made.prepare()
    return made


def failing(number: int) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def incoming(root: Path) -> list[str]:
    return os.listdir(root / "incoming")


async def test_a_blob_lies_under_its_first_two_digits(blobs: BlobDirectory, tmp_path: Path) -> None:
    await blobs.put(DIGEST, pieces())
    blob = tmp_path / DIGEST[:2] / DIGEST
    assert blob.read_bytes() == CONTENT
    assert stat.S_IMODE(blob.stat().st_mode) & 0o133 == 0  # nobody else writes, nobody executes
    assert blob.stat().st_nlink == 1
    assert incoming(tmp_path) == []


async def test_what_a_killed_process_left_is_swept_at_start(blobs: BlobDirectory, tmp_path: Path) -> None:
    (tmp_path / "incoming" / f"{DIGEST[:16]}.abc").write_bytes(CONTENT[:-1])
    await blobs.prepare()
    assert incoming(tmp_path) == []


async def test_what_another_process_is_writing_is_not_swept(blobs: BlobDirectory, tmp_path: Path) -> None:
    """During a rolling update two processes share the volume."""

    async def updating() -> AsyncIterator[bytes]:
        yield CONTENT
        await BlobDirectory(tmp_path).prepare()

    assert await blobs.put(DIGEST, updating()) is True
    assert (tmp_path / DIGEST[:2] / DIGEST).read_bytes() == CONTENT


async def test_the_sweep_works_where_there_are_no_locks(
    blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    assert await blobs.put(DIGEST, pieces()) is True
    (tmp_path / "incoming" / "left").write_bytes(b"x")
    await blobs.prepare()
    assert incoming(tmp_path) == []


async def test_a_volume_without_hard_links_keeps_blobs_all_the_same(
    blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    assert await blobs.put(DIGEST, pieces()) is True
    assert (tmp_path / DIGEST[:2] / DIGEST).read_bytes() == CONTENT
    assert incoming(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["write", "fsync", "mkdir", "link", "open"])
async def test_a_failing_volume_is_told_and_keeps_nothing_partial(
    blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing(number))
        expected = StoreFull if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else Unavailable
        with pytest.raises(Unavailable, match=os.strerror(number)) as caught:
            await blobs.put(DIGEST, pieces())
        assert caught.type is expected
    assert incoming(tmp_path) == []
    assert await blobs.stat(DIGEST) is None
    assert await blobs.put(DIGEST, pieces()) is True


async def test_a_volume_that_fills_up_midway_keeps_nothing_partial(
    blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, room = os.write, 300_000

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, data[:room])  # a short write first, as the kernel does it
        room -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        with pytest.raises(StoreFull):
            await blobs.put(DIGEST, pieces())
    assert incoming(tmp_path) == []
    assert await blobs.stat(DIGEST) is None


async def test_short_writes_are_continued(blobs: BlobDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:70_001]))
    assert await blobs.put(DIGEST, pieces()) is True


async def test_a_blob_is_on_disk_before_it_has_its_name(
    blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content synced, then linked, then the folders that name it synced: the order that survives power loss."""
    done: list[str] = []
    sync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        done.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).relative_to(tmp_path).parts[:1]}")
        sync(descriptor)

    def linked(source: Path, target: Path) -> None:
        done.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    await blobs.put(DIGEST, pieces())
    assert done == ["sync ('incoming',)", "sync ()", "link", f"sync ('{DIGEST[:2]}',)"]


async def test_a_put_of_what_is_there_promises_durability_too(
    blobs: BlobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever linked it may not have synced the folder yet."""
    await blobs.put(DIGEST, pieces())
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    await blobs.put(DIGEST, pieces())
    assert len(synced) == 1


async def test_a_put_cancelled_anywhere_leaves_nothing_behind(blobs: BlobDirectory, tmp_path: Path) -> None:
    for turns in range(0, 60, 3):
        putting = asyncio.create_task(blobs.put(DIGEST, pieces()))
        for _ in range(turns):
            await asyncio.sleep(0)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        await blobs.delete(DIGEST)
        assert incoming(tmp_path) == []
        assert [blob async for blob in blobs.list()] == []


async def test_tidying_takes_what_is_abandoned_and_nothing_that_grows(blobs: BlobDirectory, tmp_path: Path) -> None:
    left, new = tmp_path / "incoming" / "left", tmp_path / "incoming" / "new"
    left.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(left, (0, 0))

    async def slow() -> AsyncIterator[bytes]:
        for growing_file in (tmp_path / "incoming").glob(f"{DIGEST[:16]}*"):
            os.utime(growing_file, (0, 0))
        await blobs.tidy()
        yield CONTENT

    assert await blobs.put(DIGEST, slow()) is True
    assert incoming(tmp_path) == ["new"]


async def test_a_put_and_a_delete_exclude_each_other_across_processes(blobs: BlobDirectory, tmp_path: Path) -> None:
    """Another process holds the folder's lock: a delete waits for it, and then finds what that process did."""
    await blobs.put(DIGEST, pieces())
    blob = tmp_path / DIGEST[:2] / DIGEST
    os.utime(blob, (0, 0))
    descriptor = os.open(blob.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        deleting = asyncio.create_task(blobs.delete(DIGEST, 60))
        done, _ = await asyncio.wait((deleting,), timeout=0.3)
        assert not done
        os.utime(blob)
    finally:
        os.close(descriptor)
    with pytest.raises(TooYoung):
        await deleting
    assert blob.exists()


async def test_a_blob_cut_on_disk_is_an_error_and_no_end(blobs: BlobDirectory, tmp_path: Path) -> None:
    await blobs.put(DIGEST, pieces())
    with pytest.raises(Unavailable, match="has no byte"):
        async with blobs.open(DIGEST) as opened:
            assert opened is not None
            os.truncate(tmp_path / DIGEST[:2] / DIGEST, 10)
            _ = [piece async for piece in opened.read(0, opened.blob.size)]


async def test_foreign_files_are_no_blobs(blobs: BlobDirectory, tmp_path: Path) -> None:
    await blobs.put(DIGEST, pieces())
    (tmp_path / "lost+found").mkdir()
    (tmp_path / DIGEST[:2] / "notes.txt").write_text("mine")
    assert [blob async for blob in blobs.list()] == [Blob(DIGEST, len(CONTENT))]


async def test_a_volume_that_is_gone_is_told(blobs: BlobDirectory, tmp_path: Path) -> None:
    (tmp_path / "incoming").rmdir()
    with pytest.raises(Unavailable, match="No such file"):
        await blobs.probe()


async def test_a_root_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="Not a directory"):
        await BlobDirectory(tmp_path / "file").prepare()


async def test_who_is_cancelled_waits_for_the_thread_that_works_for_it(
    blobs: BlobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a descriptor would be closed, and its number given to another file, under a write."""
    loop, writing, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    order: list[str] = []
    write, discard = growing.GrowingFile.write, growing.GrowingFile.discard

    def slow_write(self: growing.GrowingFile, piece: bytes) -> None:
        loop.call_soon_threadsafe(writing.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        write(self, piece)
        order.append("written")

    def noted_discard(self: growing.GrowingFile) -> None:
        order.append("discarded")
        discard(self)

    monkeypatch.setattr(directory.GrowingFile, "write", slow_write)
    monkeypatch.setattr(directory.GrowingFile, "discard", noted_discard)
    putting = asyncio.create_task(blobs.put(DIGEST, pieces()))
    await writing.wait()
    for _ in range(3):  # as impatient as a shutdown can be
        putting.cancel()
        await asyncio.sleep(0)
    assert order == []
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert order == ["written", "discarded"]


async def test_no_descriptor_is_left_open(blobs: BlobDirectory) -> None:
    async def turn() -> None:
        await blobs.put(DIGEST, pieces())
        async with blobs.open(DIGEST):
            pass
        await blobs.delete(DIGEST)
        with pytest.raises(WrongDigest):
            await blobs.put(DIGEST, pieces(b"other"))

    await turn()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await turn()
    assert len(os.listdir("/proc/self/fd")) == before

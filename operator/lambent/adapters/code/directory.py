"""Blobs in a directory, by their SHA-256: `<root>/<first two digits>/<digest>`.

A blob has its name only when all of it, verified, is on disk: it grows under `<root>/incoming`, is synced, and
then linked into place. So whatever is killed, and whenever, what can be opened is right; nothing is overwritten.
Its age is that of its modification time, which every put renews.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from typing import ParamSpec, TypeVar

from lambent.model.errors import Unavailable

from .blobs import ABANDONED_SECONDS, CHUNK_BYTES, Blob, check_age, checked_digest, is_digest
from .growing import GrowingFile, failures_told, locked, sweep, sync_folder

P = ParamSpec("P")
T = TypeVar("T")

_INCOMING = "incoming"
_PROBE = "probe"  # no digest: it can never become a blob


class OpenBlob:
    """A blob being read; deleting it meanwhile does not disturb."""

    def __init__(self, file: FileIO, blob: Blob) -> None:
        self._file = file
        self.blob = blob

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Bytes `start` to before `stop`, in pieces."""
        while start < stop:
            piece = await _in_thread(self._read, start, min(CHUNK_BYTES, stop - start))
            start += len(piece)
            yield piece

    def _read(self, start: int, length: int) -> bytes:
        with failures_told():
            piece = os.pread(self._file.fileno(), length, start)
        if not piece:
            raise Unavailable(f"blob {self.blob.digest} has no byte {start}, of {self.blob.size}")
        return piece


class BlobDirectory:
    """The backend. Several processes may share a root, as during a rolling update."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / _INCOMING

    async def prepare(self) -> None:
        """Make the folders, and sweep what killed processes left half written."""
        await _in_thread(self._prepare)

    async def tidy(self) -> None:
        """Sweep what has been coming in for far too long; may be called at any time."""
        await _in_thread(sweep, self._incoming, ABANDONED_SECONDS)

    async def put(self, digest: str, pieces: AsyncIterable[bytes]) -> bool:
        """Store a blob, or make the one that is there young again. Durable once this returns.

        False when it was there already (then nothing is read).

        Raises:
            WrongDigest: the pieces are not those of the digest.
            StoreFull: there is no room.
            Unavailable: the volume failed.
        """
        target = self._path(digest)
        if await _in_thread(_renew, target):
            return False
        growing = GrowingFile(self._incoming, digest)
        try:
            await _in_thread(growing.begin)
            async for piece in _gathered(pieces):
                await _in_thread(growing.write, piece)
            return await _in_thread(growing.publish, target)
        finally:
            await _in_thread(growing.discard)

    @asynccontextmanager
    async def open(self, digest: str) -> AsyncIterator[OpenBlob | None]:
        """The blob to read from, None when it is not there."""
        file = await _in_thread(_open, self._path(digest))
        if file is None:
            yield None
            return
        with file:
            yield OpenBlob(file, _blob(digest, os.fstat(file.fileno())))

    async def stat(self, digest: str) -> Blob | None:
        """What is known of the blob, None when it is not there."""
        return await _in_thread(_stat, self._path(digest))

    async def list(self) -> AsyncIterator[Blob]:
        """Every blob; those that come or go meanwhile may be among them."""
        for shard in await _in_thread(self._shards):
            for blob in await _in_thread(_blobs, shard):
                yield blob

    async def delete(self, digest: str, older_than: float = 0.0) -> bool:
        """Remove a blob; False when it was not there. Who reads it reads on.

        Raises:
            TooYoung: it was put less than `older_than` seconds ago. A put and a delete of one blob exclude each
                other, so what a put said is there is never deleted for the age it had before.
        """
        return await _in_thread(_delete, self._path(digest), older_than)

    async def probe(self) -> None:
        """Raise StoreFull or Unavailable unless a file can be written."""
        await _in_thread(self._probe)

    def _path(self, digest: str) -> Path:
        return self._root / checked_digest(digest)[:2] / digest

    def _prepare(self) -> None:
        with failures_told():
            self._incoming.mkdir(parents=True, exist_ok=True)
            sweep(self._incoming)

    def _shards(self) -> tuple[Path, ...]:
        with failures_told():
            return tuple(sorted(entry for entry in self._root.iterdir() if len(entry.name) == len("00")))

    def _probe(self) -> None:
        probe = GrowingFile(self._incoming, _PROBE)
        try:
            probe.begin()
            probe.write(b"?")
        finally:
            probe.discard()


def _open(path: Path) -> FileIO | None:
    with failures_told():
        try:
            return path.open("rb", buffering=0)
        except FileNotFoundError:
            return None


def _blob(digest: str, status: os.stat_result) -> Blob:
    return Blob(digest, status.st_size, time.time() - status.st_mtime)


def _stat(path: Path) -> Blob | None:
    with failures_told():
        try:
            return _blob(path.name, path.stat())
        except FileNotFoundError:
            return None


def _renew(target: Path) -> bool:
    """Whether the blob is there; its age begins anew, and it is durable: whoever linked it may still be syncing."""
    with failures_told():
        try:
            with locked(target.parent):
                os.utime(target)
        except FileNotFoundError:
            return False
        sync_folder(target.parent)
        return True


def _blobs(shard: Path) -> tuple[Blob, ...]:
    with failures_told():
        found = (_stat(path) for path in sorted(shard.iterdir()) if is_digest(path.name))
        return tuple(blob for blob in found if blob is not None)


def _delete(path: Path, older_than: float) -> bool:
    with failures_told():
        try:
            with locked(path.parent):
                check_age(_blob(path.name, path.stat()), older_than)
                path.unlink()
        except FileNotFoundError:
            return False
        sync_folder(path.parent)
        return True


async def _gathered(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytearray]:
    """The same bytes in large pieces: a hand-over to a thread costs as much as writing a few kilobytes."""
    gathered = bytearray()
    async for piece in pieces:
        gathered += piece
        if len(gathered) >= CHUNK_BYTES:
            yield gathered
            gathered = bytearray()
    if gathered:
        yield gathered


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread`, but never left behind: who is cancelled waits for the thread.

    Otherwise clean-up would close a descriptor that the thread still writes to, and the number might already be
    another file's.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait((running,))
            except asyncio.CancelledError:
                continue
        if not running.cancelled():
            running.exception()  # looked at: nobody is left to tell
        raise

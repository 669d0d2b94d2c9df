"""Blobs in a directory, by their SHA-256: `<root>/<first two digits>/<digest>`.

A blob has its name only when all of it, verified, is on disk: it grows under `<root>/incoming`, is synced, and
then linked into place. So whatever is killed, and whenever, what can be opened is right; nothing is overwritten.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from typing import ParamSpec, TypeVar

from lambent.model.errors import Unavailable

from .blobs import CHUNK_BYTES, Blob, checked_digest, is_digest
from .growing import GrowingFile, failures_told, sweep, sync_folder

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

    async def put(self, digest: str, pieces: AsyncIterable[bytes]) -> bool:
        """Store a blob; False when it was there already (then nothing is read). Durable once this returns.

        Raises:
            WrongDigest: the pieces are not those of the digest.
            StoreFull: there is no room.
            Unavailable: the volume failed.
        """
        target = self._path(digest)
        if await _in_thread(self._holds, target):
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
            yield OpenBlob(file, Blob(digest, os.fstat(file.fileno()).st_size))

    async def stat(self, digest: str) -> Blob | None:
        """What is known of the blob, None when it is not there."""
        size = await _in_thread(_size, self._path(digest))
        return None if size is None else Blob(digest, size)

    async def list(self) -> AsyncIterator[Blob]:
        """Every blob; those that come or go meanwhile may be among them."""
        for shard in await _in_thread(self._shards):
            for blob in await _in_thread(_blobs, shard):
                yield blob

    async def delete(self, digest: str) -> bool:
        """Remove a blob; False when it was not there. Who reads it reads on."""
        return await _in_thread(_delete, self._path(digest))

    async def probe(self) -> None:
        """Raise StoreFull or Unavailable unless a file can be written."""
        await _in_thread(self._probe)

    def _path(self, digest: str) -> Path:
        return self._root / checked_digest(digest)[:2] / digest

    def _prepare(self) -> None:
        with failures_told():
            self._incoming.mkdir(parents=True, exist_ok=True)
            sweep(self._incoming)

    def _holds(self, target: Path) -> bool:
        if _size(target) is None:
            return False
        with failures_told():
            sync_folder(target.parent)  # whoever linked it may not have come so far yet; we promise durability
        return True

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


def _size(path: Path) -> int | None:
    with failures_told():
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None


def _blobs(shard: Path) -> tuple[Blob, ...]:
    with failures_told():
        sizes = ((path.name, _size(path)) for path in sorted(shard.iterdir()) if is_digest(path.name))
        return tuple(Blob(digest, size) for digest, size in sizes if size is not None)


def _delete(path: Path) -> bool:
    with failures_told():
        try:
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

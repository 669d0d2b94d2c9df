"""A blob that is still coming in: a file under another name, which becomes the blob at once or never.

Blocking calls only; `directory` takes them off the event loop.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lambent.model.errors import Unavailable

from .blobs import StoreFull, WrongDigest

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)
_IN_THIS_PROCESS = threading.Lock()


class GrowingFile:
    """One blob coming in. `begin`, `write`, `publish`; and whatever happened, `discard`."""

    def __init__(self, incoming: Path, digest: str) -> None:
        self._path = incoming / f"{digest[:16]}.{secrets.token_hex(8)}"
        self._digest = digest
        self._sha256 = hashlib.sha256()
        self._descriptor = -1

    def begin(self) -> None:
        """Make the file. The lock says to other processes' sweeps that somebody is still at it."""
        with failures_told():
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        with contextlib.suppress(OSError):  # some network filesystems have no locks
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, piece: bytes | bytearray) -> None:
        """Append."""
        self._sha256.update(piece)
        rest = memoryview(piece)
        with failures_told():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def publish(self, target: Path) -> bool:
        """Give it its name, or make the blob that already has it young. Durable once this returns.

        False when another was faster.

        Raises:
            WrongDigest: the bytes are not those of the digest.
        """
        found = self._sha256.hexdigest()
        if found != self._digest:
            raise WrongDigest(f"the SHA-256 of the body is {found}, not {self._digest}")
        with failures_told():
            os.utime(self._descriptor)  # its age begins when it gets its name, not with its last byte
            os.fsync(self._descriptor)
            _make_shard(target.parent)
            with locked(target.parent):
                created = self._link(target)
            sync_folder(target.parent)
        return created

    def _link(self, target: Path) -> bool:
        try:
            os.link(self._path, target)
        except FileExistsError:
            os.utime(target)
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._path.rename(target)  # no hard links here (SMB): replaces a blob at most by its equal
        return True

    def discard(self) -> None:
        """Remove the name it grew under and close it; may be called at any point."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # what stays behind is swept at the next start
                self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


@contextlib.contextmanager
def locked(shard: Path) -> Iterator[None]:
    """Whoever makes a blob of this folder young, and whoever deletes one because it is old, do so one by one.

    Across processes by a lock of the folder, which asks for no room on a full volume; where the filesystem has no
    locks, within this process only.
    """
    descriptor = os.open(shard, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _IN_THIS_PROCESS:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
    finally:
        os.close(descriptor)


def sweep(incoming: Path, older_than: float = 0.0) -> None:
    """Remove what killed processes left; what a living one still writes (during a rolling update) stays.

    `older_than`: only what has not grown for so many seconds.
    """
    for partial in list(incoming.iterdir()):
        with contextlib.suppress(OSError), partial.open("rb") as file:
            if older_than and time.time() - os.fstat(file.fileno()).st_mtime < older_than:
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:  # no locks here: then nobody else is here either, for all we can know
                pass
            partial.unlink(missing_ok=True)


def _make_shard(shard: Path) -> None:
    if not shard.exists():
        shard.mkdir(exist_ok=True)
        sync_folder(shard.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """OSErrors of a volume, as the house knows them."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(f"no room on the volume: {error.strerror}") from error
        raise Unavailable(f"the volume failed: {error.strerror}") from error

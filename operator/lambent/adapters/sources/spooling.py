"""A fetched archive on its way: in a temporary file without a name, hashed while it is written."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from typing import BinaryIO

from lambent.model.errors import FetchFailed, Unavailable
from lambent.model.troubles import Trouble


class Spool:
    """Bytes that came, up to a limit. Closing it gives the disk space back."""

    def __init__(self, limit: int, folder: str | None = None) -> None:
        self._limit = limit
        # Unbuffered, and nameless at once: nothing is left behind when the process is killed.
        self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 - closed by close()
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append. Raises FetchFailed past the limit, Unavailable when there is no room. Blocks: for a thread."""
        if self.size + len(data) > self._limit:
            raise too_large(self._limit)
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise Unavailable(f"no room for code that is being fetched: {os.strerror(error.errno or 0)}") from error
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256_hex(self) -> str:
        """Digest of what was written."""
        return self._hash.hexdigest()

    def view(self) -> memoryview:
        """What was written, as memory that the kernel reads from the file as it is looked at.

        Nobody closes the mapping: it goes with the last who looks, which may be the traceback of a refusal.
        """
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b"")

    def reader(self) -> BinaryIO:
        """The bytes from their start, as a file that its reader closes. One at a time: they share a place."""
        self._file.seek(0)
        return os.fdopen(os.dup(self._file.fileno()), "rb")

    def close(self) -> None:
        """Forget the bytes."""
        self._file.close()


def too_large(limit: int) -> FetchFailed:
    """The refusal of more bytes than a package may have."""
    return FetchFailed(Trouble.TOO_LARGE, f"it has more than {limit} bytes, the most that a package may have")

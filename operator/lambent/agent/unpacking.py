"""Unpacking zips into a folder, through directory descriptors and never by comparing path strings.

Every folder is opened relative to the descriptor of the one above with O_NOFOLLOW, every file is created with
O_EXCL: a name can therefore not lead out, whatever it is and whatever is already there. Absolute names, `..`,
symlinks, special files, duplicates and clashes are refused, sizes are counted while writing (headers may lie).
Of several archives (layers) a later one replaces files of an earlier one, and nothing else that may be there.
Afterwards nothing in the tree is writable.
"""

import contextlib
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable
from typing import IO, Final

from .protocol.names import MAX_UNZIPPED_BYTES

MAX_ENTRIES: Final = 100_000
_MAX_DEPTH: Final = 64
_PIECE: Final = 256 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class BadArchive(Exception):
    """Not a zip that may be unpacked; the message says why, in words for the function's owner."""


def unpack(archive: IO[bytes], root: str, limit: int = MAX_UNZIPPED_BYTES) -> int:
    """Unpacks into the existing folder `root` and returns the bytes written. BadArchive; OSError of the disk.

    `limit` is what may still be written: layers and code share one.
    """
    return merge((archive,), root, limit)


def merge(archives: Iterable[IO[bytes]], root: str, limit: int = MAX_UNZIPPED_BYTES) -> int:
    """The same with one archive over the other: a file of a later one replaces that of an earlier one.

    The archives are asked for one by one. What was replaced counts as written.
    """
    tree = _Tree(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), limit)
    try:
        for archive in archives:
            _unpack_over(tree, archive)
        tree.seal()  # at last: where nothing may be written, no second archive could be unpacked
        return tree.written
    finally:
        tree.close()


def _unpack_over(tree: "_Tree", archive: IO[bytes]) -> None:
    try:
        with zipfile.ZipFile(archive) as entries:
            names = entries.infolist()
            if len(names) > MAX_ENTRIES:
                raise BadArchive(f"more than {MAX_ENTRIES} entries")
            tree.begin()
            for entry in names:
                tree.add(entries, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise BadArchive(f"not a valid zip: {error}") from error
    except (RuntimeError, ValueError, OverflowError) as error:  # zipfile: encrypted entries, impossible fields
        raise BadArchive(f"not a usable zip: {error}") from error


class _Tree:
    """The folder that is filled; keeps the descriptors of the path it was last in."""

    def __init__(self, root_fd: int, limit: int) -> None:
        self.written = 0
        self._limit = limit
        self._fds = [root_fd]
        self._path: list[str] = []
        self._folders: set[tuple[str, ...]] = {()}
        self._files: set[tuple[str, ...]] = set()
        """Of the present archive."""
        self._earlier: set[tuple[str, ...]] = set()
        """Files of the archives before it."""

    def begin(self) -> None:
        """Another archive, over what is there."""
        self._earlier |= self._files
        self._files = set()

    def add(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        parts = _parts(entry)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.orig_filename.endswith("/") or kind == stat.S_IFDIR:
            self._enter(parts, entry.filename)
        elif kind in {0, stat.S_IFREG}:
            self._enter(parts[:-1], entry.filename)
            self._write(archive, entry, parts[-1])
        else:
            raise BadArchive(f"{_shown(entry.filename)} is a link or special file")

    def _enter(self, folders: list[str], name: str) -> None:
        """Opens the folders of `name` from the root, making those that are missing."""
        common = 0
        while common < min(len(folders), len(self._path)) and folders[common] == self._path[common]:
            common += 1
        while len(self._path) > common:
            os.close(self._fds.pop())
            self._path.pop()
        for folder in folders[common:]:
            try:
                self._fds.append(_open_folder(self._fds[-1], folder))
            except NotADirectoryError:
                raise BadArchive(f"{_shown(name)} goes through a file or link") from None
            self._path.append(folder)
            self._folders.add(tuple(self._path))

    def _write(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
        executable = (entry.external_attr >> 16) & 0o111
        path = (*self._path, name)
        if path in self._earlier and path not in self._files:
            # Never written over where it lies: it may be one that somebody has open, or is read-only.
            os.unlink(name, dir_fd=self._fds[-1])
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._fds[-1])
        except FileExistsError:
            clash = "both a file and a folder" if path in self._folders else "there twice"
            raise BadArchive(f"{_shown(entry.filename)} is {clash}") from None
        self._files.add(path)
        try:
            with archive.open(entry) as content:
                while piece := content.read(_PIECE):
                    self.written += len(piece)
                    if self.written > self._limit:
                        raise BadArchive(f"unzipped it is larger than {self._limit} bytes")
                    _write_all(fd, piece)
            # Whoever runs the function reads it, whatever the packer's umask was.
            os.fchmod(fd, 0o555 if executable else 0o444)
        finally:
            os.close(fd)

    def seal(self) -> None:
        """Takes the write permission from every folder, the deepest first."""
        for path in sorted(self._folders, key=len, reverse=True):
            self._enter(list(path), "")
            try:
                os.fchmod(self._fds[-1], 0o555)
            except PermissionError:
                if path:
                    raise
                # The root may be a mount that belongs to somebody else.

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


def _parts(entry: zipfile.ZipInfo) -> list[str]:
    """The path in pieces. `orig_filename`, because zipfile cuts `filename` at NUL and bends its separators."""
    name = entry.orig_filename
    if name.startswith("/") or "\0" in name or "\\" in name:
        raise BadArchive(f"{_shown(name)} is not a relative path")
    parts = [part for part in name.split("/") if part and part != "."]
    if ".." in parts or not (parts or name.endswith("/")):
        raise BadArchive(f"{_shown(name)} leads out of the archive")
    if len(parts) > _MAX_DEPTH or any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts):
        raise BadArchive(f"{_shown(name)} is too deep or too long")
    return parts


def _open_folder(above: int, name: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=above)
    try:
        return os.open(name, _FOLDER, dir_fd=above)
    except OSError as error:
        raise NotADirectoryError(str(error)) from error


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 120 else name[:120] + "…")

"""Can this archive be unpacked into an empty folder, and into nothing else? Judged without unpacking it.

The agent, which unpacks, judges again; what is refused here is refused before anything is stored, in words for the
function's owner. An archive is looked at where it lies (bytes or a mapped file): none of it is copied but its
directory.
"""

from __future__ import annotations

import io
import itertools
import re
import stat
import struct
import zipfile

from lambent.model import errors, limits

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE_UNZIPPED = f"Unzipped size must be smaller than {limits.UNZIPPED_BYTES_MAX} bytes"
EMPTY = "Uploaded file must be a non-empty zip"

ENTRIES_MAX = 100_000
"""Not Lambda's: what one archive may cost whoever reads its directory."""
PATH_BYTES_MAX, PART_BYTES_MAX = 4096, 255
"""PATH_MAX and NAME_MAX of Linux: what is longer cannot be unpacked."""
DEPTH_MAX = 64
"""Folders on the way to a file, it included: what the agent unpacks."""

_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000  # traditional, strong, encrypted central directory
_UTF8_FLAG = 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DIRECTORY_ENTRY, _END_SIGNATURE, _ZIP64_LOCATOR = re.compile(b"PK\x01\x02"), b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _COMMENT_BYTES_MAX = 22, 20, 65_535
_LOCAL_HEADER = struct.Struct("<4s22xHH")


class _Window(io.RawIOBase):
    """Memory as a file to read: what io.BytesIO would copy, this does not."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._place, len(self._data))[whence]
        if start + offset < 0:
            raise OSError("before the start")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._data[self._place : self._place + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def open_archive(data: bytes | memoryview) -> zipfile.ZipFile:
    """The archive as zipfile reads it, without a copy of it."""
    return zipfile.ZipFile(io.BufferedReader(_Window(memoryview(data))))


def judge(data: bytes | memoryview) -> int:
    """See that `data` is an archive that can be unpacked into an empty folder; the bytes that it then has.

    Raises:
        InvalidCode: the message begins with Lambda's words, where Lambda has any, and ends with what is wrong.
    """
    if not data:
        raise errors.InvalidCode(EMPTY)
    if _entries_at_most(data) > ENTRIES_MAX:
        raise unreadable(f"it has more than {ENTRIES_MAX} entries")
    try:
        with open_archive(data) as archive:
            entries, directory_start = archive.infolist(), archive.start_dir
    # What a hostile directory makes zipfile raise: bad names (UnicodeDecodeError is a ValueError), versions
    # that it does not know, records cut short, offsets before the file's start.
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError, OSError) as error:
        raise unreadable(f"{shortened(str(error) or type(error).__name__)}") from error
    if not entries:
        raise errors.InvalidCode(EMPTY)
    unzipped = sum(entry.file_size for entry in entries)
    if unzipped > limits.UNZIPPED_BYTES_MAX:
        raise errors.InvalidCode(f"{TOO_LARGE_UNZIPPED} (it has {unzipped})")
    for entry in entries:
        _judge_entry(entry)
    _judge_tree(entries)
    _judge_places(memoryview(data)[:directory_start], entries)
    return unzipped


def _entries_at_most(data: bytes | memoryview) -> int:
    """An upper bound of the entries, before anything is made of each of them.

    The end record's own count proves nothing: readers go by the directory's length. The end record is looked
    for where zipfile looks for it; an archive without one is left to zipfile to refuse.
    """
    first = max(0, len(data) - _END_BYTES - _COMMENT_BYTES_MAX)
    tail = bytes(data[first:])
    latest = len(tail) - _END_BYTES
    end = tail.rfind(_END_SIGNATURE, 0, latest + len(_END_SIGNATURE))
    if end < 0:
        return 0
    end += first
    if bytes(data[max(0, end - _LOCATOR_BYTES) : end]).startswith(_ZIP64_LOCATOR):
        return sum(1 for _ in _DIRECTORY_ENTRY.finditer(data))
    length = int.from_bytes(data[end + 12 : end + 16], "little")
    return sum(1 for _ in _DIRECTORY_ENTRY.finditer(data, max(0, end - length), end))


def _judge_entry(entry: zipfile.ZipInfo) -> None:
    wrong = _wrong_path(entry) or _wrong_content(entry)
    if wrong:
        raise unreadable(f"entry {shortened(entry.orig_filename)} {wrong}")


def _wrong_path(entry: zipfile.ZipInfo) -> str | None:
    name = entry.orig_filename  # `filename` is cut at a NUL
    parts = name.split("/")
    findings = (
        ("\0" in name, "has a NUL in its name"),
        (name.startswith("/"), "has an absolute path"),
        ("\\" in name, "has a backslash in its name; folders are separated by '/'"),
        (".." in parts, "leaves the folder with '..'"),
        (
            len(name.encode()) > PATH_BYTES_MAX or any(len(part.encode()) > PART_BYTES_MAX for part in parts),
            f"has a name over {PART_BYTES_MAX} or a path over {PATH_BYTES_MAX} bytes",
        ),
        (sum(part not in ("", ".") for part in parts) > DEPTH_MAX, f"lies over {DEPTH_MAX} folders deep"),
        (not _normal(name) and not name.endswith("/"), "has no name"),
    )
    return next((words for wrong, words in findings if wrong), None)


def _wrong_content(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if entry.flag_bits & _ENCRYPTED_FLAGS:
        return "is encrypted"
    if entry.compress_type not in _METHODS:
        return f"is compressed with method {entry.compress_type}, neither stored nor deflated"
    if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
        return "is stored with two different sizes"
    return None


def _judge_tree(entries: list[zipfile.ZipInfo]) -> None:
    """No file twice, and none both file and folder; tools do repeat folders, which harms nobody.

    With NUL as separator, the lowest character, whatever is below a path sorts directly behind it: linear,
    where a set of all parent folders would grow with the square of the depth.
    """
    tree = sorted(
        (_normal(entry.orig_filename).replace("/", "\0"), entry.orig_filename.endswith("/")) for entry in entries
    )
    for (path, is_folder), (following, following_is_folder) in itertools.pairwise(tree):
        shown = shortened(path.replace("\0", "/"))
        if path == following and is_folder == following_is_folder and not is_folder:
            raise unreadable(f"entry {shown} is there twice")
        if (path == following and is_folder != following_is_folder) or (
            not is_folder and following.startswith(f"{path}\0")
        ):
            raise unreadable(f"entry {shown} is both a file and a folder")


def _judge_places(content: memoryview, entries: list[zipfile.ZipInfo]) -> None:
    """Every entry lies where the directory says, whole, under the same name, and overlaps no other."""
    free = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        shown, start = shortened(entry.orig_filename), entry.header_offset
        if start < 0 or start + _LOCAL_HEADER.size > len(content):
            raise unreadable(f"entry {shown} lies outside of the archive")
        if start < free:
            raise unreadable(f"entry {shown} overlaps another")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack_from(content, start)
        name_start = start + _LOCAL_HEADER.size
        name = bytes(content[name_start : name_start + name_length])
        encoding = "utf-8" if entry.flag_bits & _UTF8_FLAG else "cp437"
        if signature != b"PK\x03\x04" or name != entry.orig_filename.encode(encoding, "replace"):
            raise unreadable(f"the header of entry {shown} differs from the archive's directory")
        free = name_start + name_length + extra_length + entry.compress_size
        if free > len(content):
            raise unreadable(f"entry {shown} is cut short")


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def shortened(name: str) -> str:
    """A name as a message shows it."""
    return repr(name if len(name) <= 120 else f"{name[:100]}…")


def unreadable(why: str) -> errors.InvalidCode:
    """The refusal of an archive, in Lambda's words and with the reason."""
    return errors.InvalidCode(f"{UNREADABLE} ({why})")

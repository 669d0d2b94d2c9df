"""What is the deployment package of this code? One archive, byte for byte, with its digest and size.

Inline source becomes a deterministic archive; an uploaded archive is kept exactly as it was sent, because its
SHA-256 is what Lambda reports. It is judged without unpacking it: the agent, which unpacks, judges again.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import stat
import struct
import zipfile
from dataclasses import dataclass

from lambent.model import errors, limits, runtimes
from lambent.model.functions import Code

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE_UNZIPPED = f"Unzipped size must be smaller than {limits.UNZIPPED_BYTES_MAX} bytes"
TOO_LARGE_ZIPPED = f"Zipped size must be smaller than {limits.ZIP_BYTES_MAX} bytes"
EMPTY = "Uploaded file must be a non-empty zip"

ENTRIES_MAX = 100_000
"""Not Lambda's: what one archive may cost whoever reads its directory."""
PATH_BYTES_MAX, PART_BYTES_MAX = 4096, 255
"""PATH_MAX and NAME_MAX of Linux: what is longer cannot be unpacked."""

_DETERMINISTIC_DATE = (1980, 1, 1, 0, 0, 0)
_INLINE_MODE = stat.S_IFREG | 0o644
_UNIX = 3
_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000  # traditional, strong, encrypted central directory
_UTF8_FLAG = 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_DIRECTORY_SIGNATURE, _END_SIGNATURE, _ZIP64_LOCATOR = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _COMMENT_BYTES_MAX = 22, 20, 65_535
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True, slots=True)
class Package:
    """A deployment package: the archive and what identifies it."""

    data: bytes
    sha256_hex: str
    """Name of its blob in the code store."""
    sha256_base64: str
    """CodeSha256, as Lambda spells it."""
    size: int
    """CodeSize, in bytes."""


def package(code: Code, runtime: str) -> Package:
    """The deployment package that `code` means for `runtime`.

    Raises:
        InvalidCode: when it can never be unpacked and run; the message begins with Lambda's words, where
            Lambda has any, and ends with what exactly is wrong.
    """
    if code.inline is not None:
        data = _inline_archive(code.inline, runtime)
    elif code.zip_file is not None:
        data = _decoded(code.zip_file)
        _judge(data)
    else:
        raise errors.InvalidCode("exactly one of inline and zipFile must be given")
    digest = hashlib.sha256(data)
    return Package(data, digest.hexdigest(), base64.b64encode(digest.digest()).decode(), len(data))


def _inline_archive(source: str, runtime: str) -> bytes:
    known = runtimes.CATALOGUE.get(runtime)
    if known is None or known.inline_file is None:
        raise errors.InvalidCode(f"runtime {runtime} takes no inline code; give code.zipFile")
    try:
        content = source.encode()
    except UnicodeEncodeError as error:
        raise errors.InvalidCode(f"code.inline is no valid text: {error.reason} at {error.start}") from error
    entry = zipfile.ZipInfo(known.inline_file, _DETERMINISTIC_DATE)
    entry.external_attr, entry.create_system = _INLINE_MODE << 16, _UNIX
    # Stored: another zlib deflates differently, and a changed digest would replace every environment.
    entry.compress_type = zipfile.ZIP_STORED
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr(entry, content)
    return archive.getvalue()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        hint = "; it has line breaks (encode with `base64 -w0`)" if "\n" in text else ""
        raise _unreadable(f"code.zipFile is not base64: {error}{hint}") from error


def _judge(data: bytes) -> None:
    """Raise InvalidCode unless `data` is an archive that can be unpacked into an empty folder."""
    if not data:
        raise errors.InvalidCode(EMPTY)
    if len(data) > limits.ZIP_BYTES_MAX:
        raise errors.InvalidCode(f"{TOO_LARGE_ZIPPED} (it has {len(data)})")
    if _entries_at_most(data) > ENTRIES_MAX:
        raise _unreadable(f"it has more than {ENTRIES_MAX} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries, directory_start = archive.infolist(), archive.start_dir
    # What a hostile directory makes zipfile raise: bad names (UnicodeDecodeError is a ValueError), versions
    # that it does not know, records cut short, offsets before the file's start.
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError, OSError) as error:
        raise _unreadable(f"{_short(str(error) or type(error).__name__)}") from error
    if not entries:
        raise errors.InvalidCode(EMPTY)
    unzipped = sum(entry.file_size for entry in entries)
    if unzipped > limits.UNZIPPED_BYTES_MAX:
        raise errors.InvalidCode(f"{TOO_LARGE_UNZIPPED} (it has {unzipped})")
    for entry in entries:
        _judge_entry(entry)
    _judge_tree(entries)
    _judge_places(data[:directory_start], entries)


def _entries_at_most(data: bytes) -> int:
    """An upper bound of the entries, before anything is made of each of them.

    The end record's own count proves nothing: readers go by the directory's length. The end record is looked
    for where zipfile looks for it; an archive without one is left to zipfile to refuse.
    """
    latest = len(data) - _END_BYTES
    end = data.rfind(_END_SIGNATURE, max(0, latest - _COMMENT_BYTES_MAX), latest + len(_END_SIGNATURE))
    if end < 0:
        return 0
    if data[max(0, end - _LOCATOR_BYTES) : end].startswith(_ZIP64_LOCATOR):
        return data.count(_DIRECTORY_SIGNATURE)
    length = int.from_bytes(data[end + 12 : end + 16], "little")
    return data.count(_DIRECTORY_SIGNATURE, max(0, end - length), end)


def _judge_entry(entry: zipfile.ZipInfo) -> None:
    wrong = _wrong_path(entry) or _wrong_content(entry)
    if wrong:
        raise _unreadable(f"entry {_short(entry.orig_filename)} {wrong}")


def _wrong_path(entry: zipfile.ZipInfo) -> str | None:
    name = entry.orig_filename  # `filename` is cut at a NUL
    parts = name.split("/")
    if "\0" in name:
        return "has a NUL in its name"
    if name.startswith("/"):
        return "has an absolute path"
    if ".." in parts:
        return "leaves the folder with '..'"
    if len(name.encode()) > PATH_BYTES_MAX or any(len(part.encode()) > PART_BYTES_MAX for part in parts):
        return f"has a name over {PART_BYTES_MAX} or a path over {PATH_BYTES_MAX} bytes"
    return "has no name" if not _normal(name) and not name.endswith("/") else None


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
        shown = _short(path.replace("\0", "/"))
        if path == following and is_folder == following_is_folder and not is_folder:
            raise _unreadable(f"entry {shown} is there twice")
        if (path == following and is_folder != following_is_folder) or (
            not is_folder and following.startswith(f"{path}\0")
        ):
            raise _unreadable(f"entry {shown} is both a file and a folder")


def _judge_places(content: bytes, entries: list[zipfile.ZipInfo]) -> None:
    """Every entry lies where the directory says, whole, under the same name, and overlaps no other."""
    free = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        shown, start = _short(entry.orig_filename), entry.header_offset
        if start < 0 or start + _LOCAL_HEADER.size > len(content):
            raise _unreadable(f"entry {shown} lies outside of the archive")
        if start < free:
            raise _unreadable(f"entry {shown} overlaps another")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack_from(content, start)
        name_start = start + _LOCAL_HEADER.size
        name = content[name_start : name_start + name_length]
        encoding = "utf-8" if entry.flag_bits & _UTF8_FLAG else "cp437"
        if signature != b"PK\x03\x04" or name != entry.orig_filename.encode(encoding, "replace"):
            raise _unreadable(f"the header of entry {shown} differs from the archive's directory")
        free = name_start + name_length + extra_length + entry.compress_size
        if free > len(content):
            raise _unreadable(f"entry {shown} is cut short")


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _short(name: str) -> str:
    return repr(name if len(name) <= 120 else f"{name[:100]}…")


def _unreadable(why: str) -> errors.InvalidCode:
    return errors.InvalidCode(f"{UNREADABLE} ({why})")

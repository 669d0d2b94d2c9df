"""What is the deployment package of this code? One archive, byte for byte, with its digest and size.

Source becomes a deterministic archive; an archive that exists is kept exactly as it is, because its SHA-256 is what
Lambda reports. Whether an archive is any good says `core.archives`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from lambent.core import archives
from lambent.core.archives import EMPTY, TOO_LARGE_UNZIPPED, UNREADABLE
from lambent.model import errors, limits, runtimes
from lambent.model.functions import Code

__all__ = [
    "EMPTY",
    "TOO_LARGE_UNZIPPED",
    "TOO_LARGE_ZIPPED",
    "UNREADABLE",
    "Package",
    "from_archive",
    "from_config_map",
    "package",
]

TOO_LARGE_ZIPPED = f"Zipped size must be smaller than {limits.ZIP_BYTES_MAX} bytes"

_DETERMINISTIC_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = stat.S_IFREG | 0o644
_PROGRAM_MODE = stat.S_IFREG | 0o755
_PROGRAM = "bootstrap"
"""What custom runtimes execute; a ConfigMap cannot say that a file is executable."""
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Package:
    """A deployment package: the archive and what identifies it."""

    data: bytes | memoryview
    sha256_hex: str
    """Name of its blob in the code store."""
    sha256_base64: str
    """CodeSha256, as Lambda spells it."""
    size: int
    """CodeSize, in bytes."""
    unzipped: int = 0
    """Bytes of its files."""


def package(code: Code, runtime: str) -> Package:
    """The deployment package of code that stands in the specification itself.

    Raises:
        InvalidCode: when it can never be unpacked and run; the message begins with Lambda's words, where
            Lambda has any, and ends with what exactly is wrong.
    """
    if code.inline is not None:
        return _source_package(code.inline, runtime, "code.inline")
    if code.zip_file is not None:
        return from_text(code.zip_file, "code.zipFile")
    raise errors.InvalidCode("exactly one of inline and zipFile must be given")


def from_text(text: str, where: str) -> Package:
    """The deployment package that an archive in base64 is; `where` it stands. Raises InvalidCode."""
    return _uploaded(_decoded(text, where))


def from_archive(data: memoryview) -> Package:
    """The deployment package that an archive is which was fetched. Raises InvalidCode."""
    return _packed(data, archives.judge(data))


def from_config_map(
    key: str | None, texts: Mapping[str, str], binaries: Mapping[str, str], runtime: str | None
) -> Package | None:
    """The deployment package in a ConfigMap's `data` and `binaryData` (base64); None when it has no such key.

    Without a runtime it is a layer, which has no source of a single file.

    Raises:
        InvalidCode: when it can never be unpacked and run.
    """
    if key is None:
        made = _files_archive(texts, binaries)
        return _packed(made, archives.judge(made))
    if key in binaries:
        return _uploaded(_decoded(binaries[key], f"binaryData of key {key}"))
    if key in texts:
        return _source_package(texts[key], runtime, f"key {key} of the ConfigMap")
    return None


def _packed(data: bytes | memoryview, unzipped: int) -> Package:
    digest = hashlib.sha256(data)
    return Package(data, digest.hexdigest(), base64.b64encode(digest.digest()).decode(), len(data), unzipped)


def _uploaded(data: bytes) -> Package:
    if len(data) > limits.ZIP_BYTES_MAX:
        raise errors.InvalidCode(f"{TOO_LARGE_ZIPPED} (it has {len(data)})")
    return _packed(data, archives.judge(data))


def _source_package(source: str, runtime: str | None, where: str) -> Package:
    if runtime is None:
        raise errors.InvalidCode(f"{where} is one file of source, which a layer takes not; give {_instead(where)}")
    known = runtimes.CATALOGUE.get(runtime)
    if known is None or known.inline_file is None:
        raise errors.InvalidCode(f"runtime {runtime} takes no inline code; give {_instead(where)}")
    try:
        content = source.encode()
    except UnicodeEncodeError as error:
        raise errors.InvalidCode(f"{where} is no valid text: {error.reason} at {error.start}") from error
    return _packed(_archive({known.inline_file: content}), len(content))


def _instead(where: str) -> str:
    return "code.zipFile" if where == "code.inline" else "a zip archive in binaryData, or the whole ConfigMap"


def _files_archive(texts: Mapping[str, str], binaries: Mapping[str, str]) -> bytes:
    """Every entry a file of its name. The API server keeps the two sets of keys apart."""
    files = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
    files |= {name: _decoded(text, f"binaryData of key {name}") for name, text in binaries.items()}
    if not files:
        raise errors.InvalidCode("the ConfigMap is empty: there is no code in it")
    return _archive(files)


def _archive(files: Mapping[str, bytes]) -> bytes:
    """Always the same bytes for the same files: a changed digest would replace every environment."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DETERMINISTIC_DATE)
            entry.external_attr = (_PROGRAM_MODE if name == _PROGRAM else _FILE_MODE) << 16
            entry.create_system = _UNIX
            entry.compress_type = zipfile.ZIP_STORED  # another zlib deflates differently
            writer.writestr(entry, files[name])
    return archive.getvalue()


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        hint = "; it has line breaks (encode with `base64 -w0`)" if "\n" in text else ""
        raise archives.unreadable(f"{where} is not base64: {error}{hint}") from error

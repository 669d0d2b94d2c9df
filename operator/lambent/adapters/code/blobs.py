"""What every blob backend speaks of: digests, what is known of a blob, and how storing one fails.

The contract itself is a test suite: tests/contracts/code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lambent.model.errors import InvalidCode, LambentError, Unavailable

_DIGEST = re.compile("[0-9a-f]{64}")

CHUNK_BYTES = 256 * 1024
"""What is read, hashed and written at once: large beside a thread's hand-over, small beside memory."""
ABANDONED_SECONDS = 3600.0
"""What has been coming in for so long comes from nobody who still lives: an upload is given up long before."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that is there."""

    digest: str
    size: int
    age: float = field(default=0.0, compare=False)
    """Seconds since somebody last put it, as the backend's own clock says."""


class WrongDigest(InvalidCode):
    """The bytes that came are not those that were announced: nothing was kept."""


class StoreFull(Unavailable):
    """There is no room for the blob: nothing was kept, and what is there can still be read."""


class TooYoung(LambentError):
    """The blob was put more recently than whoever wanted to delete it allowed for: it stays."""


def is_digest(text: str) -> bool:
    """Whether it is 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def checked_digest(digest: str) -> str:
    """The digest itself, when it is one: it becomes part of paths. ValueError otherwise."""
    if not is_digest(digest):
        raise ValueError("a digest is 64 lower-case hexadecimal digits")
    return digest


def check_age(blob: Blob, older_than: float) -> None:
    """Raise TooYoung unless so many seconds have passed since the blob was put."""
    if blob.age < older_than:
        raise TooYoung(f"blob {blob.digest} was put {max(0.0, blob.age):.0f} seconds ago, not {older_than:g}")

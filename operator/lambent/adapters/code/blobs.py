"""What every blob backend speaks of: digests, what is known of a blob, and how storing one fails.

The contract itself is a test suite: tests/contracts/code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lambent.model.errors import InvalidCode, Unavailable

_DIGEST = re.compile("[0-9a-f]{64}")

CHUNK_BYTES = 256 * 1024
"""What is read, hashed and written at once: large beside a thread's hand-over, small beside memory."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that is there."""

    digest: str
    size: int


class WrongDigest(InvalidCode):
    """The bytes that came are not those that were announced: nothing was kept."""


class StoreFull(Unavailable):
    """There is no room for the blob: nothing was kept, and what is there can still be read."""


def is_digest(text: str) -> bool:
    """Whether it is 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def checked_digest(digest: str) -> str:
    """The digest itself, when it is one: it becomes part of paths. ValueError otherwise."""
    if not is_digest(digest):
        raise ValueError("a digest is 64 lower-case hexadecimal digits")
    return digest

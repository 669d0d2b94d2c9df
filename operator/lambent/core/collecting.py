"""Which blobs of the code store does nobody need any more?

A blob goes when no Function refers to it, has referred to it for as long as the grace period, nobody is about to, and
nobody has put it for as long either. So an upload has the grace period to become a Function's code, and a gateway that
has not heard yet of a Function's new code has it to fetch the old one. As long as the code of any Function is unknown,
nothing goes, and what was seen before does not count.

What must be true elsewhere: whoever makes a Function refer to a blob puts it first (a put of what is there makes it
young), and the code store itself refuses to delete what is young. Then a deletion that was decided a moment before
loses against the put, and a put that comes after it stores the blob anew.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from lambent.model.functions import FunctionStatus
from lambent.model.versions import VersionStatus

_DIGEST_BYTES = 32


class KeptBlob(Protocol):
    """A blob as the code store lists it."""

    @property
    def digest(self) -> str:
        """SHA-256 in hex."""

    @property
    def age(self) -> float:
        """Seconds since it was last put."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is known of who needs what, by digest in hex."""

    referenced: AbstractSet[str]
    """By Functions (and what else there is that has code)."""
    busy: AbstractSet[str] = field(default=frozenset())
    """Being stored right now, for a Function whose status does not say so yet."""
    complete: bool = True
    """Whether the code of every Function is known; nothing is deleted otherwise."""

    def allow(self, digest: str) -> bool:
        """Whether this blob may go."""
        return self.complete and digest not in self.referenced and digest not in self.busy


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient collecting is."""

    grace: float = 3600.0
    """Seconds without a put and without a reference."""
    at_most: int = 500
    """Deleted in one round, the longest unreferenced first."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What goes now, and what to remember until the next round."""

    delete: tuple[str, ...]
    unreferenced: Mapping[str, float]
    """Since when each blob was seen without a reference; whoever starts anew begins with nothing."""


def decide(
    blobs: Iterable[KeptBlob], needs: Needs, unreferenced: Mapping[str, float], now: float, policy: Policy
) -> Decision:
    """Which blobs to delete now. `unreferenced` is what the last decision remembered, `now` is monotonic.

    `needs` must have been read after the blobs were listed.
    """
    if not needs.complete:
        return Decision((), {})
    ages = {blob.digest: blob.age for blob in blobs if needs.allow(blob.digest)}
    since = {digest: unreferenced.get(digest, now) for digest in ages}
    due = [digest for digest, age in ages.items() if age >= policy.grace and now - since[digest] >= policy.grace]
    due.sort(key=lambda digest: (since[digest], digest))
    return Decision(tuple(due[: policy.at_most]), since)


def digests_of(statuses: Iterable[FunctionStatus]) -> frozenset[str]:
    """The blobs that Functions refer to, by what their status says: `codeSha256`, as Lambda words it, in base64.

    Image functions have no blob; the digest of their image is in hex and longer. Layers are kept by their versions,
    and by every function that uses them: a deleted version breaks none.
    """
    told = (
        each
        for status in statuses
        for each in (status.code_sha256, *(layer.code_sha256 for layer in status.layers or ()))
    )
    return frozenset(digest for text in told if (digest := hex_digest(text)) is not None)


def digests_of_versions(statuses: Iterable[VersionStatus]) -> frozenset[str]:
    """The blobs of published versions: a snapshot keeps its code and its layers, whatever became of both since."""
    told = (
        each
        for status in statuses
        if (snapshot := status.snapshot) is not None
        for each in (snapshot.code_sha256, *(layer.code_sha256 for layer in snapshot.layers_in_use or ()))
    )
    return frozenset(digest for text in told if (digest := hex_digest(text)) is not None)


def hex_digest(code_sha256: str | None) -> str | None:
    """A digest in hex that a status has in base64; None for what is no SHA-256."""
    try:
        raw = base64.b64decode(code_sha256 or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == _DIGEST_BYTES else None

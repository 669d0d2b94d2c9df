"""What can go wrong when code is fetched from where a tenant said that it is.

Which of them are tried again is decided in one table, `core.sources.TREATMENTS`.
"""

from __future__ import annotations

from enum import StrEnum


class Trouble(StrEnum):
    """One kind of failure; also the outcome that metrics count."""

    REFUSED = "refused"
    """The address, or a redirect, is not allowed."""
    MALFORMED = "malformed"
    """No request can be made of what was given."""
    REDIRECTED = "redirected"
    """It leads somewhere else, without end or to no address."""
    REJECTED = "rejected"
    """The server takes the request for wrong."""
    WRONG_DIGEST = "wrong_digest"
    """Not the bytes that were announced."""
    TOO_LARGE = "too_large"
    """More bytes than a package may have; no more than that was read."""
    ENCODED = "encoded"
    """Compressed for the way, which nobody asked for."""
    MISSING = "missing"
    """The server has no such thing."""
    DENIED = "denied"
    """The server does not give it to whom it was asked by."""
    DISTRUSTED = "distrusted"
    """The server could not prove who it is, or speaks another TLS."""
    UNREACHABLE = "unreachable"
    """No answer, a broken one, or one that says that the server has failed."""
    SLOW = "slow"
    """Not done in time."""

"""Signed URLs of the code store: method, path, condition and expiry under HMAC-SHA256."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

LISTING_PATH = "/v1/blobs"
BLOB_PREFIX = "/v1/blobs/sha256/"


def blob_path(sha256_hex: str) -> str:
    """Path of a blob by its digest."""
    return f"{BLOB_PREFIX}{sha256_hex}"


def deletion_path(sha256_hex: str, older_than: int) -> str:
    """Path to delete a blob unless it was put less than so many seconds ago. The condition is signed with it."""
    return f"{blob_path(sha256_hex)}?olderThan={older_than}"


def _signature(key: bytes, method: str, path: str, expires: int) -> str:
    return hmac.new(key, f"{method}\n{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def sign_path(key: bytes, method: str, path: str, expires: int) -> str:
    """`<path>?exp=<epoch seconds>&sig=<hex>`, valid for one method until `expires`."""
    joint = "&" if "?" in path else "?"
    return f"{path}{joint}exp={expires}&sig={_signature(key, method, path, expires)}"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it arrived at the code store: its method, its path as it was signed, and two query parameters."""

    method: str
    path: str
    expires: str
    signature: str


def signature_holds(key: bytes, request: SignedRequest, now: float) -> bool:
    """Whether `exp` and `sig` are ours, for this method and path, and not expired at `now` (epoch seconds)."""
    if not request.expires.isascii() or not request.expires.isdigit() or len(request.expires) > 12:
        return False
    if not request.signature.isascii():  # compare_digest takes bytes, and a lone surrogate has none
        return False
    expected = _signature(key, request.method, request.path, int(request.expires))
    return hmac.compare_digest(expected.encode(), request.signature.encode()) and now <= int(request.expires)

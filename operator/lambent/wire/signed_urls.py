"""Signed URLs of the code store: method, path and expiry under HMAC-SHA256."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

BLOB_PREFIX = "/v1/blobs/sha256/"


def blob_path(sha256_hex: str) -> str:
    """Path of a blob by its digest."""
    return f"{BLOB_PREFIX}{sha256_hex}"


def _signature(key: bytes, method: str, path: str, expires: int) -> str:
    return hmac.new(key, f"{method}\n{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def sign_path(key: bytes, method: str, path: str, expires: int) -> str:
    """`<path>?exp=<epoch seconds>&sig=<hex>`, valid for one method until `expires`."""
    return f"{path}?exp={expires}&sig={_signature(key, method, path, expires)}"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it arrived at the code store: its method, path and the two query parameters."""

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

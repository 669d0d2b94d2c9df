"""The token of an agent's door: HMAC-SHA256(cluster key, namespace/name/nonce of its pod), in hex.

Gateways compute it from the pod's annotation; the pod itself is given only its SHA-256, so that a function that
reads its own pod's environment learns nothing that opens a door.
"""

from __future__ import annotations

import hashlib
import hmac


def agent_token(cluster_key: bytes, namespace: str, name: str, nonce: str) -> str:
    """The bearer token of one pod."""
    return hmac.new(cluster_key, f"{namespace}/{name}/{nonce}".encode(), hashlib.sha256).hexdigest()


def token_digest(token: str) -> str:
    """What the pod holds: hex SHA-256 of the token."""
    return hashlib.sha256(token.encode()).hexdigest()

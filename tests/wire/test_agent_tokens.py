"""An agent's token belongs to one pod; what the pod holds opens nothing."""

from __future__ import annotations

import hashlib
import string

from hypothesis import given
from hypothesis import strategies as st

from lambent.wire.agent_tokens import agent_token, token_digest

keys = st.binary(min_size=1, max_size=64)
names = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=20)
nonces = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=40)


def test_the_token_is_the_documented_one() -> None:
    """protocols.md: HMAC-SHA256(cluster key, pod namespace/name/nonce)."""
    assert (
        agent_token(b"key", "ns", "pod", "nonce") == "30b8c9876ea2e21366fad3075382f42932162d497a7a9f1f823ecbec267e590c"
    )


@given(keys, names, names, nonces)
def test_a_token_is_64_hex_digits_and_always_the_same(key: bytes, namespace: str, name: str, nonce: str) -> None:
    token = agent_token(key, namespace, name, nonce)
    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")
    assert token == agent_token(key, namespace, name, nonce)


@given(st.tuples(names, names, nonces), st.tuples(names, names, nonces), keys)
def test_two_pods_share_a_token_only_if_they_are_one(
    pod: tuple[str, str, str], other: tuple[str, str, str], key: bytes
) -> None:
    """Names hold no slash, so that namespace, name and nonce cannot flow into each other."""
    assert (agent_token(key, *pod) == agent_token(key, *other)) == (pod == other)


@given(keys, keys, names, names, nonces)
def test_another_cluster_has_other_tokens(key: bytes, other: bytes, namespace: str, name: str, nonce: str) -> None:
    same = key.ljust(64, b"\0") == other.ljust(64, b"\0")  # HMAC pads keys with zeros
    assert (agent_token(key, namespace, name, nonce) == agent_token(other, namespace, name, nonce)) == same


@given(keys, names, names, nonces)
def test_what_the_pod_holds_is_not_its_token(key: bytes, namespace: str, name: str, nonce: str) -> None:
    token = agent_token(key, namespace, name, nonce)
    held = token_digest(token)
    assert held == hashlib.sha256(token.encode()).hexdigest()
    assert held != token
    assert token_digest(held) != held

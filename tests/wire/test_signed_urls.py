"""Signed URLs hold for exactly what was signed, until exactly when."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lambent.wire.signed_urls import LISTING_PATH, SignedRequest, blob_path, deletion_path, sign_path, signature_holds

KEY, NOW = b"k" * 32, 1_750_000_000
PATH = blob_path("ab" * 32)

keys = st.binary(min_size=1, max_size=64)
methods = st.sampled_from(["GET", "HEAD", "PUT"])
paths = st.binary(min_size=32, max_size=32).map(lambda digest: blob_path(digest.hex()))
moments = st.integers(0, 999_999_999_999)


def arrived(method: str, signed: str) -> SignedRequest:
    """The request as a server that knows nothing of signing parses it."""
    url = urlsplit(signed)
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return SignedRequest(method, url.path, query["exp"], query["sig"])


GOOD = arrived("GET", sign_path(KEY, "GET", PATH, NOW))


def test_a_blobs_path_is_its_digest() -> None:
    assert PATH == "/v1/blobs/sha256/" + "ab" * 32


def test_the_signature_is_the_documented_one() -> None:
    """Another language must be able to compute it: HMAC-SHA256 over method, path and expiry, in lines, in hex."""
    assert sign_path(b"key", "GET", "/p", 7) == (
        "/p?exp=7&sig=" + "e89653c301f477874c45480ad2187b178292b3d278846112d6f54eddd3a4a583"
    )


@given(keys, methods, paths, moments)
def test_what_was_signed_holds_until_its_last_moment_and_not_after(
    key: bytes, method: str, path: str, expires: int
) -> None:
    request = arrived(method, sign_path(key, method, path, expires))
    assert signature_holds(key, request, expires - 1)
    assert signature_holds(key, request, expires)
    assert not signature_holds(key, request, expires + 0.001)


@given(keys, keys, methods, methods, paths, paths)
def test_nothing_else_holds(
    key: bytes, other_key: bytes, method: str, other_method: str, path: str, other_path: str
) -> None:
    request = arrived(method, sign_path(key, method, path, NOW))
    assert signature_holds(key, replace(request, method=other_method), NOW) == (method == other_method)
    assert signature_holds(key, replace(request, path=other_path), NOW) == (path == other_path)
    assume(key.ljust(64, b"\0") != other_key.ljust(64, b"\0"))  # HMAC pads keys with zeros
    assert not signature_holds(other_key, request, NOW)


@given(st.integers(0, 63), st.sampled_from("0123456789abcdefABCDEFg -+\0é"))
def test_no_mutated_signature_holds(position: int, character: str) -> None:
    mutated = GOOD.signature[:position] + character + GOOD.signature[position + 1 :]
    assert signature_holds(KEY, replace(GOOD, signature=mutated), NOW) == (mutated == GOOD.signature)


@given(st.text(max_size=80))
@example("")
@example(GOOD.signature.upper())
@example(GOOD.signature + " ")
@example(GOOD.signature[:-1])
def test_no_other_text_is_a_signature(text: str) -> None:
    assert signature_holds(KEY, replace(GOOD, signature=text), NOW) == (text == GOOD.signature)


@given(st.text(max_size=20))
@example("")
@example("-1")
@example("+1750000000")
@example(" 1750000000")
@example("1750000000.0")
@example("1_750_000_000")
@example("".join(chr(0x660 + int(digit)) for digit in str(NOW)))
@example("²")
@example("9" * 5000)
@example("999999999999")
def test_no_other_expiry_holds(text: str) -> None:
    assert not signature_holds(KEY, replace(GOOD, expires=text), NOW) or int(text) == NOW


@pytest.mark.parametrize(
    "path",
    [PATH + "/", PATH.upper(), PATH + "?", PATH.replace("/v1", "//v1"), PATH + "\n", "", PATH.replace("ab", "%61b", 1)],
)
def test_no_other_spelling_of_the_path_holds(path: str) -> None:
    assert not signature_holds(KEY, replace(GOOD, path=path), NOW)


def test_the_border_between_method_path_and_expiry_cannot_be_moved() -> None:
    signed = arrived("GET", sign_path(KEY, "GET", PATH, NOW))
    for method, path in (("GET\n" + PATH[:5], PATH[5:]), ("GE", "T\n" + PATH), ("GET\n", PATH)):
        assert not signature_holds(KEY, replace(signed, method=method, path=path), NOW)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_deletions_condition_is_signed_with_it(older_than: int, other: int) -> None:
    """Nobody on the way can make a deletion take what is younger."""
    url = urlsplit(sign_path(KEY, "DELETE", deletion_path("ab" * 32, older_than), NOW))
    query = parse_qs(url.query)
    assert (url.path, query["olderThan"]) == (PATH, [str(older_than)])
    asked = SignedRequest("DELETE", deletion_path("ab" * 32, other), query["exp"][0], query["sig"][0])
    assert signature_holds(KEY, asked, NOW) == (older_than == other)
    assert not signature_holds(KEY, replace(asked, path=PATH), NOW)


def test_a_list_is_signed_as_a_list() -> None:
    listing = arrived("GET", sign_path(KEY, "GET", LISTING_PATH, NOW))
    assert signature_holds(KEY, listing, NOW)
    assert not signature_holds(KEY, replace(listing, path=PATH), NOW)
    assert not signature_holds(KEY, replace(GOOD, path=LISTING_PATH), NOW)

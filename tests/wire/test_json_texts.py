"""Checking large JSON texts in slices: the same verdict as the standard library's, without building anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.wire import json_texts

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)


def good(text: bytes) -> bool:
    """What the slices say."""
    try:
        for _ in json_texts.check(text):
            pass
    except json_texts.NotJson:
        return False
    return True


def judged(text: bytes) -> bool:
    """What the standard library says, constants apart."""
    try:
        json.loads(text.decode(), parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError, RecursionError):
        return False
    return True


@pytest.fixture(params=[8, 64, 65536], ids=lambda size: f"slices of {size}")
def slices(request, monkeypatch):
    """Small slices, so that every token is cut somewhere."""
    monkeypatch.setattr(json_texts, "SLICE_BYTES", request.param)


@settings(max_examples=100, deadline=None)
@given(value=VALUES, indent=st.sampled_from([None, 1]), escaped=st.booleans())
@pytest.mark.parametrize("size", [8, 65536])
def test_every_json_text_is_one(size, value, indent, escaped):
    """However it is cut."""
    before, json_texts.SLICE_BYTES = json_texts.SLICE_BYTES, size
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=escaped).encode("utf-8", "replace")
        assert good(text)
    finally:
        json_texts.SLICE_BYTES = before


@settings(max_examples=300, deadline=None)
@given(
    value=VALUES,
    place=st.integers(0, 200),
    put=st.sampled_from(b'{}[]",:\\ 019-+.eEtfnul/\n\x00\x1f'),
    cut=st.integers(0, 3),
)
@pytest.mark.parametrize("size", [8, 65536])
def test_a_damaged_text_is_judged_as_the_standard_library_does(size, value, place, put, cut):
    """One byte more, and some less: both verdicts agree."""
    text = json.dumps(value).encode()
    place %= len(text) + 1
    text = text[:place] + bytes([put]) + text[place + cut :]
    before, json_texts.SLICE_BYTES = json_texts.SLICE_BYTES, size
    try:
        assert good(text) is judged(text), text
    finally:
        json_texts.SLICE_BYTES = before


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet='{}[]",:\\ 01-.etrufalsn\n', max_size=24))
def test_whatever_is_no_json_is_refused(text):
    """Judged by the standard library."""
    assert good(text.encode()) is judged(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"' + b"x" * 200_000 + b'"', True),
        (b'"' + b"\\u00e9" * 40_000 + b'"', True),
        (b'"' + b'\\"' * 100_000 + b'"', True),
        (b'"' + b"x" * 200_000, False),
        (b'"' + b"x" * 200_000 + b"\n" + b'"', False),
        (b'"' + b"x" * 100_000 + b"\\q" + b'"', False),
        (b"1" * 200_000, True),
        (b" " * 200_000 + b"1" + b" " * 200_000, True),
        (b" " * 200_000, False),
        (b"[" + b"[1]," * 50_000 + b"1]", True),
        (b"[" + b"[[1]]," * 50_000 + b"1]", True),
        (b"[" + b"[1]," * 50_000 + b"]", False),
        (b"[" + b'{"a": {"b": 1}},' * 20_000 + b"{}]", True),
        (b'{"a"' + b" " * 200_000 + b":1}", True),
        (b'{"a"' + b" " * 200_000 + b"1}", False),
        (b"[" * 990 + b"]" * 990, True),
        (b"[" * 100_000, False),
        (b"[1}", False),
        (b"", False),
        (b"[1,]", False),
        (b'{"a":1,}', False),
        (b"01", False),
        (b"NaN", False),
        (b"\xef\xbb\xbf{}", False),
    ],
    ids=range(24),
)
def test_long_and_odd_texts(slices, text, expected):
    """Whatever the size of the slices."""
    assert good(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b"x" * 6_000_000 + b'"',
        b"[" + b"1," * 2_999_999 + b"1]",
        b"[" + b"[[]]," * 1_000_000 + b"1]",
        b'[{"k":' * 200 + b'"' + b"\\n" * 2_000_000 + b'"' + b"}]" * 200,
        b" " * 6_000_000 + b"1",
    ],
    ids=["string", "numbers", "lists", "escapes", "spaces"],
)
def test_nobody_waits_for_a_large_text(text):
    """Between two moments at which something else may run lies no more than a few slices' work: counted, not timed."""
    walk = sum(1 for _ in json_texts.check(text))
    assert walk >= len(text) // json_texts.SLICE_BYTES // 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{nope", "Expecting property name enclosed in double quotes: line 1 column 2 (byte 1)"),
        (b"[1,\n 2 3]", "Expecting ',' delimiter: line 2 column 4 (byte 7)"),
        (b"nope", "Expecting value: line 1 column 1 (byte 0)"),
        (b"{} {}", "Extra data: line 1 column 4 (byte 3)"),
    ],
)
def test_the_message_says_where(text, message):
    """In the standard library's words."""
    with pytest.raises(json_texts.NotJson) as raised:
        list(json_texts.check(text))
    assert str(raised.value) == message

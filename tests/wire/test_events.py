"""Events as they come in: JSON or not, at once or in slices."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model import errors, limits
from lambent.wire import events


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_json_text_passes_unchanged(value):
    """The same bytes go on; nothing is encoded anew."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        with pytest.raises(errors.InvalidRequestContent):
            events.check_event(body)
    else:
        assert events.check_event(body) is body


@given(st.binary(min_size=1, max_size=40))
def test_whatever_is_no_json_is_refused(body):
    """Judged by the standard library, constants apart."""
    try:
        json.loads(body.decode("utf-8"), parse_constant=lambda name: 1 / 0)
        good = True
    except (ValueError, ZeroDivisionError):
        good = False
    if good:
        assert events.check_event(body) is body
    else:
        with pytest.raises(errors.InvalidRequestContent, match=r"^Could not parse request body into json: "):
            events.check_event(body)


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (b"1" * 100_000, True),
        (b"[" * 100_000, False),
        (b"-Infinity", False),
        (b"\xef\xbb\xbf{}", False),
        (b" {} ", True),
        (b"{}{}", False),
    ],
)
def test_corner_cases_of_json(body, good):
    """Long numbers are numbers, deep nesting is an error and not a crash."""
    if good:
        assert events.check_event(body) is body
    else:
        with pytest.raises(errors.InvalidRequestContent):
            events.check_event(body)


def test_an_empty_event_is_an_empty_object():
    """As Lambda does."""
    assert events.check_event(b"") == b"{}"


def test_an_event_may_be_exactly_as_long_as_the_limit():
    """One byte more is 413."""
    fits = b" " * (limits.REQUEST_BYTES_MAX - 1) + b"1"
    assert events.check_event(fits) is fits
    with pytest.raises(errors.RequestEntityTooLarge, match="smaller than 6291456 bytes"):
        events.check_event(fits + b" ")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{nope", "Expecting property name enclosed in double quotes: line 1 column 2 (byte 1)"),
        (b'"\x97"', "Invalid UTF-8 start byte 0x97"),
        (b'"' + "é".encode() * 40_000 + b"\xff" + b'"', "Invalid UTF-8 start byte 0xff"),
        ('"é'.encode()[:-1], "Invalid UTF-8 start byte 0xc3"),
        (b"[" * 2000, "Document nesting depth exceeds the maximum allowed: line 1 column 991 (byte 990)"),
    ],
)
def test_slices_say_the_same_of_what_is_no_json(body, message):
    """With Lambda's words before it."""
    with pytest.raises(errors.InvalidRequestContent) as raised:
        list(events.check_in_slices(body))
    prefix = "Could not parse request body into json: Could not parse payload into json: "
    assert raised.value.message == prefix + message


@pytest.mark.parametrize("body", [b"{}", '"é"'.encode(), "é".encode().join([b'"'] + [b""] * 70_000 + [b'"'])])
def test_slices_pass_what_is_json(body):
    """Also characters that lie across two slices."""
    list(events.check_in_slices(body))


def test_slices_keep_the_limit():
    """413, as for all."""
    with pytest.raises(errors.RequestEntityTooLarge):
        list(events.check_in_slices(b" " * (limits.REQUEST_BYTES_MAX + 1)))

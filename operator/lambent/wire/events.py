"""Events as they come in: whether they are JSON, in Lambda's words. The function gets the same bytes."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from lambent.model import limits
from lambent.model.errors import InvalidRequestContent, RequestEntityTooLarge

from . import json_texts

LARGE_BYTES = 128 * 1024
"""From this size on an event is worth being checked in slices; below it `json` takes a few milliseconds at most."""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"Unrecognized token '{name}'")


_CHECKER = json.JSONDecoder(
    # Numbers are only looked at, never converted: no limit of digits, no cost.
    parse_constant=_refuse_constant,
    parse_int=len,
    parse_float=len,
)


def check_event(body: bytes | bytearray) -> bytes | bytearray:
    """The event as the function will get it: `{}` for nothing, else the same bytes, known to be JSON.

    Raises:
        RequestEntityTooLarge, InvalidRequestContent: as Lambda words them.
    """
    if len(body) > limits.REQUEST_BYTES_MAX:
        raise too_large()
    if not body:
        return b"{}"
    try:
        _CHECKER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _not_utf8(body[error.start]) from None
    except RecursionError:
        raise _not_json("Document nesting depth exceeds the maximum allowed") from None
    except ValueError as error:
        raise _not_json(str(error)) from None
    return body


def check_in_slices(body: bytes | bytearray) -> Iterator[None]:
    """Check a large event; every yield is a good moment to do something else. Raises as `check_event`."""
    if len(body) > limits.REQUEST_BYTES_MAX:
        raise too_large()
    if not body.isascii():
        yield from _check_utf8(body)
    try:
        yield from json_texts.check(body)
    except json_texts.NotJson as error:
        raise _not_json(str(error)) from None


def _check_utf8(body: bytes | bytearray) -> Iterator[None]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for place in range(0, len(body), json_texts.SLICE_BYTES):
        end = place + json_texts.SLICE_BYTES
        try:
            decoder.decode(body[place:end], final=end >= len(body))
        except UnicodeDecodeError as error:
            raise _not_utf8(error.object[error.start]) from None
        yield


def _not_utf8(byte: int) -> InvalidRequestContent:
    return _not_json(f"Invalid UTF-8 start byte 0x{byte:x}")


def _not_json(detail: str) -> InvalidRequestContent:
    return InvalidRequestContent(f"Could not parse request body into json: Could not parse payload into json: {detail}")


def too_large() -> RequestEntityTooLarge:
    """A synchronous request over its limit."""
    return RequestEntityTooLarge(
        f"Request must be smaller than {limits.REQUEST_BYTES_MAX} bytes for the InvokeFunction operation"
    )

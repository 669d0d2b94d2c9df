"""JSON as a registry sends it: bytes of somebody else's, taken apart without trust.

Raises:
    ValueError: from everything here, for whatever is not of the shape that was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

DOCUMENT_BYTES_MAX = 1024 * 1024
"""Of a manifest, an index or a configuration; real ones have kilobytes. A document costs up to 30 times its bytes."""
MEDIA_TYPE_CHARS_MAX = 255

_SIZE_MAX = 2**63 - 1
_DIGEST = re.compile(r"sha256:([a-f0-9]{64})")


def read_object(document: bytes) -> Mapping[str, Any]:
    """The JSON object that a document is."""
    try:
        value = json.loads(document, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for whatever is wrong
    return value


def field_object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that is an object; an empty one where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")  # noqa: TRY004
    return value


def field_list(fields: Mapping[str, Any], name: str) -> list[Any]:
    """A member that is a list; an empty one where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")  # noqa: TRY004
    return value


def field_text(fields: Mapping[str, Any], name: str) -> str:
    """A member that is text which a program can be given; empty where it is absent or null."""
    return as_text(fields.get(name) or "", name)


def as_text(value: object, name: str) -> str:
    """Text without NUL and without halves of characters, which no argument of a program can hold."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{name} is not text")
    value.encode()
    return value


def field_size(fields: Mapping[str, Any], name: str) -> int:
    """A member that counts bytes."""
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= _SIZE_MAX:
        raise ValueError(f"{name} is not a size")
    return value


def field_digest(fields: Mapping[str, Any], name: str) -> str:
    """The hex digits of a member that is a SHA-256 digest."""
    match = _DIGEST.fullmatch(field_text(fields, name))
    if match is None:
        raise ValueError(f"{name} is not a SHA-256 digest")
    return match[1]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

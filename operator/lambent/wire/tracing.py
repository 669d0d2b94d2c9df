"""Trace contexts as they are spoken: X-Ray's `X-Amzn-Trace-Id`, and W3C's `traceparent` as a way in.

`Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=0|1`, then whatever else the caller wrote (`Lineage`, `Self`, fields of
its own), which is passed on as it is. Both ids of the one are the ids of the other, with the dashes elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

HEADER_KEY = b"x-amzn-trace-id"
TRACEPARENT_KEY = b"traceparent"

_CHARS_MAX = 1024
_COMPLETE = re.compile(r"Root=[^;=]+;Parent=[^;=]+;Sampled=[01](;.*)?")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_PARENT = re.compile(r"[0-9a-f]{16}")
_NO_TRACE, _NO_PARENT = "0" * 32, "0" * 16

Sample = Callable[[], bool]
"""Asked once at most, and only where the caller has not decided."""


def trace_header(headers: Mapping[bytes, bytes], epoch_seconds: int, entropy_hex: str, sample: Sample) -> str:
    """The trace header that an invocation gets: the caller's, completed where it leaves something open, or a new one.

    `traceparent` is looked at only where no X-Amzn-Trace-Id names a root. `entropy_hex` is 40 random hex digits: 24 of
    a new root, 16 of a new parent.
    """
    if HEADER_KEY in headers or TRACEPARENT_KEY in headers:
        given = _given(headers.get(HEADER_KEY)) or _from_traceparent(headers.get(TRACEPARENT_KEY))
        if given is not None:
            return given if _COMPLETE.fullmatch(given) else _completed(given, entropy_hex[24:40], sample)
    sampled = "1" if sample() else "0"
    return f"Root=1-{epoch_seconds:08x}-{entropy_hex[:24]};Parent={entropy_hex[24:40]};Sampled={sampled}"


def _given(value: bytes | None) -> str | None:
    """What can be passed on as a header: it names a root, and is neither too long nor unprintable."""
    if not value or len(value) > _CHARS_MAX or not value.isascii():
        return None
    text = value.decode("ascii")
    named = any(field.startswith("Root=") and len(field) > len("Root=") for field in _fields(text))
    return text if named and text.isprintable() else None


def _fields(text: str) -> list[str]:
    return [field.strip() for field in text.split(";") if field.strip()]


def _completed(given: str, parent: str, sample: Sample) -> str:
    known = {"Root": "", "Parent": "", "Sampled": ""}
    others = []
    for field in _fields(given):
        name, _, value = field.partition("=")
        if name not in known:
            others.append(field)
        elif not known[name]:
            known[name] = value
    if known["Sampled"] not in {"0", "1"}:  # absent, or `?`: you decide
        known["Sampled"] = "1" if sample() else "0"
    known["Parent"] = known["Parent"] or parent
    return ";".join([*(f"{name}={value}" for name, value in known.items()), *others])


def _from_traceparent(value: bytes | None) -> str | None:
    """None for what is none. A version from the future is read as far as it is known."""
    form = _TRACEPARENT.fullmatch(value.decode("latin-1")) if value is not None else None
    if form is None:
        return None
    version, trace, parent, flags, more = form.groups()
    if version == "ff" or (version == "00" and more) or trace == _NO_TRACE or parent == _NO_PARENT:
        return None
    return f"Root=1-{trace[:8]}-{trace[8:]};Parent={parent};Sampled={int(flags, 16) & 1}"


class SpanContext(NamedTuple):
    """The same as W3C and OpenTelemetry have it."""

    trace_id: int
    parent_id: int
    sampled: bool


def span_context(header: str) -> SpanContext | None:
    """The ids in a header that `trace_header` gave; None where they are none: a caller may call them anything."""
    fields = dict(field.partition("=")[::2] for field in reversed(_fields(header)))
    root, parent = _ROOT.fullmatch(fields.get("Root", "")), fields.get("Parent", "")
    if root is None or not _PARENT.fullmatch(parent):
        return None
    return SpanContext(int(root[1] + root[2], 16), int(parent, 16), fields.get("Sampled") == "1")

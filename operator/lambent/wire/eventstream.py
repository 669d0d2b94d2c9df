"""`application/vnd.amazon.eventstream`: the framing in which InvokeWithResponseStream answers. Only encoded here.

A message is total length, length of headers, CRC-32 of those eight bytes, headers, payload, CRC-32 of all of that; the
numbers are big-endian. What its events carry stands in botocore's model of `InvokeWithResponseStreamResponseEvent`.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_STRING = 7
_PRELUDE = struct.Struct(">II")
_CHECKSUM = struct.Struct(">I")
_AROUND = _PRELUDE.size + 2 * _CHECKSUM.size
_DETAILS_BYTES_MAX = 256 * 1024
_PLATFORM_ERROR = re.compile(r"(Runtime|Function|Sandbox|Extension)\.[A-Za-z]+")
_UNHANDLED = "Unhandled"


@dataclass(frozen=True, slots=True)
class Completion:
    """What InvokeComplete says: nothing after a good stream. `log_result` is base64, when the caller asked for it."""

    error_code: str | None = None
    error_details: str | None = None
    log_result: str | None = None


def encode_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """Headers with string values; names up to 255 bytes, values up to 65,535."""
    encoded = bytearray()
    for name, value in headers:
        name_bytes, value_bytes = name.encode(), value.encode()
        encoded += struct.pack(">B", len(name_bytes)) + name_bytes
        encoded += struct.pack(">BH", _STRING, len(value_bytes)) + value_bytes
    return bytes(encoded)


def encode_message(headers: bytes, payload: bytes | bytearray) -> bytes:
    """One message; `headers` as `encode_headers` gives them."""
    prelude = _PRELUDE.pack(_AROUND + len(headers) + len(payload), len(headers))
    prelude += _CHECKSUM.pack(crc32(prelude))
    checksum = crc32(payload, crc32(headers, crc32(prelude)))
    return b"".join((prelude, headers, payload, _CHECKSUM.pack(checksum)))


def _event(kind: str, content_type: str) -> bytes:
    return encode_headers(((":message-type", "event"), (":event-type", kind), (":content-type", content_type)))


_PAYLOAD_CHUNK = _event("PayloadChunk", "application/octet-stream")
_INVOKE_COMPLETE = _event("InvokeComplete", "application/json")


def payload_chunk(payload: bytes | bytearray) -> bytes:
    """The event with the next bytes of the function's answer."""
    return encode_message(_PAYLOAD_CHUNK, payload)


def invoke_complete(completion: Completion) -> bytes:
    """The last event."""
    members = {
        "ErrorCode": completion.error_code,
        "ErrorDetails": completion.error_details,
        "LogResult": completion.log_result,
    }
    said = {name: value for name, value in members.items() if value is not None}
    return encode_message(_INVOKE_COMPLETE, json.dumps(said, separators=(",", ":")).encode())


def failure(body: bytes | bytearray, log_result: str | None = None, error_type: str | None = None) -> Completion:
    """The end of an invocation that failed: `body` is what Invoke would have answered.

    The code is the error's type where the platform or the runtime names it, `Unhandled` for the function's own errors.
    """
    details = bytes(body[:_DETAILS_BYTES_MAX]).decode("utf-8", "replace")
    kind = error_type or _type_of(details)
    return Completion(kind if _PLATFORM_ERROR.fullmatch(kind) else _UNHANDLED, details, log_result)


def _type_of(details: str) -> str:
    try:
        fields = json.loads(details)
    except (ValueError, RecursionError):
        return ""
    kind = fields.get("errorType") if isinstance(fields, dict) else None
    return kind if isinstance(kind, str) else ""

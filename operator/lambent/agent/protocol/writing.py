"""Encoders for HTTP/1.1: messages as bytes, ready for one write."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

CRLF: Final = b"\r\n"
LAST_CHUNK: Final = b"0\r\n"
"""Ends a chunked body. Trailer fields (perhaps none) and CRLF are still to follow."""
FAILED: Final = b"failed"
LAST_CHUNK_FAILED: Final = b"0;%b\r\n" % FAILED
"""Ends a chunked body that broke off: a reader that knows this extension waits for the trailers to say why."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii")) for status in HTTPStatus
}

Fields = Iterable[tuple[bytes, bytes]]


def encode_fields(fields: Fields) -> bytes:
    """Header or trailer fields. A value that would end its line is the caller's bug: ValueError."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    block = b"".join(lines)
    # Every line end must be one of ours.
    if not block.count(b"\r") == block.count(b"\n") == len(lines) or b"\0" in block:
        raise ValueError("a header field may not contain CR, LF or NUL")
    return block


def encode_field_value(text: str) -> bytes:
    """Any text as a field value: UTF-8, with control characters as spaces (JSON means the same with spaces)."""
    return "".join([" " if character < " " or character == "\x7f" else character for character in text]).encode()


def encode_request(method: bytes, target: bytes, fields: Fields, body: bytes = b"") -> bytes:
    """A whole request with Content-Length. `fields` must contain Host."""
    length = b"" if not body and method == b"GET" else b"Content-Length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, target, encode_fields(fields), length, body)


def encode_response(status: int, fields: Fields, body: bytes = b"") -> bytes:
    """A whole response with Content-Length."""
    return b"%bContent-Length: %d\r\n%b\r\n%b" % (STATUS_LINES[status], len(body), encode_fields(fields), body)


def encode_chunked_head(status: int, fields: Fields) -> bytes:
    """The head of a chunked response; chunks, LAST_CHUNK, trailers and CRLF follow."""
    return b"%bTransfer-Encoding: chunked\r\n%b\r\n" % (STATUS_LINES[status], encode_fields(fields))


def encode_chunk(data: bytes) -> bytes:
    """One chunk; nothing for nothing (an empty chunk would end the body)."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_trailers(fields: Fields) -> bytes:
    """What follows LAST_CHUNK: the trailers and the empty line."""
    return encode_fields(fields) + CRLF

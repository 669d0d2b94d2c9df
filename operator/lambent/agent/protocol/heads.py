"""Heads of HTTP/1.1 messages: start line, header fields and what they say about the body that follows.

Strict where a lenient reader lets two parties disagree about where a message ends: bare CR or LF, folded lines,
white space before the colon, repeated Content-Length or Transfer-Encoding, both of them together, and any
transfer coding other than exactly `chunked` are errors. One regular expression decides, so no path avoids it.
"""

import re
from dataclasses import dataclass, field
from typing import Final


class ProtocolError(Exception):
    """The peer does not speak HTTP/1.1 as agreed: answer `status` (when there is somebody to answer) and close."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


Headers = dict[bytes, bytes]
"""Names in lower case; a repeated field is joined with `, `."""

CHUNKED: Final = -1
"""As a length: the body is chunked."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*\r\n")
_FIELDS: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.([01])\r\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_ONCE: Final = frozenset((b"content-length", b"transfer-encoding", b"host", b"authorization", b"lambent-owner"))


@dataclass(slots=True)
class RequestHead:
    """`length` is the body's size, 0 for none, or CHUNKED."""

    method: bytes
    target: bytes
    headers: Headers
    length: int
    keep_alive: bool

    @property
    def expects_continue(self) -> bool:
        """The peer sends its body only after `100 Continue`."""
        return self.length != 0 and self.headers.get(b"expect", b"").lower() == b"100-continue"


@dataclass(slots=True)
class ResponseHead:
    """`length` is the body's size, 0 for none, or CHUNKED."""

    status: int
    headers: Headers
    length: int
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The message is complete; `trailers` have names in lower case."""

    trailers: Headers = field(default_factory=dict)


def parse_request_head(head: bytes) -> RequestHead:
    """`head` ends with the empty line."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise ProtocolError("malformed request line")
    headers = parse_fields(head, line.end())
    length = _length(headers)
    return RequestHead(line[1], line[2], headers, length if length is not None else 0, _keeps(headers, line[3]))


def parse_response_head(head: bytes) -> ResponseHead:
    """A body must have a length: one that ends with the connection is refused, it may have been cut off."""
    line = _STATUS_LINE.match(head)
    if line is None:
        raise ProtocolError("malformed status line", 502)
    headers = parse_fields(head, line.end())
    status = int(line[2])
    length = _length(headers)
    if status < 200 or status in (204, 304):
        length = 0
    elif length is None:
        raise ProtocolError("a response without a length", 502)
    return ResponseHead(status, headers, length, _keeps(headers, line[1]))


def parse_fields(block: bytes, start: int = 0) -> Headers:
    """The header or trailer fields of `block` from `start`, which ends with the empty line."""
    if _FIELDS.fullmatch(block, start, len(block) - 2) is None:
        raise ProtocolError("malformed header field")
    headers: Headers = {}
    for name, value in _FIELD.findall(block, start):
        key = name.lower()
        if key in headers:
            if key in _ONCE:
                raise ProtocolError(f"repeated {key.decode('ascii')}")
            headers[key] += b", " + value
        else:
            headers[key] = value
    return headers


def _length(headers: Headers) -> int | None:
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise ProtocolError("both Content-Length and Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise ProtocolError("unknown transfer coding", 501)
        return CHUNKED
    if length is None:
        return None
    if not length.isdigit() or len(length) > 15:
        raise ProtocolError("malformed Content-Length")
    return int(length)


def _keeps(headers: Headers, minor: bytes) -> bool:
    connection = headers.get(b"connection")
    if connection is None:
        return minor == b"1"
    options = connection.lower()
    return b"close" not in options and (minor == b"1" or b"keep-alive" in options)

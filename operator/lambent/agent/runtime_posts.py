"""What a runtime posts: the body of /response, /error and /init/error as the caller will see it."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final

from .faults import response_too_large, response_truncated
from .protocol.heads import Headers
from .protocol.http1 import Request
from .protocol.names import MAX_STREAMED_BYTES

MODE_KEY: Final = b"lambda-runtime-function-response-mode"
STREAMING: Final = b"streaming"
"""The only mode that a runtime may name."""
_ERROR_TYPE_KEY: Final = b"lambda-runtime-function-error-type"
_ERROR_BODY_KEY: Final = b"lambda-runtime-function-error-body"
_XRAY_CAUSE_KEY: Final = b"lambda-runtime-function-xray-error-cause"
_MAX_XRAY_CAUSE: Final = 1024 * 1024
_ERROR_TYPE: Final = re.compile(rb"(?:Runtime|Function)\.[A-Z][a-zA-Z]+")
_WITH_CAUSE: Final = b"application/vnd.aws.lambda.error.cause+json"
_KEPT_OF_CAUSE: Final = ("errorMessage", "errorType", "stackTrace")


@dataclass(frozen=True, slots=True)
class Post:
    """`error_type` is for telemetry and empty when there is no error: the caller gets `body` as it is."""

    body: bytes
    is_error: bool = False
    error_type: str = ""
    too_large: bool = False
    xray_cause: bytes = b""


def read_response(request: Request) -> Post | None:
    """None for a response mode that does not exist."""
    headers = request.head.headers
    mode = headers.get(MODE_KEY)
    if mode is not None and mode != STREAMING:
        return None
    body = request.body
    if body is None:
        return Post(response_too_large(), True, "Function.ResponseSizeTooLarge", too_large=True)
    return (read_trailers(request.trailers) if request.trailers else None) or Post(body)


def read_trailers(trailers: Headers) -> Post | None:
    """The error of a stream that failed midway. Go's client always declares these trailers, and rarely fills them."""
    midway = trailers.get(_ERROR_TYPE_KEY)
    return Post(_decoded(trailers.get(_ERROR_BODY_KEY, b"")), True, _validated(midway)) if midway else None


def streamed_too_much() -> Post:
    """The error of a stream that is over its limit."""
    return Post(response_too_large(MAX_STREAMED_BYTES), True, "Function.ResponseSizeTooLarge", too_large=True)


def broken_off() -> Post:
    """The error of a stream whose connection ended although the runtime did not."""
    return Post(response_truncated(), True, "Runtime.TruncatedResponse")


def read_error(request: Request) -> Post:
    """The body goes to the caller verbatim; the header decides telemetry only, and absent is normal."""
    headers = request.head.headers
    if request.body is None:
        return Post(response_too_large(), True, "Function.ResponseSizeTooLarge", too_large=True)
    body = request.body
    if headers.get(b"content-type", b"").split(b";")[0].strip() == _WITH_CAUSE:
        body = _without_cause(body)
    cause = headers.get(_XRAY_CAUSE_KEY, b"")
    kept = cause if len(cause) <= _MAX_XRAY_CAUSE else b""
    return Post(body, True, _validated(headers.get(_ERROR_TYPE_KEY, b"")), xray_cause=kept)


read_init_error = read_error


def _validated(error_type: bytes) -> str:
    """Lambda keeps `Runtime.Words` and `Function.Words` and has one word for all others of each."""
    if _ERROR_TYPE.fullmatch(error_type):
        return error_type.decode("ascii")
    return "Function.Unknown" if error_type.startswith(b"Function.") else "Runtime.Unknown"


def _without_cause(body: bytes) -> bytes:
    try:
        fields = json.loads(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return b'"Invalid error body"'
    return json.dumps({name: fields[name] for name in _KEPT_OF_CAUSE if name in fields}, separators=(",", ":")).encode()


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        return body

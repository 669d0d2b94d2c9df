"""One invocation: what the caller asked, how its event is rendered for the runtime, and its figures at the end."""

import base64
import binascii
import math
import time
from dataclasses import dataclass, field
from typing import Protocol

from .faults import Fault
from .logs import Tail
from .protocol import names
from .protocol.http1 import Request
from .protocol.refusals import BadRequest
from .protocol.writing import encode_field_value
from .reports import Report
from .response_streams import Source
from .runtime_api import Event, render_event
from .runtime_posts import Post, broken_off


class Exchange(Protocol):
    """The caller's side: `respond`, or `begin`, `pass_on` … and `end`; then `finish`. Who has gone hears nothing."""

    @property
    def streaming(self) -> bool:
        """The caller wants a streamed response as it comes."""

    def respond(self, body: bytes, *, is_error: bool) -> None:
        """The whole body is known; the environment is not idle yet."""

    def begin(self, content_type: bytes, source: Source) -> None:
        """A body will come in pieces; `source` is paused while the caller does not take them."""

    def pass_on(self, piece: bytes) -> None:
        """The next bytes of it."""

    def end(self, *, failed: bool) -> None:
        """It is complete, or the trailers will say what went wrong."""

    def finish(self, trailers: list[tuple[bytes, bytes]]) -> None:
        """The environment is idle (or failed)."""


@dataclass(slots=True)
class Invocation:
    """`started` is monotonic seconds: Lambda's deadline and Duration count from there; so are the other moments.

    `responding_at` and `responded_at` are the first and the last byte of the response. `trace_id` is X-Amzn-Trace-Id as
    the runtime gets it, empty for none. `error_type` is what the runtime called a handler's error, for telemetry.
    """

    request_id: str
    timeout_ms: int
    event: bytes
    fields: bytes
    exchange: Exchange
    tail: Tail | None
    arn: bytes = b""
    trace_id: bytes = b""
    deadline_ms: int = 0
    started: float = 0.0
    init_ms: float | None = None
    init_counts: bool = True
    responded: bool = False
    streaming: bool = False
    """A response is on its way; `responded` is true by then."""
    responding_at: float = 0.0
    responded_at: float = 0.0
    runtime_done: bool = False
    produced_bytes: int = 0
    error_type: str = ""
    fault: Fault | None = None
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def render(self, number: int) -> Event:
        """The deadline is the epoch time at which the timer that was started with it fires."""
        request_id, text = self.request_id.encode(), b"%d" % number
        self.deadline_ms = deadline = int(time.time() * 1000) + self.timeout_ms
        fields = b"Lambda-Runtime-Deadline-Ms: %d\r\n%b" % (deadline, self.fields)
        return Event(request_id, text, render_event(request_id, text, fields, len(self.event)), self.event)

    def report(self, memory_mb: int, max_memory_mb: int, now: float) -> Report:
        """The figures. On a cold start the init is billed too (Lambda's rule since August 2025).

        Not so a provisioned one; a suppressed init is already part of the duration.
        """
        duration = (now - self.started) * 1000
        if self.fault is not None and self.fault.status == "timeout":
            duration = float(self.timeout_ms)
        billed = duration + self.init_ms if self.init_ms is not None and self.init_counts else duration
        shown = self.init_ms if self.init_counts else None
        fault, trace = self.fault, self.trace_id
        return Report(self.request_id, duration, math.ceil(billed), memory_mb, max_memory_mb, shown, fault, trace)

    def finish(self, report: Report) -> None:
        """Sends the trailers: their arrival means that the environment is idle (or failed, which they say)."""
        if self.streaming:
            self.end(broken_off())
        trailers = self.trailers
        if self.tail is not None:
            trailers.append((names.LOG_RESULT, base64.b64encode(self.tail.value())))
        if self.init_ms is not None:
            trailers.append((names.INIT_MS, b"%.3f" % self.init_ms))
        trailers += (
            (names.DURATION_MS, b"%.3f" % report.duration_ms),
            (names.BILLED_MS, b"%d" % report.billed_ms),
            (names.MAX_MEMORY_MB, b"%d" % report.max_memory_mb),
        )
        self.exchange.finish(trailers)

    # The response

    def answer_fault(self, fault: Fault) -> None:
        """The environment failed. A response that was posted in time stands (Lambda only marks it for reset)."""
        payload = fault.payload(self.request_id)
        if self.streaming:
            self.end(Post(payload, True, fault.error_type))
        elif not self.responded:
            self.responded = True
            self.exchange.respond(payload, is_error=True)

    def open_stream(self, content_type: bytes, source: Source) -> "Invocation | None":
        """The response begins to arrive: whoever takes it, or None when the caller wants it whole."""
        if self.responded or not self.exchange.streaming:
            return None
        self.responded = self.streaming = True
        self.responding_at = self.responded_at = time.monotonic()
        self.exchange.begin(content_type, source)
        return self

    def take(self, piece: bytes) -> None:
        """See Taker."""
        self.produced_bytes += len(piece)
        self.exchange.pass_on(piece)

    def end(self, error: Post | None) -> None:
        """See Taker. A failure's trailers leave with the others, when the environment is idle or ended."""
        self.streaming = False
        self.responded_at = time.monotonic()
        if error is not None and self.fault is None:
            self.error_type = error.error_type
        if error is not None:
            self.trailers += (
                (names.FUNCTION_ERROR, names.UNHANDLED),
                (names.ERROR_TYPE, error.error_type.encode()),
                (names.ERROR_BODY, base64.b64encode(error.body[: names.MAX_ERROR_BODY_BYTES])),
            )
        self.exchange.end(failed=error is not None)

    def break_off(self) -> None:
        """See Taker. Nothing is said yet: has the runtime ended, that is the error, and else `finish` tells ours."""


def read_invocation(request: Request, default_timeout_ms: int, default_arn: bytes, exchange: Exchange) -> Invocation:
    """Raises BadRequest. Headers that are missing are simply not passed on, except request id, timeout and ARN."""
    headers = request.head.headers
    request_id = headers.get(names.REQUEST_ID_KEY, b"")
    if not request_id or len(request_id) > 128 or request_id.strip(_REQUEST_ID_CHARACTERS):
        raise BadRequest("Lambent-Request-Id must be 1 to 128 letters, digits and -_")
    timeout = headers.get(names.TIMEOUT_MS_KEY)
    if timeout is None:
        timeout_ms = default_timeout_ms
    elif timeout.isdigit() and len(timeout) <= 7 and 0 < int(timeout) <= names.MAX_TIMEOUT_MS:
        timeout_ms = int(timeout)
    else:
        raise BadRequest(f"Lambent-Timeout-Ms must be 1 to {names.MAX_TIMEOUT_MS}")
    arn = headers.get(names.ARN_KEY, default_arn)
    fields = b"Lambda-Runtime-Invoked-Function-Arn: %b\r\n" % arn
    trace_id = headers.get(names.TRACE_ID_KEY, b"")
    if trace_id:
        fields += b"Lambda-Runtime-Trace-Id: %b\r\n" % trace_id
    context = headers.get(names.CLIENT_CONTEXT_KEY)
    if context:
        fields += b"Lambda-Runtime-Client-Context: %b\r\n" % _decoded(context)
    identity = headers.get(names.COGNITO_IDENTITY_KEY)
    if identity:
        fields += b"Lambda-Runtime-Cognito-Identity: %b\r\n" % identity
    tail = Tail(names.MAX_LOG_TAIL_BYTES) if headers.get(names.LOG_TYPE_KEY) == names.TAIL else None
    event = request.body or b""
    return Invocation(request_id.decode("ascii"), timeout_ms, event, fields, exchange, tail, arn, trace_id)


_REQUEST_ID_CHARACTERS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"


def _decoded(context: bytes) -> bytes:
    """The runtime gets the JSON itself, on one line."""
    try:
        text = binascii.a2b_base64(context, strict_mode=True).decode()
    except (ValueError, binascii.Error) as error:
        raise BadRequest("Lambent-Client-Context must be base64 of UTF-8") from error
    return encode_field_value(text)

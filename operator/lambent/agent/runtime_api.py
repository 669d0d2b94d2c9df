"""The Runtime API 2018-06-01 on loopback, exactly as Lambda answers it.

Knows the state of the runtime and the current event; what a response or a readiness means for the environment is
told to `Listener`, which hears of each at most once per step.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from .connections import Connection, Peers
from .protocol.heads import CHUNKED, ProtocolError, RequestHead
from .protocol.http1 import Request, Sink
from .protocol.names import MAX_RESPONSE_BYTES, MAX_STREAMED_BYTES
from .protocol.writing import CONTINUE, STATUS_LINES, encode_response
from .response_streams import ResponseStream, Source, Taker
from .runtime_posts import MODE_KEY, STREAMING, Post, read_error, read_init_error, read_response
from .runtime_states import TABLE, Call, RuntimeState, refusal_message

_PREFIX: Final = b"/2018-06-01/"
_POSTS: Final = b"/2018-06-01/runtime/"
_NEXT: Final = b"/2018-06-01/runtime/invocation/next"
_INIT_ERROR: Final = b"/2018-06-01/runtime/init/error"
_PING: Final = b"/2018-06-01/ping"
_POST: Final = re.compile(rb"/2018-06-01/runtime/invocation/([^/?]+)/(response|error)")
_INVOCATION_ID: Final = b"lambda-runtime-invocation-id"
_MAX_HEAD: Final = 1024 * 1024 + 64 * 1024  # Lambda-Runtime-Function-XRay-Error-Cause may have 1 MB

_JSON: Final = ((b"Content-Type", b"application/json"),)
_ACCEPTED: Final = encode_response(202, _JSON, b'{"status":"OK"}\n')
_PONG: Final = encode_response(200, ((b"Content-Type", b"text/plain; charset=utf-8"),), b"pong")
_NOT_FOUND: Final = encode_response(404, ((b"Content-Type", b"text/plain; charset=utf-8"),), b"404 page not found\n")
GET_ONLY: Final = encode_response(405, ((b"Allow", b"GET"),))
POST_ONLY: Final = encode_response(405, ((b"Allow", b"POST"),))


@dataclass(frozen=True, slots=True)
class Event:
    """One invocation as the runtime gets it: `head` is the whole rendered answer to /next, `number` is opaque to it."""

    request_id: bytes
    number: bytes
    head: bytes
    body: bytes


class Listener(Protocol):
    """Who decides what the runtime's calls mean."""

    def runtime_ready(self) -> None:
        """It asks for an event and there is none: init is done, or the last invocation."""

    def runtime_answered(self, post: Post) -> None:
        """The current event has its response or error."""

    def runtime_streams(self, content_type: bytes, source: Source) -> Taker | None:
        """The current event's response begins to arrive; None when its caller wants it whole."""

    def runtime_failed_init(self, post: Post) -> None:
        """It cannot initialise."""


@dataclass(frozen=True, slots=True)
class Route:
    """A further API on the same port: every path below `prefix`, with bodies of at most `most` bytes."""

    prefix: bytes
    most: int
    handle: "Callable[[RuntimeConnection, Request], None]"
    """Answers with `connection.answer`, now or later."""


class RuntimeApi:
    """One environment's Runtime API; `reset` forgets a generation of the runtime. `listener` is the present one."""

    listener: Listener

    def __init__(self) -> None:
        self.state = RuntimeState.STARTED
        self.connections: Peers = {}
        self.routes: list[Route] = []
        self._event: Event | None = None
        self._stream: ResponseStream | None = None
        self._askers: list[RuntimeConnection] = []

    def connect(self) -> "RuntimeConnection":
        """A connection for the server."""
        return RuntimeConnection(self)

    def route(self, target: bytes) -> Route | None:
        """Which further API a path belongs to."""
        return next((route for route in self.routes if target.startswith(route.prefix)), None)

    def offer(self, event: Event) -> None:
        """Hands the event to the runtime now, or when it asks again."""
        self._event = event
        askers, self._askers = self._askers, []
        for asker in askers:
            if asker.transport is not None:
                self._deliver(asker)

    def withdraw(self) -> None:
        """The current event is over without the runtime: what it still posts is refused."""
        self._event = None
        self._drop_stream()

    def is_silent(self) -> bool:
        """Whether every connection of the runtime has ended."""
        return all(connection.aside for connection in self.connections)

    def reset(self) -> None:
        """Forgets this generation: state, event and connections."""
        self.state = RuntimeState.STARTED
        self._event = None
        self._drop_stream()
        self._askers.clear()
        for connection in list(self.connections):
            connection.abort()

    def ask(self, asker: "RuntimeConnection") -> None:
        """GET /next."""
        after = TABLE.get((self.state, Call.NEXT))
        if after is None:
            asker.answer(_forbidden(self.state, Call.NEXT))
            return
        before, self.state = self.state, after
        if before is RuntimeState.SENT:
            self._event = None
        if self._event is not None:
            self._deliver(asker)
            return
        self._askers.append(asker)
        if before is not RuntimeState.READY:
            self.listener.runtime_ready()

    def _is_current(self, head: RequestHead, request_id: bytes) -> bool:
        event = self._event
        number = head.headers.get(_INVOCATION_ID)
        return event is not None and event.request_id == request_id and (number is None or number == event.number)

    def open_stream(self, poster: "RuntimeConnection", head: RequestHead) -> ResponseStream | None:
        """A streamed POST /response begins; None for whatever is read whole first: also what will be refused."""
        form = _POST.fullmatch(head.target)
        if form is None or form[2] != b"response" or head.method != b"POST" or not self._is_current(head, form[1]):
            return None
        if (self.state, Call.RESPONSE) not in TABLE:
            return None
        taker = self.listener.runtime_streams(head.headers.get(b"content-type", b""), poster)
        if taker is None:
            return None
        self.state = RuntimeState.RESPONDED
        stream = self._stream = ResponseStream(taker, poster.stream_ended)
        return stream

    def close_stream(self, stream: ResponseStream) -> bool:
        """It has ended, whichever way; False when its invocation has been over for longer."""
        if stream is not self._stream:
            return False
        self._stream = None
        self.state = RuntimeState.SENT
        return True

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.detach()
            self._stream = None

    def post(self, poster: "RuntimeConnection", request: Request, request_id: bytes, call: Call) -> None:
        """POST /response or /error: first the id is checked, then the state."""
        if not self._is_current(request.head, request_id):
            poster.answer(_INVALID_ID)
            return
        after = TABLE.get((self.state, call))
        if after is None:
            poster.answer(_forbidden(self.state, call))
            return
        post = read_response(request) if call is Call.RESPONSE else read_error(request)
        if post is None:
            # The state stays Running, so the runtime may correct itself (the emulator hangs here).
            poster.answer(_error(400, "InvalidFunctionResponseMode", "Invalid function response mode"))
            return
        self.state = after
        # The caller first: the runtime, once woken, may take the core from us.
        self.listener.runtime_answered(post)
        poster.send(_TOO_LARGE if post.too_large else _ACCEPTED)
        poster.release()

    def post_init_error(self, poster: "RuntimeConnection", request: Request) -> None:
        """POST /init/error."""
        after = TABLE.get((self.state, Call.INIT_ERROR))
        if after is None:
            poster.answer(_forbidden(self.state, Call.INIT_ERROR))
            return
        self.state = after
        poster.send(_ACCEPTED)
        self.listener.runtime_failed_init(read_init_error(request))
        poster.release()

    def _deliver(self, asker: "RuntimeConnection") -> None:
        event = self._event
        assert event is not None
        self.state = RuntimeState.RUNNING
        body = event.body
        asker.answer(event.head + body if len(body) < 65536 else event.head)
        if len(body) >= 65536:
            asker.send(body)


class RuntimeConnection(Connection):
    """A runtime's connection: no time limits, since /next may block for hours."""

    patience = None
    most = 64

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(api.connections, _MAX_HEAD)
        self._api = api
        self._stream: ResponseStream | None = None

    def admit(self, head: RequestHead) -> int | Sink:
        """Buffered responses have 6 MB; one that is streamed to a caller who wants that is passed on as it comes."""
        if not head.length:
            return MAX_RESPONSE_BYTES
        if not head.target.startswith(_POSTS):
            route = self._api.route(head.target)
            return route.most if route is not None else 0  # nothing else has a body worth keeping
        mode = head.headers.get(MODE_KEY)
        # AWS's client for Go never names the mode, it just posts chunks. What waits before it must be answered first.
        streamed = mode == STREAMING or (mode is None and head.length == CHUNKED)
        if streamed and not self._busy and not self._decoder.ahead:
            stream = self._api.open_stream(self, head)
            if stream is not None:
                self._busy, self._stream, self.proven = True, stream, True
                if head.expects_continue:
                    self.send(CONTINUE)
                return stream
        return MAX_RESPONSE_BYTES

    def stream_ended(self, stream: ResponseStream, error: Post | None) -> None:
        """The runtime has sent all of its response."""
        self._stream = None
        if not self._api.close_stream(stream):
            self.answer(_INVALID_ID)
        else:
            self.answer(_STREAMED_TOO_MUCH if error is not None and error.too_large else _ACCEPTED)

    def pause(self) -> None:
        """See Source."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        """See Source."""
        if self.transport is not None:
            self.transport.resume_reading()

    def eof_received(self) -> None:
        """The runtime sends no more; what it owes is truncated."""
        if self._decoder.partial and self._decoder.failure is None:
            self._fail(ProtocolError("the message ends in the middle"))

    def connection_lost(self, exc: Exception | None) -> None:
        """So is what it owes to a connection that is gone."""
        self._break_off()
        super().connection_lost(exc)

    def _fail(self, failure: Exception) -> None:
        if self._stream is not None:
            self._break_off()
            self._busy = False  # the answer that is owed is the one to this
        super()._fail(failure)

    def _break_off(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and self._api.close_stream(stream):
            stream.break_off()

    def handle(self, request: Request) -> None:
        """The two calls of the warm path first."""
        head = request.head
        target = head.target
        if target == _NEXT:
            if head.method == b"GET":
                self._api.ask(self)
            else:
                self.answer(GET_ONLY)
            return
        form = _POST.fullmatch(target)
        if form is not None:
            if head.method == b"POST":
                self._api.post(self, request, form[1], Call.RESPONSE if form[2] == b"response" else Call.ERROR)
            else:
                self.answer(POST_ONLY)
        else:
            self._handle_rare(request)

    @property
    def port(self) -> int:
        """Of ours, at which this connection arrived; 0 when it has gone."""
        address = self.transport.get_extra_info("sockname") if self.transport is not None else None
        return int(address[1]) if address else 0

    def answer(self, data: bytes) -> None:
        """One whole answer."""
        self.send(data)
        self.release()

    def _handle_rare(self, request: Request) -> None:
        method, target = request.head.method, request.head.target
        if target == _INIT_ERROR and method == b"POST":
            self._api.post_init_error(self, request)
        elif target == _PING and method == b"GET":
            self.answer(_PONG)
        elif target in {_INIT_ERROR, _PING}:
            self.answer(POST_ONLY if target == _INIT_ERROR else GET_ONLY)
        elif (route := self._api.route(target)) is not None:
            self.aside = True
            route.handle(self, request)
        else:
            self.answer(_NOT_FOUND)  # restore/* too: routed for SnapStart only

    def failure_answer(self, failure: Exception) -> tuple[int, bytes]:
        """Lambda's words for a body that broke off."""
        if isinstance(failure, ProtocolError):
            return 400, _error_body("TruncatedHTTPRequest", "HTTP request detected as truncated")
        raise failure


def render_event(request_id: bytes, number: bytes, fields: bytes, length: int) -> bytes:
    """The head of the answer to /next; `fields` are encoded header lines, the deadline among them."""
    return (
        b"%bContent-Type: application/json\r\nContent-Length: %d\r\nLambda-Runtime-Aws-Request-Id: %b\r\n"
        b"Lambda-Runtime-Invocation-Id: %b\r\n%b\r\n"
    ) % (STATUS_LINES[200], length, request_id, number, fields)


def _error_body(error_type: str, message: str) -> bytes:
    return json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":")).encode() + b"\n"


def _error(status: int, error_type: str, message: str) -> bytes:
    return encode_response(status, _JSON, _error_body(error_type, message))


def _forbidden(state: RuntimeState, call: Call) -> bytes:
    return _error(403, "InvalidStateTransition", refusal_message(state, call))


def _too_large(limit: int) -> bytes:
    return _error(413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({limit} bytes).")


_INVALID_ID: Final = _error(400, "InvalidRequestID", "Invalid request ID")
_TOO_LARGE: Final = _too_large(MAX_RESPONSE_BYTES)
_STREAMED_TOO_MUCH: Final = _too_large(MAX_STREAMED_BYTES)

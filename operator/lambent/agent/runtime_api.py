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
from .protocol.heads import ProtocolError, RequestHead
from .protocol.http1 import Request
from .protocol.names import MAX_RESPONSE_BYTES, MAX_STREAMED_BYTES
from .protocol.writing import STATUS_LINES, encode_response
from .runtime_posts import MODE_KEY, Post, read_error, read_init_error, read_response
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

    def is_silent(self) -> bool:
        """Whether every connection of the runtime has ended."""
        return all(connection.aside for connection in self.connections)

    def reset(self) -> None:
        """Forgets this generation: state, event and connections."""
        self.state = RuntimeState.STARTED
        self._event = None
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

    def post(self, poster: "RuntimeConnection", request: Request, request_id: bytes, call: Call) -> None:
        """POST /response or /error: first the id is checked, then the state."""
        event = self._event
        number = request.head.headers.get(_INVOCATION_ID)
        if event is None or event.request_id != request_id or (number is not None and number != event.number):
            poster.answer(_error(400, "InvalidRequestID", "Invalid request ID"))
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

    def admit(self, head: RequestHead) -> int:
        """Buffered responses have 6 MB, streamed ones more for now; Lambda allows them 200 MB."""
        if not head.target.startswith(_POSTS):
            route = self._api.route(head.target)
            return route.most if route is not None else 0  # nothing else has a body worth keeping
        return MAX_STREAMED_BYTES if head.headers.get(MODE_KEY) == b"streaming" else MAX_RESPONSE_BYTES

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


_TOO_LARGE: Final = _error(
    413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
)

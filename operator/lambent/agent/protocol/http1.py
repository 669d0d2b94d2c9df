r"""A sans-IO HTTP/1.1 codec: bytes in, messages out, no sockets.

`ResponseDecoder` (clients) gives events as they arrive, so that a body is passed on before its message has ended:
    ResponseHead, bytes…, BODY_END, MessageEnd(trailers)
BODY_END comes with the last-chunk line `0\r\n`, before any trailer: from then on the body is complete. A last-chunk
line with the extension `failed` gives BODY_FAILED instead: the body broke off, the trailers will say why.
`RequestDecoder` (servers) gives whole `Request`s with their body buffered up to the limit that `admit` names; where
`admit` names a `Sink` instead, the body goes there as it comes.

Both raise ProtocolError and are dead afterwards: the connection has to be closed. Encoders are in `writing`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol

from .heads import (
    CHUNKED,
    Headers,
    MessageEnd,
    ProtocolError,
    RequestHead,
    ResponseHead,
    parse_fields,
    parse_request_head,
    parse_response_head,
)
from .writing import FAILED

MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_SIZE_LINE: Final = 256


class BodyEnd(Enum):
    """There is no more body; trailers may still come."""

    BODY_END = 0
    BODY_FAILED = 1


BODY_END: Final[Literal[BodyEnd.BODY_END]] = BodyEnd.BODY_END
"""It is complete."""
BODY_FAILED: Final[Literal[BodyEnd.BODY_FAILED]] = BodyEnd.BODY_FAILED
"""It broke off."""
Event = RequestHead | ResponseHead | bytes | BodyEnd | MessageEnd
ResponseEvent = ResponseHead | bytes | BodyEnd | MessageEnd

NO_TRAILERS: Final = MessageEnd()


class _Step(Enum):
    HEAD = 0
    SIZED = 1
    CHUNK_SIZE = 2
    CHUNK = 3
    CHUNK_CRLF = 4
    TRAILERS = 5


class _Decoder:
    """What requests and responses have in common. Feeding is linear in what is fed, however it is cut."""

    def __init__(self, max_head: int = MAX_HEAD_BYTES) -> None:
        self._max_head = max_head
        self._buffer = bytearray()
        self._searched = 0
        self._step = _Step.HEAD
        self._left = 0
        self._dead = False

    @property
    def partial(self) -> bool:
        """True while the peer owes the rest of a message."""
        return self._step is not _Step.HEAD or bool(self._buffer)

    def _parse(self, head: bytes) -> RequestHead | ResponseHead:
        raise NotImplementedError

    def _events(self, data: bytes, events: list[Event]) -> None:
        """Appends what `data` completes; what came before an error is in `events` too."""
        if self._dead:
            raise ProtocolError("this connection has already failed")
        try:
            self._decode(data, events)
        except ProtocolError:
            self._dead = True
            raise

    def _decode(self, data: bytes, events: list[Event]) -> None:
        if self._buffer:
            self._buffer += data
            data = bytes(self._buffer) if self._worth_a_look() else b""
            if not data:
                return
            self._buffer.clear()
        position, end = 0, len(data)
        while position < end:
            step = self._step
            if step is _Step.SIZED or step is _Step.CHUNK:
                position = self._take_body(data, position, events)
                continue
            after = self._take_line(data, position, events)
            if after < 0:
                self._buffer += data[position:]
                break
            position = after

    def _worth_a_look(self) -> bool:
        """Whether the buffer now holds what the step waits for (or too much): spares re-reading drop by drop."""
        mark = b"\r\n\r\n" if self._step is _Step.HEAD else b"\n"
        found = self._buffer.find(mark, max(0, self._searched - 3)) >= 0
        self._searched = len(self._buffer)
        return found or self._step is _Step.CHUNK_CRLF or len(self._buffer) > self._cap()

    def _cap(self) -> int:
        return _MAX_SIZE_LINE if self._step is _Step.CHUNK_SIZE else self._max_head

    def _take_body(self, data: bytes, position: int, events: list[Event]) -> int:
        left = self._left
        piece = data[position : position + left] if position or len(data) > left else data
        events.append(piece)
        self._left = left - len(piece)
        if self._left == 0:
            if self._step is _Step.SIZED:
                self._finish(events)
            else:
                self._step = _Step.CHUNK_CRLF
        return position + len(piece)

    def _take_line(self, data: bytes, position: int, events: list[Event]) -> int:
        """Takes a head, a chunk's size line, its end, or the trailers; -1 when it is not all there."""
        step = self._step
        self._searched = 0
        if step is _Step.HEAD:
            return self._take_head(data, position, events)
        if step is _Step.CHUNK_SIZE:
            return self._take_chunk_size(data, position, events)
        if step is _Step.CHUNK_CRLF:
            if len(data) - position < 2:
                return -1
            if data[position : position + 2] != b"\r\n":
                raise ProtocolError("a chunk is longer than its size")
            self._step = _Step.CHUNK_SIZE
            return position + 2
        return self._take_trailers(data, position, events)

    def _take_head(self, data: bytes, position: int, events: list[Event]) -> int:
        end = data.find(b"\r\n\r\n", position)
        if (len(data) if end < 0 else end) - position > self._max_head:
            raise ProtocolError("the head is too large", 431)
        if end < 0:
            if data.count(b"\n", position) != data.count(b"\r\n", position):
                raise ProtocolError("a line ends without CR")
            return -1
        head = self._parse(data[position : end + 4])
        if isinstance(head, ResponseHead) and 100 <= head.status < 200:
            return end + 4  # informational: the real one follows
        events.append(head)
        if head.length == CHUNKED:
            self._step = _Step.CHUNK_SIZE
        elif head.length:
            self._step, self._left = _Step.SIZED, head.length
        else:
            self._finish(events)
        return end + 4

    def _take_chunk_size(self, data: bytes, position: int, events: list[Event]) -> int:
        end = data.find(b"\r\n", position, position + _MAX_SIZE_LINE)
        if end < 0:
            if len(data) - position >= _MAX_SIZE_LINE or b"\n" in data[position:]:
                raise ProtocolError("malformed chunk size")
            return -1
        size, _, extension = data[position:end].partition(b";")
        digits = size.rstrip(b" \t")
        if not 0 < len(digits) <= 12 or digits.strip(b"0123456789abcdefABCDEF") or b"\n" in data[position:end]:
            raise ProtocolError("malformed chunk size")
        self._left = int(digits, 16)
        if self._left:
            self._step = _Step.CHUNK
        else:
            events.append(BODY_FAILED if extension == FAILED else BODY_END)
            self._step = _Step.TRAILERS
        return end + 2

    def _take_trailers(self, data: bytes, position: int, events: list[Event]) -> int:
        if data.startswith(b"\r\n", position):
            self._step = _Step.HEAD
            events.append(NO_TRAILERS)
            return position + 2
        end = data.find(b"\r\n\r\n", position)
        if (len(data) if end < 0 else end) - position > self._max_head:
            raise ProtocolError("the trailers are too large", 431)
        if end < 0:
            return -1
        self._step = _Step.HEAD
        events.append(MessageEnd(parse_fields(data[position : end + 4])))
        return end + 4

    def _finish(self, events: list[Event]) -> None:
        self._step = _Step.HEAD
        events.append(BODY_END)
        events.append(NO_TRAILERS)


class ResponseDecoder(_Decoder):
    """For clients. Responses to HEAD are not supported (nobody asks)."""

    def _parse(self, head: bytes) -> ResponseHead:
        return parse_response_head(head)

    def feed(self, data: bytes) -> list[ResponseEvent]:
        """What these bytes complete."""
        events: list[Event] = []
        self._events(data, events)
        return events  # type: ignore[return-value]  # _parse gives response heads only


@dataclass(slots=True)
class Request:
    """`body` is None when it went over the limit that `admit` named: read to its end and thrown away."""

    head: RequestHead
    body: bytes | None
    trailers: Headers


class Sink(Protocol):
    """Takes a body as it comes, instead of a `Request` at its end."""

    def take(self, piece: bytes) -> None:
        """The next bytes of the body."""

    def complete(self, trailers: Headers) -> None:
        """The message is complete. Not called when it breaks off."""


class RequestDecoder(_Decoder):
    """For servers. `admit` sees each head before its body, says what is done with it, and may raise to refuse.

    What is done with a body: it is collected up to a limit in bytes, or goes to a sink.

    Feeding never raises: the requests before an error are still to be answered, then `failure` says what to tell
    the peer before closing.
    """

    def __init__(self, admit: Callable[[RequestHead], int | Sink], max_head: int = MAX_HEAD_BYTES) -> None:
        super().__init__(max_head)
        self.failure: Exception | None = None
        self.ahead = False
        """For `admit`: requests came together with this one and nobody has seen them yet."""
        self._admit = admit
        self._sink: Sink | None = None
        self._head: RequestHead | None = None
        self._body: bytes | bytearray = b""
        self._size = 0
        self._limit = 0
        self._last = (b"", RequestHead(b"", b"", {}, 0, True))

    @property
    def expects_continue(self) -> bool:
        """True while the peer waits for `100 Continue` before it sends its body."""
        return self._head is not None and not self._size and self._head.expects_continue

    def _parse(self, head: bytes) -> RequestHead:
        # A runtime asks for /next with the very same bytes each time.
        if head == self._last[0]:
            return self._last[1]
        parsed = parse_request_head(head)
        self._last = (head, parsed)
        return parsed

    def feed(self, data: bytes) -> list[Request]:
        """What these bytes complete."""
        requests: list[Request] = []
        events: list[Event] = []
        if self.failure is not None:
            return requests
        if self._step is _Step.HEAD and not self._buffer:
            whole = self._whole(data)
            if whole is not None:
                return whole
        failure: Exception | None = None
        try:
            self._events(data, events)
        except ProtocolError as error:
            failure = error
        try:
            for event in events:
                if event.__class__ is bytes:
                    self._collect(event)
                elif event.__class__ is RequestHead:
                    self.ahead = bool(requests)
                    self._accept(event)
                elif event.__class__ is MessageEnd:
                    self._complete(event.trailers, requests)
        except Exception as refusal:  # noqa: BLE001  whatever `admit` raises is for the server to answer
            failure = refusal
        self.failure = failure
        return requests

    def _whole(self, data: bytes) -> list[Request] | None:
        """One message with a length that arrived in one piece, as nearly all do; None for whatever else it is."""
        end = data.find(b"\r\n\r\n") + 4
        if not 4 <= end <= self._max_head:
            return None
        head_bytes, last = data[:end], self._last
        if head_bytes == last[0]:
            head = last[1]
        else:
            try:
                head = parse_request_head(head_bytes)
            except ProtocolError:
                return None
            if not head.length:  # /next and /response alternate on one connection: only the former repeats itself
                self._last = (head_bytes, head)
        size = len(data) - end
        if head.length != size:
            return None
        self.ahead = False
        try:
            limit = self._admit(head)
        except Exception as refusal:  # noqa: BLE001  whatever `admit` raises is for the server to answer
            self.failure = refusal
            return []
        if limit.__class__ is not int:
            limit.take(data[end:])  # type: ignore[union-attr]  # it is a sink, and there is no quicker way to ask
            limit.complete({})  # type: ignore[union-attr]
            return []
        return [Request(head, data[end:] if size <= limit else None, {})]

    def _accept(self, head: RequestHead) -> None:
        limit = self._admit(head)
        if isinstance(limit, int):
            self._limit = limit
        else:
            self._sink = limit
        self._head = head

    def _complete(self, trailers: Headers, requests: list[Request]) -> None:
        if self._sink is None:
            requests.append(self._request(trailers))
        else:
            sink, self._sink, self._head = self._sink, None, None
            sink.complete(trailers)

    def _collect(self, piece: bytes) -> None:
        if self._sink is not None:
            self._sink.take(piece)
            return
        self._size += len(piece)
        if self._size > self._limit:
            self._body = b""
        elif not self._body:
            self._body = piece
        elif self._body.__class__ is bytearray:
            self._body += piece
        else:
            self._body = bytearray(self._body) + piece

    def _request(self, trailers: Headers) -> Request:
        head = self._head
        assert head is not None
        collected = self._body
        body = None if self._size > self._limit else collected if isinstance(collected, bytes) else bytes(collected)
        self._head, self._body, self._size = None, b"", 0
        return Request(head, body, trailers)

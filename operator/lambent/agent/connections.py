"""One HTTP/1.1 connection of a server: reading requests, one at a time, and bounding how long a peer may take.

What a request means is the subclass's business: it implements `admit` and `handle`, and calls `release` when the
answer has been written.
"""

import asyncio
from collections import deque
from typing import Final

from .protocol.heads import ProtocolError, RequestHead
from .protocol.http1 import MAX_HEAD_BYTES, Request, RequestDecoder, Sink
from .protocol.refusals import BadRequest, Refusal
from .protocol.writing import CONTINUE, encode_response

JSON: Final = ((b"Content-Type", b"application/json"),)
_CLOSING: Final = ((b"Content-Type", b"application/json"), (b"Connection", b"close"))
_MOST_WAITING: Final = 16
_LINGER: Final = 1.0
_BUFFER: Final = memoryview(bytearray(256 * 1024))  # a fresh one for each read would be mapped and unmapped each time


Peers = dict["Connection", None]
"""All open connections of one server, the oldest first."""


class Connection(asyncio.BufferedProtocol):
    """Over `most` a new one takes the place of one that is no use: see `_make_room`."""

    patience: float | None = 20.0
    """Seconds for the rest of a message once its first byte has come, and for a first request at all."""
    most = 256
    aside = False
    """It belongs to somebody who is not the one that this server waits for."""

    def __init__(self, peers: Peers, max_head: int = MAX_HEAD_BYTES) -> None:
        self.transport: asyncio.Transport | None = None
        self._peers = peers
        self._decoder = RequestDecoder(self.admit, max_head)
        self._busy = False
        self._failed = False
        self.proven = False
        self._waiting: deque[Request] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Nothing is being answered, nothing has begun to arrive."""
        return not self._busy and not self._decoder.partial

    def admit(self, head: RequestHead) -> int | Sink:
        """The limit of the body that follows `head`, or where it goes; raises Refusal to refuse before reading it."""
        raise NotImplementedError

    def handle(self, request: Request) -> None:
        """Answers one request, now or later; never called for two at once."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts the connection, and closes it when there are too many."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if len(self._peers) >= self.most and not self._make_room():
            transport.abort()
            return
        self._peers[self] = None
        self._expect_progress()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Forgets what was still waiting: nobody is left to hear the answers."""
        self.transport = None
        self._peers.pop(self, None)
        self._waiting.clear()  # nobody is left to hear the answers
        self._calm()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's signature
        """The one buffer of the process, which is emptied before anybody else reads into it."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Requests are handled one after the other, whatever arrives together."""
        decoder = self._decoder
        for request in decoder.feed(bytes(_BUFFER[:nbytes])):
            self.proven = True
            if self._busy:
                self._queue(request)
            else:
                self._busy = True
                self.handle(request)
        if decoder.failure is not None:
            self._fail(decoder.failure)
        elif decoder.partial:
            if decoder.expects_continue and not self._busy:
                self.send(CONTINUE)
            if self._timer is None:
                self._expect_progress()
        elif self._timer is not None:
            self._calm()

    def send(self, data: bytes) -> None:
        """Dropped when the peer has gone."""
        if self.transport is not None:
            self.transport.write(data)

    def release(self) -> None:
        """The answer is out: the next request of this connection may begin."""
        if self._waiting:
            self.handle(self._waiting.popleft())
        else:
            self._busy = False

    def refuse(self, refusal: Refusal) -> None:
        """The answer is an error; the connection stays."""
        self.send(encode_response(refusal.status, JSON, refusal.to_json()))
        self.release()

    def abort(self) -> None:
        """At once; what is unsent is lost."""
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """After what has been written is out."""
        if self.transport is not None:
            self.transport.close()

    def _queue(self, request: Request) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self.abort()
        else:
            self._waiting.append(request)

    def _fail(self, failure: Exception) -> None:
        """Answers and stops listening, but reads on for a moment.

        Unread bytes would make the kernel reset the connection, and the answer would be lost.
        """
        if self._failed:
            return
        self._failed = True
        # With answers outstanding an error answer would be taken for one of them.
        if self._busy or self.transport is None:
            self.close()
            return
        status, body = self.failure_answer(failure)
        self.send(encode_response(status, _CLOSING, body))
        self.transport.write_eof()
        self._calm()
        self._timer = asyncio.get_running_loop().call_later(_LINGER, self._give_up)

    def failure_answer(self, failure: Exception) -> tuple[int, bytes]:
        """Status and JSON for what went wrong before there was a request."""
        if isinstance(failure, Refusal):
            return failure.status, failure.to_json()
        if isinstance(failure, ProtocolError):
            return failure.status, BadRequest(failure.message).to_json()
        raise failure

    def _make_room(self) -> bool:
        """Ends the oldest connection that never asked anything acceptable, else the oldest that is idle.

        So whoever holds connections open, with half a request or none, cannot keep others out.
        """
        peers = self._peers
        useless = next((peer for peer in peers if not peer.proven), None)
        victim = useless or next((peer for peer in peers if peer.idle), None)
        if victim is None:
            return False
        del peers[victim]
        victim.abort()
        return True

    def _expect_progress(self) -> None:
        if self.patience is not None:
            self._timer = asyncio.get_running_loop().call_later(self.patience, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        self.abort()

    def _calm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

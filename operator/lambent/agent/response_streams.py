"""A response on its way from runtime to caller, piece by piece: `runtime_api` opens it, the invocation takes it."""

from collections.abc import Callable
from typing import Protocol

from .protocol.heads import Headers
from .protocol.names import MAX_STREAMED_BYTES
from .runtime_posts import Post, read_trailers, streamed_too_much


class Source(Protocol):
    """Where the pieces come from: the runtime's connection."""

    def pause(self) -> None:
        """Read nothing: the caller does not take what is there."""

    def resume(self) -> None:
        """Read on."""


class Taker(Protocol):
    """The caller's side of a streamed response."""

    def take(self, piece: bytes) -> None:
        """The next bytes of it."""

    def end(self, error: Post | None) -> None:
        """There is no more of it: it is complete, or it failed midway."""

    def break_off(self) -> None:
        """The runtime will send no more, and nobody knows yet why: it may have ended."""


class ResponseStream:
    """The `Sink` of one streamed POST /response. `over` is told its end; the runtime is answered there."""

    def __init__(self, taker: Taker, over: Callable[["ResponseStream", Post | None], None]) -> None:
        self._taker: Taker | None = taker
        self._over = over
        self._size = 0
        self._error: Post | None = None

    def take(self, piece: bytes) -> None:
        """Passes it on; beyond the limit the stream has failed, and the rest is read and thrown away."""
        taker = self._taker
        if taker is None:
            return
        self._size += len(piece)
        if self._size > MAX_STREAMED_BYTES:
            self._error, self._taker = streamed_too_much(), None
            taker.end(self._error)
        else:
            taker.take(piece)

    def complete(self, trailers: Headers) -> None:
        """The runtime has sent all of it: good, or failed as its trailers say."""
        taker, self._taker = self._taker, None
        error = self._error or read_trailers(trailers)
        # The caller first: the runtime, once woken, may take the core from us.
        if taker is not None:
            taker.end(error)
        self._over(self, error)

    def break_off(self) -> None:
        """The runtime's connection has ended in the middle."""
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.break_off()

    def detach(self) -> None:
        """The invocation is over without the runtime: what still comes is thrown away."""
        self._taker = None

"""From the function's stdout and stderr (one pipe, so their order holds) to the pod's stdout, never blocking.

Lines end at LF only: the Python runtime client joins the lines of one traceback with CR so that it stays one event.
Bytes pass as they are, whatever their encoding.
"""

import asyncio
import os
from collections.abc import Callable

_READ_BYTES = 64 * 1024
_DRAIN_READS = 64  # a background thread that never stops writing must not hold the answer back
MAX_LINE_BYTES = 256 * 1024  # CloudWatch's largest event
MAX_UNWRITTEN_BYTES = 1024 * 1024
_DEFERRAL = 0.05

Sink = Callable[[bytes], None]
EventSink = Callable[[bytes, float], None]
"""One event with its newline, perhaps of several lines, and its time in epoch seconds."""


class Tail:
    """The last bytes of what was added."""

    __slots__ = ("_data", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """Appends; memory stays within four times the limit."""
        self._data += data
        if len(self._data) > 4 * self._limit:
            del self._data[: -self._limit]

    def value(self) -> bytes:
        """At most the limit, the newest bytes."""
        return bytes(self._data[-self._limit :])


class Lines:
    """Cuts a stream of bytes into pieces that end with a newline; a line over the cap is cut there."""

    __slots__ = ("_pending", "_sink")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending = bytearray()

    def feed(self, data: bytes) -> None:
        """Any bytes; whole lines leave at once."""
        end = data.rfind(b"\n") + 1
        if end and end == len(data) and not self._pending:
            self._sink(data)
            return
        self._pending += data[:end]
        if end:
            self._sink(bytes(self._pending))
            self._pending.clear()
        self._pending += data[end:]
        while len(self._pending) >= MAX_LINE_BYTES:
            self._sink(bytes(self._pending[:MAX_LINE_BYTES]) + b"\n")
            del self._pending[:MAX_LINE_BYTES]

    def finish(self) -> None:
        """What the platform writes next starts on a line of its own."""
        if self._pending:
            self._sink(bytes(self._pending) + b"\n")
            self._pending.clear()

    def close(self) -> None:
        """Nothing follows."""
        self.finish()


class LogPipe:
    """The read end of one generation's stdout and stderr; with `events`, framed ones among the lines go there.

    Those come through `framed`, the same pipe opened once more: Node.js makes its stdout non-blocking, and must not
    make that of its log so.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: Sink, events: EventSink | None = None) -> None:
        self._loop = loop
        self._lines = Lines(sink)
        if events is not None:
            from .frames import MixedLines

            self._lines = MixedLines(sink, events)
        self._reader, self.writer = os.pipe2(os.O_CLOEXEC)
        self.framed = open_again(self.writer) if events is not None else -1
        os.set_blocking(self._reader, False)
        self._open = True
        loop.add_reader(self._reader, self._read)

    def started(self) -> None:
        """The child holds the write end now: from here on EOF means that nobody can write any more."""
        os.close(self.writer)
        if self.framed >= 0:
            os.close(self.framed)

    def drain(self) -> None:
        """Everything that was written before this moment goes to the sink, an unfinished line with its newline."""
        for _ in range(_DRAIN_READS):
            if not self._read():
                break
        self._lines.finish()

    def close(self) -> None:
        """Takes what is there, then lets go of the pipe."""
        self.drain()
        self._shut()

    def _read(self) -> bool:
        if not self._open:
            return False
        try:
            data = os.read(self._reader, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._shut()
            return False
        self._lines.feed(data)
        return True

    def _shut(self) -> None:
        if self._open:
            self._open = False
            self._lines.close()
            self._loop.remove_reader(self._reader)
            os.close(self._reader)


def open_again(descriptor: int) -> int:
    """Another description of the same pipe, with flags of its own. OSError where there is no /proc."""
    return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_CLOEXEC)


class Output:
    """The pod's stdout. What its reader does not take is kept up to a bound, then dropped and counted."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self._loop = loop
        self._fd = fd
        self._pieces: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._blocked = False
        self._scheduled = False
        self._patience: asyncio.TimerHandle | None = None
        os.set_blocking(fd, False)

    def write(self, data: bytes) -> None:
        """`data` is whole lines. Written before the loop waits again."""
        if self._size + len(data) > MAX_UNWRITTEN_BYTES:
            self._dropped += data.count(b"\n")
            return
        self._pieces.append(data)
        self._size += len(data)
        if not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def defer(self, data: bytes) -> None:
        """As write, but it may wait for company: START and END of a quick invocation leave in one write."""
        self._pieces.append(data)
        self._size += len(data)
        if self._patience is None:
            self._patience = self._loop.call_later(_DEFERRAL, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if not self._scheduled and not self._blocked:
            self.flush()

    def flush(self) -> None:
        """Writes what the reader takes now."""
        self._scheduled = False
        if self._dropped and self._size < MAX_UNWRITTEN_BYTES // 2:
            self._pieces.append(b"lambent: %d lines dropped, stdout is not read\n" % self._dropped)
            self._dropped = 0
        if not self._pieces:
            return
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        try:
            rest = data[os.write(self._fd, data) :]
        except BlockingIOError:
            rest = data
        except OSError:
            rest = b""  # nobody will ever read it; the function runs on
        self._pieces = [rest] if rest else []
        self._size = len(rest)
        self._wait_for_room(blocked=bool(rest))

    def _wait_for_room(self, *, blocked: bool) -> None:
        if blocked != self._blocked:
            self._blocked = blocked
            if blocked:
                self._loop.add_writer(self._fd, self.flush)
            else:
                self._loop.remove_writer(self._fd)
        if not blocked and self._dropped:
            self.flush()

    def close(self) -> None:
        """Blocks at most for what the reader takes at once."""
        self.flush()

"""Sending events to one consumer: batches over HTTP or TCP, in order, with bounded memory.

One batch is on its way, a bounded number of events waits behind it; what does not fit is dropped, counted, and told to
the consumer in its place among the others. Whoever writes here never waits.
While the environment is frozen its processes stand still: nothing is sent then, and a delivery that is under way is
not judged for the time that its receiver could not use.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable
from typing import Final

from .destinations import Destination
from .protocol.heads import ProtocolError, parse_fields
from .protocol.writing import encode_request
from .subscriptions import Buffering

_PATIENCE: Final = 10.0  # seconds for one attempt, not counting the time in which the receiver is frozen
_ATTEMPTS: Final = 3  # of a batch that a listener refuses; one that nobody listens for is kept
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_BURST: Final = 1024 * 1024  # bytes that may wait however small the batches are
_BURST_EVENTS: Final = 10_000
_SHORT: Final = 256
_MOST_HEAD: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])(?: [^\r\n]*)?\r\n")
SLOW: Final = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."

Drops = Callable[[int, int, str], bytes]
"""(records, bytes, reason) → the event that tells it, as JSON."""


class Rejected(Exception):
    """Somebody listens, but did not take the batch."""


class Delivery:
    """To one consumer, from now until `close`. Events are JSON objects, without a newline."""

    def __init__(self, destination: Destination, buffering: Buffering, tell_drops: Drops) -> None:
        self.destination = destination
        self._buffering = buffering
        self._tell_drops = tell_drops
        self._room = self._most = 0
        self._make_room()
        self._events: deque[bytes] = deque()
        self._size = 0
        self._dropped = (0, 0)
        self._sending: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = asyncio.Event()
        self._awake = asyncio.Event()
        self._awake.set()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._scope: asyncio.Timeout | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._eager = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def held_bytes(self) -> int:
        """What is in memory now."""
        return self._size + sum(map(len, self._sending))

    @property
    def full(self) -> bool:
        """There is no room for even a short event."""
        return self._size + _SHORT > self._room or len(self._events) >= self._most

    def drop(self, records: int, size: int) -> None:
        """Counts what is not even tried."""
        self._dropped = (self._dropped[0] + records, self._dropped[1] + size)

    def add(self, event: bytes) -> None:
        """Never waits: what a slow consumer has no room for is dropped and counted."""
        limits = self._buffering
        if self._size + len(event) > self._room or len(self._events) >= self._most:
            self.drop(1, len(event))
            return
        if self._dropped[0]:
            self._append(self._told_drops())
        self._append(event)
        if self._eager or len(self._events) >= limits.items or self._size >= limits.size:
            self.flush()
        elif self._timer is None and not self._due.is_set():
            self._timer = asyncio.get_running_loop().call_later(limits.milliseconds / 1000, self.flush)

    def flush(self) -> None:
        """What is there leaves now rather than at its time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._events or self._dropped[0]:
            self._idle.clear()
            self._due.set()

    def pause(self) -> None:
        """The receiver stands still."""
        self._awake.clear()
        self._limit(None)

    def resume(self) -> None:
        """It runs again: what was under way has its whole time from now."""
        self._awake.set()
        self._limit(asyncio.get_running_loop().time() + _PATIENCE)

    def _limit(self, when: float | None) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(when)

    def redirect(self, destination: Destination, buffering: Buffering) -> None:
        """To another listener from now on: what waits, and what the old one has not taken, goes there."""
        self.destination, self._buffering = destination, buffering
        self._make_room()
        self._disconnect()
        self._changed.set()

    def hurry(self, *, on: bool) -> None:
        """The end is near: from now on nothing is held back to fill a batch. Or it is not any more."""
        self._eager = on
        if on:
            self.flush()

    async def delivered(self) -> None:
        """Returns when all that was added has left or has been given up. Bound it from outside."""
        self.flush()
        await self._idle.wait()

    def close(self) -> None:
        """Gives up what is left."""
        self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._disconnect()

    # Sending

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._sending = self._take()
            await self._deliver(self._sending)
            self._sending = []
            if not self._due.is_set():
                self._idle.set()

    def _take(self) -> list[bytes]:
        """The next batch; what is left behind it is due as well."""
        limits, events = self._buffering, self._events
        if self._dropped[0] and len(events) < limits.items:
            self._append(self._told_drops())
        batch: list[bytes] = []
        size = 0
        while events and len(batch) < limits.items and (not batch or size + len(events[0]) <= limits.size):
            batch.append(events.popleft())
            size += len(batch[-1])
        self._size -= size
        if not events:
            self._due.clear()
        return batch

    def _make_room(self) -> None:
        """Twice what a batch may hold, but at least what one flood of output brings."""
        self._room = max(2 * self._buffering.size, _BURST)
        self._most = max(2 * self._buffering.items, _BURST_EVENTS)

    def _append(self, event: bytes) -> None:
        self._events.append(event)
        self._size += len(event)

    def _told_drops(self) -> bytes:
        (records, size), self._dropped = self._dropped, (0, 0)
        return self._tell_drops(records, size, SLOW)

    async def _deliver(self, batch: list[bytes]) -> None:
        refused, pause = 0, _FIRST_PAUSE
        while True:
            await self._awake.wait()
            try:
                await self._attempt(batch)
            except Rejected:
                refused += 1
            except OSError:
                pass  # nobody listens yet, or no longer: kept, while the buffer behind it is bounded
            else:
                return
            self._disconnect()
            if refused >= _ATTEMPTS:
                self.drop(len(batch), sum(map(len, batch)))
                return
            if await self._changes_within(pause):
                refused, pause = 0, _FIRST_PAUSE
            else:
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _changes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    async def _attempt(self, batch: list[bytes]) -> None:
        """OSError when nobody listens, Rejected when somebody does and does not take it."""
        try:
            async with asyncio.timeout(_PATIENCE) as self._scope:
                if self.destination.http:
                    await self._post(batch)
                else:
                    _, writer = await self._connect()
                    writer.write(b"\n".join(batch) + b"\n")
                    await writer.drain()
        except TimeoutError:
            raise Rejected from None
        finally:
            self._scope = None

    async def _post(self, batch: list[bytes]) -> None:
        target = self.destination
        fields = ((b"Host", target.authority.encode("ascii", "replace")), (b"Content-Type", b"application/json"))
        request = encode_request(target.method.encode(), target.path.encode(), fields, b"[%b]" % b",".join(batch))
        kept = self._stream is not None
        try:
            status = await self._exchange(request)
        except (OSError, EOFError):
            if not kept:
                raise
            self._disconnect()  # a server may close a connection that was idle; that says nothing about this batch
            status = await self._exchange(request)
        if not 200 <= status < 300:
            raise Rejected

    async def _exchange(self, request: bytes) -> int:
        """The status. A connection whose answer does not say where it ends is not used again."""
        reader, writer = await self._connect()
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            while head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Rejected from None
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("closed without an answer") from error
        status = _STATUS.match(head)
        if status is None:
            raise Rejected
        length = _length_to_skip(head, status.end())
        if length is None:
            self._disconnect()
        else:
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readexactly(length)
        return int(status[1])

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._stream is None or self._stream[1].is_closing():
            self._stream = await asyncio.open_connection(self.destination.host, self.destination.port, limit=_MOST_HEAD)
        return self._stream

    def _disconnect(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None


def _length_to_skip(head: bytes, start: int) -> int | None:
    """Of the answer's body; None where the connection cannot serve another request."""
    try:
        fields = parse_fields(head, start)
    except ProtocolError:
        return None
    length = fields.get(b"content-length", b"")
    keeps = head.startswith(b"HTTP/1.1") and b"close" not in fields.get(b"connection", b"").lower()
    return int(length) if keeps and length.isdigit() and len(length) < 6 else None

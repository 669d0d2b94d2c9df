"""Lines and framed events in one stream of bytes.

AWS's Python and Node.js clients write each log event as a frame where `_LAMBDA_TELEMETRY_LOG_FD` names a descriptor:
type, length and time in front of the message, so that one of several lines stays one. That descriptor is the pipe of
stdout and stderr under another number, because only one pipe keeps the order in which things were written.
"""

import os
from typing import Final

from .logs import MAX_LINE_BYTES, EventSink, Lines, Sink, open_again

VARIABLE: Final = "_LAMBDA_TELEMETRY_LOG_FD"
DESCRIPTOR: Final = 62  # Lambda's own choice
SPEAKERS: Final = ("python", "nodejs")
"""Runtimes whose clients write frames of these types; others take the variable for something else, or not at all."""
_MARK: Final = b"\xa5\x5a\x00"  # no valid UTF-8 begins so
_HEAD: Final = 16
_TYPES: Final = frozenset((0x02, 0x0A, 0x0E, 0x12, 0x16, 0x1A, 0x03, 0x0B, 0x0F, 0x13, 0x17, 0x1B))
"""JSON and text, each of NOTSET, DEBUG, INFO, WARN, ERROR and CRITICAL; the client has filtered by level itself."""


def is_possible() -> bool:
    """Whether a pipe can be opened twice here; without /proc it cannot."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.close(open_again(writer))
    except OSError:
        return False
    finally:
        os.close(reader)
        os.close(writer)
    return True


class MixedLines(Lines):
    """Lines, among which there may be frames. What only looks like a frame passes as it is."""

    __slots__ = ("_events", "_held", "_needed", "_through")

    def __init__(self, sink: Sink, events: EventSink) -> None:
        super().__init__(sink)
        self._events = events
        self._held = bytearray()
        self._needed = 0
        self._through = 0

    def feed(self, data: bytes) -> None:
        """Any bytes; whole lines and whole frames leave at once."""
        if not self._held and not self._through and b"\xa5" not in data:
            super().feed(data)
            return
        self._held += data
        if len(self._held) < self._needed:
            return
        data = bytes(self._held)
        self._held.clear()
        position = self._needed = 0
        while position < len(data):
            if self._through:
                position = self._pass_through(data, position)
                continue
            after = self._take(data, position)
            if after < 0:
                break
            position = after
        self._held += data[position:]

    def close(self) -> None:
        """Nothing follows: half a frame is no frame."""
        held = bytes(self._held)
        self._held.clear()
        self._needed = self._through = 0
        super().feed(held)
        self.finish()

    def _take(self, data: bytes, position: int) -> int:
        """What stands before the next frame, or that frame. -1 to wait for more."""
        found = data.find(_MARK, position)
        if found == position:
            return self._take_frame(data, position)
        end = found if found >= 0 else len(data) - _unfinished(data)
        if end == position:
            return -1
        super().feed(data[position:end])
        return end

    def _take_frame(self, data: bytes, position: int) -> int:
        begin = position + _HEAD
        if len(data) < begin:
            return -1
        if data[position + 3] not in _TYPES:
            super().feed(data[position : position + 1])
            return position + 1
        length = int.from_bytes(data[position + 4 : position + 8], "big")
        if length > MAX_LINE_BYTES:  # no event is larger: then it is lines
            self.finish()
            self._through = length
            return begin
        if len(data) - begin < length:
            self._needed = _HEAD + length
            return -1
        micros = int.from_bytes(data[position + 8 : begin], "big")
        self.finish()
        message = data[begin : begin + length]
        self._events(message if message.endswith(b"\n") else message + b"\n", micros / 1e6)
        return begin + length

    def _pass_through(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._through]
        super().feed(piece)
        self._through -= len(piece)
        if not self._through:
            self.finish()
        return position + len(piece)


def _unfinished(data: bytes) -> int:
    """How many of the last bytes may be the beginning of a mark."""
    return next((size for size in (2, 1) if data.endswith(_MARK[:size])), 0)

"""Bodies that are still to come when their heads are there: read within bounds of time and memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from lambent.model import limits

READ_BYTES_MAX: Final = 4 * limits.REQUEST_BYTES_MAX
"""A longer body is refused at its head; one between the limit and this is read to its end and then refused, because
clients that are still sending do not look for an answer."""
STALLED_SECONDS: Final = 30.0
"""A request whose next byte does not come for so long is given up …"""
BODY_SECONDS: Final = 300.0
"""… and one whose body is not there after this, too."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Room:
    """Memory for bodies: no tenant may cost the process its life."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """False when there is not so much left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Back."""
        self._left += size


@dataclass(slots=True)
class Body:
    """One body on its way. Whoever reads it gives `held` back to the room in the end."""

    room: Room
    wanted: bool = True
    """Nobody needs it where the request is refused already; it is read all the same."""
    held: int = 0
    crowded: bool = False
    """There was no memory left for it."""
    data: bytearray | None = None
    """None over the limit, and where nobody keeps it."""

    async def read(self, request: web.BaseRequest) -> None:
        """Read to the end, also what nobody wants.

        Raises:
            TimeoutError: it did not come in time.
        """
        length = request.content_length
        if length is not None and length > READ_BYTES_MAX:
            return
        if request.headers.get("Expect", "").lower() == "100-continue":
            if not self.wanted:  # it has not begun to send
                return
            await request.writer.write(_CONTINUE)
        if length is not None and length <= limits.REQUEST_BYTES_MAX:
            self._hold(length)  # at once, so that of many some get in rather than none
        async with asyncio.timeout(BODY_SECONDS):
            await self._collect(request)

    async def _collect(self, request: web.BaseRequest) -> None:
        data = bytearray()  # grows in place; pieces that are kept until a join would take the memory twice
        size = 0
        while True:
            async with asyncio.timeout(STALLED_SECONDS):
                piece = await request.content.readany()
            if not piece:
                break
            size += len(piece)
            if size > READ_BYTES_MAX:
                return
            if size > limits.REQUEST_BYTES_MAX:
                self.wanted = False
            elif size > self.held:
                self._hold(len(piece))
            if self.wanted and not self.crowded:
                data += piece
            else:
                data.clear()
        if self.wanted and not self.crowded:
            self.data = data

    def _hold(self, size: int) -> None:
        if not self.wanted or self.crowded:
            return
        if self.room.take(size):
            self.held += size
        else:
            self.crowded = True

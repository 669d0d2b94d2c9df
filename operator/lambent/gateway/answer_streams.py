"""An answer on its way, piece by piece, from an agent's connection (callbacks) to a client's (a coroutine).

What waits here is bounded: beyond it the agent's connection is not read, so that the function waits for its client.
Whoever does not want an answer any more has to `abandon` it; the invocation then runs to its end unheard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from lambent.adapters.agents.failures import AgentUnavailable
from lambent.wire.eventstream import Completion

WAITING_BYTES_MAX = 256 * 1024


class Source(Protocol):
    """Where the pieces come from."""

    def pause(self) -> None:
        """Read nothing for now."""

    def resume(self) -> None:
        """Read on."""


Explain = Callable[[AgentUnavailable], Awaitable[Completion]]


class AnswerStream:
    """Written by one invocation, read by one client."""

    __slots__ = ("_abandoned", "_pieces", "_size", "_source", "_wake", "content_type", "explain", "outcome")

    def __init__(self, source: Source, content_type: str) -> None:
        self.content_type = content_type
        """What the runtime says of the payload."""
        self.outcome: Completion | AgentUnavailable | None = None
        """Why there is no more; None while there is."""
        self.explain: Explain | None = None
        """Finds out how an environment that was lost has ended."""
        self._source = source
        self._pieces: list[bytes] = []
        self._size = 0
        self._abandoned = False
        self._wake: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """The client does not take what is there: its source is paused."""
        return self._size > WAITING_BYTES_MAX

    # --- the invocation's side ----------------------------------------------------------------------------------

    def put(self, piece: bytes) -> None:
        """The next bytes."""
        if self._abandoned:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self.full:
            self._source.pause()
        self._notify()

    def end(self, outcome: Completion | AgentUnavailable) -> bool:
        """There is no more, once; False when nobody hears it."""
        if self.outcome is None:
            self.outcome = outcome
            self._notify()
        return not self._abandoned

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- the client's side --------------------------------------------------------------------------------------

    async def pieces(self) -> AsyncIterator[bytes]:
        """All bytes, as they come; what waits together comes together."""
        while True:
            if self._pieces:
                pieces, self._pieces = self._pieces, []
                self._resume()
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
            elif self.outcome is not None:
                return
            else:
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake

    async def completion(self) -> Completion:
        """How it ended, after the last piece."""
        outcome = self.outcome
        if isinstance(outcome, AgentUnavailable):
            assert self.explain is not None
            return await self.explain(outcome)
        assert outcome is not None
        return outcome

    def abandon(self) -> None:
        """Nobody reads this any more."""
        self._abandoned = True
        self._pieces.clear()
        self._resume()

    def _resume(self) -> None:
        # After its end the source may be busy with somebody else's answer.
        if self.full and self.outcome is None:
            self._source.resume()
        self._size = 0

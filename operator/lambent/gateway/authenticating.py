"""Who may use the internal door: exactly one user, by service-account token, as TokenReview says.

Decisions are kept for a minute; while the API server is unreachable a kept one lives on for fifteen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from lambent.model.errors import Refused, Unavailable

GRANTED_SECONDS = 60.0
DENIED_SECONDS = 5.0
UNREACHABLE_SECONDS = 900.0
_KEPT_MAX = 1024

Review = Callable[[str], Awaitable[str | None]]
"""The user that a token belongs to; None for a token that is not good for us. Raises Unavailable."""


class Verdict(Enum):
    """What a caller is told."""

    GRANTED = 200
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNKNOWN = 503
    """Nobody could be asked."""


@dataclass(frozen=True, slots=True)
class _Decision:
    verdict: Verdict
    at: float


class Authenticator:
    """Answers for bearer tokens."""

    def __init__(self, review: Review, user: str, clock: Callable[[], float]) -> None:
        self._review = review
        self._user = user
        self._clock = clock
        self._kept: dict[bytes, _Decision] = {}

    async def check(self, authorization: str | None) -> Verdict:
        """The verdict on an Authorization header."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return Verdict.UNAUTHENTICATED
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock()
        kept = self._kept.get(digest)
        if kept is not None and now - kept.at < _seconds(kept.verdict):
            return kept.verdict
        try:
            user = await self._review(token)
        except (Unavailable, Refused):
            if kept is not None and kept.verdict is Verdict.GRANTED and now - kept.at < UNREACHABLE_SECONDS:
                return kept.verdict
            return Verdict.UNKNOWN
        verdict = self._verdict(user)
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[digest] = _Decision(verdict, now)
        return verdict

    def _verdict(self, user: str | None) -> Verdict:
        if user is None:
            return Verdict.UNAUTHENTICATED
        return Verdict.GRANTED if self._user and user == self._user else Verdict.FORBIDDEN


def _seconds(verdict: Verdict) -> float:
    return GRANTED_SECONDS if verdict is Verdict.GRANTED else DENIED_SECONDS

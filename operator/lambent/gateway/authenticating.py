"""Whose token is this? Asked of the API server, for both doors; the internal one admits exactly one user."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from enum import Enum

from lambent.core.access import TOKEN_BYTES_MAX, Decision, stated_end
from lambent.model.errors import Unavailable
from lambent.model.identities import Identity

from .reviewing import Counter, Reviews

Identify = Callable[[str], Awaitable[Identity | None]]
"""Whom a token belongs to; None for a token that is not good for us. Raises Unavailable, Refused."""

_IDENTITIES_MAX = 4096

Known = Decision[Identity | None]


class Tokens:
    """Tokens and their users. Only digests of tokens are kept."""

    def __init__(self, identify: Identify, clock: Callable[[], float], count: Counter) -> None:
        self._identify = identify
        self._clock = clock
        self._reviews: Reviews[bytes, Identity | None] = Reviews("TokenReview", _IDENTITIES_MAX, clock, _holder, count)

    def at_once(self, token: bytes, digest: bytes) -> Known | None:
        """What is known of a token and counts now; None when the API server has to be asked."""
        return self._reviews.at_once(digest, lambda: self._ask(token))

    async def decide(self, token: bytes, digest: bytes) -> Known:
        """Whose token it is.

        Raises:
            Unavailable: nobody can be asked.
        """
        return await self._reviews.decide(digest, lambda: self._ask(token))

    async def _ask(self, token: bytes) -> Known:
        asked = self._clock()
        identity = await self._identify(token.decode("ascii"))
        return Decision(identity, granted=identity is not None, at=asked, ends=stated_end(token))


def _holder(identity: Identity | None) -> str:
    return identity.user if identity else ""


def digest_of(token: bytes) -> bytes | None:
    """What a token is known by; None for what can be no token and is refused unseen."""
    if not token or len(token) > TOKEN_BYTES_MAX or not token.isascii():
        return None
    return hashlib.sha256(token).digest()


class Verdict(Enum):
    """What a caller of the internal door is told."""

    GRANTED = 200
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNKNOWN = 503
    """Nobody could be asked."""


class Authenticator:
    """Answers for bearer tokens on the internal door: one user may come in."""

    def __init__(self, tokens: Tokens, user: str, count: Counter) -> None:
        self._tokens = tokens
        self._user = user
        self._count = count

    async def check(self, authorization: str | None) -> Verdict:
        """The verdict on an Authorization header."""
        verdict = await self._verdict(authorization)
        self._count(verdict.name.lower())
        return verdict

    async def _verdict(self, authorization: str | None) -> Verdict:
        scheme, _, text = (authorization or "").partition(" ")
        token = text.strip().encode("utf-8", "surrogateescape")
        digest = digest_of(token)
        if scheme.lower() != "bearer" or digest is None:
            return Verdict.UNAUTHENTICATED
        try:
            identity = (await self._tokens.decide(token, digest)).value
        except Unavailable:
            return Verdict.UNKNOWN
        if identity is None:
            return Verdict.UNAUTHENTICATED
        return Verdict.GRANTED if self._user and identity.user == self._user else Verdict.FORBIDDEN

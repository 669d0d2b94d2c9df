"""What a registry wants to see before it answers: Basic credentials, or a token from the token server that it names.

A token belongs to one registry, one repository and one credential, and is forgotten when it expires.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from yarl import URL

from lambent.model.errors import LambentError, Unavailable

from .challenges import Challenge, parse_challenges
from .credentials import Credential
from .documents import read_object
from .fetching import Answer, Fetcher, Question, place_of, retry_after

TOKENS_MAX = 1024
TOKEN_BYTES_MAX = 64 * 1024
_LIFETIME_S, _LIFETIME_MIN_S, _LIFETIME_MAX_S = 60.0, 10.0, 3600.0
_MARGIN_S = 5.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_CLIENT = "lambent"


class AccessDenied(LambentError):
    """Neither this credential nor its absence opens the repository; the next credential may."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for what: the key of a token."""

    registry: URL
    """Its origin."""
    repository: str
    credential: Credential


class Authorizations:
    """Values of the `Authorization` header, per visitor; `clock` counts seconds."""

    def __init__(self, fetcher: Fetcher, clock: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._known: dict[Visitor, tuple[str, float]] = {}

    def known(self, visitor: Visitor) -> str | None:
        """What opened the repository before, while it lasts."""
        value, expires = self._known.get(visitor, ("", 0.0))
        return value if expires > self._clock() else None

    async def obtain(self, visitor: Visitor, refusal: Answer) -> str:
        """What the registry's refusal (401) asks for; Bearer before Basic.

        Raises:
            AccessDenied: nobody gives us that.
            Unavailable, InvalidImage: of the exchange with the token server.
        """
        self._known.pop(visitor, None)
        challenges = {one.scheme: one for one in reversed(parse_challenges(_headers(refusal)))}
        if "bearer" in challenges:
            value, lifetime = await self._token(visitor, challenges["bearer"])
        elif "basic" in challenges:
            value, lifetime = visitor.credential.basic() or "", _LIFETIME_MAX_S
        else:
            value, lifetime = "", 0.0
        if not value:
            raise AccessDenied
        self._keep(visitor, value, self._clock() + lifetime)
        return value

    def _keep(self, visitor: Visitor, value: str, expires: float) -> None:
        if len(self._known) >= TOKENS_MAX:
            now = self._clock()
            self._known = {one: kept for one, kept in self._known.items() if kept[1] > now}
        while len(self._known) >= TOKENS_MAX:
            del self._known[next(iter(self._known))]
        self._known[visitor] = (value, expires)

    async def _token(self, visitor: Visitor, challenge: Challenge) -> tuple[str, float]:
        answer = await self._fetcher.ask(self._token_question(visitor, challenge))
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise AccessDenied
        server = place_of(answer.origin)
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"the token server {server} answered {answer.status}", retry_after(answer))
        try:
            fields = read_object(answer.body)
        except ValueError:
            fields = {}
        token = fields.get("token") or fields.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Unavailable(f"the token server {server} answered without a token")
        return f"Bearer {token}", _lifetime(fields)

    def _token_question(self, visitor: Visitor, challenge: Challenge) -> Question:
        realm = challenge.parameters.get("realm", "")
        if not realm:
            raise Unavailable(f"{place_of(visitor.registry)} asks for a token and does not say where to get it")
        url = self._fetcher.link(realm, visitor.registry)
        service = challenge.parameters.get("service")
        scope = challenge.parameters.get("scope") or f"repository:{visitor.repository}:pull"
        named = {} if service is None else {"service": service}
        credential = visitor.credential
        if credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credential.identity_token,
                "client_id": _CLIENT,
                "scope": scope,
                **named,
            }
            return Question(url, TOKEN_BYTES_MAX, "application/json", form=form)
        scopes = [("scope", one) for one in scope.split(" ") if one]
        url = url.extend_query([*named.items(), *scopes])
        return Question(url, TOKEN_BYTES_MAX, "application/json", credential.basic())


def _headers(refusal: Answer) -> Iterable[str]:
    return refusal.headers.getall("WWW-Authenticate", [])


def _lifetime(fields: Mapping[str, object]) -> float:
    seconds = fields.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = _LIFETIME_S
    return min(max(seconds, _LIFETIME_MIN_S), _LIFETIME_MAX_S) - _MARGIN_S

"""Who may invoke what on the public door: a caller by his token, the verb `invoke` by the API server's word.

With decisions at hand nothing is awaited. A caller without the right hears the same words whether or not the function,
or even the namespace, exists.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lambent.adapters.telemetry import metrics
from lambent.core.access import Decision
from lambent.core.routing import UNKNOWN_ACCOUNT, RoutingTable
from lambent.model.arns import FunctionReference, function_arn
from lambent.model.errors import (
    AccessDenied,
    ExpiredToken,
    LambdaError,
    MissingToken,
    ServiceUnavailable,
    Unavailable,
    UnrecognizedToken,
)
from lambent.model.identities import Identity
from lambent.wire import lambda_api

from .authenticating import Known, Tokens, digest_of
from .reviewing import Counter, Reviews

log = logging.getLogger(__name__)

_GRANTS_MAX = 32_768

Authorize = Callable[[Identity, str, str], Awaitable[bool]]
"""Whether a user may invoke the Function object of (namespace, name); namespace empty: in every one."""

Headers = Mapping[bytes, bytes]


class Gate(Protocol):
    """Decides on callers of the public door."""

    def at_once(self, headers: Headers, reference: FunctionReference) -> str | None:
        """The namespace that the request may go on in; None when somebody must be asked. Raises LambdaError."""

    async def ask(self, headers: Headers, reference: FunctionReference) -> str:
        """The same, when it takes time."""


class OpenGate:
    """Everybody may invoke everything (`LAMBENT_AUTH_MODE=none`)."""

    def __init__(self, default_namespace: str) -> None:
        self._default = default_namespace
        log.warning(
            "LAMBENT_AUTH_MODE is none: whoever reaches the public door may invoke every function in every watched"
            " namespace, without a token; set it to kubernetes unless something in front of the door asks for more"
        )

    def at_once(self, headers: Headers, reference: FunctionReference) -> str:  # noqa: ARG002
        """Nobody is asked."""
        return lambda_api.namespace_of(headers) or self._default

    async def ask(self, headers: Headers, reference: FunctionReference) -> str:
        """Never needed."""
        return self.at_once(headers, reference)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a caller means, before anything is said about its existence."""

    namespace: str
    """Empty for an account that is nobody's: then only who may invoke everywhere hears so."""
    name: str
    """The Function object's."""
    arn: str
    """As it may be said to somebody without rights: an account he did not name himself is not told."""


_Key = tuple[bytes, str, str]


class KubernetesGate:
    """Bearer tokens of the cluster, TokenReview, SubjectAccessReview."""

    def __init__(
        self, table: RoutingTable, tokens: Tokens, authorize: Authorize, clock: Callable[[], float], count: Counters
    ) -> None:
        self._table = table
        self._tokens = tokens
        self._authorize = authorize
        self._clock = clock
        self._count = count.door
        self._reviews: Reviews[_Key, str] = Reviews("SubjectAccessReview", _GRANTS_MAX, clock, str, count.access)

    def at_once(self, headers: Headers, reference: FunctionReference) -> str | None:
        """See Gate."""
        token, digest = self._token(headers)
        known = self._tokens.at_once(token, digest)
        if known is None:
            return None
        identity = self._identity(known)
        place = self._place(identity, headers, reference)
        kept = self._reviews.at_once((digest, place.namespace, place.name), lambda: self._ask(identity, place))
        return None if kept is None else self._passed(kept, identity, place)

    async def ask(self, headers: Headers, reference: FunctionReference) -> str:
        """See Gate."""
        token, digest = self._token(headers)
        try:
            identity = self._identity(await self._tokens.decide(token, digest))
            place = self._place(identity, headers, reference)
            key = (digest, place.namespace, place.name)
            decision = await self._reviews.decide(key, lambda: self._ask(identity, place))
        except Unavailable:
            self._count(metrics.AUTH_UNAVAILABLE)
            raise ServiceUnavailable("The service cannot verify the caller at this time. Try again.") from None
        return self._passed(decision, identity, place)

    def _token(self, headers: Headers) -> tuple[bytes, bytes]:
        token = lambda_api.token_of(headers)
        if token is None:
            raise self._refused(metrics.AUTH_MISSING, MissingToken())
        digest = digest_of(token)
        if digest is None:
            raise self._refused(metrics.AUTH_INVALID, UnrecognizedToken())
        return token, digest

    def _identity(self, known: Known) -> Identity:
        if known.value is not None:
            return known.value
        if known.ends <= self._clock():
            raise self._refused(metrics.AUTH_EXPIRED, ExpiredToken())
        raise self._refused(metrics.AUTH_INVALID, UnrecognizedToken())

    def _place(self, identity: Identity, headers: Headers, reference: FunctionReference) -> _Place:
        table = self._table
        asked, own = lambda_api.namespace_of(headers), identity.namespace or table.default_namespace
        namespace = table.space_of(reference, asked or own)
        account = reference.account or (table.account(namespace) if namespace == own else UNKNOWN_ACCOUNT)
        arn = function_arn(table.region, account, reference.name)
        return _Place(namespace, table.object_name(namespace, reference.name), arn)

    async def _ask(self, identity: Identity, place: _Place) -> Decision[str]:
        asked = self._clock()
        allowed = await self._authorize(identity, place.namespace, place.name)
        return Decision(identity.user, granted=allowed, at=asked)

    def _passed(self, decision: Decision[str], identity: Identity, place: _Place) -> str:
        if not decision.granted:
            raise self._refused(
                metrics.AUTH_DENIED,
                AccessDenied(
                    f"User: {identity.user} is not authorized to perform: lambda:InvokeFunction on resource: "
                    f"{place.arn} because no identity-based policy allows the lambda:InvokeFunction action"
                ),
            )
        self._count(metrics.AUTH_GRANTED)
        return place.namespace

    def _refused(self, outcome: str, error: LambdaError) -> LambdaError:
        self._count(outcome)
        return error


@dataclass(frozen=True, slots=True)
class Counters:
    """What is counted here, by outcome."""

    door: Counter
    """Requests."""
    access: Counter
    """SubjectAccessReviews."""

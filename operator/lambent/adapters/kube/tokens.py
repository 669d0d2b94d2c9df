"""Whose token is this? TokenReview, asked of the API server."""

from __future__ import annotations

from lambent.model.errors import Refused
from lambent.model.identities import Identity

from .client import KubeClient
from .resources import TOKEN_REVIEWS

TIMEOUT_S = 3.0
"""A caller waits for the answer, and is better told soon that there is none."""


async def review(client: KubeClient, token: str, audience: str) -> str | None:
    """The user a token belongs to, when it is valid for the audience; None for any other token.

    A service account reads `system:serviceaccount:<namespace>:<name>`. Raises as `identify`.
    """
    identity = await identify(client, token, (audience,))
    return identity.user if identity else None


async def identify(client: KubeClient, token: str, audiences: tuple[str, ...] = ()) -> Identity | None:
    """Whom a token belongs to, when it is valid for one of the audiences (the API server's own when none is named).

    Raises:
        Unavailable: when the API server does not answer: nobody was refused, nobody was admitted.
        Refused: when we may not ask (RBAC).
    """
    spec: dict[str, object] = {"token": token}
    if audiences:
        spec["audiences"] = list(audiences)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    try:
        answer = await client.request("POST", TOKEN_REVIEWS.collection(), body=body, timeout=TIMEOUT_S)
    except Refused as error:
        if error.status in (400, 422):  # not even the shape of a token
            return None
        raise
    status = answer.get("status") or {}
    # an authenticator that knows no audiences leaves them out: then the token was not made for us
    if not status.get("authenticated") or (audiences and not set(audiences) & set(status.get("audiences") or [])):
        return None
    user = status.get("user") or {}
    if not user.get("username"):
        return None
    return Identity(
        user=str(user["username"]),
        groups=tuple(user.get("groups") or ()),
        uid=str(user.get("uid") or ""),
        extra={str(key): list(values or []) for key, values in (user.get("extra") or {}).items()},
    )

"""Whose token is this? TokenReview, asked of the API server."""

from __future__ import annotations

from lambent.model.errors import Refused

from .client import KubeClient
from .resources import TOKEN_REVIEWS


async def review(client: KubeClient, token: str, audience: str) -> str | None:
    """The user a token belongs to, when it is valid for the audience; None for any other token.

    A service account reads `system:serviceaccount:<namespace>:<name>`.

    Raises:
        Unavailable: when the API server does not answer: nobody was refused, nobody was admitted.
        Refused: when we may not ask (RBAC).
    """
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }
    try:
        answer = await client.request("POST", TOKEN_REVIEWS.collection(), body=body)
    except Refused as error:
        if error.status in (400, 422):  # not even the shape of a token
            return None
        raise
    status = answer.get("status") or {}
    # an authenticator that knows no audiences leaves them out: then the token was not made for us
    if not status.get("authenticated") or audience not in (status.get("audiences") or []):
        return None
    name = (status.get("user") or {}).get("username")
    return str(name) if name else None

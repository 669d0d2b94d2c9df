"""May this user do that? SubjectAccessReview, asked of the API server."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.model.identities import Identity

from .client import KubeClient
from .resources import SUBJECT_ACCESS_REVIEWS, Resource
from .tokens import TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wants to do to one object; an empty namespace means: in every namespace."""

    verb: str
    resource: Resource
    namespace: str
    name: str


async def allowed(client: KubeClient, identity: Identity, action: Action) -> bool:
    """Whether the user may do it.

    Raises:
        Unavailable: when the API server does not answer.
        Refused: when we may not ask (RBAC).
    """
    group, resource = action.resource.group, action.resource.plural
    attributes = {"verb": action.verb, "group": group, "resource": resource, "name": action.name}
    if action.namespace:
        attributes["namespace"] = action.namespace
    spec: dict[str, object] = {"resourceAttributes": attributes, "user": identity.user}
    if identity.groups:
        spec["groups"] = list(identity.groups)
    if identity.uid:
        spec["uid"] = identity.uid
    if identity.extra:
        spec["extra"] = identity.extra
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = await client.request("POST", SUBJECT_ACCESS_REVIEWS.collection(), body=body, timeout=TIMEOUT_S)
    status = answer.get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True

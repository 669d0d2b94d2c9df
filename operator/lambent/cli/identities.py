"""Who we are to the gateway, which knows Kubernetes' bearer tokens only.

In this order: the token that was given; a short-lived one of the service account that was named; the kubeconfig's own;
a short-lived one of the default service account. The kubeconfig's own token opens the whole cluster: it goes over
nothing that others can read, and not for somebody whom the kubeconfig impersonates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from .clusters import Cluster, path_of
from .releases import ROLE_LABEL, Release, selector

TOKEN_SECONDS = 600
"""The shortest that Kubernetes issues."""
_SUBJECT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Words:
    """What was said about it."""

    token: str | None = field(default=None, repr=False)
    service_account: str | None = None
    """`name` or `namespace/name`."""
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What is shown to the gateway."""

    token: str | None = field(default=None, repr=False)
    subject: str | None = None
    """The user behind the token, where it is known."""
    problem: str = ""
    """Why there is no token."""


def choose(cluster: Cluster | None, words: Words, namespace: str, *, private: bool) -> Identity:
    """The identity for a function in `namespace`; `private`: nobody else can read what we send.

    Raises:
        Refused, Unavailable: a service account was named, and there is no token of it.
    """
    if words.token:
        return Identity(words.token)
    if cluster is None:
        return Identity(problem="there is neither a kubeconfig nor --token")
    own = cluster.credential.token
    if own and private and not words.service_account and not words.audience and not cluster.context.user.impersonate:
        return Identity(own)
    space, _, name = (words.service_account or "default").rpartition("/")
    space = space or namespace
    try:
        return _request(cluster, space, name, words.audience)
    except (Refused, Unavailable) as error:
        if words.service_account:
            raise
        return Identity(problem=f"no token of the service account {space}/{name}: {error}")


def _request(cluster: Cluster, namespace: str, name: str, audience: str | None) -> Identity:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS, **({"audiences": [audience]} if audience else {})},
    }
    answer = cluster.call("POST", f"{path_of('serviceaccounts', namespace, name)}/token", body=body)
    token = (answer.get("status") or {}).get("token")
    return Identity(str(token), f"{_SUBJECT_PREFIX}{namespace}:{name}")


def advice(cluster: Cluster | None, identity: Identity, namespace: str, release: Release | None = None) -> str:
    """What would let this identity invoke functions in `namespace`, as a command."""
    if identity.token is None:
        return f"{identity.problem}; give one with --token or --service-account"
    if cluster is None:
        return "the token's user needs the verb 'invoke' on functions.lambent.dev in the function's namespace"
    subject = identity.subject or _who_am_i(cluster, identity)
    role = _invoker(cluster, release) or "<a ClusterRole with the verb 'invoke' on functions.lambent.dev>"
    return (
        f"to allow it: kubectl create rolebinding {_binding_name(subject)} --namespace {namespace} "
        f"--clusterrole={role} {_subject_flag(subject)}"
    )


def _who_am_i(cluster: Cluster, identity: Identity) -> str | None:
    if identity.token != cluster.credential.token:
        return None
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = cluster.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    except (Refused, Unavailable):
        return None
    name = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    return str(name) if name else None


def _invoker(cluster: Cluster, release: Release | None) -> str | None:
    """The release's own role for callers, by its label."""
    path = path_of("clusterroles", None, group="/apis/rbac.authorization.k8s.io/v1")
    try:
        found = cluster.objects(path, f"{selector(release=release.name if release else None)},{ROLE_LABEL}=invoker")
    except (Refused, Unavailable):
        return None
    listed = sorted(str(each["metadata"]["name"]) for each in found)
    own = f"{release.name}-{release.namespace}-" if release else ""  # two releases may have one name
    return next((name for name in listed if name.startswith(own)), None)


def _subject_flag(subject: str | None) -> str:
    if subject is None:
        return "--user=<the token's user>"
    if subject.startswith(_SUBJECT_PREFIX):
        return f"--serviceaccount={subject.removeprefix(_SUBJECT_PREFIX)}"
    return f"--user={subject}"


def _binding_name(subject: str | None) -> str:
    last = (subject or "caller").rpartition(":")[2]
    return f"{names.MANAGED_BY}-invoker-{''.join(c if c.isalnum() else '-' for c in last.lower())}".rstrip("-")

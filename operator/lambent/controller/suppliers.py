"""Who supplies code that is not in the specification, what is read for it, and how much of it at once.

What is read of Secrets is handed on and not kept.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from lambent.adapters.kube.resources import CONFIG_MAPS, SECRETS
from lambent.adapters.sources.buckets import BucketObject, Credentials
from lambent.adapters.sources.fetching import Fetched
from lambent.adapters.sources.web import WebAddress
from lambent.controller.measuring import ControllerMetrics
from lambent.core.readiness import Problem, ResolvedImage
from lambent.core.references import Reference
from lambent.model.conditions import Reason
from lambent.model.errors import LambentError, Refused, Unavailable

FETCHES_MAX, FETCHES_PER_NAMESPACE_MAX = 4, 2
"""At once: each may hold a whole package on disk, and one tenant's slow server is nobody else's wait."""
PULL_SECRETS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
"""Types of Secrets for registries, and the key that holds their document."""


class CodeStore(Protocol):
    """The code store as the controller needs it."""

    async def put(self, signed_path: str, data: bytes | BinaryIO) -> None:
        """Store a blob. Raises Unavailable, InvalidCode."""

    async def has(self, signed_path: str) -> bool:
        """Whether a blob is there. Raises Unavailable."""


class Objects(Protocol):
    """The API server as far as sources need it (`adapters.kube.client.KubeClient`)."""

    async def request(self, method: str, path: str) -> dict[str, Any]:
        """One object. Raises Refused, Unavailable."""


class Images(Protocol):
    """Container registries (`adapters.registries`)."""

    async def resolve(self, uri: str, architecture: str, credentials: Sequence[Mapping[str, Any]]) -> ResolvedImage:
        """The image that a name means now. Raises InvalidImage, Unavailable.

        `credentials` are the decoded documents of pull secrets, in their order.
        """


class Artifacts(Protocol):
    """Container registries that keep zip archives (`adapters.registries`)."""

    def fetch(self, uri: str, credentials: Sequence[Mapping[str, Any]]) -> AbstractAsyncContextManager[Fetched]:
        """The archive that a name means now, as long as the context lasts. Raises InvalidImage, Unavailable."""

    async def find(self, uri: str, credentials: Sequence[Mapping[str, Any]]) -> str:
        """SHA-256 in hex of the archive that a name means now. Raises as `fetch` does."""


class WebAndBuckets(Protocol):
    """Everything that is fetched as an archive (`adapters.sources.fetcher.Fetcher`)."""

    def fetch(self, source: WebAddress | BucketObject) -> AbstractAsyncContextManager[Fetched]:
        """What the source holds, as long as the context lasts. Raises FetchFailed, Unavailable."""


@dataclass(frozen=True, slots=True)
class Suppliers:
    """Where code comes from that is not in the specification."""

    fetcher: WebAndBuckets
    objects: Objects
    images: Images | None = None
    s3_endpoint: str = ""
    """Where functions name none; the administrator's word."""
    s3_region: str = "us-east-1"
    metrics: ControllerMetrics | None = None
    artifacts: Artifacts | None = None


class StoppedError(LambentError):
    """Obtaining ends here, with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Slots:
    """So many fetches at once, and only so many of one namespace."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(FETCHES_MAX)
        self._each: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def one(self, namespace: str) -> AsyncIterator[None]:
        """A slot, when it is this namespace's turn."""
        mine = self._each.setdefault(namespace, asyncio.Semaphore(FETCHES_PER_NAMESPACE_MAX))
        self._users[namespace] += 1
        try:
            async with mine, self._all:
                yield
        finally:
            self._users[namespace] -= 1
            if not self._users[namespace]:
                del self._users[namespace], self._each[namespace]


async def read(objects: Objects, namespace: str, reference: Reference, where: str) -> dict[str, Any]:
    """An object that the specification refers to; `where` it does.

    Raises:
        StoppedError: it is not there (that is waited for), or cannot be read just now.
    """
    resource = SECRETS if reference.kind == "Secret" else CONFIG_MAPS
    try:
        return await objects.request("GET", resource.item(namespace, reference.name))
    except Refused as refused:
        if refused.status == 404:
            raise missing(where, str(reference)) from None
        words = f"{where}: {reference} cannot be read: {refused.reason}"
        raise StoppedError(Problem(Reason.CODE_UNAVAILABLE, words)) from None
    except Unavailable:
        words = f"{where}: {reference} cannot be read: the API server did not answer"
        raise StoppedError(Problem(Reason.CODE_UNAVAILABLE, words)) from None


def missing(where: str, what: str) -> StoppedError:
    """The specification refers, there, to what does not exist: it is picked up when it appears."""
    return StoppedError(Problem(Reason.REFERENCE_NOT_FOUND, f"{where} refers to what does not exist: {what}"))


def s3_credentials(name: str, secret: Mapping[str, Any], where: str) -> tuple[Credentials, str | None]:
    """The credentials in a Secret, and the region if it names one. Raises StoppedError."""
    texts = _texts(secret)
    lacking = [key for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not texts.get(key)]
    if lacking:
        raise missing(where, f"{', '.join(lacking)} in Secret {name}")
    token, region = texts.get("AWS_SESSION_TOKEN") or None, texts.get("AWS_REGION") or None
    return Credentials(texts["AWS_ACCESS_KEY_ID"], texts["AWS_SECRET_ACCESS_KEY"], token), region


def pull_secret(name: str, secret: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The document of a Secret for registries. Raises StoppedError."""
    key = PULL_SECRETS.get(secret.get("type", ""))
    if key is None:
        raise _no_pull_secret(where, name, f"is not of the type {next(iter(PULL_SECRETS))}")
    try:
        document = json.loads(base64.b64decode((secret.get("data") or {})[key]))
    except (ValueError, KeyError, TypeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _no_pull_secret(where, name, f"holds no JSON object under {key}")
    return document


def _no_pull_secret(where: str, name: str, why: str) -> StoppedError:
    return StoppedError(Problem(Reason.REFERENCE_NOT_FOUND, f"{where}: Secret {name} {why}"))


def _texts(secret: Mapping[str, Any]) -> dict[str, str]:
    """A Secret's values as text; what is none is left out."""
    texts = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            texts[key] = base64.b64decode(value).decode().strip()
        except ValueError:
            continue
    return texts

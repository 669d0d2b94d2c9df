"""From what a user wrote to what nodes run: the digest of an image, and what its configuration says; or an archive.

Errors have Lambda's words where it has any. What a user's own push, login or right can mend from outside (an image that
is not there yet, a credential) is Unavailable, so it is asked again; InvalidImage is for what stays wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import aiohttp

from lambent.model.errors import InvalidImage, LambentError, Unavailable
from lambent.model.images import DEFAULT_REGISTRY, ImageFacts, ImageReference, parse_image_reference

from .authorizing import AccessDenied, Authorizations, Visitor
from .configs import parse_config
from .credentials import ANONYMOUS, Credential, matching
from .documents import DOCUMENT_BYTES_MAX
from .fetching import Answer, Fetcher, Question, place_of, retry_after
from .manifests import ACCEPT, OCI_MANIFEST, Descriptor, Index, choose, not_supported, parse_manifest

RESOLVES_MAX = 32
RESOLVES_PER_REGISTRY_MAX = 8
"""A registry that is slow for one function shall not be what the others wait for."""
RESOLVE_SECONDS_MAX = 60.0
DOWNLOAD_SECONDS_MAX = 300.0

_API_HOSTS = {DEFAULT_REGISTRY: "registry-1.docker.io"}
_PREFIX = "sha256:"


class _Missing(LambentError):
    """The registry answered 404; with another credential it may answer otherwise."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """One credential's attempt at one image or artifact."""

    reference: ImageReference
    visitor: Visitor
    noun: str

    @property
    def shown(self) -> str:
        """What is asked for, as a message names it."""
        return f"{self.noun} {self.reference.uri}"


class Archive(Protocol):
    """Where a downloaded archive goes (`adapters.sources.spooling.Spool`)."""

    size: int

    def write(self, data: bytes) -> None:
        """Append. Raises FetchFailed past its limit, Unavailable without room."""

    @property
    def sha256_hex(self) -> str:
        """Digest of what was written."""


Chooser = Callable[[str, bytes, str], Descriptor]
"""Name, manifest and its media type → the one part to download. Raises InvalidImage."""
_T = TypeVar("_T")


@dataclass(slots=True)
class _Flight:
    """A resolve that several callers wait for; it ends with the last of them."""

    task: asyncio.Task[ImageFacts]
    callers: int = 0


class RegistryClient:
    """Resolves images at whatever registries their names say.

    `session` decides what may be dialled; `insecure` are the registries (`host[:port]`) that speak plain HTTP.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        insecure: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = Fetcher(session, insecure)
        self._authorizations = Authorizations(self._fetcher, clock)
        self._flights: dict[tuple[ImageReference, str, tuple[Credential, ...]], _Flight] = {}
        self._turns = asyncio.Semaphore(RESOLVES_MAX)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(self, uri: str, architecture: str, pull_secrets: Sequence[Mapping[str, Any]] = ()) -> ImageFacts:
        """What `uri` means for an architecture (x86_64, arm64) now, asked with the pull secrets that fit, in order.

        `pull_secrets` are the decoded documents of Secrets (`.dockerconfigjson`, `.dockercfg`). Callers who ask the
        same with the same credentials at the same time share one answer.

        Raises:
            InvalidImage: only a person can help: the name, the image itself, an address that may not be dialled.
            Unavailable: it may be otherwise next time; `retry_after` is the registry's wish.
        """
        reference = parse_image_reference(uri)
        key = (reference, architecture, matching(reference, pull_secrets))
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._in_turn(*key)))
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.callers -= 1
            if not flight.callers:
                flight.task.cancel()
                if self._flights.get(key) is flight:
                    del self._flights[key]

    async def download(
        self, uri: str, pull_secrets: Sequence[Mapping[str, Any]], choose_part: Chooser, archive: Archive | None
    ) -> Descriptor:
        """What an artifact holds, into an archive that is empty before; without one only what it is.

        Raises as `resolve` does, and FetchFailed.
        """
        try:
            reference = parse_image_reference(uri)
        except InvalidImage:
            raise InvalidImage(f"Artifact {uri} is not valid. Provide a valid artifact.") from None

        async def look(visit: _Visit) -> Descriptor:
            return await self._download(visit, choose_part, archive)

        credentials = matching(reference, pull_secrets)
        async with self._turn(reference, DOWNLOAD_SECONDS_MAX):
            return await self._try_each(reference, credentials, "artifact", look)

    async def _download(self, visit: _Visit, choose_part: Chooser, archive: Archive | None) -> Descriptor:
        reference = visit.reference
        answer = await self._get(visit, f"/manifests/{reference.digest or reference.tag}", OCI_MANIFEST)
        _verified(visit, answer, (reference.digest or "").removeprefix(_PREFIX))
        part = choose_part(reference.uri, answer.body, answer.headers.get("Content-Type", ""))
        if archive is None:
            return part
        try:
            await self._get(visit, f"/blobs/{_PREFIX}{part.digest_hex}", "*/*", (archive, part.size))
        except _Missing:
            raise _incomplete(visit, part) from None
        if (archive.size, archive.sha256_hex) != (part.size, part.digest_hex):
            raise Unavailable(
                f"the registry {reference.registry} answered for {reference.uri} with other bytes than its manifest "
                "names"
            )
        return part

    @asynccontextmanager
    async def _turn(self, reference: ImageReference, seconds: float) -> AsyncIterator[None]:
        """A turn at a registry, and not for ever."""
        turns_here = self._turns_of.setdefault(reference.registry, asyncio.Semaphore(RESOLVES_PER_REGISTRY_MAX))
        async with turns_here, self._turns:
            try:
                async with asyncio.timeout(seconds):
                    yield
            except TimeoutError:
                raise Unavailable(f"the registry {reference.registry} did not answer in time") from None

    async def _in_turn(
        self, reference: ImageReference, architecture: str, credentials: tuple[Credential, ...]
    ) -> ImageFacts:
        async def look(visit: _Visit) -> ImageFacts:
            return await self._look(visit, architecture)

        async with self._turn(reference, RESOLVE_SECONDS_MAX):
            return await self._try_each(reference, credentials, "source image", look)

    async def _try_each(
        self,
        reference: ImageReference,
        credentials: tuple[Credential, ...],
        noun: str,
        look: Callable[[_Visit], Awaitable[_T]],
    ) -> _T:
        host = _API_HOSTS.get(reference.registry, reference.registry)
        registry = self._fetcher.url_of(host, "/").origin()
        missing = False
        for credential in credentials or (ANONYMOUS,):
            visit = _Visit(reference, Visitor(registry, reference.repository, credential), noun)
            try:
                return await look(visit)
            except _Missing:
                missing = True
            except AccessDenied:
                continue
        if missing:
            raise Unavailable(f"{noun.capitalize()} {reference.uri} does not exist. Provide a valid {noun}.")
        raise _denied(reference, len(credentials), noun)

    async def _look(self, visit: _Visit, architecture: str) -> ImageFacts:
        reference = visit.reference
        path = f"/manifests/{reference.digest or reference.tag}"
        answer = await self._get(visit, path, ACCEPT)
        digest_hex = _verified(visit, answer, (reference.digest or "").removeprefix(_PREFIX))
        manifest = parse_manifest(reference.uri, answer.body, answer.headers.get("Content-Type", ""))
        if isinstance(manifest, Index):
            chosen = choose(reference.uri, manifest, architecture)
            answer = await self._get_part(visit, "manifests", chosen, ACCEPT)
            digest_hex = chosen.digest_hex
            manifest = parse_manifest(reference.uri, answer.body, answer.headers.get("Content-Type", ""))
            if isinstance(manifest, Index):
                raise not_supported(reference.uri)
        config = await self._get_part(visit, "blobs", manifest.config, "*/*")
        start = parse_config(reference.uri, config.body, architecture)
        return ImageFacts(
            repository_uri=reference.name,
            digest_hex=digest_hex,
            size=manifest.layers_size,
            entry_point=start.entry_point,
            command=start.command,
            working_directory=start.working_directory,
            architecture=architecture,
        )

    async def _get_part(self, visit: _Visit, kind: str, part: Descriptor, accept: str) -> Answer:
        """Content that a verified document names: exactly those bytes, or an error."""
        if part.size > DOCUMENT_BYTES_MAX:
            raise InvalidImage(
                f"Source image {visit.reference.uri} has a manifest or configuration of {part.size} bytes; "
                f"{DOCUMENT_BYTES_MAX} are taken."
            )
        try:
            answer = await self._get(visit, f"/{kind}/{_PREFIX}{part.digest_hex}", accept)
        except _Missing:
            raise _incomplete(visit, part) from None
        _verified(visit, answer, part.digest_hex)
        return answer

    async def _get(
        self, visit: _Visit, path: str, accept: str, into: tuple[Archive | None, int] = (None, DOCUMENT_BYTES_MAX)
    ) -> Answer:
        sink, bytes_max = into
        visitor = visit.visitor
        url = visitor.registry.with_path(f"/v2/{visitor.repository}{path}", encoded=True)
        authorization = self._authorizations.known(visitor)
        answer = await self._fetcher.ask(Question(url, bytes_max, accept, authorization, sink=sink))
        if answer.status == HTTPStatus.UNAUTHORIZED and answer.origin == visitor.registry:
            authorization = await self._authorizations.obtain(visitor, answer)
            answer = await self._fetcher.ask(Question(url, bytes_max, accept, authorization, sink=sink))
        if answer.status == HTTPStatus.OK:
            return answer
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise AccessDenied
        if answer.status == HTTPStatus.NOT_FOUND:
            raise _Missing
        raise _failed(visit, answer)


def _verified(visit: _Visit, answer: Answer, expected_hex: str) -> str:
    """The digest of the bytes that came, when it is the one that they were announced by."""
    digest_hex = hashlib.sha256(answer.body).hexdigest()
    said = answer.headers.get("Docker-Content-Digest", "")
    if digest_hex != (expected_hex or digest_hex) or (said.startswith(_PREFIX) and said != _PREFIX + digest_hex):
        # perhaps broken on the way; nothing of it is believed
        raise Unavailable(
            f"the registry {visit.reference.registry} answered for {visit.reference.uri} with bytes of another digest "
            f"({_PREFIX}{digest_hex}) than it should"
        )
    return digest_hex


def _incomplete(visit: _Visit, part: Descriptor) -> Unavailable:
    words = f"{visit.shown} is not complete: its registry has no {_PREFIX}{part.digest_hex}."
    return Unavailable(f"{words[0].upper()}{words[1:]} Provide a valid {visit.noun}.")


def _failed(visit: _Visit, answer: Answer) -> LambentError:
    server = place_of(answer.origin)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(f"{server} limits the rate of requests for the {visit.shown} (429)", retry_after(answer))
    return Unavailable(f"{server} answered {answer.status} for the {visit.shown}", retry_after(answer))


def _denied(reference: ImageReference, tried: int, noun: str) -> Unavailable:
    if tried:
        names = "a credential" if tried == 1 else f"{tried} credentials"
        why = f"{names} of the function's imagePullSecrets did not open it"
    else:
        why = "no credential of the function's imagePullSecrets is for it"
    return Unavailable(
        f"Lambent does not have permission to access the {noun} {reference.uri}, or it does not exist: "
        f"{why}. Check the permissions at the registry {reference.registry}."
    )

"""One bounded exchange with a server that a tenant named: so many bytes, so long, so many redirects.

Credentials stay with the origin they were meant for; a redirect to another one (registries keep blobs at storage
services) is followed without them. What may be dialled at all is the session's business (`adapters.outbound`).

Raises:
    InvalidImage: the way leads where nobody may be led, or an answer is larger than any real one.
    Unavailable: everything that may be otherwise next time.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from lambent.model.errors import AddressRefused, InvalidImage, Unavailable

REDIRECTS_MAX = 5
RETRY_AFTER_MAX_S = 3600.0
_ERROR_BYTES_MAX = 64 * 1024
_HOST_CHARS_MAX = 255
_DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=20)
_PIECE_BYTES = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10, sock_read=10)
_HTTP_PORT = 80
_QUOTED = re.compile(r"[!-~]+")
_REDIRECTS = {301, 302, 303, 307, 308}


class Sink(Protocol):
    """Where a large body goes."""

    def write(self, data: bytes) -> None:
        """Append. Blocks: for a thread."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `form`, where there is one, is posted and never sent anywhere else."""

    url: URL
    bytes_max: int
    accept: str = "*/*"
    authorization: str | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    sink: Sink | None = None
    """Takes the body of a good answer, which then has none; `bytes_max` is what was announced."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and by whom after redirects. Of an error's body nothing is kept."""

    status: int
    origin: URL
    headers: CIMultiDictProxy[str]
    body: bytes


class Fetcher:
    """Asks through one session; `insecure` are the hosts (`host[:port]`) that are spoken to by plain HTTP."""

    def __init__(self, session: aiohttp.ClientSession, insecure: frozenset[str]) -> None:
        self._session = session
        self._insecure = frozenset(host.strip().lower() for host in insecure)

    def url_of(self, registry: str, path: str) -> URL:
        """The URL of a path (which needs no quoting) at a registry."""
        scheme = "http" if registry in self._insecure else "https"
        try:
            return URL(f"{scheme}://{registry}{path}", encoded=True)
        except ValueError:
            raise InvalidImage(f"{registry} is not the name of a registry") from None

    def link(self, text: str, start: URL) -> URL:
        """Where a server points to, relative to `start`; without a user, whom nobody asked for."""
        try:
            # what is quoted already stays as it is: it may be signed
            url = start.join(URL(text, encoded=_QUOTED.fullmatch(text) is not None)).with_fragment(None)
            host = url.host
        except ValueError:
            raise Unavailable(f"{place_of(start)} points to what is no address") from None
        if url.scheme not in ("http", "https") or not host or url.user is not None or url.password is not None:
            raise Unavailable(f"{place_of(start)} points to what is no address")
        if url.scheme == "http" and not self._is_insecure(url):
            raise InvalidImage(
                f"{place_of(start)} points to {place_of(url)} by plain HTTP, which only the registries have that the "
                "installation names as insecure"
            )
        return url

    def _is_insecure(self, url: URL) -> bool:
        place = place_of(url)
        same = {place, place.removesuffix(":80"), f"{place}:80"} if url.port == _HTTP_PORT else {place}
        return not same.isdisjoint(self._insecure)

    async def ask(self, question: Question) -> Answer:
        """The answer at the end of all redirects. Raises as the module says."""
        for _ in range(REDIRECTS_MAX + 1):
            answer = await self._exchange(question)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None or question.form is not None:
                return answer
            target = self.link(location, question.url)
            kept = question.authorization if target.origin() == question.url.origin() else None
            question = replace(question, url=target, authorization=kept)
        raise Unavailable(f"{place_of(question.url)} redirects more than {REDIRECTS_MAX} times")

    async def _exchange(self, question: Question) -> Answer:
        headers = {"Accept": question.accept, "Accept-Encoding": "identity", "User-Agent": "lambent"}
        if question.authorization is not None:
            headers["Authorization"] = question.authorization
        method, place = "GET" if question.form is None else "POST", place_of(question.url)
        try:
            async with self._session.request(
                method,
                question.url,
                headers=headers,
                data=question.form,
                timeout=_TIMEOUT if question.sink is None else _DOWNLOAD_TIMEOUT,
                allow_redirects=False,
                auto_decompress=False,
            ) as response:
                return await _read(response, question)
        except AddressRefused as error:
            raise InvalidImage(f"{place} cannot be asked: {error}") from None
        except TimeoutError:
            raise Unavailable(f"{place} did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # without the error itself: its text, and its traceback's, may hold a URL with a signature in it
            raise Unavailable(f"no answer from {place}: {_reason(error)}") from None


def retry_after(answer: Answer) -> float | None:
    """The seconds that the server asks for, as seconds or as a date; at most an hour."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(0.0, seconds), RETRY_AFTER_MAX_S) if math.isfinite(seconds) else None


async def _read(response: aiohttp.ClientResponse, question: Question) -> Answer:
    good = response.status == HTTPStatus.OK
    place = place_of(response.url)
    if good and response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unavailable(f"{place} answers in an encoding that it was not asked for")
    limit = question.bytes_max if good else _ERROR_BYTES_MAX
    body = bytearray()
    if not good:  # what matters is in the status; the rest is read only so that the connection can be used again
        await response.content.read(limit)
    elif question.sink is not None:
        await _pour(response, question.sink, limit)
    elif (response.content_length or 0) > limit:
        raise _too_large(place, limit)
    else:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > limit:
                raise _too_large(place, limit)
    return Answer(response.status, response.url.origin(), response.headers, bytes(body))


async def _pour(response: aiohttp.ClientResponse, sink: Sink, limit: int) -> None:
    size = 0
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise Unavailable(f"{place_of(response.url)} answers with more bytes than the manifest names")
        await asyncio.to_thread(sink.write, piece)


def _too_large(place: str, limit: int) -> InvalidImage:
    return InvalidImage(f"{place} answers with more than {limit} bytes where a manifest or a configuration is expected")


def place_of(url: URL) -> str:
    """`host[:port]` as references and settings have it; never a path or query, which may hold a signature."""
    port = "" if url.explicit_port is None else f":{url.explicit_port}"
    return f"{(url.host_subcomponent or '').lower()[:_HOST_CHARS_MAX]}{port}"


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        certificate_error = error.certificate_error
        return f"its certificate is not trusted ({getattr(certificate_error, 'verify_message', '') or 'not verified'})"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return (
            "it does not speak TLS as it should; a registry without TLS has to be named in the installation's insecure "
            "registries"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return type(error).__name__

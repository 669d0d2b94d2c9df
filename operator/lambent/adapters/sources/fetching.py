"""One GET into a temporary file, within bounds. What a server does wrong becomes a trouble, in words for people.

Words name what the tenant named (the host of the address), never an address behind it, a header or a query: a query
may be a signature.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
from yarl import URL

from lambent.model import limits
from lambent.model.errors import AddressRefused, FetchFailed
from lambent.model.troubles import Trouble

from .spooling import Spool, too_large

_READ_BYTES = 256 * 1024
_TRANSIENT = frozenset({408, 425, 429})
_MISSING = frozenset({404, 410})
_DENIED = frozenset({401, 403, 407})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one fetch may cost."""

    size: int = limits.FETCHED_BYTES_MAX
    total_s: float = 300.0
    connect_s: float = 10.0
    idle_s: float = 20.0
    """Between two pieces."""
    folder: str | None = None
    """Of the temporary file; the system's when None."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came, as long as its context lasts."""

    spool: Spool
    media_type: str
    """What the server said it was."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. Its representation shows no header: they may be credentials."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    redirects: bool = True
    explain: Callable[[aiohttp.ClientResponse], Awaitable[FetchFailed]] | None = field(default=None, repr=False)
    """Words of a protocol above HTTP for an answer that is not 200."""


@asynccontextmanager
async def fetched(session: aiohttp.ClientSession, request: Request, bounds: Bounds) -> AsyncIterator[Fetched]:
    """The body of a successful answer. Raises FetchFailed, Unavailable when there is no room for it."""
    url = _parsed(request.url)
    spool = Spool(bounds.size, bounds.folder)
    try:
        with troubles(url.host or ""):
            async with asyncio.timeout(bounds.total_s):
                media_type = await _download(session, request, spool, bounds)
        yield Fetched(spool, media_type)
    finally:
        spool.close()


@contextmanager
def troubles(host: str) -> Iterator[None]:
    """Turn everything that a request can end with into FetchFailed."""
    try:
        yield
    except AddressRefused as refused:
        raise FetchFailed(Trouble.REFUSED, f"{host}: {refused}") from None
    except (aiohttp.TooManyRedirects, aiohttp.RedirectClientError, aiohttp.InvalidURL) as error:
        # a Location that is none, or an address in a notation that only C libraries understand
        raise FetchFailed(Trouble.REDIRECTED, f"{host}: it leads to no address that can be asked") from error
    except aiohttp.ClientSSLError as error:
        raise FetchFailed(Trouble.DISTRUSTED, f"{host}: TLS failed: {_tls_words(error)}") from error
    except TimeoutError as error:
        raise FetchFailed(Trouble.SLOW, f"{host}: it did not answer, or not in time") from error
    except (aiohttp.ClientError, asyncio.IncompleteReadError, UnicodeError) as error:
        raise FetchFailed(Trouble.UNREACHABLE, f"{host}: {_words(error)}") from error


def _parsed(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        _ = url.port
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise FetchFailed(Trouble.MALFORMED, "it is no http or https address")
    return url


async def _download(session: aiohttp.ClientSession, request: Request, spool: Spool, bounds: Bounds) -> str:
    timeout = aiohttp.ClientTimeout(sock_connect=bounds.connect_s, sock_read=bounds.idle_s)
    headers = {"Accept-Encoding": "identity", "User-Agent": "lambent", **request.headers}
    async with session.get(
        URL(request.url, encoded=True),  # as it is: quoting it anew would break signatures
        headers=headers,
        timeout=timeout,
        allow_redirects=request.redirects,
        auto_decompress=False,
    ) as response:
        if response.status != HTTPStatus.OK:
            raise await request.explain(response) if request.explain else _refused(response)
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise FetchFailed(
                Trouble.ENCODED, f"it came with Content-Encoding {encoding[:40]!r}, which nobody asked for"
            )
        if (response.content_length or 0) > bounds.size:
            raise too_large(bounds.size)
        async for piece in response.content.iter_chunked(_READ_BYTES):
            await asyncio.to_thread(spool.write, piece)
        return response.content_type


def _refused(response: aiohttp.ClientResponse) -> FetchFailed:
    words = f"{response.url.host} answered {status_words(response.status)}"
    return FetchFailed(trouble_of(response.status), words)


def trouble_of(status: int) -> Trouble:
    """What an HTTP status means that is not 200."""
    if status in _MISSING:
        return Trouble.MISSING
    if status in _DENIED:
        return Trouble.DENIED
    if status in _TRANSIENT or status >= 500:
        return Trouble.UNREACHABLE
    return Trouble.REJECTED if status >= 400 else Trouble.REDIRECTED


def status_words(status: int) -> str:
    """A status with the words of its standard; what a server says instead is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _tls_words(error: aiohttp.ClientSSLError) -> str:
    certificate = getattr(error, "certificate_error", None)
    if certificate is not None:
        return str(getattr(certificate, "verify_message", "") or "its certificate is not valid")
    return str(getattr(error.os_error, "reason", "") or "no common protocol").lower().replace("_", " ")


def _words(error: Exception) -> str:
    """Why, without what some client errors hold: the address with its query, the resolved address."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno) if error.os_error.errno > 0 else "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer was cut short"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    return f"the answer is no HTTP that we understand ({type(error).__name__})"

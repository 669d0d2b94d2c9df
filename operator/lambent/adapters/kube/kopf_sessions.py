"""The HTTP session that kopf speaks through (its `AiohttpSession` credentials): how requests are made is ours.

What kopf leaves open is closed below it, where no internals of kopf are touched: a silent watch ends where it is read
(kopf's own timeout may strike its task elsewhere, which then ends without a word); a watch that ends at once, again
and again, does not spin; every try and every event is a sign of life; a pod's rotating token is read each time.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import kopf

from .pulses import Pulses

TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class WatchPace:
    """How patient watches are, in seconds."""

    silence: float = 72.0
    """The API server sends a bookmark about once a minute, and keeps what was missed for 75 s at least."""
    brief: float = 1.0
    """A watch that ends sooner is a failure."""
    first_wait: float = 0.1
    longest_wait: float = 5.0
    dice: Callable[[], float] = field(default=random.random)

    def wait(self, failures: int) -> float:
        """Before the next watch, after so many brief ones in a row."""
        longest = min(self.longest_wait, self.first_wait * 2 ** min(failures, 16))
        return float(longest * (0.5 + self.dice() / 2))


class Backoffs:
    """kopf's waits between tries of one request: without an end, with jitter.

    An API server that is away is waited for; what kopf does when it gives up is end. The longest wait and the longest
    silence together are shorter than what the kubelet is told of.
    """

    def __init__(self, first: float = 0.5, longest: float = 10.0, dice: Callable[[], float] = random.random) -> None:
        self._first, self._longest, self._dice = first, longest, dice

    def __iter__(self) -> Iterator[float]:
        for number in itertools.count():
            yield min(self._longest, self._first * 2 ** min(number, 16)) * (0.5 + self._dice() / 2)


def session_for(
    connection: kopf.ConnectionInfo, pulses: Pulses, pace: WatchPace = WatchPace(), token_file: Path | None = None
) -> kopf.AiohttpSession:
    """Credentials for kopf, as an HTTP session. To be called where the session's event loop runs."""
    headers = {} if token_file else connection.as_http_headers()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=connection.as_ssl_context()),
        headers=headers,
        middlewares=(_Watches(pulses, pace, token_file).pass_on,),
    )
    return kopf.AiohttpSession(
        server=connection.server, aiohttp_session=session, default_namespace=connection.default_namespace
    )


class _Watches:
    """What happens to every request of one session."""

    def __init__(self, pulses: Pulses, pace: WatchPace, token_file: Path | None) -> None:
        self._pulses = pulses
        self._pace = pace
        self._token_file = token_file
        self._begun: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    async def pass_on(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        path = request.url.path
        self._pulses.beat(path)
        if self._token_file is not None:
            request.headers["Authorization"] = f"Bearer {self._token_file.read_text(encoding='ascii').strip()}"
        if request.url.query.get("watch") != "true":
            return await handler(request)
        await self._slow_down(path)
        async with asyncio.timeout(self._pace.silence):
            response = await handler(request)
        # what kopf reads of a watch is read through here
        response.content = cast(aiohttp.StreamReader, _Reading(response.content, path, self._pulses, self._pace))
        return response

    async def _slow_down(self, path: str) -> None:
        now = asyncio.get_running_loop().time()
        brief = path in self._begun and now - self._begun[path] < self._pace.brief
        failures = self._failures[path] = self._failures.get(path, 0) + 1 if brief else 0
        if failures:
            await asyncio.sleep(self._pace.wait(failures))
        self._begun[path] = asyncio.get_running_loop().time()


class _Reading:
    """The body of a watch: every piece is a sign of life, and so long a silence is the end of it."""

    def __init__(self, content: aiohttp.StreamReader, watcher: str, pulses: Pulses, pace: WatchPace) -> None:
        self._content = content
        self._watcher = watcher
        self._pulses = pulses
        self._pace = pace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """As aiohttp's. Raises TimeoutError after a silence, which kopf takes as a reason to watch anew."""
        while True:
            async with asyncio.timeout(self._pace.silence):
                piece = await self._content.read(size)
            self._pulses.beat(self._watcher)
            if not piece:
                return
            yield piece

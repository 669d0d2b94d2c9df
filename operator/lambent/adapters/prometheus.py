"""Questions to a Prometheus, or to whatever speaks its HTTP API: one instant query, one number.

Every call is bounded in time and in size. What cannot be asked is told in words that the person who wrote the query
understands: they end up in the status of an Alias.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from lambent.model.errors import Unavailable

QUERY_SECONDS_MAX = 5.0
"""Prometheus is told the same limit: it does not go on with what nobody waits for."""
ANSWER_BYTES_MAX = 1024 * 1024
"""One number is wanted; an answer beyond this is a query that selects half the world."""
_WORDS_MAX = 512


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Where it is."""

    url: str = ""
    """Base URL, without `/api/v1` and without a slash at its end. Empty: there is none."""
    token_file: str = ""
    """File with a bearer token, read anew for every question. Empty: no token is sent."""
    ca_file: str = ""
    """PEM file of the only authorities that may vouch for it. Empty: those of this machine."""


class PrometheusClient:
    """Asks one Prometheus."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: PrometheusSettings, seconds: float = QUERY_SECONDS_MAX
    ) -> None:
        self._session = session
        self._url = f"{settings.url}/api/v1/query"
        self._token_file = settings.token_file
        self._authorities = _Authorities(settings.ca_file)
        self._seconds = seconds

    async def ask(self, query: str) -> float | None:
        """The one number that a query has as its result now; None when it selects nothing. It may be NaN.

        Raises:
            Unavailable: with what is in the way: it does not answer, it does not understand the query, or the result
                is not one number.
        """
        form = {"query": query, "timeout": f"{self._seconds:g}s"}
        how = {"headers": await self._headers(), "ssl": await asyncio.to_thread(self._authorities.context)}
        try:
            status, body = await self._send("POST", data=form, **how)
            if status == 405:  # some proxies let only reading methods through
                status, body = await self._send("GET", params=form, **how)
        except TimeoutError as error:
            raise Unavailable(f"no answer within {self._seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{error}"[:_WORDS_MAX] or repr(error)) from error
        return _number(_document(status, body))

    async def _send(self, method: str, **how: Any) -> tuple[int, bytes]:
        limits = aiohttp.ClientTimeout(total=self._seconds)
        async with self._session.request(method, self._url, timeout=limits, allow_redirects=False, **how) as answer:
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise Unavailable(f"the answer is over {ANSWER_BYTES_MAX} bytes; an alarm needs one number")
            return answer.status, bytes(body)

    async def _headers(self) -> dict[str, str]:
        if not self._token_file:
            return {}
        try:  # tokens are rotated
            token = await asyncio.to_thread(Path(self._token_file).read_text, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise Unavailable(f"the token for Prometheus cannot be read: {error}") from error
        return {"Authorization": f"Bearer {token.strip()}"}


class _Authorities:
    """Who may vouch for the server; read anew when the file has changed, since authorities are rotated too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: tuple[tuple[int, int], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext | bool:
        """What a session takes: True means the machine's own authorities.

        Raises:
            Unavailable: there is no such file, or no certificate in it.
        """
        if not self._path:
            return True
        try:
            found = Path(self._path).stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, ssl.create_default_context(cafile=self._path))
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise Unavailable(f"the authorities for Prometheus cannot be read: {error}") from error
        return self._known[1]


def _document(status: int, body: bytes) -> dict[str, Any]:
    """The `data` of an answer."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
        raise Unavailable(f"answered {status}, and not as a Prometheus does")
    if answer["status"] == "error":
        raise Unavailable(f"{answer.get('errorType')}: {answer.get('error')}"[:_WORDS_MAX])
    data = answer.get("data")
    return data if isinstance(data, dict) else {}


def _number(data: dict[str, Any]) -> float | None:
    kind, result = data.get("resultType"), data.get("result")
    try:
        if kind == "scalar" and isinstance(result, list):
            return float(result[1])
        if kind == "vector" and isinstance(result, list):
            if not result:
                return None
            if len(result) > 1:
                raise Unavailable(
                    f"the query has {len(result)} series as its result, an alarm needs one number: aggregate them, as "
                    "sum(…) does"
                )
            return float(result[0]["value"][1])
    except (KeyError, IndexError, TypeError, ValueError):
        raise Unavailable("the query's result is no number") from None
    raise Unavailable(f"the query's result is a {kind}, an alarm needs one number")

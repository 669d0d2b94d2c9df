"""The internal door of gateways, as the controller calls it: streams of demand, retiring environments, invoking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from lambent.model.errors import Unavailable

LINE_BYTES_MAX = 4 * 1024 * 1024
"""A line names every idle environment of a key; beyond this the peer is not a gateway."""
ANSWER_BYTES_KEPT = 64 * 1024
"""Of what an invocation answers. Whoever asks through this door wants to know how it ended, not all it said."""
INVOKE_SECONDS_MAX = 960.0
"""The longest function timeout, and time for a cold start before it."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """What a gateway said of the environments it was asked to give up."""

    retired: frozenset[str]
    """Out of its index and drained: nothing runs there and nothing will."""
    busy: frozenset[str]


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a gateway answered to an invocation."""

    status: int
    function_error: str
    """Handled or Unhandled, as Lambda says it; empty when the function ended well or was not reached."""
    body: bytes
    """The first 64 kB of it."""


class GatewayClient:
    """Calls gateways under `http://<ip>:<port>`, with the process's own token for the internal audience."""

    def __init__(self, session: aiohttp.ClientSession, token_file: str) -> None:
        self._session = session
        self._token_file = token_file

    async def demand(self, url: str, silence: float) -> AsyncGenerator[bytes, None]:
        """Lines of `GET /v1/demand`; an empty one is a heartbeat. Ends with the stream or after `silence` seconds.

        Raises:
            Unavailable: when the gateway does not answer, or answers something else.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=silence)
        try:
            async with self._session.get(f"{url}/v1/demand", headers=await self._headers(), timeout=limits) as answer:
                if answer.status != 200:
                    raise Unavailable(f"{url}/v1/demand answered {answer.status}")
                yield b""  # connected
                rest = bytearray()
                async for chunk in answer.content.iter_any():
                    rest += chunk
                    *lines, last = rest.split(b"\n")
                    rest = bytearray(last)
                    if len(rest) > LINE_BYTES_MAX:
                        raise Unavailable(f"{url}/v1/demand: a line is over {LINE_BYTES_MAX} bytes")
                    for line in lines:
                        yield bytes(line)
        except aiohttp.SocketTimeoutError:
            return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{url}/v1/demand: {error!r}") from error

    async def retire(self, url: str, pods: Iterable[str]) -> Retirement:
        """Ask a gateway to give up environments, named as its demand names them.

        Raises:
            Unavailable: when the gateway does not answer: then nothing is known of them.
        """
        limits = aiohttp.ClientTimeout(total=15.0, sock_connect=2.0)
        try:
            async with self._session.post(
                f"{url}/v1/retire", json={"pods": list(pods)}, headers=await self._headers(), timeout=limits
            ) as answer:
                if answer.status != 200:
                    raise Unavailable(f"{url}/v1/retire answered {answer.status}")
                fields = await answer.json(content_type=None)
                return Retirement(frozenset(map(str, fields["retired"])), frozenset(map(str, fields["busy"])))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{url}/v1/retire: {error!r}") from error

    async def invoke(self, url: str, target: str, event: bytes) -> Invocation:
        """Invoke `<namespace>/<function>:<qualifier>` with an event, whatever that is answered with.

        Raises:
            Unavailable: when the gateway does not answer: whether the function was reached is not known.
        """
        limits = aiohttp.ClientTimeout(total=INVOKE_SECONDS_MAX, sock_connect=2.0)
        headers = {**await self._headers(), "Lambent-Target": target, "Content-Type": "application/json"}
        try:
            async with self._session.post(f"{url}/v1/invoke", data=event, headers=headers, timeout=limits) as answer:
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece[: ANSWER_BYTES_KEPT - len(body)]
                error = answer.headers.get("X-Amz-Function-Error") or ""
                return Invocation(answer.status, error, bytes(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{url}/v1/invoke: {error!r}") from error

    async def _headers(self) -> dict[str, str]:
        # the kubelet rotates projected tokens: read again each time
        try:
            token = await asyncio.to_thread(Path(self._token_file).read_text, encoding="utf-8")
        except OSError as error:
            raise Unavailable(f"internal token: {error}") from error
        return {"Authorization": f"Bearer {token.strip()}"}

"""Port 8081: what the controller asks, invocations among it. Every call is authenticated.

Nothing here is reachable on the public door.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

from aiohttp import web

from lambent.model import limits

from .authenticating import Authenticator, Verdict
from .demand_streams import DemandStreams
from .internal_invocations import InternalInvocations
from .pools import Pools
from .retiring import Retiring

BODY_BYTES_MAX = 1024 * 1024
BODY_SECONDS = 30.0

_WORDS = {
    Verdict.UNAUTHENTICATED: ("Unauthorized", "a service-account token for the audience lambent-internal is needed"),
    Verdict.FORBIDDEN: ("Forbidden", "this user may not use the internal door"),
    Verdict.UNKNOWN: ("Unavailable", "the API server cannot be asked who this is"),
}


class InternalDoor:
    """The handler of the internal port."""

    def __init__(
        self,
        authenticator: Authenticator,
        pools: Pools,
        streams: DemandStreams,
        retiring: Retiring,
        invocations: InternalInvocations,
    ) -> None:
        self._authenticator = authenticator
        self._pools = pools
        self._streams = streams
        self._retiring = retiring
        self._invocations = invocations

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        verdict = await self._authenticator.check(request.headers.get("Authorization"))
        if verdict is not Verdict.GRANTED:
            return _failure(verdict.value, *_WORDS[verdict])
        match (request.method, request.path):
            case ("GET", "/v1/demand"):
                return await self._demand(request)
            case ("POST", "/v1/retire"):
                return await self._retire(request)
            case ("POST", "/v1/invoke"):
                return await self._invocations.answer(request, await _read(request, limits.REQUEST_BYTES_MAX))
        return _failure(404, "NotFound", "no such call")

    async def _demand(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            async with aclosing(self._streams.lines(self._pools)) as lines:
                async for line in lines:
                    await response.write(line)
        except ConnectionError:  # the controller went away
            pass
        return response

    async def _retire(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await _read(request)
        if body is None:
            return _failure(413, "TooLarge", "the list of pods is too long")
        pods = _pods(body)
        if pods is None:
            return _failure(400, "BadRequest", "the body must be {pods: [namespace/name, …]}")
        retired, busy = await self._retiring.retire(dict.fromkeys(pods))
        return web.json_response({"retired": retired, "busy": busy})


async def _read(request: web.BaseRequest, most: int = BODY_BYTES_MAX) -> bytes | None:
    """The body; None over the limit. Raises TimeoutError: it does not come."""
    if (request.content_length or 0) > most:
        return None
    body = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        while piece := await request.content.readany():
            body += piece
            if len(body) > most:
                return None
    return bytes(body)


def _pods(body: bytes) -> list[str] | None:
    try:
        pods = json.loads(body)["pods"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return pods if isinstance(pods, list) and all(isinstance(pod, str) for pod in pods) else None


def unreadable(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:  # noqa: ARG001 - the words are the same
    """Headers and body of the answer to what is no request."""
    body = json.dumps({"errorType": "BadRequest", "errorMessage": "the request cannot be read"}).encode()
    return [(b"Content-Type", b"application/json; charset=utf-8")], body


def _failure(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"errorType": kind, "errorMessage": message}, status=status)

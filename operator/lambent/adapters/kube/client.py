"""Requests to the API server: JSON in, JSON out, failures typed by what the caller can do about them.

The library brings configuration, credentials and TLS; its generated models stay out of hot paths.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from lambent.adapters.kube.resources import JSON, Resource
from lambent.model.errors import Refused, Unavailable

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
RETRIES_ON_429 = 3
"""A 429 was never executed (API priority and fairness), so even a write may be sent again."""
RETRY_AFTER_MAX_S = 10.0

_Query = Mapping[str, str | int | bool]
_DROPPED = (aiohttp.ClientError, TimeoutError, OSError)


class KubeClient:
    """The API server. One per process; `async with` closes its connections.

    Every call raises `Refused` for a 4xx answer (its `status` and `reason` tell 404 NotFound from 409 AlreadyExists
    and 409 Conflict) and `Unavailable` for 5xx, 429 and everything that is no answer.
    """

    def __init__(self, library: ApiClient, dice: Callable[[], float] = random.random) -> None:
        self._dice = dice
        self.library = library
        """The library's client, for the parts of the library that want one (leader election)."""

    @classmethod
    async def connect(cls) -> Self:
        """A client configured by the file `KUBECONFIG` names, else by the pod it runs in."""
        configuration = Configuration()
        kubeconfig = os.environ.get("KUBECONFIG")
        if kubeconfig or "KUBERNETES_SERVICE_HOST" not in os.environ:
            await config.load_kube_config(
                config_file=kubeconfig or None, client_configuration=configuration, persist_config=False
            )
        else:
            config.load_incluster_config(client_configuration=configuration)
        return cls(ApiClient(configuration))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self.library.close()

    async def request(  # noqa: PLR0913 - the parts of an HTTP request
        self,
        method: str,
        path: str,
        *,
        query: _Query | None = None,
        body: Any = None,
        content_type: str | None = None,
        accept: str = JSON,
        timeout: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """One request and its answer's object. Waits as told and tries again when the server is too busy (429)."""
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT_S)
        headers = {"Accept": accept, "Content-Type": content_type or JSON}
        for attempt in range(RETRIES_ON_429 + 1):
            try:
                answer = await self._send(method, _url(path, query), headers, body, limits)
                try:
                    if answer.status < 400:
                        return _object(await answer.read())
                    failure = await _failure(answer)
                finally:
                    answer.release()
            except _DROPPED as error:
                raise Unavailable(f"{method} {path}: {error!r}") from error
            if answer.status != 429 or attempt == RETRIES_ON_429:
                raise failure
            asked = min(getattr(failure, "retry_after", None) or 1.0, RETRY_AFTER_MAX_S)
            # never sooner than asked, and not all at once: everybody was told the same second
            await asyncio.sleep(asked * (1 + self._dice() * 2**attempt / 2))
        raise AssertionError("unreachable")

    async def apply(
        self, path: str, body: Mapping[str, Any], manager: str, *, force: bool = False, subresource: str = ""
    ) -> dict[str, Any]:
        """Server-side apply of the fields in `body` under the field manager `manager`."""
        query: dict[str, str | bool] = {"fieldManager": manager, "force": force}
        target = f"{path}/{subresource}" if subresource else path
        return await self.request("PATCH", target, query=query, body=body, content_type=APPLY_PATCH)

    async def delete(self, path: str, uid: str, *, timeout: float = TIMEOUT_S, **options: Any) -> bool:
        """Delete an object, if it is still the one with this uid; False when it is gone, or another by now."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}, **options}
        try:
            await self.request("DELETE", path, body=body, timeout=timeout)
        except Refused as error:
            if error.status not in (404, 409):
                raise
            return False
        return True

    async def offers(self, resource: Resource, subresource: str) -> bool:
        """Whether the API server serves this subresource; what it does not say counts as no."""
        try:
            answer = await self.request("GET", resource.prefix)
        except Refused:
            return False
        wanted = f"{resource.plural}/{subresource}"
        return any(one.get("name") == wanted for one in answer.get("resources") or [])

    async def stream(self, path: str, query: _Query, accept: str = JSON) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a watch, until the server or the caller ends it. Silence is for the caller to judge."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        try:
            answer = await self._send("GET", _url(path, query), {"Accept": accept}, None, limits)
            try:
                if answer.status >= 400:
                    raise await _failure(answer)
                async for line in _lines(answer.content):
                    event = json.loads(line)
                    if not isinstance(event, dict):
                        raise ValueError("an event that is no object")  # noqa: TRY004 - as any broken line
                    yield event
            finally:
                answer.close()
        except (*_DROPPED, ValueError) as error:
            raise Unavailable(f"watch {path}: {error!r}") from error

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: Any, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = dict(headers)
        # asked for each time: the library reads the pod's rotating token file again
        await self.library.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        address = self.library.configuration.host + url
        wrapped = await self.library.rest_client.request(
            method, address, headers=headers, body=body, _request_timeout=limits
        )
        response: aiohttp.ClientResponse = wrapped.response
        return response


def _url(path: str, query: _Query | None) -> str:
    if not query:
        return path
    pairs = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
    return f"{path}?{urlencode(pairs)}"


def _object(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data) if data else {}
    except ValueError as error:
        raise Unavailable(f"the API server's answer is not JSON: {error}") from error
    return answer if isinstance(answer, dict) else {}


async def _failure(answer: aiohttp.ClientResponse) -> Refused | Unavailable:
    text = await answer.text(errors="replace")
    try:
        status = json.loads(text)
    except ValueError:
        status = None
    if not isinstance(status, dict):  # a proxy spoke, not the API server
        status = {"message": text[:500]}
    message = str(status.get("message") or answer.reason)
    if answer.status == 429 or answer.status >= 500:
        return Unavailable(message, _retry_after(answer, status))
    return Refused(str(status.get("reason") or answer.reason), message, answer.status)


def _retry_after(answer: aiohttp.ClientResponse, status: Mapping[str, Any]) -> float | None:
    asked = answer.headers.get("Retry-After") or (status.get("details") or {}).get("retryAfterSeconds")
    try:
        return float(asked) if asked is not None else None
    except (TypeError, ValueError):  # the date form, which the API server does not use
        return None


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: one object may exceed the reader's own line limit."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" not in chunk:
            continue
        *whole, last = rest.split(b"\n")
        rest = bytearray(last)
        for line in whole:
            if line:
                yield bytes(line)

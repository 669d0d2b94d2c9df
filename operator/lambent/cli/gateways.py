"""The gateway's public door: straight to its address, or through the API server to its Service.

The API server keeps `Authorization` for itself, so who we are to the gateway goes as `X-Amz-Security-Token`, which the
gateway takes from AWS's own clients, too. A payload goes in chunks there: when a gateway answers in the very moment in
which it has the last byte of a body of known length, Go's proxy may cut the answer off (measured: 3 to 20 of 100
payloads over 300 kB, HTTP/1.1); a chunked body ends only after the proxy has seen its end.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from lambent.model.errors import Refused

from .clusters import Cluster, refusal
from .connections import CHUNKED, Answer, Connections, NoAnswer, Peer
from .functions import Named
from .identities import Identity
from .outcomes import CommandFailed, ExitCode, failure_of
from .releases import Release

_CODES = {
    400: ExitCode.USAGE,
    401: ExitCode.DENIED,
    403: ExitCode.DENIED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.NOT_READY,
    413: ExitCode.USAGE,
    415: ExitCode.USAGE,
    429: ExitCode.THROTTLED,
}
_TOKEN_HINTS = {
    "UnrecognizedClientException": "the gateway knows no such token: is it of this cluster, and does the installation "
    "ask for an audience of its own (--audience)?",
    "ExpiredTokenException": "get a new token; with --service-account one is made for each command",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation as it was asked for."""

    function: Named
    payload: bytes
    qualifier: str | None = None
    invocation_type: str = "RequestResponse"
    client_context: str | None = None
    """JSON, as text."""
    tail: bool = False
    timeout: float = 960.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The head of a function's answer; the body is read from `body`."""

    status: int
    request_id: str
    executed_version: str
    function_error: str | None
    log: str | None
    body: Iterator[bytes]


class Door:
    """A way to the gateway."""

    def __init__(
        self,
        connections: Connections,
        prefix: str = "",
        headers: list[tuple[str, str]] | None = None,
        release: Release | None = None,
    ) -> None:
        self._connections = connections
        self._prefix = prefix
        self._headers = headers or []
        self.release = release
        """None where the gateway's own address was given."""

    @classmethod
    def at(cls, url: str) -> Door:
        """The gateway's own address."""
        return cls(Connections(Peer(url)))

    @classmethod
    def through(cls, cluster: Cluster, release: Release) -> Door:
        """By way of the API server."""
        return cls(cluster.connections, release.proxy_path, [*cluster.headers(), CHUNKED], release)

    @property
    def is_private(self) -> bool:
        """Whether nobody else reads what we send."""
        return self._connections.is_private

    @contextmanager
    def invoke(self, call: Call, identity: Identity) -> Iterator[Outcome]:
        """Send it once, and hand out its outcome.

        Raises:
            CommandFailed: there is no answer of the function; its code says why.
            Unavailable: there is no answer at all.
        """
        target = f"{self._prefix}/2015-03-31/functions/{quote(call.function.text, safe=':')}/invocations"
        if call.qualifier:
            target += "?" + urlencode({"Qualifier": call.qualifier})
        headers = [*self._headers, *_headers(call, identity)]
        try:
            answer = self._connections.request("POST", target, headers, call.payload, call.timeout)
        except NoAnswer as error:
            hint = "the function may still be running: an invocation is sent once and never again"
            raise CommandFailed(ExitCode.UNREACHABLE, str(error), hint) from error
        with answer:
            if answer.status >= 300:
                raise self._failure(answer)
            log = answer.headers.get("X-Amz-Log-Result")
            yield Outcome(
                status=answer.status,
                request_id=answer.headers.get("x-amzn-RequestId", ""),
                executed_version=answer.headers.get("X-Amz-Executed-Version", ""),
                function_error=answer.headers.get("X-Amz-Function-Error"),
                log=None if log is None else _decoded(log),
                body=answer.chunks(),
            )

    def _failure(self, answer: Answer) -> CommandFailed:
        kind, body = answer.headers.get("x-amzn-ErrorType"), answer.read()
        if kind:
            kind = kind.partition(":")[0]
            code = _CODES.get(answer.status, ExitCode.SERVICE_FAILED)
            return CommandFailed(code, f"{kind}: {_message(body)}", _TOKEN_HINTS.get(kind, ""))
        if self.release is None:
            text = body[:200].decode("utf-8", "replace").strip()
            message = (
                f"{self._connections.url} does not answer like Lambent's gateway: HTTP status {answer.status} {text}"
            )
            return CommandFailed(_CODES.get(answer.status, ExitCode.UNREACHABLE), message.rstrip())
        return self._refused_on_the_way(answer.status, answer.headers, body)

    def _refused_on_the_way(self, status: int, headers: Mapping[str, str], body: bytes) -> CommandFailed:
        assert self.release is not None
        error = refusal(status, headers, body)
        failed = failure_of(error)
        if status == 403 and isinstance(error, Refused):
            failed.hint = (
                "going through the API server needs the right to 'create' services/proxy in the namespace "
                f"{self.release.namespace}; without it give the gateway's address with --endpoint-url"
            )
        if status == 413:
            failed.hint = "the API server limits bodies: give the gateway's own address with --endpoint-url"
        return failed


def _headers(call: Call, identity: Identity) -> Iterator[tuple[str, str]]:
    yield "Content-Type", "application/json"
    yield "X-Amz-Invocation-Type", call.invocation_type
    if call.function.namespace:
        yield "X-Lambent-Namespace", call.function.namespace
    if identity.token:
        yield "X-Amz-Security-Token", identity.token
    if call.tail:
        yield "X-Amz-Log-Type", "Tail"
    if call.client_context:
        yield "X-Amz-Client-Context", base64.b64encode(call.client_context.encode()).decode()


def _decoded(log: str) -> str:
    try:
        return base64.b64decode(log).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _message(body: bytes) -> str:
    """AWS spells the member `message` or `Message`."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return body[:200].decode("utf-8", "replace")
    return str(said.get("message") or said.get("Message") or said)

"""The Telemetry API 2022-07-01 and the older Logs API 2020-08-15, on the Runtime API's port, as Lambda answers them."""

import json
from collections.abc import Callable
from typing import Final

from .extension_states import ExtensionRefusal
from .journal import Journal
from .protocol.http1 import Request
from .protocol.names import DOOR_PORT, RUNTIME_API_PORT
from .protocol.writing import encode_response
from .runtime_api import Route, RuntimeConnection

_TELEMETRY: Final = b"/2022-07-01/telemetry"
_LOGS: Final = b"/2020-08-15/logs"
_MOST_BODY: Final = 64 * 1024

_JSON: Final = ((b"Content-Type", b"application/json"),)
_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"),)
_NOT_FOUND: Final = encode_response(404, _PLAIN, b"404 page not found\n")
_NOT_ALLOWED: Final = encode_response(405, ())
_OK: Final = encode_response(200, _JSON, b'"OK"')

Name = Callable[[Request], str]
"""Of the extension that asks; raises ExtensionRefusal."""


class TelemetryApi:
    """`name_of` knows the extensions of the present generation; `ports` are those on which the agent listens."""

    def __init__(self, journal: Journal, name_of: Name, ports: tuple[int, ...] = ()) -> None:
        self._journal = journal
        self._name_of = name_of
        self._reserved = frozenset((DOOR_PORT, RUNTIME_API_PORT, *ports))

    def routes(self) -> list[Route]:
        """For the Runtime API's server."""
        return [Route(prefix, _MOST_BODY, self._handle) for prefix in (_TELEMETRY, _LOGS)]

    def _handle(self, connection: RuntimeConnection, request: Request) -> None:
        path = request.head.target.rstrip(b"/")
        if path not in {_TELEMETRY, _LOGS}:
            connection.answer(_NOT_FOUND)
        elif request.head.method != b"PUT":
            connection.answer(_NOT_ALLOWED)
        else:
            connection.answer(self._subscribe(path, request))

    def _subscribe(self, path: bytes, request: Request) -> bytes:
        from .subscriptions import LOGS, TELEMETRY, InvalidSubscription, parse_subscription

        api = TELEMETRY if path == _TELEMETRY else LOGS
        try:
            name = self._name_of(request)
        except ExtensionRefusal as refusal:
            return _refusal(403, refusal.error_type, refusal.message)
        if not self._journal.subscribable:
            message = f"{api.name} API subscription is closed already"
            return _refusal(403, f"{api.name}.SubscriptionClosed", message)
        if request.body is None:
            return _refusal(400, api.validation_error, f"request body should have at most {_MOST_BODY} bytes")
        try:
            subscription = parse_subscription(api, request.body, self._reserved)
        except InvalidSubscription as error:
            return _refusal(400, api.validation_error, str(error))
        held = self._journal.subscription_of(name)
        if held is not None and held.api is not api:
            message = f"extension is subscribed to the {held.api.name} API already"
            return _refusal(400, api.validation_error, message)
        self._journal.subscribe(name, subscription)
        return _OK


def _refusal(status: int, error_type: str, message: str) -> bytes:
    body = json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":")).encode() + b"\n"
    return encode_response(status, _JSON, body)

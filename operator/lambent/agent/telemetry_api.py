"""The Telemetry API 2022-07-01 and the older Logs API 2020-08-15, on the Runtime API's port, as Lambda answers them."""

import json
from typing import Final

from .extension_api import identifier_of
from .extension_states import ExtensionRefusal
from .generations import Generation
from .journal import Journal
from .protocol.http1 import Request
from .protocol.names import DOOR_PORT, RUNTIME_API_PORT
from .protocol.writing import encode_response
from .runtime_api import RuntimeConnection
from .subscriptions import LOGS, TELEMETRY, Api, InvalidSubscription, Subscription, parse_subscription

_APIS: Final = {b"/2022-07-01/telemetry": TELEMETRY, b"/2020-08-15/logs": LOGS}

_JSON: Final = ((b"Content-Type", b"application/json"),)
_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"),)
_NOT_FOUND: Final = encode_response(404, _PLAIN, b"404 page not found\n")
_NOT_ALLOWED: Final = encode_response(405, ())
_OK: Final = encode_response(200, _JSON, b'"OK"')


def answer(generation: Generation, journal: Journal, connection: RuntimeConnection, request: Request) -> None:
    """PUT, and nothing else, on either path."""
    api = _APIS.get(request.head.target.removesuffix(b"/"))
    if api is None:
        connection.answer(_NOT_FOUND)
    elif request.head.method != b"PUT":
        connection.answer(_NOT_ALLOWED)
    else:
        connection.answer(_subscribe(api, generation, journal, (connection, request)))


def _subscribe(api: Api, generation: Generation, journal: Journal, call: tuple[RuntimeConnection, Request]) -> bytes:
    """Who asks, whether it is still time, what is asked: in this order."""
    connection, request = call
    try:
        identifier = identifier_of(request)
        extension = generation.extensions.roster.find(identifier, f"Unknown extension {identifier}")
    except ExtensionRefusal as refusal:
        return _refusal(403, refusal.error_type, refusal.message)
    if not journal.subscribable:
        return _refusal(403, f"{api.name}.SubscriptionClosed", f"{api.name} API subscription is closed already")
    try:
        subscription = _read(api, request, connection.port, journal.subscription_of(extension.name))
    except InvalidSubscription as error:
        return _refusal(400, api.validation_error, str(error))
    journal.subscribe(extension.name, subscription)
    return _OK


def _read(api: Api, request: Request, port: int, held: Subscription | None) -> Subscription:
    if request.body is None:
        raise InvalidSubscription("request body is too large")
    if held is not None and held.api is not api:
        raise InvalidSubscription(f"extension is subscribed to the {held.api.name} API already")
    return parse_subscription(api, request.body, (DOOR_PORT, RUNTIME_API_PORT, port))


def _refusal(status: int, error_type: str, message: str) -> bytes:
    body = json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":")).encode() + b"\n"
    return encode_response(status, _JSON, body)

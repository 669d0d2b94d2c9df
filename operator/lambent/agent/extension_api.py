"""The Extensions API 2020-01-01 on the Runtime API's port, exactly as Lambda answers it."""

import json
import uuid
from typing import Any, Final

from .extension_states import ExtensionRefusal, ExtensionState
from .generations import Generation
from .protocol.claims import Claim
from .protocol.http1 import Request
from .protocol.writing import encode_response
from .runtime_api import GET_ONLY, POST_ONLY, RuntimeConnection

_NAME: Final = b"lambda-extension-name"
_FEATURE: Final = b"lambda-extension-accept-feature"
_IDENTIFIER: Final = b"lambda-extension-identifier"
_ERROR_TYPE: Final = b"lambda-extension-function-error-type"

_JSON: Final = ((b"Content-Type", b"application/json"),)
_PLAIN: Final = ((b"Content-Type", b"text/plain; charset=utf-8"),)
_NOT_FOUND: Final = encode_response(404, _PLAIN, b"404 page not found\n")
_ACCEPTED: Final = encode_response(202, _JSON, b'{"status":"OK"}\n')
_FORMAT: Final = "InvalidRequestFormat"


def answer(generation: Generation, connection: RuntimeConnection, request: Request) -> None:
    """One of the four calls; `hosting` says below which path."""
    head = request.head
    path = head.target.partition(b"/extension/")[2]
    method = _METHODS.get(path)
    if method is None:
        connection.answer(_NOT_FOUND)
    elif head.method != method:
        connection.answer(GET_ONLY if method == b"GET" else POST_ONLY)
    else:
        try:
            _CALLS[path](generation, connection, request)
        except ExtensionRefusal as refusal:
            body = _encode({"errorMessage": refusal.message, "errorType": refusal.error_type})
            connection.answer(encode_response(403, _JSON, body))


def _register(generation: Generation, connection: RuntimeConnection, request: Request) -> None:
    headers = request.head.headers
    name = headers.get(_NAME, b"").decode("utf-8", "replace")
    if not name:
        raise ExtensionRefusal("Extension.InvalidExtensionName", "Empty extension name")
    events = _events(request.body)
    claim = generation.claim
    if claim is None:
        raise ExtensionRefusal("Extension.RegistrationClosed", "Extension registration closed already")
    extension = generation.extensions.roster.register(name, events, str(uuid.uuid4()))
    features = {feature.strip() for feature in headers.get(_FEATURE, b"").split(b",")}
    fields = (*_JSON, (b"Lambda-Extension-Identifier", extension.identifier.encode()))
    body = _registered(claim, generation.handler, with_account=b"accountId" in features)
    connection.answer(encode_response(200, fields, body))
    generation.extension_registered()


def _next(generation: Generation, connection: RuntimeConnection, request: Request) -> None:
    identifier = identifier_of(request)
    extension = generation.extensions.roster.find(identifier, f"Unknown extension {identifier}")
    generation.extensions.ask(extension, connection)
    generation.extension_waits()


def _init_error(generation: Generation, connection: RuntimeConnection, request: Request) -> None:
    _report(generation, connection, request, ExtensionState.INIT_ERROR)


def _exit_error(generation: Generation, connection: RuntimeConnection, request: Request) -> None:
    _report(generation, connection, request, ExtensionState.EXIT_ERROR)


def _report(generation: Generation, connection: RuntimeConnection, request: Request, state: ExtensionState) -> None:
    identifier = identifier_of(request)
    error_type = request.head.headers.get(_ERROR_TYPE, b"").decode("utf-8", "replace")
    if not error_type:
        raise ExtensionRefusal("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
    extension = generation.extensions.roster.find(identifier, "Unknown Lambda-Extension-Identifier")
    generation.extensions.report(extension, state, error_type)
    connection.answer(_ACCEPTED)


def identifier_of(request: Request) -> str:
    """Whose call it is. ExtensionRefusal."""
    text = request.head.headers.get(_IDENTIFIER, b"").decode("ascii", "replace")
    if not text:
        raise ExtensionRefusal("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ExtensionRefusal("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier") from None


def _events(body: bytes | None) -> tuple[str, ...]:
    """What a registration subscribes to; `null` and nothing are nothing."""
    if body is None:
        raise ExtensionRefusal(_FORMAT, "the body is too large")
    if not body.strip():
        raise ExtensionRefusal(_FORMAT, "unexpected end of JSON input")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ExtensionRefusal(_FORMAT, str(error)) from None
    if document is None:
        return ()
    if not isinstance(document, dict):
        raise ExtensionRefusal(_FORMAT, "the body must be a JSON object")
    if document.get("configurationKeys"):
        raise ExtensionRefusal(_FORMAT, "configurationKeys are deprecated; use environment variables instead")
    events = document.get("events") or []
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise ExtensionRefusal(_FORMAT, "events must be a list of strings")
    return tuple(events)


def _registered(claim: Claim, handler: str, *, with_account: bool) -> bytes:
    fields = {"accountId": claim.accountId} if with_account else {}
    fields |= {"functionName": claim.functionName, "functionVersion": claim.version, "handler": handler}
    return _encode(fields)


def _encode(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


_CALLS: Final = {
    b"register": _register,
    b"event/next": _next,
    b"init/error": _init_error,
    b"exit/error": _exit_error,
}
_METHODS: Final = {b"register": b"POST", b"event/next": b"GET", b"init/error": b"POST", b"exit/error": b"POST"}

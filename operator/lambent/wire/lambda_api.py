"""The Lambda API's Invoke as it is spoken: request target and headers in, response headers and errors out.

Rules and wordings: AWS's API reference and what the service really answers. Nothing here knows which functions
exist (`core/routing`) or reads a socket.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from lambent.model import limits, names
from lambent.model.arns import FUNCTION_NAME_PATTERN, FunctionReference, parse_function_reference
from lambent.model.errors import (
    InvalidParameterValue,
    InvalidRequestContent,
    LambdaError,
    TooManyRequests,
    UnknownOperation,
    ValidationFailed,
)

from . import eventstream

_PREFIX, _SUFFIX = "/2015-03-31/functions/", "/invocations"
_STREAM_PREFIX, _STREAM_SUFFIX = "/2021-11-15/functions/", "/response-streaming-invocations"
_REFERENCE_CHARS_MAX = 256
_QUALIFIER_CHARS_MAX = 128
_QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
_QUALIFIER_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_$.")

INVOCATION_TYPES = ("Event", "RequestResponse", "DryRun")
STREAM_INVOCATION_TYPES = ("RequestResponse", "DryRun")
REQUEST_RESPONSE, DRY_RUN, EVENT = "RequestResponse", "DryRun", "Event"
LOG_TYPES = ("None", "Tail")

Fields = list[tuple[bytes, bytes]]
"""Header fields as they go out."""

REQUEST_ID = b"x-amzn-RequestId"
TRACE_ID = b"X-Amzn-Trace-Id"
LOG_RESULT = b"X-Amz-Log-Result"
EXECUTED_VERSION = b"X-Amz-Executed-Version"
PAYLOAD_TYPE = b"X-Lambent-Payload-Content-Type"
"""Ours: AWS tells it to function URLs only."""
FUNCTION_ERROR_FIELD = (b"X-Amz-Function-Error", b"Unhandled")
NO_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
"""For an answer to what was no request."""
_JSON = (b"Content-Type", b"application/json")
_NAMESPACE = b"x-lambent-namespace"
_NAMESPACE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NOT_REMAPPED = (b"X-Amzn-Remapped-Content-Length", b"0")
_IDENTITY_MEMBERS = ("cognitoIdentityId", "cognitoIdentityPoolId")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request line names: a function as the caller wrote it and the qualifier, `$LATEST` by default."""

    reference: FunctionReference
    qualifier: str
    qualified: bool
    """Whether the caller wrote a qualifier: then the invoked ARN carries it."""
    streaming: bool = False
    """InvokeWithResponseStream instead of Invoke."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the headers of an Invoke ask for."""

    invocation_type: str
    tail: bool
    client_context: str | None
    """Base64 of a JSON object, checked."""
    cognito_identity: str | None = None
    """A JSON object as the Runtime API has it."""


@functools.lru_cache(maxsize=1024)
def parse_target(method: str, raw_target: bytes) -> Target:
    """Parse `POST /2015-03-31/functions/<name or ARN>/invocations[?Qualifier=…]`, percent-encoded as it came.

    Likewise `POST /2021-11-15/functions/<name or ARN>/response-streaming-invocations`.

    Raises:
        UnknownOperation: for any other path.
        ValidationFailed, InvalidParameterValue: as Lambda words them.
    """
    path, _, query = raw_target.decode("ascii").partition("?")
    streaming = path.startswith(_STREAM_PREFIX)
    prefix, suffix = (_STREAM_PREFIX, _STREAM_SUFFIX) if streaming else (_PREFIX, _SUFFIX)
    name = path[len(prefix) : -len(suffix)]
    if not path.startswith(prefix) or not path.endswith(suffix) or not name or "/" in name or method != "POST":
        raise UnknownOperation("The operation you tried to call is not known.")
    text = unquote(name)
    reference = _function_reference(text)
    asked = dict(parse_qsl(query, keep_blank_values=True)).get("Qualifier")
    if asked is not None:
        _check_qualifier(asked)
    if asked and reference.qualifier and asked != reference.qualifier:
        raise InvalidParameterValue(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    qualifier = asked or reference.qualifier
    return Target(reference, qualifier or names.LATEST, qualifier is not None, streaming)


@functools.lru_cache(maxsize=1024)
def parse_internal_target(text: str) -> tuple[str, Target]:
    """The namespace and what is meant in it: `<namespace>/<function>[:<qualifier>]`, of the header Lambent-Target.

    Raises:
        ValidationFailed: it is none.
    """
    namespace, slash, name = text.partition("/")
    if not slash or not _NAMESPACE_NAME.fullmatch(namespace):
        raise _constraint(text, "Lambent-Target", "be <namespace>/<function>:<qualifier>")
    reference = _function_reference(name)
    qualifier = reference.qualifier
    return namespace, Target(reference, qualifier or names.LATEST, qualifier is not None)


def parse_roll(text: str) -> float:
    """What decides between the versions of an alias, of the header Lambent-Roll.

    Raises:
        ValidationFailed: it is no number from 0 to below 1.
    """
    try:
        roll = float(text)
    except ValueError:
        roll = -1.0
    if not 0 <= roll < 1:
        raise _constraint(text, "Lambent-Roll", "be a number from 0 to below 1")
    return roll


def _function_reference(text: str) -> FunctionReference:
    if len(text) > _REFERENCE_CHARS_MAX:
        raise _constraint(text, "functionName", f"have length less than or equal to {_REFERENCE_CHARS_MAX}")
    reference = parse_function_reference(text)
    if reference is None:
        raise _constraint(text, "functionName", f"satisfy regular expression pattern: {FUNCTION_NAME_PATTERN}")
    return reference


def _check_qualifier(text: str) -> None:
    if len(text) > _QUALIFIER_CHARS_MAX:
        raise _constraint(text, "qualifier", f"have length less than or equal to {_QUALIFIER_CHARS_MAX}")
    if not text:
        raise _constraint(text, "qualifier", "have length greater than or equal to 1")
    if not _QUALIFIER_CHARS.issuperset(text):
        raise _constraint(text, "qualifier", f"satisfy regular expression pattern: {_QUALIFIER_PATTERN}")


def _constraint(value: str, member: str, phrase: str) -> ValidationFailed:
    return ValidationFailed(
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {phrase}"
    )


_DEFAULT_OPTIONS = Options(REQUEST_RESPONSE, tail=False, client_context=None)


def parse_options(headers: Mapping[bytes, bytes], *, streaming: bool = False) -> Options:
    """Parse the headers of an Invoke or InvokeWithResponseStream; their names are in lower case.

    Raises:
        ValidationFailed, InvalidRequestContent: as Lambda words them.
    """
    kind = _text(headers, b"x-amz-invocation-type")
    log = _text(headers, b"x-amz-log-type")
    context = _text(headers, b"x-amz-client-context")
    identity = _text(headers, b"x-amz-cognito-identity")
    if kind is None and log is None and context is None and identity is None:
        return _DEFAULT_OPTIONS
    types = STREAM_INVOCATION_TYPES if streaming else INVOCATION_TYPES
    if kind is not None and kind not in types:
        raise _not_in_set(kind, "invocationType", types)
    if log is not None and log not in LOG_TYPES:
        raise _not_in_set(log, "logType", LOG_TYPES)
    if context:
        _check_client_context(context)
    who = _cognito_identity(identity) if identity else None
    return Options(kind or REQUEST_RESPONSE, log == "Tail", context or None, who)


def namespace_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The namespace that the caller asked for by header.

    Raises:
        ValidationFailed: no namespace can have that name.
    """
    value = headers.get(_NAMESPACE)
    if not value:
        return None
    text = value.decode("utf-8", "replace")
    if not _NAMESPACE_NAME.fullmatch(text):
        raise _constraint(text, "X-Lambent-Namespace", f"satisfy regular expression pattern: {_NAMESPACE_NAME.pattern}")
    return text


def token_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The caller's token: a bearer token, else the session token of AWS's own clients; None for neither.

    What they sign with is not looked at: here the token says who calls, not the signature.
    """
    authorization = headers.get(b"authorization")
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    return headers.get(b"x-amz-security-token")


def _text(headers: Mapping[bytes, bytes], key: bytes) -> str | None:
    value = headers.get(key)
    return None if value is None else value.decode("utf-8", "replace")


def _not_in_set(value: str, member: str, allowed: tuple[str, ...]) -> ValidationFailed:
    return _constraint(value, member, f"satisfy enum value set: [{', '.join(allowed)}]")


def _check_client_context(text: str) -> None:
    if len(text) > limits.CLIENT_CONTEXT_BASE64_CHARS_MAX:
        raise InvalidRequestContent(
            f"Client context must be no longer than {limits.CLIENT_CONTEXT_BASE64_CHARS_MAX} bytes."
        )
    if not isinstance(_json_of_base64(text), dict):
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.")


def _cognito_identity(text: str) -> str:
    """The identity as the runtime will get it. Ours: Lambda knows it from the caller's Cognito credentials."""
    given = _json_of_base64(text) if len(text) <= limits.COGNITO_IDENTITY_BASE64_CHARS_MAX else None
    members = [given.get(name) for name in _IDENTITY_MEMBERS] if isinstance(given, dict) else []
    if not members or not all(isinstance(member, str) and member for member in members):
        raise InvalidRequestContent(
            "Cognito identity must be a Base64-encoded JSON object with the strings cognitoIdentityId and "
            f"cognitoIdentityPoolId, no longer than {limits.COGNITO_IDENTITY_BASE64_CHARS_MAX} bytes."
        )
    return json.dumps(dict(zip(_IDENTITY_MEMBERS, members, strict=True)), separators=(",", ":"))


def _json_of_base64(text: str) -> object:
    """None for what is none."""
    try:
        return json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError, binascii.Error):
        return None


def request_id(entropy_hex: str) -> str:
    """A random UUID (version 4) made of 32 random hex digits; `uuid` itself takes three times as long."""
    digits = entropy_hex
    third, fourth = f"4{digits[13:16]}", f"{_VARIANTS[digits[16]]}{digits[17:20]}"
    return f"{digits[:8]}-{digits[8:12]}-{third}-{fourth}-{digits[20:32]}"


_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def answer_fields(request_id: str, trace: str, version: str) -> Fields:
    """Headers of a function's answer."""
    return [
        _JSON,
        (REQUEST_ID, request_id.encode()),
        _NOT_REMAPPED,
        (EXECUTED_VERSION, version.encode()),
        (TRACE_ID, trace.encode()),
    ]


def stream_fields(request_id: str, trace: str, version: str, payload_type: str | None) -> Fields:
    """Headers of a function's answer as an event stream; `payload_type` is what the runtime says of its bytes."""
    fields = [
        (b"Content-Type", eventstream.CONTENT_TYPE.encode()),
        (REQUEST_ID, request_id.encode()),
        (EXECUTED_VERSION, version.encode()),
        (TRACE_ID, trace.encode()),
    ]
    if payload_type:
        fields.append((PAYLOAD_TYPE, payload_type.encode("latin-1", "replace")))
    return fields


def dry_run_fields(request_id: str, trace: str, version: str) -> Fields:
    """Headers of the answer to a DryRun, which is 204; the version is the one that would have run."""
    return [(REQUEST_ID, request_id.encode()), (EXECUTED_VERSION, version.encode()), (TRACE_ID, trace.encode())]


def encode_error(error: LambdaError, request_id: str) -> tuple[Fields, bytes]:
    """Headers and body of an error; its status is `error.status`."""
    members: dict[str, str] = {} if error.fault is None else {"Type": error.fault}
    members[error.member] = error.message
    if isinstance(error, TooManyRequests):
        members["Reason"] = error.reason
    fields = [_JSON, (REQUEST_ID, request_id.encode()), (b"x-amzn-ErrorType", error.code.encode())]
    return fields, json.dumps(members, ensure_ascii=False).encode("utf-8", "replace")

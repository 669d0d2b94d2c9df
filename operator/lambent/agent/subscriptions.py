"""What a subscriber asks for: the body of `PUT /2022-07-01/telemetry` and of the older `PUT /2020-08-15/logs`. Pure.

A body with several mistakes is told all of them, as Lambda does: `URI port is not provided; types should not be empty`.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from .destinations import Destination
from .dialects import Dialect, logs_2020, logs_2021, telemetry
from .records import STREAMS

_LOOPBACK: Final = "127.0.0.1"
_HOSTS: Final = frozenset(("sandbox.localdomain", "sandbox", "localhost", _LOOPBACK))
_URI: Final = re.compile(r"[Hh][Tt][Tt][Pp]://([^/:?#@\s]*)(?::([0-9]{1,5}))?(/[!-~]*|\?[!-~]*)?")
_BUFFERING: Final = {
    "maxItems": (1000, 10_000, 10_000),
    "maxBytes": (262_144, 1_048_576, 262_144),
    "timeoutMs": (25, 30_000, 1000),
}
"""Least, most and default."""


class InvalidSubscription(Exception):
    """What is wrong with the body, in words for its sender."""


@dataclass(frozen=True, slots=True)
class Api:
    """One of the two. `label` begins its log lines; `schemas` says which version reads how."""

    name: str
    label: str
    validation_error: str
    schemas: dict[str, Dialect]
    default_schema: str | None


TELEMETRY: Final = Api(
    name="Telemetry",
    label="TELEMETRY",
    validation_error="ValidationError",
    schemas=dict.fromkeys(("2022-07-01", "2022-12-13", "2025-01-29"), telemetry),
    default_schema=None,
)
LOGS: Final = Api(
    name="Logs",
    label="LOGS",
    validation_error="Logs.ValidationError",
    schemas={"2020-08-15": logs_2020, "2021-03-18": logs_2021},
    default_schema="2020-08-15",
)


@dataclass(frozen=True, slots=True)
class Buffering:
    """When a batch leaves: at so many events, so many bytes, or so long after its first event."""

    items: int = 10_000
    size: int = 262_144
    milliseconds: int = 1000


@dataclass(frozen=True, slots=True)
class Subscription:
    """`types` are streams, as the subscriber listed them."""

    api: Api
    schema: str
    types: tuple[str, ...]
    buffering: Buffering
    destination: Destination

    @property
    def dialect(self) -> Dialect:
        """How its events read."""
        return self.api.schemas[self.schema]


def parse_subscription(api: Api, body: bytes, reserved: Collection[int]) -> Subscription:
    """Raises InvalidSubscription. `reserved` are ports on which the platform itself listens."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidSubscription("request body is not valid JSON") from error
    if not isinstance(fields, dict):
        raise InvalidSubscription("request body should be a JSON object")
    problems: list[str] = []
    schema = _schema(api, fields.get("schemaVersion"), problems)
    destination = _destination(api, fields.get("destination"), reserved, problems)
    types = _types(fields.get("types"), problems)
    buffering = _buffering(fields.get("buffering"), problems)
    if problems or destination is None:
        raise InvalidSubscription("; ".join(problems))
    return Subscription(api, schema, types, buffering, destination)


def _schema(api: Api, value: object, problems: list[str]) -> str:
    if value is None and api.default_schema is not None:
        return api.default_schema
    if value is None:
        problems.append("schemaVersion is not provided")
    elif not isinstance(value, str) or value not in api.schemas:
        problems.append(f"schemaVersion should be one of {', '.join(sorted(api.schemas))}")
    else:
        return value
    return ""


def _destination(api: Api, value: object, reserved: Collection[int], problems: list[str]) -> Destination | None:
    if not isinstance(value, dict):
        problems.append("destination is not provided" if value is None else "destination should be an object")
        return None
    protocol = value.get("protocol")
    destination: Destination | None = None
    if protocol == "HTTP":
        destination = _http(api, value, problems)
    elif protocol == "TCP":
        port: Any = value.get("port")
        if not _is_integer(port) or not 0 < port <= 65535:
            problems.append("port is not provided" if port is None else "port should be between 1 and 65535")
        else:
            destination = Destination(_LOOPBACK, port)
    else:
        problems.append("protocol is not provided" if protocol is None else "protocol should be HTTP or TCP")
    if destination is not None and destination.port in reserved:
        problems.append(f"port {destination.port} is reserved")
    return destination


def _http(api: Api, fields: dict[str, Any], problems: list[str]) -> Destination | None:
    """Only names of this environment: nothing else is ever dialled."""
    uri, method = fields.get("URI"), fields.get("method", "POST")
    if method != "POST" and (api is not LOGS or method != "PUT"):
        problems.append("method should be POST or PUT" if api is LOGS else "method should be POST")
    form = _URI.fullmatch(uri) if isinstance(uri, str) else None
    if form is None:
        problems.append("URI is not provided" if not uri else "URI should be http://sandbox.localdomain:PORT/PATH")
    elif form[1].lower() not in _HOSTS:
        problems.append("URI host should be sandbox.localdomain")
    elif form[2] is None:
        problems.append("URI port is not provided")
    elif not 0 < int(form[2]) <= 65535:
        problems.append("URI port should be between 1 and 65535")
    else:
        path = form[3] or "/"
        path = path if path.startswith("/") else f"/{path}"
        return Destination(_LOOPBACK, int(form[2]), path, str(method), f"{form[1]}:{form[2]}")
    return None


def _types(value: object, problems: list[str]) -> tuple[str, ...]:
    if value is None:
        problems.append("types is not provided")
    elif not isinstance(value, list):
        problems.append("types should be an array")
    elif not value:
        problems.append("types should not be empty")
    elif any(kind not in STREAMS for kind in value):
        problems.append(f"types should be among {', '.join(STREAMS)}")
    else:
        return tuple(dict.fromkeys(value))
    return ()


def _buffering(value: object, problems: list[str]) -> Buffering:
    if value is None:
        return Buffering()
    if not isinstance(value, dict):
        problems.append("buffering should be an object")
        return Buffering()
    chosen: list[int] = []
    for name, (least, most, default) in _BUFFERING.items():
        number = value.get(name, default)
        if not _is_integer(number) or not least <= number <= most:
            problems.append(f"{name} should be between {least} and {most}")
            number = default
        chosen.append(number)
    return Buffering(*chosen)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

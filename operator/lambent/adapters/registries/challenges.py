"""What a server wants to see before it answers: the `WWW-Authenticate` of RFC 7235, read leniently and in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of the grammar, not of an account
_SEPARATORS = re.compile(r"[\s,]*")
_SCHEME = re.compile(_TOKEN)
_CREDENTIALS = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?:,|$)")  # token68, of schemes that we do not speak
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to be let in. Scheme and the names of parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of every header line, in order; what cannot be read ends its line."""
    return tuple(challenge for header in headers for challenge in _challenges(header))


def _challenges(text: str) -> Iterator[Challenge]:
    position = _skip(text, 0)
    while scheme := _SCHEME.match(text, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        if credentials := _CREDENTIALS.match(text, position):
            position = credentials.end()
        else:
            start = _skip(text, position)
            while parameter := _PARAMETER.match(text, start):
                name, quoted, plain = parameter.groups()
                parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted))
                position = parameter.end()
                start = _skip(text, position)
        yield Challenge(scheme[0].lower(), parameters)
        position = _skip(text, position)


def _skip(text: str, position: int) -> int:
    match = _SEPARATORS.match(text, position)
    return match.end() if match else position

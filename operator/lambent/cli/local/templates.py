"""How a document of `events/` becomes an event: placeholders, filters, and what services put into strings. Pure.

`${name}` is a parameter's value; `${name|filter|filter:argument}` what filters make of it. A string that is nothing but
a placeholder becomes the value itself, of whatever type. An object whose only key is `$json` or `$gzip` becomes the
text of what stands in it: compact JSON, or that compressed and as base64; `$merge` makes one object of a list of them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, quote_plus

from lambent.core import moments

PLACEHOLDER: Final = re.compile(r"\$\{([a-z][a-z0-9-]*)((?:\|[a-z0-9:-]+)*)\}")
_INDEX: Final = re.compile(r"\[(\d+)\]")


def render(template: Any, values: Mapping[str, Any]) -> Any:
    """The event. KeyError for a parameter or filter that is not known; ValueError for a value that a filter refuses."""
    if isinstance(template, str):
        return _text(template, values)
    if isinstance(template, list):
        return [render(each, values) for each in template]
    if not isinstance(template, dict):
        return template
    rendered = {_text(key, values): render(value, values) for key, value in template.items()}
    if len(rendered) == 1:
        ((key, value),) = rendered.items()
        if key in _ENCLOSURES:
            return _ENCLOSURES[key](value)
    return rendered


def parameters_of(template: Any) -> Iterator[str]:
    """Names of the parameters that a template uses, each as often as it does."""
    if isinstance(template, str):
        yield from (match[1] for match in PLACEHOLDER.finditer(template))
    elif isinstance(template, list):
        for each in template:
            yield from parameters_of(each)
    elif isinstance(template, dict):
        for key, value in template.items():
            yield from parameters_of(key)
            yield from parameters_of(value)


def assign(event: Any, path: str, value: Any) -> None:
    """Sets what stands at `Records[0].s3.object.key` (or `Records.0.…`); objects on the way are made.

    Raises:
        ValueError: the path leads through something that is neither object nor list, or behind a list's end.
    """
    steps = [step for step in _INDEX.sub(r".\1", path).split(".") if step]
    if not steps:
        raise ValueError("the path is empty")
    place = event
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        shown = ".".join(steps[: number + 1])
        if isinstance(place, list):
            if not step.isdigit() or int(step) >= len(place):
                raise ValueError(f"{shown}: the list has {len(place)} items")
            key: Any = int(step)
        elif isinstance(place, dict):
            key = step
            if not last and not isinstance(place.get(step), dict | list):
                place[step] = {}
        else:
            raise ValueError(f"{shown}: there is no object")  # noqa: TRY004  the person's, not a type of ours
        if last:
            place[key] = value
        else:
            place = place[key]


def utc(text: str) -> str:
    """A moment in ISO 8601 as services write it: `2026-01-01T12:00:00.000Z`. ValueError for what is none."""
    return moments.spell(moments.read(text))


def _text(template: str, values: Mapping[str, Any]) -> Any:
    whole = PLACEHOLDER.fullmatch(template)
    if whole is not None:
        return _filtered(whole, values)
    return PLACEHOLDER.sub(lambda match: str(_filtered(match, values)), template)


def _filtered(match: re.Match[str], values: Mapping[str, Any]) -> Any:
    value = values[match[1]]
    for each in match[2].split("|")[1:]:
        name, _, argument = each.partition(":")
        value = _later(value, int(argument)) if name == "plus" else FILTERS[name](value)
    return value


def _later(text: str, seconds: int) -> str:
    return moments.spell(moments.read(text) + timedelta(seconds=seconds))


def _formatted(form: str) -> Callable[[str], str]:
    return lambda text: moments.read(text).astimezone(UTC).strftime(form)


def _query(text: str) -> dict[str, str] | None:
    return {name: values[-1] for name, values in _queries(text).items()} or None


def _queries(text: str) -> dict[str, list[str]]:
    return parse_qs(text, keep_blank_values=True)


FILTERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "md5": lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
    "sha256": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "length": lambda text: len(text.encode()),
    "bytes": lambda text: list(text.encode()),
    "urlencoded": lambda text: quote_plus(text, safe="/"),
    "number": json.loads,
    "text": str,
    "json": json.loads,
    "query": _query,
    "queries": lambda text: _queries(text) or None,
    "hex": lambda number: f"{number:08x}",
    "epoch": lambda text: int(moments.read(text).timestamp()),
    "millis": lambda text: int(moments.read(text).timestamp() * 1000),
    "micros": lambda text: int(moments.read(text).timestamp() * 1_000_000),
    "fraction": lambda text: moments.read(text).timestamp(),
    "seconds": _formatted("%Y-%m-%dT%H:%M:%SZ"),
    "offset": lambda text: moments.spell(moments.read(text)).replace("Z", "+0000"),
    "clf": _formatted("%d/%b/%Y:%H:%M:%S +0000"),
    "rfc5322": _formatted("%a, %d %b %Y %H:%M:%S +0000"),
    "gmt": _formatted("%a, %d %b %Y %H:%M:%S GMT"),
    "words": _formatted("%a %b %d %H:%M:%S UTC %Y"),
    "english": _formatted("%b %-d, %Y, %-I:%M:%S %p"),
    "slashes": _formatted("%Y/%m/%d"),
    "day": _formatted("%Y-%m-%d"),
}

_ENCLOSURES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$json": lambda value: json.dumps(value, separators=(",", ":")),
    "$gzip": lambda value: base64.b64encode(gzip.compress(_ENCLOSURES["$json"](value).encode(), mtime=0)).decode(),
    "$merge": lambda objects: {key: value for each in objects for key, value in each.items()},
}

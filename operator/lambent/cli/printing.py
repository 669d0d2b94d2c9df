"""Data for standard output: tables as kubectl prints them, JSON, YAML, names; and colour where a person looks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

_GAP = "   "
_COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95", "92", "94")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the last one is not padded."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = [_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "".join(f"{line.rstrip()}\n" for line in padded)


def as_json(value: Any) -> str:
    """Indented as kubectl does."""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def as_yaml(value: Any) -> str:
    """In the order of the value's own keys."""
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**16))


def document(value: Any, form: str) -> str:
    """`json` or `yaml`."""
    return as_json(value) if form == "json" else as_yaml(value)


def has_colour(stream: Any = None) -> bool:
    """Whether a terminal is there, and nobody has said NO_COLOR."""
    stream = stream or sys.stdout
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, choice: int) -> str:
    """One of a few colours, chosen by a number."""
    return f"\x1b[{_COLOURS[choice % len(_COLOURS)]}m{text}\x1b[0m"


def clear_screen() -> str:
    """Before the next table of one that refreshes: cursor home, erase below."""
    return "\x1b[H\x1b[J"

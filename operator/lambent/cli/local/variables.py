"""The function's environment variables on this machine: the manifest's, then a file's, then the command line's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from lambent.cli.outcomes import CommandFailed, ExitCode

_OF_ALL = "Parameters"
"""As in SAM's files: variables of every function, beside those of one by its name."""
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def given(pairs: Iterable[str], file: str | None, function_name: str) -> dict[str, str]:
    """Of `--env-vars` and, above them, of `--env NAME=VALUE`; `--env NAME` takes it from our own environment.

    Raises:
        click.BadParameter, CommandFailed: what is wrong with which.
    """
    found = _of_file(Path(file), function_name) if file is not None else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="'--env'")
        if not equals and name not in os.environ:
            raise click.BadParameter(f"{name} is not set here: write {name}=VALUE", param_hint="'--env'")
        found[name] = value if equals else os.environ[name]
    return found


def complete(stated: Mapping[str, str], referred: Iterable[str], extra: Mapping[str, str]) -> dict[str, str]:
    """All of them. `referred` are those whose values stand in Secrets and ConfigMaps, which are not here.

    Raises:
        CommandFailed: which of these were not given.
    """
    missing = [name for name in referred if name not in extra]
    if missing:
        flags = " ".join(f"--env {name}=…" for name in missing)
        raise CommandFailed(
            ExitCode.USAGE,
            f"environment.valueFrom refers to a cluster's Secrets and ConfigMaps: no value for {', '.join(missing)}",
            f"give them: {flags}, or in a file by --env-vars",
        )
    return {**stated, **extra}


def _of_file(path: Path, function_name: str) -> dict[str, str]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandFailed(ExitCode.USAGE, f"--env-vars {path}: {why}") from error
    return _of_json(path, text, function_name) if text.lstrip().startswith("{") else _of_lines(path, text)


def _of_json(path: Path, text: str, function_name: str) -> dict[str, str]:
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise CommandFailed(ExitCode.USAGE, f"--env-vars {path}: not JSON: {error}") from error
    if any(isinstance(value, dict) for value in document.values()):
        document = {**(document.get(_OF_ALL) or {}), **(document.get(function_name) or {})}
    wrong = [name for name, value in document.items() if not isinstance(value, str | int | float)]
    if wrong:
        raise CommandFailed(ExitCode.USAGE, f"--env-vars {path}: {wrong[0]} is neither text nor a number")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in document.items()}


def _of_lines(path: Path, text: str) -> dict[str, str]:
    """`NAME=VALUE`, perhaps in quotes; empty lines and those that begin with # say nothing."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise CommandFailed(ExitCode.USAGE, f"--env-vars {path}: line {number} is not NAME=VALUE")
        value = match[2].strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[match[1]] = value[1:-1] if quoted else value
    return found

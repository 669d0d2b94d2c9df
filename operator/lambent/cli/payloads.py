"""What goes into an invocation from the command line."""

from __future__ import annotations

import json
import os
import stat
import sys

import click


def is_piped() -> bool:
    """Whether standard input is a pipe, a file or a socket: a terminal has nothing to say, nor has /dev/null."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or none at all
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def client_context(text: str | None) -> str | None:
    """As given, once it is known to be a JSON object."""
    if text is None:
        return None
    try:
        context = json.loads(text)
    except ValueError as error:
        raise click.BadParameter("it is not JSON", param_hint="'--client-context'") from error
    if not isinstance(context, dict):
        raise click.BadParameter("it is no JSON object", param_hint="'--client-context'")
    return text

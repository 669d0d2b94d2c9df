"""What a person wrote to name a function and something of it: two words, or one with a colon between (`hello:live`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from . import flags, functions
from .objects import Body


@dataclass(frozen=True, slots=True)
class Target:
    """A Function object and what was written about it."""

    function: Body
    words: tuple[str, ...]
    """Alias, version: as the command takes them."""

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.function["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Lambda's name of the function."""
        return functions.function_name(self.function)

    @property
    def uid(self) -> str:
        """Uid of the Function object."""
        return str(self.function["metadata"]["uid"])

    @property
    def qualified(self) -> str:
        """`hello:live`, for what is said; the first of the words is the alias."""
        return f"{self.name}:{self.words[0]}"

    @property
    def flag(self) -> str:
        """What has to stand in a command that is suggested to a person, to name the namespace."""
        return f" -n {self.namespace}"


def find(session: flags.Session, given: Sequence[str], *places: str) -> Target:
    """The Function that the first word names; a qualifier in it is the first of `places`.

    Raises:
        CommandFailed: there is no such function.
        click.UsageError: there are not as many words as places.
    """
    if not given:
        raise click.UsageError("Missing argument 'FUNCTION'.")
    named = functions.parse(given[0], session.namespace, chosen=session.chosen_namespace is not None)
    words = ((named.reference.qualifier,) if named.reference.qualifier else ()) + tuple(given[1:])
    if len(words) < len(places):
        missing = places[len(words)]
        note = " (in a shell, $LATEST stands in single quotes)" if missing == "VERSION" else ""
        raise click.UsageError(f"Missing argument {missing!r}{note}.")
    if len(words) > len(places):
        extra = words[-1] if places else words[0]
        raise click.UsageError(f"{extra!r} is too much: {' '.join(('FUNCTION', *places))} is what it takes")
    return Target(functions.find(session.cluster, named, session.namespace), words)

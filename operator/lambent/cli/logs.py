"""`lambent logs`: what a function and the platform wrote, across all its environments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from lambent.model import names

from . import aliases, flags, functions, printing, targets
from .completing import complete_functions, complete_qualifiers
from .following import Environments, Extent, Told
from .log_lines import Line, OneRequest, readable
from .outcomes import CommandFailed, ExitCode

_EPILOG = """\b
Examples:
  lambent logs hello
  lambent logs hello --follow --prefix
  lambent logs hello --since 10m --timestamps
  lambent logs hello --tail 20
  lambent logs hello:3                   # of the environments of version 3
  lambent logs hello:live --follow       # of the versions that the alias sends requests to now
  lambent logs hello --request-id 5a1c0f7e-0d3b-4d2e-8a54-2b1f8c6f0c11
  lambent logs hello --previous          # of environments that have ended and are still there

A log lives as long as its execution environment: Kubernetes removes it with the pod. Collect logs in the cluster to
keep them."""


@click.command(epilog=_EPILOG)
@click.argument("name", shell_complete=complete_functions)
@click.option("-f", "--follow", is_flag=True, help="Go on: print new lines, of new environments too.")
@click.option(
    "--qualifier",
    metavar="VERSION|ALIAS",
    shell_complete=complete_qualifiers,
    help="Only of this version; of the versions that this alias sends requests to now. All when not given.",
)
@click.option("--request-id", metavar="ID", help="Only the lines of this request, from its START to its REPORT.")
@click.option(
    "--since", type=flags.Duration(), metavar="DURATION", help="Only lines that are newer than this (5m, 1h)."
)
@click.option(
    "--tail", type=click.IntRange(min=-1), metavar="N", help="Only the last N of the lines that exist; -1: all."
)
@click.option("--timestamps", is_flag=True, help="Print each line's time.")
@click.option("--prefix", is_flag=True, help="Print each line's environment.")
@click.option("-p", "--previous", is_flag=True, help="Only of environments that have ended and still exist.")
@flags.in_cluster
def logs(session: flags.Session, name: str, **words: Any) -> int:
    """Print the logs of function NAME (also namespace/name or an ARN), of all its execution environments in order."""
    if words["follow"] and words["previous"]:
        raise click.UsageError("--follow and --previous exclude each other")
    named = functions.parse(name, session.namespace, chosen=session.chosen_namespace is not None)
    function = functions.find(session.cluster, named, session.namespace)
    versions = _versions(session, function, _qualifier(named, words["qualifier"]))
    environments = Environments(session.cluster, function, versions)
    printer = _Printer(timestamps=words["timestamps"], prefix=words["prefix"])
    tail = words["tail"] if words["tail"] != -1 else None
    extent = Extent(
        since_seconds=None if words["since"] is None else max(1, round(words["since"])),
        tail=None if words["request_id"] else tail,
        ended_only=words["previous"],
    )
    lines = environments.existing(extent)
    if tail is not None:
        lines = lines[-tail:] if tail else []
    if words["request_id"]:
        return _one_request(environments, lines, printer, words["request_id"], follow=words["follow"])
    printer.print(lines)
    if words["follow"]:
        printer.print(_told(environments.follow()))
    elif not environments.count():
        of = f" of version {', '.join(versions)}" if versions else ""
        click.echo(f"{name} has no execution environment{of} now: a log goes with its environment", err=True)
    return ExitCode.OK


def _qualifier(named: functions.Named, given: str | None) -> str | None:
    written = named.reference.qualifier
    if written and given and written != given:
        raise click.UsageError(f"{named.text!r} and --qualifier {given} name different versions")
    return given or written


def _versions(session: flags.Session, function: dict[str, Any], qualifier: str | None) -> tuple[str, ...]:
    """The versions that are meant; none: all."""
    if qualifier is None:
        return ()
    if qualifier.isdecimal() or qualifier == names.LATEST:
        return (qualifier,)
    target = targets.Target(function, (qualifier,))
    alias = aliases.find(session.cluster, target, qualifier)
    click.echo(f"{target.qualified} is at {aliases.traffic(alias)}", err=True)
    found = tuple(aliases.shares(alias))
    if not found:
        raise CommandFailed(ExitCode.NOT_READY, f"the alias {qualifier} points to no version yet")
    return found


def _one_request(
    environments: Environments, lines: list[Line], printer: _Printer, request_id: str, *, follow: bool
) -> int:
    """Print its lines; done when its REPORT was seen."""
    requests: dict[str, OneRequest] = {}

    def kept(source: Iterator[Line]) -> Iterator[Line]:
        for line in source:
            request = requests.setdefault(line.environment, OneRequest(request_id))
            if request.keeps(line.text):
                yield line
                if request.is_complete:
                    return

    found = printer.print(kept(iter(lines)))
    done = any(request.is_complete for request in requests.values())
    if follow and not done:
        printer.print(kept(_told(environments.follow())))
        return ExitCode.OK
    if not found:
        raise CommandFailed(
            ExitCode.NOT_FOUND,
            f"no line of the request {request_id} in the logs of {environments.count()} execution environments",
            "a log goes with its environment; --follow waits for a request that is still to come",
        )
    return ExitCode.OK


def _told(source: Iterator[Line | Told]) -> Iterator[Line]:
    for found in source:
        if isinstance(found, Told):
            click.echo(f"lambent: {found.message}", err=True)
        else:
            yield found


class _Printer:
    """Lines on standard output, each at once."""

    def __init__(self, *, timestamps: bool, prefix: bool) -> None:
        self._timestamps, self._prefix = timestamps, prefix
        self._colour = printing.has_colour()
        self._heads: dict[str, bytes] = {}

    def print(self, lines: Iterator[Line] | list[Line]) -> int:
        """How many there were."""
        count = 0
        for line in lines:
            head = self._head(line.environment) if self._prefix else b""
            if self._timestamps and line.stamp:
                head += line.stamp.encode() + b" "
            for part in readable(line.text).split(b"\n"):
                sys.stdout.buffer.write(head + part + b"\n")
            sys.stdout.buffer.flush()
            count += 1
        return count

    def _head(self, environment: str) -> bytes:
        """The last part of the pod's name, which is the environment's host name; in a colour of its own."""
        if environment not in self._heads:
            short = f"[{environment.rpartition('-')[2]}]"
            text = printing.coloured(short, len(self._heads)) if self._colour else short
            self._heads[environment] = text.encode() + b" "
        return self._heads[environment]

"""`lambent versions`: what is published of a function, and which aliases use it."""

from __future__ import annotations

from typing import Any

import click

from lambent.model import names
from lambent.model.errors import Refused

from . import aliases, flags, objects, printing, published, targets
from .completing import complete_functions
from .objects import Body
from .outcomes import ExitCode

_EPILOG = """\b
Examples:
  lambent versions hello
  lambent versions shop/checkout --output wide
  lambent versions hello --output name | xargs kubectl get --output yaml

ALIASES are those that use the version, with their shares of the requests in force: `live (90%)`."""

_HEADER = ("VERSION", "PUBLISHED", "ALIASES", "READY", "ENVS", "DESCRIPTION")
_WIDE = ("CODESHA256", "REVISION", "OBJECT")


@click.command(epilog=_EPILOG)
@click.argument("function", shell_complete=complete_functions)
@flags.output("wide", "json", "yaml", "name")
@flags.in_cluster
def versions(session: flags.Session, function: str, form: str | None) -> int:
    """List $LATEST and the published versions of FUNCTION (also namespace/name or an ARN).

    Version objects that share a number, because nothing had changed, are listed once. As json, yaml and name: the
    Version objects, without $LATEST.
    """
    target = targets.find(session, (function,))
    everything = published.listed(session.cluster, target)
    found = published.holders(everything)
    if form in ("json", "yaml"):
        click.echo(objects.document(found, form, "Version", single=False), nl=False)
    elif form == "name":
        click.echo("".join(f"version.{names.GROUP}/{each['metadata']['name']}\n" for each in found), nl=False)
    else:
        users = _users(session, target)
        rows = [_latest(target, users), *(_row(each, users) for each in found)]
        columns = (*_HEADER, *_WIDE) if form == "wide" else _HEADER
        click.echo(printing.table(columns, [row[: len(columns)] for row in rows]), nl=False)
    for each in everything:
        if not published.number(each):
            why = objects.explained(objects.condition(each, "Ready")) or "the controller has not seen it yet"
            click.echo(f"{each['metadata']['name']} has no number: {why}", err=True)
    return ExitCode.OK


def _users(session: flags.Session, target: targets.Target) -> dict[str, list[tuple[str, float]]]:
    """Version → the aliases that send requests to it, and their shares."""
    try:
        there = aliases.listed(session.cluster, target)
    except Refused as error:
        if error.status not in (403, 404):
            raise
        click.echo(f"lambent: without the aliases' weights: {error}", err=True)
        return {}
    found: dict[str, list[tuple[str, float]]] = {}
    for each in there:
        for number, share in aliases.shares(each).items():
            found.setdefault(number, []).append((aliases.alias_name(each), share))
    return found


def _latest(target: targets.Target, users: dict[str, list[tuple[str, float]]]) -> list[str]:
    function = target.function
    status = function.get("status") or {}
    return [
        names.LATEST,
        "-",
        _aliases((), users.get(names.LATEST, [])),
        *_state(function),
        str(function["spec"].get("description") or ""),
        str(status.get("codeSha256") or ""),
        str(status.get("revision") or ""),
        f"function.{names.GROUP}/{function['metadata']['name']}",
    ]


def _row(body: Body, users: dict[str, list[tuple[str, float]]]) -> list[str]:
    status: dict[str, Any] = body["status"]
    snapshot = status["snapshot"]
    return [
        published.number(body),
        str(status.get("publishedAt") or body["metadata"].get("creationTimestamp") or ""),
        _aliases(status.get("referencedBy") or (), users.get(published.number(body), [])),
        *_state(body),
        str(snapshot.get("description") or ""),
        str(snapshot.get("codeSha256") or ""),
        str(snapshot.get("revision") or ""),
        f"version.{names.GROUP}/{body['metadata']['name']}",
    ]


def _aliases(referenced: Any, using: list[tuple[str, float]]) -> str:
    """Those that refer to it, whether or not they send it anything now."""
    found = {**dict.fromkeys(map(str, referenced)), **dict(using)}
    told = (name if share in (None, 1) else f"{name} ({aliases.percent(share)})" for name, share in found.items())
    return ",".join(sorted(told)) or "-"


def _state(body: Body) -> list[str]:
    """Ready and environments."""
    ready = objects.condition(body, "Ready").get("status", "")
    return [str(ready), str((body.get("status") or {}).get("environments") or 0)]

"""`lambent get`: functions, printed by the server's own columns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from . import flags, functions, objects
from .clusters import TABLE, Cluster, functions_path
from .completing import complete_functions
from .outcomes import CommandFailed, ExitCode

_EPILOG = """\b
Examples:
  lambent get
  lambent get hello checkout
  lambent get --all-namespaces --output wide
  lambent get --selector team=shop --watch
  lambent get hello --output yaml
  lambent get --output name"""

_RETRY_SECONDS = 2.0


@click.command(epilog=_EPILOG)
@click.argument("names_", metavar="[NAME]...", nargs=-1, shell_complete=complete_functions)
@flags.output("wide", "json", "yaml", "name")
@flags.selecting
@flags.watching
@flags.everywhere
@flags.in_cluster
def get(  # noqa: PLR0913 - one parameter a flag
    session: flags.Session, names_: tuple[str, ...], form: str | None, selector: str, *, watch: bool, everywhere: bool
) -> int:
    """List functions, or show those that are named (also namespace/name or an ARN)."""
    if names_ and (selector or everywhere):
        raise click.UsageError("names and -l or -A exclude each other")
    if watch and len(names_) > 1:
        raise click.UsageError("--watch follows one function or a list")
    if watch and form in ("json", "yaml"):
        raise click.UsageError("--watch prints a table or names")
    if not names_:
        place = None if everywhere else session.namespace
        return _list(session.cluster, place, selector, form, watch=watch)
    return _named(session, names_, form, watch=watch)


def _list(cluster: Cluster, namespace: str | None, selector: str, form: str | None, *, watch: bool) -> int:
    query: dict[str, str | int | bool] = {"labelSelector": selector} if selector else {}
    path = functions_path(namespace)
    if form in ("json", "yaml"):
        click.echo(objects.document(cluster.objects(path, selector), form, "Function", single=False), nl=False)
        return ExitCode.OK
    table = cluster.get(path, query, TABLE)
    sheet = _Sheet(form, namespaces=namespace is None)
    if table.get("rows"):
        click.echo(sheet.text(table), nl=False)
    elif not watch:
        where = "" if namespace is None else f" in the namespace {namespace}"
        click.echo(f"no functions{where}", err=True)
    if watch:
        _watch(cluster, path, query, sheet, table)
    return ExitCode.OK


def _named(session: flags.Session, texts: tuple[str, ...], form: str | None, *, watch: bool) -> int:
    found: list[dict[str, Any]] = []
    missing = 0
    for text in texts:
        named = functions.parse(text, session.namespace, chosen=session.chosen_namespace is not None)
        try:
            found.append(functions.find(session.cluster, named, session.namespace))
        except CommandFailed as error:
            if error.code is not ExitCode.NOT_FOUND:
                raise
            missing += 1
            click.echo(f"error: {error}", err=True)
    if found and form in ("json", "yaml"):
        click.echo(objects.document(found, form, "Function", single=len(texts) == 1), nl=False)
    elif found:
        spaces = {each["metadata"]["namespace"] for each in found}
        sheet = _Sheet(form, namespaces=len(spaces) > 1)
        paths = [functions_path(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found]
        tables = [session.cluster.get(path, accept=TABLE) for path in paths]
        whole = {**tables[0], "rows": [row for table in tables for row in table.get("rows") or []]}
        click.echo(sheet.text(whole), nl=False)
        if watch:
            one = found[0]["metadata"]
            query: dict[str, str | int | bool] = {"fieldSelector": f"metadata.name={one['name']}"}
            _watch(session.cluster, functions_path(one["namespace"]), query, sheet, tables[0])
    return ExitCode.NOT_FOUND if missing else ExitCode.OK


class _Sheet:
    """Tables of one kind below each other: the header once, columns that stay where they are."""

    def __init__(self, form: str | None, *, namespaces: bool) -> None:
        self._form = form
        self._namespaces = namespaces
        self._columns: list[tuple[int, str]] = []
        self._widths: list[int] = []

    def text(self, table: dict[str, Any]) -> str:
        """The rows of a server-side printed table."""
        rows = table.get("rows") or []
        if self._form == "name":
            return "".join(f"function.{names.GROUP}/{row['object']['metadata']['name']}\n" for row in rows)
        first = not self._columns
        if first:
            defined = table.get("columnDefinitions") or []
            shown = [each for each in enumerate(defined) if self._form == "wide" or not each[1].get("priority")]
            self._columns = [(index, str(column["name"]).upper()) for index, column in shown]
        cells = [self._cells(row) for row in rows]
        header = [*(["NAMESPACE"] if self._namespaces else []), *(name for _, name in self._columns)]
        # a later row may be wider, but what was printed cannot move: room for the usual growth
        self._widths = self._widths or [max(map(len, column)) for column in zip(header, *cells, strict=True)]
        lines = [header, *cells] if first else cells
        return "".join(
            "   ".join(cell.ljust(width) for cell, width in zip(line, self._widths, strict=True)).rstrip() + "\n"
            for line in lines
        )

    def _cells(self, row: dict[str, Any]) -> list[str]:
        values = row.get("cells") or []
        shown = ["" if values[index] is None else str(values[index]) for index, _ in self._columns]
        return [*([str(row["object"]["metadata"]["namespace"])] if self._namespaces else []), *shown]


def _watch(cluster: Cluster, path: str, query: dict[str, Any], sheet: _Sheet, table: dict[str, Any]) -> None:
    """Print every change, for ever; what is the same as before is not printed again."""
    version = str((table.get("metadata") or {}).get("resourceVersion", ""))
    seen = {_uid(row): _look(row) for row in table.get("rows") or []}
    while True:
        try:
            for change in _changes(cluster, path, {**query, "resourceVersion": version}):
                version = str((change.get("metadata") or {}).get("resourceVersion") or version)
                rows = [row for row in change.get("rows") or [] if seen.get(_uid(row)) != _look(row)]
                seen |= {_uid(row): _look(row) for row in rows}
                if rows:
                    click.echo(sheet.text({**table, "rows": rows}), nl=False)
        except (Refused, Unavailable) as error:
            if isinstance(error, Refused) and error.status != 410:
                raise
            time.sleep(_RETRY_SECONDS)
            fresh = cluster.get(path, query, TABLE) if isinstance(error, Refused) else None
            version = str(fresh["metadata"]["resourceVersion"]) if fresh else version


def _changes(cluster: Cluster, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for event in cluster.watch(path, query, TABLE):
        body = event.get("object") or {}
        if event.get("type") == "ERROR":
            raise Refused(str(body.get("reason")), str(body.get("message")), int(body.get("code") or 500))
        if event.get("type") == "BOOKMARK":
            body = {"metadata": body.get("metadata")}
        yield body


def _uid(row: dict[str, Any]) -> str:
    return str(row["object"]["metadata"]["uid"])


def _look(row: dict[str, Any]) -> list[Any]:
    """A row without its last column, which is the age."""
    return list(row.get("cells") or [])[:-1]

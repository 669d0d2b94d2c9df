"""`lambent local generate-event`: a command for each document in `events/`, its parameters as flags.

A document is `{"help", "parameters": {name: [default, help]}, "event"}`; a default may use other parameters, and what
the template uses of COMMON needs no mention. One folder a source, one file a type.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from lambent.cli import flags, printing
from lambent.cli.outcomes import ExitCode

from .templates import assign, parameters_of, render, utc

EVENTS: Final = Path(__file__).parent / "events"
COMMON: Final = {
    "region": ("us-east-1", "Region, in ARNs as well."),
    "account": ("123456789012", "Account, in ARNs as well."),
    "time": ("2026-01-01T12:00:00.000Z", "When it happened, ISO 8601."),
}
"""Parameters of many events: name → default and help."""

_EPILOG = """\b
Examples:
  lambent local generate-event                                    # sources and types
  lambent local generate-event s3 put --bucket photos --key 'a b.jpg'
  lambent local generate-event sqs receive-message --body '{"order": 7}' -o yaml
  lambent local generate-event apigateway http-api --set requestContext.stage=prod
  lambent local generate-event sns notification --help            # its parameters"""


def sources() -> list[str]:
    """Folders of `events/`."""
    return sorted(place.name for place in EVENTS.iterdir() if place.is_dir())


def types(source: str) -> list[str]:
    """Files of a source's folder."""
    return sorted(place.stem for place in (EVENTS / source).glob("*.json"))


@functools.cache
def document(source: str, kind: str) -> dict[str, Any]:
    """One document, as it stands in its file."""
    read: dict[str, Any] = json.loads((EVENTS / source / f"{kind}.json").read_text("utf-8"))
    return read


def parameters(source: str, kind: str) -> dict[str, tuple[str, str]]:
    """Its own, then those of COMMON that it uses: name → default and help."""
    read = document(source, kind)
    used = set(parameters_of([read["event"], [default for default, _ in read["parameters"].values()]]))
    own = {name: (default, about) for name, (default, about) in read["parameters"].items()}
    return own | {name: COMMON[name] for name in COMMON if name in used and name not in own}


def event_of(source: str, kind: str, given: dict[str, str]) -> Any:
    """The event, of defaults and what was given. ValueError for a value that cannot be what it should be."""
    defaults = {name: default for name, (default, _) in parameters(source, kind).items()}
    values = {**defaults, **given}
    if "time" in values:
        values["time"] = utc(values["time"])
    values |= {name: render(default, values) for name, default in defaults.items() if name not in given}
    return render(document(source, kind)["event"], values)


class Sources(click.Group):
    """`generate-event`: its commands are the sources."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """By name."""
        return sources()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """A group of the source's types."""
        if cmd_name not in sources():
            return None
        listed = ", ".join(types(cmd_name))
        return Types(name=cmd_name, short_help=listed, help=f"Sample events of {cmd_name}.", no_args_is_help=True)


class Types(click.Group):
    """One source: its commands are the types of its events."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """By name."""
        return types(str(self.name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Made of the document."""
        source = str(self.name)
        return _command(source, cmd_name) if cmd_name in types(source) else None


@click.group(cls=Sources, invoke_without_command=True, epilog=_EPILOG)
@click.pass_context
def generate_event(context: click.Context) -> int:
    """Print a sample event of one of Lambda's event sources, consistent in itself.

    Without arguments the sources and types are listed. `--set PATH=VALUE` changes what no flag is for.
    """
    if context.invoked_subcommand is None:
        rows = [[source, kind, document(source, kind)["help"]] for source in sources() for kind in types(source)]
        click.echo(printing.table(["SOURCE", "TYPE", "EVENT"], rows), nl=False)
    return ExitCode.OK


def _command(source: str, kind: str) -> click.Command:
    @flags.output("json", "yaml")
    def run(*, form: str | None, settings: tuple[str, ...], **words: str | None) -> int:
        given = {name.replace("_", "-"): value for name, value in words.items() if value is not None}
        try:
            event = event_of(source, kind, given)
            for setting in settings:
                assign(event, *_parsed(setting))
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        click.echo(printing.as_yaml(event) if form == "yaml" else json.dumps(event, indent=2, ensure_ascii=False))
        return ExitCode.OK

    run = click.option("--set", "settings", metavar="PATH=VALUE", multiple=True, help=_SETTING)(run)
    callback: Callable[..., Any] = run
    for name, (default, about) in reversed(parameters(source, kind).items()):
        metavar = name.rpartition("-")[2].upper()
        shown = f"{about} [{default}]" if default else about
        callback = click.option(f"--{name}", metavar=metavar, help=shown)(callback)
    return click.command(name=kind, help=document(source, kind)["help"])(callback)


_SETTING = "Change or add one value: Records[0].s3.object.size=7. VALUE is JSON, else text."


def _parsed(setting: str) -> tuple[str, Any]:
    path, equals, value = setting.partition("=")
    if not equals:
        raise ValueError(f"{setting!r} is not PATH=VALUE")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value

"""The commands of `lambent local` by name, each imported when it is used."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "invoke": ("invoking", "invoke", "Run a function of a file on this machine, and print its response."),
    "generate-event": ("generating", "generate_event", "Print a sample event of one of Lambda's event sources."),
}
"""Name → module, command in it, line in the overview."""

_EPILOG = """\b
Examples:
  lambent local invoke -f function.yaml --event '{"name": "you"}'
  lambent local invoke -f function.yaml -e event.json --watch
  lambent local generate-event s3 put --bucket photos | lambent local invoke -f function.yaml -e -"""


class Local(click.Group):
    """Knows its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import it."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """From the list above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=Local, epilog=_EPILOG)
def local() -> None:
    """Work on functions without a cluster: run them on this machine, make sample events.

    The very agent and runtime of a cluster's environments run as plain processes (Linux; no container, no root).
    """

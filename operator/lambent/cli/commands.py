"""The commands by name. Each is imported when it is used, so that the first line of help comes at once."""

from __future__ import annotations

import importlib
from typing import Any

import click

from .groups import Group
from .outcomes import MEANINGS, ExitCode

COMMANDS = {
    "invoke": "Invoke a function and print its response.",
    "logs": "Print a function's logs, of all its execution environments.",
    "top": "Show live concurrency, rates, cold starts and durations.",
    "get": "List functions, or show some.",
    "publish": "Publish a version of a function.",
    "versions": "List a function's versions, and which aliases use them.",
    "alias": "List, set and delete a function's aliases.",
    "rollout": "See and steer how an alias moves to another version.",
    "local": "Run a function on this machine, without a cluster; sample events.",
    "completion": "Print a script that teaches a shell to complete.",
    "version": "Print the versions of this program and of what is installed.",
}
"""Name → its line in the overview; the module of the same name has the command of the same name."""

_EXAMPLES = """\b
Examples:
  lambent invoke hello '{"name": "you"}'
  lambent logs hello --follow
  lambent top --all-namespaces
  lambent publish hello
  lambent alias set hello live 3
  lambent local invoke -f function.yaml -e event.json
  lambent invoke --help

"""
_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {text}" for code, text in MEANINGS.items())


class Lambent(Group):
    """`lambent`: knows its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import it."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"{__package__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """From the list above: no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. Ctrl-C and a closed pipe are nothing to talk of: click would print a line for the one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        except BrokenPipeError:
            return ExitCode.BROKEN_PIPE


SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Lambent, context_settings=SETTINGS, epilog=_EXAMPLES + _EXIT_CODES)
def lambent() -> None:
    """Invoke functions, follow their logs, see how they do.

    Every command takes kubectl's flags, before or after its name: -n/--namespace, --context, --kubeconfig, and where
    they make sense -A/--all-namespaces, -o/--output, -l/--selector, -w/--watch. Data goes to standard output, talk to
    standard error.
    """

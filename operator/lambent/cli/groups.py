"""Groups of commands: flags may stand before the command, as kubectl allows; a typing error hears what is near."""

from __future__ import annotations

import click

VALUED = (
    *("-n", "--namespace", "--context", "--kubeconfig", "-o", "--output", "-l", "--selector", "--endpoint-url"),
    *("--token", "--service-account", "--audience", "--system-namespace", "--release", "--request-timeout"),
)
"""Flags that take a value, of those that may stand before the command."""


class Group(click.Group):
    """A command that has commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of use, which is that of their definition."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take flags from before the command to behind it."""
        return super().parse_args(ctx, behind_command(args))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say what is near, as the last line of defence against typing errors."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            suggestion = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"unknown command {args[0]!r}.{suggestion}", ctx) from error


def behind_command(args: list[str]) -> list[str]:
    """`-n x get` → `get -n x`; help stays where it is."""
    before: list[str] = []
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help", "--", "-"):
        before.append(rest.pop(0))
        if before[-1] in VALUED and rest:
            before.append(rest.pop(0))
    if not rest or rest[0].startswith("-"):
        return args
    return [rest[0], *before, *rest[1:]]

"""From the shell's arguments to an exit code. Whatever goes wrong is one line for a person, never a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from lambent.model.errors import LambentError, Refused, Unavailable

from .commands import lambent
from .outcomes import CommandFailed, ExitCode, failure_of

COMPLETION_VARIABLE = "_LAMBENT_COMPLETE"


def run(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Run one command; the exit code."""
    program = program or program_name(sys.argv[0])
    words = list(sys.argv[1:] if arguments is None else arguments)
    if COMPLETION_VARIABLE in os.environ:
        return _complete(program)
    code = _run(words, program)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = ExitCode.BROKEN_PIPE
    if code == ExitCode.BROKEN_PIPE:  # the interpreter flushes once more at its end, and would tell of it
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def program_name(path: str) -> str:
    """As the person calls it: kubectl finds `kubectl-lambent` and is asked for `kubectl lambent`."""
    name = Path(path).stem
    return "kubectl lambent" if name.startswith("kubectl-") else "lambent"


def _run(words: list[str], program: str) -> int:
    try:
        code = lambent.main(words, prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except (click.ClickException, LambentError) as error:
        failed = _failure(error, program)
        click.echo("error: " + " ".join(str(failed).split()), err=True)
        if failed.hint:
            click.echo(failed.hint, err=True)
        return failed.code
    return code if isinstance(code, int) else ExitCode.OK


def _failure(error: click.ClickException | LambentError, program: str) -> CommandFailed:
    if isinstance(error, CommandFailed):
        return error
    if isinstance(error, Refused | Unavailable):
        return failure_of(error)
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx is not None else program
        return CommandFailed(ExitCode.USAGE, error.format_message(), f"see '{path} --help'")
    return CommandFailed(ExitCode.USAGE, str(error))


def _complete(program: str) -> int:
    from click.shell_completion import shell_complete

    return shell_complete(lambent, {}, program, COMPLETION_VARIABLE, os.environ[COMPLETION_VARIABLE])

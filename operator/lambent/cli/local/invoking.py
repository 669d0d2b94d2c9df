"""`lambent local invoke`: a function of a file runs on this machine; log and answer come out as on a cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from lambent.cli import answers, flags, payloads, printing
from lambent.cli.outcomes import CommandFailed, ExitCode
from lambent.model.errors import LambentError

from .doors import Outcome
from .running import Order, run
from .watching import Watched, changes, look, wait_for_change

_MAX_TIMEOUT_SECONDS = 900
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EPILOG = """\b
Examples:
  lambent local invoke -f function.yaml                          # the event is {}
  lambent local invoke -f function.yaml -e event.json --watch
  lambent local invoke -f function.yaml --code src --event '{"name": "you"}' --env STAGE=dev
  lambent local generate-event sqs receive-message | lambent local invoke -f app.yaml --function worker

The exit code is 1 when the function failed; its message and stack are on standard error then and nothing is on standard
output. `lambent --help` lists the others."""


def complete_functions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Functions of the file."""
    with contextlib.suppress(Exception):  # a shell that waits for words must not get a message
        from .manifests import read_all

        names = [each.name for each in read_all(Path(context.params.get("file") or "function.yaml"))]
        return [name for name in names if name.startswith(incomplete)]
    return []


@click.command(epilog=_EPILOG)
@click.option(
    "-f",
    "--file",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    default="function.yaml",
    show_default=True,
    help="The manifest of the Function.",
)
@click.option(
    "--function", metavar="NAME", shell_complete=complete_functions, help="Which of several Functions in the file."
)
@click.option(
    "-e",
    "--event",
    metavar="EVENT",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="The event: a file, JSON itself, or - for standard input, which is read by itself when it is piped.",
)
@click.option("--code", metavar="DIR", type=click.Path(file_okay=False), help="The folder of the code, used as it is.")
@click.option(
    "--layer",
    "layers",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    help="A folder that stands for /opt; several are merged in this order.",
)
@click.option(
    "--env",
    metavar="NAME=VALUE",
    multiple=True,
    help="An environment variable; NAME alone takes the value it has here.",
)
@click.option(
    "--env-vars",
    "env_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Environment variables: NAME=VALUE lines, or a JSON object.",
)
@click.option("--timeout", metavar="DURATION", type=flags.Duration(), help="Instead of the Function's timeout.")
@click.option("--client-context", metavar="JSON", help="Client context: a JSON object.")
@click.option("--interpreter", metavar="PROGRAM", help="Run the runtime with this python or node.")
@click.option(
    "--log",
    "log",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Append the function's log to FILE instead of printing it on standard error.",
)
@click.option("-w", "--watch", is_flag=True, help="Invoke again whenever code, manifest or event change.")
@flags.output("json", "yaml")
def invoke(*, event: str | None, log: str | None, watch: bool, form: str | None, **words: Any) -> int:
    """Run a Function of a manifest on this machine, invoke it once and print its response.

    Agent and runtime are those of a cluster's environments, as plain processes (Linux; no container, no root), fresh
    for every invocation. The log goes to standard error as it comes, the response to standard output.
    """
    timeout = words["timeout"]
    if timeout is not None and not 0 < timeout <= _MAX_TIMEOUT_SECONDS:
        raise click.BadParameter(f"more than 0 and at most {_MAX_TIMEOUT_SECONDS}s", param_hint="'--timeout'")
    with _log(log) as out, _ended_by_signals():
        order = Order(
            file=Path(words["file"]),
            function=words["function"],
            code=words["code"],
            layers=words["layers"],
            env=words["env"],
            env_file=words["env_file"],
            timeout=timeout,
            interpreter=words["interpreter"],
            client_context=payloads.client_context(words["client_context"]),
            tail=form is not None,
            note=lambda text: click.echo(text, err=True),
            sink=_sink(out),
        )
        events = Events(event)
        return _go_on(order, events, form, log) if watch else _print(run(order, events.read()), form)


class Events:
    """Where the event comes from; standard input is read once."""

    def __init__(self, given: str | None) -> None:
        self._given = given
        self._piped: bytes | None = None
        is_text = given is not None and given.lstrip()[:1] in {"{", "[", '"'}
        self.file = None if given in (None, "-") or is_text else given
        """Its file, where it has one."""

    def read(self) -> bytes:
        """The event, known to be JSON; `{}` for none.

        Raises:
            CommandFailed: there is no such file, or it is no event, in Lambda's words.
        """
        from lambent.model.errors import LambdaError
        from lambent.wire.events import check_event

        try:
            return bytes(check_event(self._bytes()))
        except LambdaError as error:
            raise CommandFailed(ExitCode.USAGE, f"{error.code}: {error}") from error

    def _bytes(self) -> bytes:
        if self.file is not None:
            try:
                return Path(self.file).read_bytes()
            except OSError as error:
                raise CommandFailed(ExitCode.USAGE, f"event file {self.file}: {error.strerror}") from error
        if self._given not in (None, "-"):
            return os.fsencode(self._given or "")
        if self._piped is None:
            self._piped = sys.stdin.buffer.read() if self._given == "-" or payloads.is_piped() else b""
        return self._piped


def _go_on(order: Order, events: Events, form: str | None, log: str | None) -> int:
    """One run after another, until Ctrl-C. What changes while one runs brings the next."""
    while True:
        watched = Watched(tuple(_watched(order, events)), log)
        before = look(watched)
        try:
            _print(run(order, events.read()), form)
        except (LambentError, click.UsageError) as error:
            click.echo(f"error: {error}", err=True)
            if isinstance(error, CommandFailed) and error.hint:
                click.echo(error.hint, err=True)
        if not changes(before, look(watched)):
            click.echo("watching for changes, Ctrl-C ends", err=True)
        changed, _ = wait_for_change(watched, before)
        shown = [os.path.relpath(path) for path in changed[:3]]
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        click.echo(f"\nchanged: {', '.join(shown)}{more}", err=True)


def _watched(order: Order, events: Events) -> list[str]:
    """Files and folders that decide what a run does."""
    from . import manifests, sources

    places = [str(order.file), *(str(layer) for layer in order.layers)]
    places += [place for place in (events.file, order.env_file) if place is not None]
    with contextlib.suppress(LambentError):
        folder = sources.choose(manifests.read(order.file, order.function), order.code).folder
        places += [str(folder)] if folder is not None else []
    return places


def _print(outcome: Outcome, form: str | None) -> int:
    failed = outcome.function_error is not None
    if form is not None:
        click.echo(printing.document(answers.facts(outcome, outcome.body), form), nl=False)
    elif failed:
        click.echo(answers.story(outcome.body, outcome.request_id), err=True)
    else:
        sys.stdout.buffer.write(outcome.body)
        if sys.stdout.isatty() and not outcome.body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
    return ExitCode.FUNCTION_FAILED if failed else ExitCode.OK


@contextlib.contextmanager
def _log(file: str | None) -> Iterator[BinaryIO]:
    if file is None:
        yield sys.stderr.buffer
        return
    try:
        out = Path(file).open("ab")  # noqa: SIM115  closed below
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"--log {file}: {error.strerror}") from error
    with out:
        yield out


def _sink(out: BinaryIO) -> Any:
    def write(data: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more; the function runs on
            out.write(data)
            out.flush()

    return write


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """What asks us to end does it as Ctrl-C does, and once: nothing disturbs the end, so that nothing stays."""

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        asked = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]  # as nohup does
        before.update({number: signal.signal(number, interrupt) for number in asked})
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

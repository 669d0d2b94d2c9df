"""`lambent rollout`: where an alias is on its way to another version, and steering it."""

from __future__ import annotations

import time
from typing import Any

import click

from lambent.model import names

from . import aliases, flags, printing, rollouts, steering, targets
from .completing import complete_function_words
from .groups import Group
from .objects import Body
from .outcomes import CommandFailed, ExitCode

_EPILOG = """\b
Examples:
  lambent rollout status hello live
  lambent rollout status hello:live --watch
  lambent rollout pause hello live
  lambent rollout abort hello live"""


@click.group(cls=Group, epilog=_EPILOG)
def rollout() -> None:
    """See and steer how an alias moves to another version.

    A rollout begins when the version that an Alias wants changes and its specification has `rollout` (or was set with
    `lambent alias set --strategy`).
    """


_STATUS_EPILOG = """\b
Examples:
  lambent rollout status hello live
  lambent rollout status hello:live --watch --timeout 30m
  lambent rollout status hello live --output json | jq .phase

With --watch the exit code is 0 when the alias is where it is to be, and 1 when its traffic was taken back."""

_words = click.argument(
    "words", metavar="FUNCTION ALIAS", nargs=-1, shell_complete=complete_function_words("aliases")
)  # `hello live` or `hello:live`


@rollout.command(epilog=_STATUS_EPILOG, short_help="Show where the rollout is.")
@_words
@flags.output("json", "yaml")
@flags.watching
@click.option("--timeout", type=flags.Duration(), metavar="DURATION", help="With --watch: how long; for ever if not.")
@flags.in_cluster
def status(
    session: flags.Session, words: tuple[str, ...], form: str | None, *, watch: bool, timeout: float | None
) -> int:
    """Show the rollout of ALIAS of FUNCTION (or FUNCTION:ALIAS): versions, step, hooks, alarms, and those before it.

    As json and yaml: `status.rollout` of the Alias, null when there was none.
    """
    if watch and form:
        raise click.UsageError("--watch prints text")
    if timeout is not None and not watch:
        raise click.UsageError("--timeout goes with --watch")
    _, alias = _found(session, words)
    if form:
        click.echo(printing.document(rollouts.current(alias), form), nl=False)
        return ExitCode.OK
    click.echo(rollouts.story(alias, time.time()), nl=False)
    return steering.follow(session.cluster, alias, timeout, err=False) if watch else ExitCode.OK


def _example(name: str) -> str:
    return f"\b\nExamples:\n  lambent rollout {name} hello live\n  lambent rollout {name} shop/checkout:live"


@rollout.command(epilog=_example("pause"), short_help="Hold the rollout where it is.")
@_words
@flags.in_cluster
def pause(session: flags.Session, words: tuple[str, ...]) -> int:
    """Hold the rollout of ALIAS where it is, until `resume`, `promote` or `abort`.

    Alarms are watched further. The time of its step stands still.
    """
    target, alias = _found(session, words)
    _going_on(target, alias)
    if rollouts.request(alias) == names.ROLLOUT_PAUSE:
        click.echo(f"the rollout of {target.qualified} is paused already", err=True)
        return ExitCode.OK
    _not_asked_otherwise(target, alias)
    steering.ask(session.cluster, alias, names.ROLLOUT_PAUSE)
    _say(alias, "paused")
    return ExitCode.OK


@rollout.command(epilog=_example("resume"), short_help="Let it go on.")
@_words
@flags.in_cluster
def resume(session: flags.Session, words: tuple[str, ...]) -> int:
    """Let the rollout of ALIAS go on after `pause`."""
    target, alias = _found(session, words)
    if rollouts.request(alias) != names.ROLLOUT_PAUSE:
        _going_on(target, alias)
        raise CommandFailed(ExitCode.NOT_READY, f"the rollout of {target.qualified} is not paused", _look(target))
    if not steering.resumed(session.cluster, alias):
        message = f"the rollout of {target.qualified} was asked for something else meanwhile"
        raise CommandFailed(ExitCode.NOT_READY, message, _look(target))
    _say(alias, "resumed")
    return ExitCode.OK


def _waiting(command: Any) -> Any:
    """Flags of those that wait."""
    wait = click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for the controller to do it.")
    timeout = click.option(
        "--timeout", type=flags.Duration(), default="1m", show_default=True, metavar="DURATION", help="How long."
    )
    return wait(timeout(command))


@rollout.command(epilog=_example("promote"), short_help="Skip the rest of its steps.")
@_words
@_waiting
@flags.in_cluster
def promote(session: flags.Session, words: tuple[str, ...], *, wait: bool, timeout: float) -> int:
    """Skip the rest of the steps: the new version gets all of the traffic now. The hook after it is asked."""
    return _ask(session, words, names.ROLLOUT_PROMOTE, timeout if wait else None)


@rollout.command(epilog=_example("abort"), short_help="Give all of the traffic back.")
@_words
@_waiting
@flags.in_cluster
def abort(session: flags.Session, words: tuple[str, ...], *, wait: bool, timeout: float) -> int:
    """Stop the rollout: the version that was there before gets all of the traffic back, at once.

    The alias stays there until its specification changes.
    """
    return _ask(session, words, names.ROLLOUT_ABORT, timeout if wait else None)


def _ask(session: flags.Session, words: tuple[str, ...], wanted: str, seconds: float | None) -> int:
    """`seconds` None: without waiting."""
    target, alias = _found(session, words)
    deployment = str(_going_on(target, alias)["deploymentId"])
    changed = steering.ask(session.cluster, alias, wanted)
    if seconds is None:
        _say(alias, f"asked to {wanted}")
        return ExitCode.OK
    judge = steering.done(deployment, wanted)
    verdict = steering.until(session.cluster, changed, seconds, judge, err=True)
    if not verdict.good:
        raise CommandFailed(ExitCode.FUNCTION_FAILED, verdict.text)
    _say(alias, "promoted" if wanted == names.ROLLOUT_PROMOTE else "aborted")
    click.echo(verdict.text, err=True)
    return ExitCode.OK


def _found(session: flags.Session, words: tuple[str, ...]) -> tuple[targets.Target, Body]:
    target = targets.find(session, words, "ALIAS")
    return target, aliases.find(session.cluster, target, target.words[0])


def _going_on(target: targets.Target, alias: Body) -> rollouts.Rollout:
    found = rollouts.going_on(alias)
    if found is None:
        last = rollouts.current(alias)
        ended = f"; {rollouts.ended(alias, last).text}" if last else ""
        message = f"no rollout of {target.qualified} is in progress{ended}"
        raise CommandFailed(ExitCode.NOT_READY, message, _look(target))
    return found


def _not_asked_otherwise(target: targets.Target, alias: Body) -> None:
    """A pause must not take the place of an abort that the controller has yet to see."""
    asked = rollouts.request(alias)
    if asked in (names.ROLLOUT_PROMOTE, names.ROLLOUT_ABORT):
        message = f"the rollout of {target.qualified} was asked to {asked} a moment ago"
        raise CommandFailed(ExitCode.NOT_READY, message, _look(target))


def _look(target: targets.Target) -> str:
    return f"see: lambent{target.flag} rollout status {target.name} {target.words[0]}"


def _say(alias: Body, what: str) -> None:
    click.echo(f"alias.{names.GROUP}/{alias['metadata']['name']} {what}")

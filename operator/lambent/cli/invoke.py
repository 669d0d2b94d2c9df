"""`lambent invoke`: one request, its response on standard output, its failure in the exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lambent.model.errors import Refused, Unavailable

from . import answers, flags, functions, identities, payloads, printing, releases
from .completing import complete_functions, complete_qualifiers
from .gateways import Call, Door, Outcome
from .outcomes import CommandFailed, ExitCode

_EPILOG = """\b
Examples:
  lambent invoke hello                                   # the event is {}
  lambent invoke hello '{"name": "you"}'
  lambent invoke hello --file event.json --log-tail
  jq .order orders.json | lambent invoke shop/checkout > answer.json
  lambent invoke hello:3 --file event.json               # version 3
  lambent invoke hello --qualifier live --output json    # whatever the alias points to
  lambent invoke hello --invocation-type DryRun          # may I, and is it there?
  lambent invoke hello --endpoint-url https://lambda.example.com

The exit code is 1 when the function failed; its message and stack are on standard error then and nothing is on standard
output. `lambent --help` lists the others."""


@dataclass(frozen=True, slots=True)
class Where:
    """How to the gateway, and as whom."""

    endpoint_url: str | None
    identity: identities.Words
    wanted: releases.Wanted


@click.command(epilog=_EPILOG)
@click.argument("name", shell_complete=complete_functions)
@click.argument("payload", required=False)
@click.option("-f", "--file", "file", metavar="FILE", help="Read the payload from FILE; - is standard input.")
@click.option(
    "--qualifier",
    metavar="VERSION|ALIAS",
    shell_complete=complete_qualifiers,
    help="Version or alias; $LATEST when not given. NAME:QUALIFIER says the same.",
)
@click.option(
    "--invocation-type",
    type=click.Choice(["RequestResponse", "DryRun"], case_sensitive=False),
    default="RequestResponse",
    show_default=True,
    metavar="TYPE",
    help="RequestResponse or DryRun.",
)
@click.option("--client-context", metavar="JSON", help="Client context: a JSON object.")
@click.option("--log-tail", is_flag=True, help="Print the end of this invocation's log (4 KB) on standard error.")
@click.option(
    "--timeout",
    type=flags.Duration(),
    default="16m",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for the response.",
)
@flags.output("json", "yaml")
@click.option(
    "--endpoint-url",
    envvar="LAMBENT_ENDPOINT_URL",
    metavar="URL",
    help="The gateway's own address; through the API server when not given. [LAMBENT_ENDPOINT_URL]",
)
@click.option(
    "--token",
    envvar="LAMBENT_TOKEN",
    metavar="TOKEN",
    help="Bearer token for the gateway; better by its variable. [LAMBENT_TOKEN]",
)
@click.option(
    "--service-account",
    metavar="NAME",
    help="Invoke as this service account, by a short-lived token of it. `default`, where the kubeconfig has "
    "no token of its own.",
)
@click.option(
    "--audience",
    envvar="LAMBENT_AUDIENCE",
    metavar="NAME",
    help="Audience of that token, where the gateway demands one. [LAMBENT_AUDIENCE]",
)
@flags.of_release
@flags.in_cluster
def invoke(session: flags.Session, name: str, payload: str | None, form: str | None, **words: Any) -> int:
    """Invoke function NAME (also namespace/name or an ARN) and print its response.

    PAYLOAD is the event, JSON; else it is read from --file, or from standard input when something is piped in.
    """
    named = functions.parse(name, session.namespace_if_any(), chosen=session.chosen_namespace is not None)
    call = Call(
        function=named,
        payload=_payload(payload, words["file"]),
        qualifier=words["qualifier"],
        invocation_type=words["invocation_type"],
        client_context=payloads.client_context(words["client_context"]),
        tail=words["log_tail"] or form is not None,
        timeout=words["timeout"],
    )
    who = identities.Words(words["token"], words["service_account"], words["audience"])
    where = Where(words["endpoint_url"], who, words["wanted"])
    return _send(session, call, where, form, show_log=words["log_tail"] and form is None)


def _send(session: flags.Session, call: Call, where: Where, form: str | None, *, show_log: bool) -> int:
    if where.endpoint_url:
        door, cluster = Door.at(where.endpoint_url), session.cluster_if_any()
    else:
        cluster = session.cluster
        door = Door.through(cluster, releases.choose(cluster, where.wanted))
    namespace = call.function.namespace or session.namespace_if_any() or "default"
    identity = identities.choose(cluster, where.identity, namespace, private=door.is_private)
    try:
        with door.invoke(call, identity) as outcome:
            if form is None:
                _tell_version(call, outcome)
            return _print(outcome, form, show_log=show_log)
    except CommandFailed as error:
        if error.code is ExitCode.DENIED and not error.hint:
            with suppress(Refused, Unavailable):
                error.hint = identities.advice(cluster, identity, namespace, door.release)
        raise


def _tell_version(call: Call, outcome: Outcome) -> None:
    """Which version an alias came to."""
    qualifier = call.qualifier or call.function.reference.qualifier
    if qualifier and outcome.executed_version and outcome.executed_version != qualifier:
        click.echo(f"executed version: {outcome.executed_version}", err=True)


def _payload(given: str | None, file: str | None) -> bytes:
    if given is not None and file is not None:
        raise click.UsageError("give the payload as an argument or by --file, not both")
    if given is not None and given != "-":
        return os.fsencode(given)
    if file == "-" or given == "-" or (file is None and payloads.is_piped()):
        return sys.stdin.buffer.read()
    if file is None:
        return b""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"payload file {file}: {error.strerror}") from error


def _print(outcome: Outcome, form: str | None, *, show_log: bool) -> int:
    failed = outcome.function_error is not None
    if form is None and not failed:
        _pass_on(outcome)
        body = b""
    else:
        body = b"".join(outcome.body)
    if show_log and outcome.log:
        click.echo(outcome.log.replace("\r", "\n").rstrip("\n"), err=True)
    if form is not None:
        click.echo(printing.document(answers.facts(outcome, body), form), nl=False)
    elif failed:
        click.echo(answers.story(body, outcome.request_id), err=True)
    if outcome.status == 204:
        click.echo("DryRun: the function is there and you may invoke it", err=True)
    return ExitCode.FUNCTION_FAILED if failed else ExitCode.OK


def _pass_on(outcome: Outcome) -> None:
    """The response as it comes, byte for byte; a terminal gets its newline."""
    last = b"\n"
    for piece in outcome.body:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        last = piece
    if sys.stdout.isatty() and not last.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")

"""`lambent alias`: names for versions of a function."""

from __future__ import annotations

import click

from lambent.model import names
from lambent.model.errors import Refused

from . import aliases, flags, objects, ownership, pointing, printing, published, rollouts, steering, targets
from .clusters import Cluster, aliases_path
from .completing import complete_function_words, complete_functions, complete_strategies, complete_weights
from .groups import Group
from .objects import Body
from .outcomes import ExitCode, failure_of
from .pointing import Wish

_EPILOG = """\b
Examples:
  lambent alias list hello
  lambent alias set hello live 3
  lambent alias set hello live 4 --strategy LambdaCanary10Percent5Minutes --wait
  lambent alias delete hello live"""


@click.group(cls=Group, epilog=_EPILOG)
def alias() -> None:
    """List, set and delete a function's aliases: names for a version, or for two with weights."""


_LIST_EPILOG = """\b
Examples:
  lambent alias list hello
  lambent alias list shop/checkout --output wide"""
_HEADER = ("NAME", "VERSION", "WEIGHTS", "READY", "ROLLOUT")
_WIDE = ("TARGET", "OBJECT", "MESSAGE")


@alias.command("list", epilog=_LIST_EPILOG, short_help="List aliases.")
@click.argument("function", shell_complete=complete_functions)
@flags.output("wide", "json", "yaml", "name")
@flags.in_cluster
def list_(session: flags.Session, function: str, form: str | None) -> int:
    """List the aliases of FUNCTION, with the versions and weights that are in force."""
    target = targets.find(session, (function,))
    found = aliases.listed(session.cluster, target)
    if form in ("json", "yaml"):
        click.echo(objects.document(found, form, "Alias", single=False), nl=False)
    elif form == "name":
        click.echo("".join(f"alias.{names.GROUP}/{each['metadata']['name']}\n" for each in found), nl=False)
    elif found:
        columns = (*_HEADER, *_WIDE) if form == "wide" else _HEADER
        click.echo(printing.table(columns, [_row(each)[: len(columns)] for each in found]), nl=False)
    else:
        click.echo(f"the function {target.name} has no alias", err=True)
    return ExitCode.OK


def _row(body: Body) -> list[str]:
    ready = objects.condition(body, "Ready")
    return [
        aliases.alias_name(body),
        next(iter(aliases.shares(body)), "-"),
        aliases.weights_in_force(body),
        str(ready.get("status", "")),
        rollouts.brief(body),
        str((body.get("status") or {}).get("targetVersion") or "-"),
        f"alias.{names.GROUP}/{body['metadata']['name']}",
        objects.explained(ready),
    ]


_SET_EPILOG = """\b
Examples:
  lambent alias set hello live 3
  lambent alias set hello:live 3                               # the same
  lambent alias set hello live 3 --weight 4=10%                # a tenth of the requests to version 4
  lambent alias set hello live 4 --strategy LambdaLinear10PercentEvery1Minute --wait
  lambent alias set hello live latest-published                # follow what is published
  lambent alias set hello dev '$LATEST'

What is in Git is better changed there: the next sync takes back what was set by hand. A warning says so."""


@alias.command("set", epilog=_SET_EPILOG, short_help="Let an alias point to a version.")
@click.argument(
    "words",
    metavar="FUNCTION ALIAS VERSION",
    nargs=-1,
    shell_complete=complete_function_words("aliases", "versions"),
)
@click.option(
    "--weight",
    "weights",
    metavar="VERSION=SHARE",
    type=pointing.Weight(),
    multiple=True,
    shell_complete=complete_weights,
    help="Share of the requests for a second version: 4=0.1 or 4=10%.",
)
@click.option("--description", metavar="TEXT", help="Description of the alias.")
@click.option(
    "--strategy",
    metavar="NAME",
    shell_complete=complete_strategies,
    help="How it moves to another version, from now on: a strategy of CodeDeploy (AllAtOnce, LambdaCanary…, "
    "LambdaLinear…); none: at once and without hooks and alarms.",
)
@click.option("--wait", is_flag=True, help="Wait until it is in force, as `lambent rollout status --watch` does.")
@click.option("--timeout", type=flags.Duration(), metavar="DURATION", help="With --wait: how long; for ever if not.")
@flags.in_cluster
def set_(  # noqa: PLR0913 - one parameter a flag
    session: flags.Session,
    words: tuple[str, ...],
    weights: tuple[tuple[str, float], ...],
    *,
    description: str | None,
    strategy: str | None,
    wait: bool,
    timeout: float | None,
) -> int:
    """Let ALIAS of FUNCTION point to VERSION: a number, '$LATEST' or latest-published. It is made if there is none.

    Without --weight all of the requests are VERSION's. Description, strategy, hooks and alarms stay when not given.
    """
    if len(weights) > 1:
        raise click.UsageError("an alias can point to at most two versions: give --weight once")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    target = targets.find(session, words, "ALIAS", "VERSION")
    wish = Wish(target.words[1], dict(weights), description, strategy)
    pointing.check(wish)
    aliases.check_name(target.words[0])
    published.check(session.cluster, target, wish.versions)
    existing = aliases.find_if_any(session.cluster, target, target.words[0])
    changed = _change(session.cluster, existing, wish) if existing else _make(session.cluster, target, wish)
    return steering.follow(session.cluster, changed, timeout, err=True) if wait else ExitCode.OK


def _change(cluster: Cluster, existing: Body, wish: Wish) -> Body:
    metadata = existing["metadata"]
    try:
        changed = cluster.merge(aliases_path(metadata["namespace"], metadata["name"]), pointing.patch(wish, existing))
    except Refused as error:
        failed = failure_of(error)
        if wish.weights and existing["spec"].get("rollout") and wish.strategy is None:
            failed.hint = f"--strategy {pointing.NO_STRATEGY} takes the rollout out of the alias"
        raise failed from error
    same = changed["metadata"].get("generation") == metadata.get("generation")
    click.echo(f"alias.{names.GROUP}/{metadata['name']} {'unchanged' if same else 'configured'}")
    if owner := ownership.other_owner(existing):
        click.echo(f"warning: {owner} manages this alias: the next sync takes this change back", err=True)
    return changed


def _make(cluster: Cluster, target: targets.Target, wish: Wish) -> Body:
    wanted = target.words[0]
    function_object = str(target.function["metadata"]["name"])
    name = aliases.object_name(function_object, wanted, taken=False)
    if _exists(cluster, target.namespace, name):  # `Live` is not `live`, but their objects' names would be one
        name = aliases.object_name(function_object, wanted, taken=True)
    body = pointing.body(wish, target.name, wanted, name)
    made = cluster.apply(aliases_path(target.namespace, name), body)
    click.echo(f"alias.{names.GROUP}/{name} created")
    return made


def _exists(cluster: Cluster, namespace: str, name: str) -> bool:
    try:
        cluster.get(aliases_path(namespace, name))
    except Refused as error:
        if error.status != 404:
            raise
        return False
    return True


_DELETE_EPILOG = """\b
Examples:
  lambent alias delete hello live"""


@alias.command(epilog=_DELETE_EPILOG, short_help="Delete an alias.")
@click.argument("words", metavar="FUNCTION ALIAS", nargs=-1, shell_complete=complete_function_words("aliases"))
@flags.in_cluster
def delete(session: flags.Session, words: tuple[str, ...]) -> int:
    """Delete ALIAS of FUNCTION. Its versions stay."""
    target = targets.find(session, words, "ALIAS")
    found = aliases.find(session.cluster, target, target.words[0])
    metadata = found["metadata"]
    session.cluster.call("DELETE", aliases_path(metadata["namespace"], metadata["name"]))
    click.echo(f'alias.{names.GROUP} "{metadata["name"]}" deleted')
    if owner := ownership.other_owner(found):
        click.echo(f"warning: {owner} manages this alias: the next sync makes it again", err=True)
    return ExitCode.OK

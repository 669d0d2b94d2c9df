"""Following an Alias until its specification is in force or has failed, and what a person asks of its rollout."""

from __future__ import annotations

from collections.abc import Callable

import click

from lambent.model import names
from lambent.model.errors import Refused

from . import observing, rollouts
from .aliases import alias_name
from .clusters import Cluster, aliases_path
from .objects import Body
from .outcomes import CommandFailed, ExitCode
from .rollouts import Verdict

_ATTEMPTS = 5

Judge = Callable[[Body], Verdict | None]


def follow(cluster: Cluster, alias: Body, timeout: float | None, *, err: bool) -> int:
    """Tell of every change until the present specification is in force (0) or has failed (1). `err`: to whom.

    Raises:
        CommandFailed: neither came within `timeout` seconds, or somebody deleted the alias.
    """
    since = int(alias["metadata"].get("generation") or 0)
    followed = ""

    def judge(found: Body) -> Verdict | None:
        nonlocal followed
        verdict = rollouts.verdict(found, since, followed)
        rollout = rollouts.going_on(found)
        if rollout and (found["status"].get("observedGeneration") or 0) >= since:
            followed = str(rollout["deploymentId"])
        return verdict

    verdict = until(cluster, alias, timeout, judge, err=err)
    if verdict.good:
        click.echo(verdict.text, err=err)
        return ExitCode.OK
    raise CommandFailed(ExitCode.FUNCTION_FAILED, verdict.text)


def until(cluster: Cluster, alias: Body, timeout: float | None, judge: Judge, *, err: bool) -> Verdict:
    """Tell of every change of the rollout until there is a verdict.

    Raises:
        CommandFailed: there was none within `timeout` seconds, or somebody deleted the alias.
    """
    metadata, said = alias["metadata"], ""
    try:
        for found in observing.states(cluster, aliases_path(metadata["namespace"]), metadata["name"], timeout):
            if found is None:
                break
            verdict = judge(found)
            if verdict:
                return verdict
            told = rollouts.waiting(found)
            if told != said:
                click.echo(told, err=err)
                said = told
    except observing.TimeOver as error:
        message = f"not over within {timeout:g} s: {said or 'nothing was seen of it'}"
        raise CommandFailed(ExitCode.UNREACHABLE, message, "what was begun goes on") from error
    raise CommandFailed(ExitCode.NOT_FOUND, f"somebody deleted the Alias {metadata['name']}")


def ask(cluster: Cluster, alias: Body, wanted: str) -> Body:
    """Write what a person asks of the rollout; the object then."""
    return cluster.merge(_path(alias), {"metadata": {"annotations": {names.ANNOTATION_ROLLOUT: wanted}}})


def resumed(cluster: Cluster, alias: Body) -> bool:
    """Take `pause` away. False: something else is asked meanwhile, and must not be lost.

    Raises:
        Refused: the object changes faster than we can read it, or we may not.
    """
    for attempt in range(_ATTEMPTS):
        if rollouts.request(alias) != names.ROLLOUT_PAUSE:
            return False
        version = alias["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "annotations": {names.ANNOTATION_ROLLOUT: None}}}
        try:
            cluster.merge(_path(alias), patch)
        except Refused as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
            alias = cluster.get(_path(alias))
        else:
            return True
    raise AssertionError("unreachable")


def done(deployment: str, wanted: str) -> Judge:
    """A judge of whether the controller has done what was asked of this rollout."""

    def judge(found: Body) -> Verdict | None:
        if rollouts.request(found) == wanted:
            return None
        rollout = rollouts.record(found, deployment)
        if rollout is None:
            text = f"{alias_name(found)}: the rollout {deployment} is forgotten: others have ended since"
            return Verdict(good=False, text=text)
        if rollout["phase"] in rollouts.ENDED:
            outcome = rollouts.ended(found, rollout)
            good = rollout["phase"] == ("Stopped" if wanted == names.ROLLOUT_ABORT else "Succeeded")
            return Verdict(good=good, text=outcome.text)
        if wanted == names.ROLLOUT_PROMOTE and rollout.get("promoted"):
            return Verdict(good=True, text=rollouts.waiting(found))
        text = f"somebody took the annotation away before the controller saw it; {rollouts.waiting(found)}"
        return Verdict(good=False, text=text)

    return judge


def _path(alias: Body) -> str:
    return aliases_path(alias["metadata"]["namespace"], alias["metadata"]["name"])

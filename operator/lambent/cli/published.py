"""Version objects of a function as people speak of them: by number, each once."""

from __future__ import annotations

from . import objects
from .aliases import enumerated
from .clusters import Cluster, versions_path
from .objects import Body
from .outcomes import CommandFailed, ExitCode
from .targets import Target

LATEST_PUBLISHED = "latest-published"
"""How people write `spec.latestPublished` of an Alias."""


def number(body: Body) -> str:
    """Its number; empty while it has none."""
    status = body.get("status") or {}
    return str(status.get("version") or "") if status.get("snapshot") else ""


def listed(cluster: Cluster, target: Target) -> list[Body]:
    """Every Version object of the function, the oldest first."""
    return objects.of_function(cluster, versions_path(target.namespace), target.name, target.uid)


def holders(versions: list[Body]) -> list[Body]:
    """Of each number the object that holds it, in the order of the numbers.

    It is the oldest that is not being deleted; where all are, the oldest.
    """
    found: dict[str, Body] = {}
    for body in sorted(versions, key=lambda each: bool(each["metadata"].get("deletionTimestamp"))):
        if number(body):
            found.setdefault(number(body), body)
    return [found[each] for each in sorted(found, key=int)]


def check(cluster: Cluster, target: Target, wanted: list[str]) -> None:
    """That these numbers are published; `$LATEST` always is.

    Raises:
        CommandFailed: one is not; the hint says which are.
    """
    known = [number(each) for each in holders(listed(cluster, target))]
    publish = f"publish one: lambent{target.flag} publish {target.name}"
    if wanted == [LATEST_PUBLISHED] and not known:
        raise CommandFailed(ExitCode.NOT_FOUND, f"no version of {target.name!r} is published", publish)
    for each in wanted:
        if each.isdecimal() and each not in known:
            hint = enumerated("its versions", known[::-1]) or f"none is published; {publish}"
            raise CommandFailed(ExitCode.NOT_FOUND, f"the function {target.name!r} has no version {each}", hint)

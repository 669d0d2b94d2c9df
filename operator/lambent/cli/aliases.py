"""Alias objects of a function as people speak of them: by alias name, with the shares of the requests in force."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from . import objects
from .clusters import Cluster, aliases_path
from .objects import Body
from .outcomes import CommandFailed, ExitCode
from .targets import Target

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SHOWN_MAX = 20


def alias_name(body: Body) -> str:
    """Lambda's name of an Alias object."""
    return str(body["spec"].get("name") or body["metadata"]["name"].rpartition(".")[2])


def listed(cluster: Cluster, target: Target) -> list[Body]:
    """Every Alias of the function, by name; of two that claim one name, the one that has it comes first."""
    found = objects.of_function(cluster, aliases_path(target.namespace), target.name, target.uid)
    return sorted(found, key=lambda each: (alias_name(each), shares(each) == {}))


def find_if_any(cluster: Cluster, target: Target, alias: str) -> Body | None:
    """The Alias object with this alias name, whatever its own name is."""
    return next((each for each in listed(cluster, target) if alias_name(each) == alias), None)


def find(cluster: Cluster, target: Target, alias: str) -> Body:
    """The same.

    Raises:
        CommandFailed: there is none; the hint says which there are.
    """
    there = listed(cluster, target)
    for each in there:
        if alias_name(each) == alias:
            return each
    known = sorted({alias_name(each) for each in there})
    hint = enumerated("its aliases", known) or f"it has none: lambent{target.flag} alias set {target.name} {alias} 1"
    raise CommandFailed(ExitCode.NOT_FOUND, f"the function {target.name!r} has no alias {alias!r}", hint)


def enumerated(what: str, known: list[str]) -> str:
    """`what: a, b, …`; empty without any."""
    more = f" and {len(known) - _SHOWN_MAX} more" if len(known) > _SHOWN_MAX else ""
    return f"{what}: {', '.join(known[:_SHOWN_MAX])}{more}" if known else ""


def shares(body: Body) -> dict[str, float]:
    """Version → its share of the requests, as gateways go by it; empty before the first routing."""
    routing: dict[str, Any] = (body.get("status") or {}).get("routing") or {}
    if not routing.get("functionVersion"):
        return {}
    additional = {str(number): float(weight) for number, weight in _weights(routing).items()}
    return {str(routing["functionVersion"]): 1 - sum(additional.values()), **additional}


def percent(share: float) -> str:
    """`10%`, `0.5%`."""
    return f"{round(share * 100, 6):g}%"


def traffic(body: Body) -> str:
    """`3`, `3 (90%), 4 (10%)`, or that there is none yet."""
    found = shares(body)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{number} ({percent(share)})" for number, share in found.items()) or "-"


def weights_in_force(body: Body) -> str:
    """`4=10%`: the additional version and its share."""
    return ",".join(f"{number}={percent(share)}" for number, share in list(shares(body).items())[1:]) or "-"


def wanted_weights(body: Body) -> dict[str, float]:
    """What the specification gives to additional versions."""
    return _weights(body["spec"].get("routingConfig") or {})


def check_name(alias: str) -> None:
    """Lambda's words for what can be no alias.

    Raises:
        CommandFailed: it cannot.
    """
    if alias.isdecimal() or not _NAME.fullmatch(alias):
        from lambent.model.aliases import NAME_REFUSED

        raise CommandFailed(ExitCode.USAGE, f"{alias!r}: {NAME_REFUSED}")


def object_name(function_object: str, alias: str, *, taken: bool) -> str:
    """`hello.live`: for an Alias that is to be made. `taken`: another alias has this name (`Live`, `live`).

    Characters that Kubernetes takes in no name become hyphens; then `spec.name` holds the alias's own.
    """
    plain = alias.lower().replace("_", "-").strip("-")
    if taken or not plain:
        plain = "-".join(filter(None, (plain, hashlib.sha256(alias.encode()).hexdigest()[:8])))
    return f"{function_object}.{plain}"


def _weights(routing: Body) -> dict[str, float]:
    found: dict[str, float] = routing.get("additionalVersionWeights") or {}
    return found

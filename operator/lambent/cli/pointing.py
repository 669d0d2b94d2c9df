"""What `lambent alias set` is told: a version, another one's weight, a strategy; and the patch that means it. Pure.

The API server judges the result in its own words; here is only what it would never see or could not explain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

from lambent.model import names

from . import aliases
from .objects import Body
from .outcomes import CommandFailed, ExitCode
from .published import LATEST_PUBLISHED

NO_STRATEGY = "none"
"""Value of `--strategy` that takes the rollout out of the specification."""
_VERSION = re.compile(r"\$LATEST|[1-9][0-9]{0,17}")


class Weight(click.ParamType[tuple[str, float]]):
    """`4=0.1` or `4=10%`: version and share, 0 to 1."""

    name = "weight"
    _SHAPE = re.compile(r"(?P<version>[^=]+)=(?P<number>[+-]?(\d+\.?\d*|\.\d+))(?P<percent>%?)")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Version and share."""
        if isinstance(value, tuple):
            return value
        match = self._SHAPE.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no weight: write VERSION=0.1 or VERSION=10%", param, ctx)
        share = float(match["number"]) / (100 if match["percent"] else 1)
        if not 0 <= share <= 1:
            self.fail(f"{value!r}: a weight is at least 0 and at most 1 (or 0% and 100%)", param, ctx)
        if match["version"] == names.LATEST:
            from lambent.model.aliases import WEIGHTS_AND_LATEST

            self.fail(f"{value!r}: {WEIGHTS_AND_LATEST}", param, ctx)
        if not _VERSION.fullmatch(match["version"]):
            self.fail(f"{value!r}: {match['version']!r} is no number of a published version", param, ctx)
        return match["version"], round(share, 12)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the alias is to be."""

    version: str
    """A number, `$LATEST` or `latest-published`."""
    weights: dict[str, float]
    description: str | None
    """None: as it is."""
    strategy: str | None
    """None: as it is; NO_STRATEGY: none."""

    @property
    def versions(self) -> list[str]:
        """All that it names."""
        return [self.version, *self.weights]


def check(wish: Wish) -> None:
    """That it can be meant.

    Raises:
        CommandFailed: it cannot.
    """
    if wish.version != LATEST_PUBLISHED and not _VERSION.fullmatch(wish.version):
        message = (
            f"{wish.version!r} is no version: give a number, '$LATEST' (in a shell in single quotes) or "
            f"{LATEST_PUBLISHED}; an alias points to versions only, not to aliases"
        )
        raise CommandFailed(ExitCode.USAGE, message)
    if wish.version == names.LATEST and wish.weights:
        from lambent.model.aliases import WEIGHTS_AND_LATEST

        raise CommandFailed(ExitCode.USAGE, WEIGHTS_AND_LATEST)
    if wish.version in wish.weights:
        message = f"--weight names version {wish.version} itself: it gets what the other version does not"
        raise CommandFailed(ExitCode.USAGE, message)
    if wish.strategy not in (None, NO_STRATEGY):
        if wish.weights:
            message = "--weight and --strategy exclude each other: a rollout sets the weights by itself"
            raise CommandFailed(ExitCode.USAGE, message)
        from lambent.model.rollouts import STRATEGIES, STRATEGY_NAMES

        if wish.strategy not in STRATEGY_NAMES:
            raise CommandFailed(ExitCode.USAGE, f"there is no strategy {wish.strategy!r}", ", ".join(STRATEGIES))


def patch(wish: Wish, existing: Body) -> dict[str, Any]:
    """The merge patch of the specification; what it does not name (hooks, alarms) stays."""
    weights: dict[str, float | None] = {**dict.fromkeys(aliases.wanted_weights(existing)), **wish.weights}
    spec = {**_target(wish), "routingConfig": {"additionalVersionWeights": weights} if wish.weights else None}
    if wish.description is not None:
        spec["description"] = wish.description
    if wish.strategy is not None:
        spec["rollout"] = None if wish.strategy == NO_STRATEGY else {"strategy": wish.strategy, "steps": None}
    return {"spec": spec}


def body(wish: Wish, function_name: str, alias: str, object_name: str) -> Body:
    """The Alias object that is to be made."""
    spec: dict[str, Any] = {"functionName": function_name}
    if object_name.rpartition(".")[2] != alias:
        spec["name"] = alias
    spec |= {key: value for key, value in _target(wish).items() if value is not None}
    if wish.weights:
        spec["routingConfig"] = {"additionalVersionWeights": wish.weights}
    if wish.description is not None:
        spec["description"] = wish.description
    if wish.strategy not in (None, NO_STRATEGY):
        spec["rollout"] = {"strategy": wish.strategy}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Alias",
        "metadata": {"name": object_name},
        "spec": spec,
    }


def _target(wish: Wish) -> dict[str, Any]:
    newest = wish.version == LATEST_PUBLISHED
    return {
        "functionVersion": None if newest else wish.version,
        "versionRef": None,
        "latestPublished": True if newest else None,
    }

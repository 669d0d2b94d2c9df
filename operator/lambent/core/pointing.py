"""What does an alias's specification mean now: which version, with which weights, or what is in the way?

Only what is published and observed counts; how the alias gets there is `core.rollout`'s question. What admission
refuses is refused here again: an object may have been stored before a rule was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.core.readiness import Problem
from lambent.model.aliases import NAME_REFUSED, WEIGHTS_AND_LATEST, AliasObject, AliasSpec
from lambent.model.conditions import Reason
from lambent.model.names import LATEST
from lambent.model.rollouts import STRATEGY_NAMES
from lambent.model.versions import NUMBER_PATTERN

_NUMBER = re.compile(NUMBER_PATTERN)


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What versions that share an alias's traffic must have in common."""

    role: str | None = None
    """The execution role, as the snapshot names it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is observed of the alias's function and its versions."""

    arn: str
    """ARN of the function, unqualified."""
    function_exists: bool = True
    versions: Mapping[str, VersionFacts] = field(default_factory=dict)
    """By number: those that exist and are not being deleted."""
    by_object: Mapping[str, str] = field(default_factory=dict)
    """Name of a Version object → its number; one that is not published yet is absent."""
    latest: str | None = None
    """The newest published version."""
    older: str | None = None
    """Name of an older Alias object that is the same alias."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an alias is to point: a number or `$LATEST`, and the share of an additional version."""

    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    """At most one entry: number of the additional version → its share, 0 to 1."""


def point(alias: AliasObject, known: Known) -> Target | Problem:
    """The target, or what is in the way.

    VersionNotFound and FunctionNotFound go away by themselves when what is missing appears; the other problems need a
    person.
    """
    refused = _refusal(alias)
    if refused is not None:
        return Problem(Reason.INVALID_SPEC, refused)
    if known.older is not None:
        return Problem(
            Reason.DUPLICATE_ALIAS_NAME,
            f"Alias already exists: {known.arn}:{alias.alias_name} is the Alias {known.older} of this namespace, which "
            "is older",
        )
    if not known.function_exists:
        return Problem(
            Reason.FUNCTION_NOT_FOUND, f"Function not found: {known.arn}; the alias waits for it to be created"
        )
    version = _version(alias.spec, known)
    if isinstance(version, Problem):
        return version
    # versionRef and latestPublished may come to mean the additional version itself: then it gets everything
    weights = {number: weight for number, weight in alias.spec.weights.items() if number != version}
    for number in (version, *weights):
        if number != LATEST and number not in known.versions:
            return Problem(
                Reason.VERSION_NOT_FOUND,
                f"Function not found: {known.arn}:{number}; the alias waits for version {number} to be published",
            )
    return _mismatch(alias, known, version, weights) or Target(version, weights)


def _refusal(alias: AliasObject) -> str | None:
    """What admission says to such an object today."""
    spec = alias.spec
    if alias.alias_name.isdigit():
        return NAME_REFUSED
    given = (spec.function_version is not None, spec.version_ref is not None, spec.latest_published)
    if sum(given) != 1:
        return "give exactly one of functionVersion, versionRef and latestPublished"
    return _weights_refusal(spec) or _rollout_refusal(spec)


def _weights_refusal(spec: AliasSpec) -> str | None:
    weights = spec.weights
    if len(weights) > 1:
        return "an alias can point to at most two versions: additionalVersionWeights has at most one entry"
    for number, weight in weights.items():
        if not _NUMBER.match(number):
            return f"additionalVersionWeights names what is no published version: {number}"
        if not 0 <= weight <= 1:
            return f"additionalVersionWeights: the weight of version {number} is {weight}, not within 0 and 1"
        if number == spec.function_version:
            return "additionalVersionWeights names functionVersion itself: it gets what the additional version does not"
    if weights and spec.function_version == LATEST:
        return WEIGHTS_AND_LATEST
    return None


def _rollout_refusal(spec: AliasSpec) -> str | None:
    rollout = spec.rollout
    if rollout is None:
        return None
    if spec.weights:
        return "give rollout or routingConfig, not both: a rollout sets the weights by itself, in status.routing"
    if (rollout.strategy is None) == (rollout.steps is None):
        return "give exactly one of strategy and steps"
    if rollout.strategy is not None and rollout.strategy not in STRATEGY_NAMES:
        return f"no such strategy: {rollout.strategy}"
    return None


def _version(spec: AliasSpec, known: Known) -> str | Problem:
    if spec.function_version is not None:
        return spec.function_version
    if spec.version_ref is not None:
        number = known.by_object.get(spec.version_ref.name)
        missing = f"the alias waits for the Version {spec.version_ref.name} of this namespace to be published"
    else:
        number = known.latest
        missing = "no version is published; the alias waits for the first one"
    return number or Problem(Reason.VERSION_NOT_FOUND, f"Function not found: {known.arn}: {missing}")


def _mismatch(alias: AliasObject, known: Known, version: str, weights: Mapping[str, float]) -> Problem | None:
    """Versions that would share the traffic, now or in a rollout's steps, have one execution role."""
    other = next(iter(weights), None) or _rolled_out_from(alias)
    if other is None or version == other or not {version, other} <= known.versions.keys():
        return None
    roles = [known.versions[number].role for number in (other, version)]
    if _account(roles[0]) == _account(roles[1]):
        return None
    shown = " and ".join(
        f"version {number} has {role or 'none'}" for number, role in zip((other, version), roles, strict=True)
    )
    advice = "" if weights else "; move at once, with the strategy AllAtOnce or without spec.rollout"
    return Problem(Reason.ROLE_MISMATCH, f"versions that share an alias must have the same role: {shown}{advice}")


def _rolled_out_from(alias: AliasObject) -> str | None:
    """The version that would share the traffic with the target, step by step."""
    if alias.spec.rollout is None or not alias.spec.rollout.planned():
        return None
    status = alias.status
    if status.rollout is not None and not status.rollout.ended:
        return status.rollout.from_version
    return status.routing.function_version if status.routing is not None else None


def _account(role: str | None) -> str | None:
    """The ServiceAccount that a role means, whether it is given by its ARN or its name."""
    return role.rsplit("/", 1)[-1] if role else None

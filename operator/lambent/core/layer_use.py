"""Which layers do environments of a function get, and what stands in the way?

What a function once got stays: the digests stand in its status, so that, as in Lambda, a version that was deleted since
breaks no function that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lambent.core.readiness import Obtained, Problem, StoredCode
from lambent.model import limits
from lambent.model.conditions import Reason
from lambent.model.function_statuses import FunctionStatus, LayerInUse
from lambent.model.functions import FunctionSpec
from lambent.model.layer_references import (
    SAME_LAYER,
    TOO_MANY,
    LayerReference,
    layer_version_arn,
    parse_layer_reference,
)
from lambent.model.layer_versions import LayerVersionSpec

Place = tuple[str, int]
"""Name and number of a layer's version, in one namespace."""
NOT_FOR_IMAGES = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Account:
    """Where a function lives: what an ARN without surprises begins with."""

    region: str
    id: str


@dataclass(frozen=True, slots=True)
class ResolvedLayer:
    """One layer of a function."""

    use: LayerInUse
    warning: str = ""
    """Why it may not be of much use to this function; Lambda lets it have it all the same."""


Resolved = tuple[ResolvedLayer, ...] | Problem


def named(spec: FunctionSpec) -> frozenset[Place]:
    """What the function names, whether or not it exists or may be used."""
    return frozenset((one.name, one.version) for one in _parsed(spec))


def resolve(
    spec: FunctionSpec, account: Account, known: Mapping[Place, LayerVersionSpec], told: FunctionStatus
) -> Resolved:
    """The layers of a function in their order; `known` are the versions that the namespace has."""
    parsed = _parsed(spec)
    refused = _refusal(spec, parsed, account)
    if refused is not None:
        return Problem(Reason.INVALID_SPEC, refused)
    had = {one.arn: one for one in told.layers or ()}
    found: list[ResolvedLayer] = []
    lacking: list[str] = []
    for reference in parsed:
        arn = _arn(reference, account)
        version = known.get((reference.name, reference.version))
        if version is not None:
            found.append(ResolvedLayer(_used(arn, version), _warning(arn, spec, version)))
        elif arn in had:
            found.append(ResolvedLayer(had[arn]))
        else:
            lacking.append(f"Layer version {arn} does not exist.")
    return Problem(Reason.REFERENCE_NOT_FOUND, " ".join(lacking)) if lacking else tuple(found)


def refusal(layers: Resolved, code: Obtained | Problem | None) -> Problem | None:
    """What only a person can change about the layers of a function."""
    if isinstance(layers, Problem):
        return layers if layers.reason == Reason.INVALID_SPEC else None
    if not layers or not isinstance(code, StoredCode):
        return None
    size = code.unzipped + sum(one.use.code_unzipped_size for one in layers)
    if size <= limits.UNZIPPED_BYTES_MAX:
        return None
    return Problem(
        Reason.INVALID_CODE,
        f"Function code combined with layers exceeds the maximum allowed size of {limits.UNZIPPED_BYTES_MAX} bytes. "
        f"The actual size is {size} bytes.",
    )


def missing(layers: Resolved) -> Problem | None:
    """Versions that are not there; they are picked up when they appear."""
    return layers if isinstance(layers, Problem) and layers.reason == Reason.REFERENCE_NOT_FOUND else None


def in_use(layers: Resolved) -> tuple[LayerInUse, ...]:
    """As a status tells it."""
    return () if isinstance(layers, Problem) else tuple(one.use for one in layers)


def warnings(layers: Resolved, old: FunctionStatus, new: FunctionStatus) -> list[str]:
    """What to tell of the layers that came with this change of the status."""
    if isinstance(layers, Problem) or old.layers == new.layers:
        return []
    before = {one.arn for one in old.layers or ()}
    return [one.warning for one in layers if one.warning and one.use.arn not in before]


def _parsed(spec: FunctionSpec) -> list[LayerReference]:
    """What is no reference is no Function: the kind's own pattern keeps it out."""
    return [one for text in spec.layers if (one := parse_layer_reference(text)) is not None]


def _refusal(spec: FunctionSpec, parsed: Sequence[LayerReference], account: Account) -> str | None:
    """What admission refuses too, for objects from before a rule, and what it cannot know."""
    if parsed and spec.package_type == "Image":
        return NOT_FOR_IMAGES
    if len(parsed) > limits.LAYERS_MAX:
        return TOO_MANY
    seen: dict[str, LayerReference] = {}
    for reference in parsed:
        region, owner = reference.region, reference.account
        if region is not None and owner is not None and (region, owner) != (account.region, account.id):
            other = layer_version_arn(region, owner, reference.name, reference.version)
            return (
                f"{other}: layers of other accounts and regions cannot be used. This namespace's own would be "
                f"{_arn(reference, account)}"
            )
        if reference.name in seen:
            pair = f"{_arn(seen[reference.name], account)} and {_arn(reference, account)}"
            return f"{SAME_LAYER} {pair} are versions of the same layer."
        seen[reference.name] = reference
    return None


def _arn(reference: LayerReference, account: Account) -> str:
    return layer_version_arn(account.region, account.id, reference.name, reference.version)


def _used(arn: str, version: LayerVersionSpec) -> LayerInUse:
    return LayerInUse(
        arn=arn,
        code_sha256=version.code_sha256,
        code_size=version.code_size,
        code_unzipped_size=version.code_unzipped_size,
    )


def _warning(arn: str, spec: FunctionSpec, version: LayerVersionSpec) -> str:
    found = []
    runtimes, architectures = version.compatible_runtimes, version.compatible_architectures
    if runtimes and spec.runtime not in runtimes:
        shown = ", ".join(runtimes[:_SHOWN]) + (", …" if len(runtimes) > _SHOWN else "")
        found.append(f"the runtime {spec.runtime} (it is for {shown})")
    if architectures and spec.architectures[0] not in architectures:
        found.append(f"the architecture {spec.architectures[0]} (it is for {', '.join(architectures)})")
    return f"{arn} does not name as compatible {' and '.join(found)}" if found else ""

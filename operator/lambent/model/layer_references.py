"""How functions name versions of layers: `<layer>:<version>` or Lambda's ARN of it, and what is refused of a list."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import limits
from .schemas import Rule

NAME_PATTERN = "[a-zA-Z0-9_-]{1,140}"
REFERENCE_PATTERN = rf"^(arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:[0-9]{{12}}:layer:)?{NAME_PATTERN}:[1-9][0-9]{{0,17}}$"
TOO_MANY = f"Cannot reference more than {limits.LAYERS_MAX} layers."
SAME_LAYER = "Two different versions of the same layer are not allowed to be referenced in the same function."

_REFERENCE = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):layer:)?"
    rf"(?P<name>{NAME_PATTERN}):(?P<version>[1-9][0-9]{{0,17}})"
)
_NAMES = "self.map(one, one.split(':')[one.split(':').size() - 2])"

LAYER_RULES = (
    Rule(f"self.size() <= {limits.LAYERS_MAX}", TOO_MANY),
    Rule(f"{_NAMES}.all(name, {_NAMES}.filter(other, other == name).size() == 1)", SAME_LAYER),
)
"""On the list of references."""


@dataclass(frozen=True, slots=True)
class LayerReference:
    """One version of one layer; region and account where an ARN was written."""

    name: str
    version: int
    region: str | None = None
    account: str | None = None


def parse_layer_reference(text: str) -> LayerReference | None:
    """The parts of a reference; None where it is none."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return None
    return LayerReference(match["name"], int(match["version"]), match["region"], match["account"])


def layer_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:lambda:<region>:<account>:layer:<name>`."""
    return f"arn:aws:lambda:{region}:{account}:layer:{name}"


def layer_version_arn(region: str, account: str, name: str, version: int) -> str:
    """`arn:aws:lambda:<region>:<account>:layer:<name>:<version>`."""
    return f"{layer_arn(region, account, name)}:{version}"

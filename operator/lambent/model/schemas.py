"""What a kind says of itself beyond its fields: CEL rules, printer columns, list types.

The models carry these as plain data; `tools/` turns them into CustomResourceDefinitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rule:
    """One `x-kubernetes-validations` entry of the object or field it stands on.

    An object's class lists its rules in `rules`; a single field carries them in its `Annotated` metadata.
    """

    expression: str
    message: str
    field_path: str | None = None
    reason: str = "FieldValueInvalid"
    optional_old_self: bool = False
    message_expression: str | None = None
    """CEL that words the message with the offending value in it; `message` answers when it fails."""


@dataclass(frozen=True, slots=True)
class Column:
    """One additional printer column; priority 1 shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    description: str = ""
    format: str | None = None


@dataclass(frozen=True, slots=True)
class ListType:
    """`x-kubernetes-list-type` of a list field."""

    kind: str  # "atomic" | "set" | "map"
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """Raw schema keywords to merge into a field's schema, such as `maxProperties`."""

    keywords: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What the CustomResourceDefinition of a kind needs besides its schema."""

    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    columns: tuple[Column, ...]
    selectable_fields: tuple[str, ...] = ()

"""From a pydantic model to a structural OpenAPI v3 schema as CustomResourceDefinitions demand it.

Structural means: references inlined, one `type` everywhere, no `null` in unions (a missing member is absent, never
null), no `title`, `discriminator`, `const` or `$ref`, and `additionalProperties` for maps only. pydantic's own JSON
schema has all of these, so the fields are walked here instead.
"""

from __future__ import annotations

import builtins
import inspect
import types
import typing
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lambent.model.schemas import Extra, ListType, Rule

Schema = dict[str, Any]

_SCALARS: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_LENGTHS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


class NotStructural(TypeError):
    """A model says something that a structural schema cannot."""


def object_schema(model: type[BaseModel]) -> Schema:
    """The schema of an object, its fields in the order in which the class declares them."""
    schema: Schema = {"type": "object", "description": inspect.cleandoc(model.__doc__ or "")}
    required = [_alias(name, field) for name, field in model.model_fields.items() if field.is_required()]
    if required:
        schema["required"] = required
    schema["properties"] = {_alias(name, field): field_schema(field) for name, field in model.model_fields.items()}
    rules: tuple[Rule, ...] = getattr(model, "rules", ())
    if rules:
        schema["x-kubernetes-validations"] = [rule_entry(rule) for rule in rules]
    return schema


def field_schema(field: FieldInfo) -> Schema:
    """The schema of one field: its type, its constraints, its description and the default that is filled in."""
    schema = type_schema(field.annotation)
    _constrain(schema, field.metadata)
    if field.description:
        schema = {"type": schema.pop("type"), "description": field.description} | _without(schema, "description")
    default = _default(field)
    if default is not None:
        schema["default"] = default
    return schema


def type_schema(annotation: Any) -> Schema:
    """The schema of a Python type.

    Raises:
        NotStructural: for unions of several types and for types without a JSON counterpart.
    """
    arguments = get_args(annotation)
    match get_origin(annotation):
        case typing.Annotated:
            schema = type_schema(arguments[0])
            _constrain(schema, _flatten(arguments[1:]))
        case typing.Union | types.UnionType:
            schema = type_schema(_only_variant(annotation))
        case typing.Literal:
            schema = {"type": "string", "enum": list(arguments)}
        case builtins.list:
            schema = {"type": "array", "items": _without_defaults(type_schema(arguments[0]))}
        case builtins.dict:
            schema = {"type": "object", "additionalProperties": type_schema(arguments[1])}
        case _ if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            schema = object_schema(annotation)
        case _ if annotation in _SCALARS:
            schema = {"type": _SCALARS[annotation]}
        case _:
            raise NotStructural(f"{annotation} has no structural schema")
    return schema


def _without_defaults(item: Schema) -> Schema:
    """In items of lists the API server fills in nothing; readers do.

    `kubectl apply` and Argo CD compare a list as a whole: what is filled in there would be a change for ever.
    """
    item.pop("default", None)
    for child in item.get("properties", {}).values():
        _without_defaults(child)
    return item


def rule_entry(rule: Rule) -> Schema:
    """One entry of `x-kubernetes-validations`."""
    entry: Schema = {"rule": rule.expression, "message": rule.message, "reason": rule.reason}
    if rule.message_expression:
        entry["messageExpression"] = rule.message_expression
    if rule.field_path:
        entry["fieldPath"] = rule.field_path
    if rule.optional_old_self:
        entry["optionalOldSelf"] = True
    return entry


def _only_variant(union: Any) -> Any:
    """The type that a member has when it is given: `X | None` says only that it may be absent."""
    variants = [variant for variant in get_args(union) if variant is not types.NoneType]
    if len(variants) != 1:
        raise NotStructural(f"{union}: one optional member per variant, not a union")
    return variants[0]


def _constrain(schema: Schema, metadata: Iterable[Any]) -> None:
    """Write constraints into a schema; an integer's bounds are inclusive, so gt and lt have no keyword here."""
    for entry in metadata:
        match entry:
            case Ge(ge=bound):
                schema["minimum"] = bound
            case Le(le=bound):
                schema["maximum"] = bound
            case MinLen(min_length=bound):
                schema[_LENGTHS[schema["type"]][0]] = bound
            case MaxLen(max_length=bound):
                schema[_LENGTHS[schema["type"]][1]] = bound
            case ListType(kind=kind, keys=keys):
                schema |= {"x-kubernetes-list-type": kind} | (
                    {"x-kubernetes-list-map-keys": list(keys)} if keys else {}
                )
            case Extra(keywords=keywords):
                schema |= keywords
            case Rule():
                schema.setdefault("x-kubernetes-validations", []).append(rule_entry(entry))
            case object(pattern=str(pattern)):
                schema["pattern"] = pattern
            case _:
                raise NotStructural(f"no keyword of a structural schema says {entry!r}")


def _flatten(metadata: Iterable[Any]) -> Iterable[Any]:
    for entry in metadata:
        if isinstance(entry, FieldInfo):
            yield from entry.metadata
        else:
            yield entry


def _default(field: FieldInfo) -> Any:
    """The default that the API server shall fill in; None for none.

    Empty strings, lists and maps are no defaults: filling them in says nothing, and they would show in every object.
    """
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True, exclude_none=True, mode="json")
        value = {name: content for name, content in value.items() if content not in ("", [], {})}
    return None if value in ("", [], {}) else value


def _alias(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _without(schema: Schema, keyword: str) -> Schema:
    return {name: value for name, value in schema.items() if name != keyword}

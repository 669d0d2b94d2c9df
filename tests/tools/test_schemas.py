"""From models to structural schemas."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field

from lambent.model.fields import Fields, KubernetesName
from lambent.model.schemas import Extra, ListType, Rule
from lambent.tools.schemas import NotStructural, object_schema


class Part(Fields):
    """A part."""

    size: Annotated[int, Field(ge=1, le=9, description="Size.")] = 3


class Whole(Fields):
    """A whole."""

    rules: ClassVar = (Rule("has(self.first_)", "first is missing", ".first", "FieldValueRequired"),)
    first: Annotated[str, Field(min_length=1, max_length=5, pattern="^a", description="First.")]
    camel_case: Annotated[str | None, Field(max_length=9, description="Maybe.")] = None
    kind_of: Annotated[Literal["One", "Two"], Field(description="Kind.")] = "One"
    empty: Annotated[str, Field(description="Nothing.")] = ""
    names: Annotated[list[KubernetesName], Field(max_length=4, description="Names."), ListType("set")] = Field(
        default_factory=list
    )
    words: Annotated[
        dict[str, Annotated[str, Field(max_length=7)]],
        Field(default_factory=dict, description="Words."),
        Extra({"maxProperties": 2}),
    ]
    part: Annotated[Part, Field(default_factory=Part, description="The part here.")]
    ruled: Annotated[int, Field(description="Ruled."), Rule("self > 1", "too small", message_expression="'no'")] = 2
    flag: Annotated[bool | None, Field(description="Flag.")] = None


PROPERTIES = object_schema(Whole)["properties"]

EXPECTED = {
    "a string with its bounds": (
        "first",
        {"type": "string", "description": "First.", "minLength": 1, "maxLength": 5, "pattern": "^a"},
    ),
    "an optional member is a member without null": (
        "camelCase",
        {"type": "string", "description": "Maybe.", "maxLength": 9},
    ),
    "a literal is an enum, its default is filled in": (
        "kindOf",
        {"type": "string", "description": "Kind.", "enum": ["One", "Two"], "default": "One"},
    ),
    "an empty default is none": ("empty", {"type": "string", "description": "Nothing."}),
    "a list says how it merges, its items keep their bounds": (
        "names",
        {
            "type": "array",
            "description": "Names.",
            "items": {
                "type": "string",
                "minLength": 1,
                "maxLength": 253,
                "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            },
            "maxItems": 4,
            "x-kubernetes-list-type": "set",
        },
    ),
    "a map is the one use of additionalProperties": (
        "words",
        {
            "type": "object",
            "description": "Words.",
            "additionalProperties": {"type": "string", "maxLength": 7},
            "maxProperties": 2,
        },
    ),
    "an object is inlined, described by its field, defaulted as a whole": (
        "part",
        {
            "type": "object",
            "description": "The part here.",
            "properties": {
                "size": {"type": "integer", "description": "Size.", "minimum": 1, "maximum": 9, "default": 3}
            },
            "default": {"size": 3},
        },
    ),
    "a rule may stand on a field": (
        "ruled",
        {
            "type": "integer",
            "description": "Ruled.",
            "x-kubernetes-validations": [
                {
                    "rule": "self > 1",
                    "message": "too small",
                    "reason": "FieldValueInvalid",
                    "messageExpression": "'no'",
                }
            ],
            "default": 2,
        },
    ),
    "a boolean": ("flag", {"type": "boolean", "description": "Flag."}),
}


@pytest.mark.parametrize(("name", "schema"), EXPECTED.values(), ids=EXPECTED)
def test_a_field_becomes(name, schema):
    """Each kind of field has one form."""
    assert schema == PROPERTIES[name]


def test_an_object_lists_what_is_required_and_its_rules():
    """A field without a default is required."""
    schema = object_schema(Whole)
    assert schema["description"] == "A whole."
    assert schema["required"] == ["first"]
    assert schema["x-kubernetes-validations"] == [
        {
            "rule": "has(self.first_)",
            "message": "first is missing",
            "reason": "FieldValueRequired",
            "fieldPath": ".first",
        }
    ]


class Union(Fields):
    """A string or a number."""

    value: str | int


class Open(Fields):
    """An exclusive bound."""

    value: Annotated[int, Field(gt=1)]


class Alien(Fields):
    """A type without a counterpart."""

    value: complex | None = None


@pytest.mark.parametrize("model", [Union, Open, Alien])
def test_what_is_not_structural_is_refused_when_generating(model):
    """Not when a cluster reads it."""
    with pytest.raises(NotStructural):
        object_schema(model)

"""The root of every model that is parsed out of a resource, and the field types that kinds share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .schemas import Extra, Rule

KubernetesName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
UNOBSERVED = -1
"""The generation that a status describes which nobody has written yet."""
ObservedGeneration = Annotated[
    int | None, Field(ge=UNOBSERVED, description="Generation of the specification that this status describes.")
]
NobodyLooked = Extra({"default": {"observedGeneration": UNOBSERVED}})
"""Of `status`: kstatus takes an object without observedGeneration for current, so the API server fills one in."""


class Fields(BaseModel):
    """Root of everything parsed out of a resource: frozen, camelCase outside, unknown fields ignored.

    (Unknown fields were refused or pruned by the API server already.)
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")
    rules: ClassVar[tuple[Rule, ...]] = ()

    def applied(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """As it is written by server-side apply: camelCase, without fields that are None, and without `without`.

        A list or map that is empty is left out where empty is its default. To apply it as empty is another thing: where
        it had entries of ours, the API server makes null of it, and refuses that.
        """
        dumped = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(without))
        _leave_out_empty(self, dumped)
        return dumped


def _leave_out_empty(fields: Fields, dumped: dict[str, Any]) -> None:
    for name, field in type(fields).model_fields.items():
        value, key = getattr(fields, name), field.serialization_alias or name
        if key not in dumped:
            continue
        if isinstance(value, list | dict) and not value:
            if field.get_default(call_default_factory=True) == value:
                del dumped[key]
        elif isinstance(value, Fields):
            _leave_out_empty(value, dumped[key])
        elif isinstance(value, list):
            for each, dump in zip(value, dumped[key], strict=True):
                if isinstance(each, Fields):
                    _leave_out_empty(each, dump)

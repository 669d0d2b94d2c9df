"""The root of every model that is parsed out of a resource, and the field types that kinds share."""

from __future__ import annotations

from typing import Annotated, ClassVar

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

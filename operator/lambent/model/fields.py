"""The root of every model that is parsed out of a resource, and the field types that kinds share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .schemas import Rule

KubernetesName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class Fields(BaseModel):
    """Root of everything parsed out of a resource: frozen, camelCase outside, unknown fields ignored.

    (Unknown fields were refused or pruned by the API server already.)
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")
    rules: ClassVar[tuple[Rule, ...]] = ()

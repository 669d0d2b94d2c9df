"""Where environments may run: the allowlist of pod fields that a function may set. There is no PodSpec passthrough."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Fields, KubernetesName
from .schemas import Extra, ListType


class Toleration(Fields):
    """A Kubernetes toleration, field for field."""

    key: Annotated[str | None, Field(max_length=253, description="Taint key to tolerate; empty matches all.")] = None
    operator: Annotated[
        Literal["Exists", "Equal"] | None, Field(description="How the value is compared. Default Equal.")
    ] = None
    value: Annotated[str | None, Field(max_length=253, description="Taint value to match.")] = None
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None,
        Field(description="Taint effect to match; empty matches all."),
    ] = None
    toleration_seconds: Annotated[int | None, Field(description="How long a NoExecute taint is tolerated.", ge=0)] = (
        None
    )


class TopologySpread(Fields):
    """How environments of the function spread over a topology; the label selector is ours."""

    max_skew: Annotated[int, Field(ge=1, description="Most difference between two domains. Default: 1.")] = 1
    topology_key: Annotated[str, Field(min_length=1, max_length=317, description="Node label that names the domain.")]
    when_unsatisfiable: Annotated[
        Literal["DoNotSchedule", "ScheduleAnyway"],
        Field(description="What to do when the skew cannot be kept. Default: ScheduleAnyway."),
    ] = "ScheduleAnyway"


class Placement(Fields):
    """Where environments may run: the allowlist of pod fields that a function may set."""

    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]] | None,
        Field(description="Labels a node must have."),
        Extra({"maxProperties": 32}),
    ] = None
    tolerations: Annotated[
        list[Toleration], Field(max_length=32, description="Taints that environments tolerate."), ListType("atomic")
    ] = Field(default_factory=list)
    topology_spread_constraints: Annotated[
        list[TopologySpread],
        Field(max_length=8, description="How environments spread over nodes or zones."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    priority_class_name: Annotated[KubernetesName | None, Field(description="PriorityClass of environments.")] = None
    runtime_class_name: Annotated[
        KubernetesName | None, Field(description="RuntimeClass of environments, such as gvisor or kata.")
    ] = None
    image_pull_secrets: Annotated[
        list[KubernetesName],
        Field(max_length=16, description="Names of Secrets with registry credentials."),
        ListType("set"),
    ] = Field(default_factory=list)

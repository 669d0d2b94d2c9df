"""The Function kind: `$LATEST` of one Lambda function, its code and its configuration.

Field names are the Lambda API's own in camelCase; what only Kubernetes has takes Kubernetes' own shape.
Descriptions are the manual: `kubectl explain fn.spec` prints them. The parts live in modules of their own; import
them from here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from . import limits, names
from .codes import Code, ConfigMapCode, SecretReference
from .configurations import EphemeralStorage, FileSystemConfig, LoggingConfig, TracingConfig
from .environments import Scope
from .fields import Fields, KubernetesName, NobodyLooked
from .function_configurations import Environment, FunctionConfiguration, ImageConfig, KeyReference, VariableSource
from .function_specs import FunctionSpec, VersionRetention
from .function_statuses import ConditionStatus, FunctionStatus, ImageStatus
from .objects import KubernetesObject, identity
from .placements import Placement, Toleration, TopologySpread
from .schemas import Column, KindFacts, Rule

__all__ = [
    "Code",
    "ConditionStatus",
    "ConfigMapCode",
    "Environment",
    "EphemeralStorage",
    "Fields",
    "FileSystemConfig",
    "Function",
    "FunctionConfiguration",
    "FunctionObject",
    "FunctionSpec",
    "FunctionStatus",
    "ImageConfig",
    "ImageStatus",
    "KeyReference",
    "KubernetesName",
    "LoggingConfig",
    "Placement",
    "SecretReference",
    "Toleration",
    "TopologySpread",
    "TracingConfig",
    "VariableSource",
    "VersionRetention",
]


class Function(Fields):
    """A Lambda function: code, configuration and what is true of it."""

    rules = (
        Rule(
            # Lambda's name is metadata.name by default, but Kubernetes allows there what Lambda does not.
            "has(self.spec.functionName) || (size(self.metadata.name) <= "
            f"{limits.FUNCTION_NAME_CHARS_MAX} && !self.metadata.name.contains('.'))",
            "metadata.name is over 64 characters or has a dot, which Lambda's function names may not: "
            "give spec.functionName",
            ".spec.functionName",
            "FieldValueRequired",
        ),
    )
    facts: ClassVar[KindFacts] = KindFacts(
        kind="Function",
        plural="functions",
        singular="function",
        short_names=("fn",),
        categories=("lambent", "all"),
        columns=(
            Column("Runtime", ".spec.runtime"),
            Column("Memory", ".spec.memorySize", "integer", description="MB"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Envs", ".status.environments", "integer", description="Execution environments, sampled"),
            Column("Package", ".spec.packageType", priority=1),
            Column("Timeout", ".spec.timeout", "integer", priority=1, description="Seconds"),
            Column("Handler", ".spec.handler", priority=1),
            Column("CodeSize", ".status.codeSize", "integer", priority=1),
            Column("Revision", ".status.revision", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        selectable_fields=(".spec.runtime", ".spec.functionName"),
    )
    spec: Annotated[FunctionSpec, Field(description="What the function is to be.")]
    status: Annotated[
        FunctionStatus, Field(default_factory=FunctionStatus, description="What is true of it now."), NobodyLooked
    ]


class FunctionObject(KubernetesObject):
    """A Function as read from the API server: identity and content, parsed once at the border."""

    kind: ClassVar[str] = Function.facts.kind
    spec: FunctionSpec
    status: FunctionStatus

    @property
    def function_name(self) -> str:
        """Lambda's name of the function."""
        return self.spec.function_name or self.name

    @property
    def configuration(self) -> FunctionConfiguration:
        """What its environments are made of."""
        return self.spec

    @property
    def scope(self) -> Scope:
        """That of its environments."""
        return Scope.of(self.uid, names.LATEST)

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> FunctionObject:
        """Parse an object of the API server.

        Raises:
            pydantic.ValidationError: when the object does not have the shape of the kind.
        """
        return cls(
            **identity(body),
            spec=FunctionSpec.model_validate(body["spec"]),
            status=FunctionStatus.model_validate(body.get("status") or {}),
        )

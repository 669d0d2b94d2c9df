"""The Layer kind: what people write of a layer. Each change of it is published as a LayerVersion by the controller.

Field names are the Lambda API's own in camelCase.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from . import limits
from .codes import LayerContent, Origin
from .fields import Fields, KubernetesName, NobodyLooked, ObservedGeneration
from .function_statuses import ConditionStatus
from .objects import KubernetesObject, identity
from .schemas import Column, Extra, KindFacts, ListType, Rule

OBJECT_NAME_CHARS_MAX = 230
"""Of metadata.name: a dot and the version's number follow in the names of LayerVersions, which have at most 253."""


class LayerMetadata(Fields):
    """What Lambda says of a layer's version, and lets nobody change afterwards."""

    description: Annotated[
        str,
        Field(
            max_length=limits.DESCRIPTION_CHARS_MAX, description="A description of the version, up to 256 characters."
        ),
    ] = ""
    license_info: Annotated[
        str,
        Field(
            max_length=limits.LICENSE_CHARS_MAX,
            description="The licence: an SPDX identifier, an address or the text, up to 512 characters.",
        ),
    ] = ""
    compatible_runtimes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9.]*$")]],
        Field(
            max_length=limits.COMPATIBLE_RUNTIMES_MAX,
            description="Runtimes that the layer is for. Others may use it: an Event of the function says so.",
        ),
        ListType("set"),
    ] = Field(default_factory=list)
    compatible_architectures: Annotated[
        list[Literal["x86_64", "arm64"]],
        Field(
            max_length=limits.COMPATIBLE_ARCHITECTURES_MAX,
            description="Instruction sets that the layer is for. Others may use it: an Event of the function says so.",
        ),
        ListType("set"),
    ] = Field(default_factory=list)


class LayerSpec(LayerMetadata):
    """What the layer is to be. A change of content or metadata publishes another version."""

    rules = (
        Rule(
            "has(oldSelf.layerName) == has(self.layerName) && "
            "(!has(self.layerName) || self.layerName == oldSelf.layerName)",
            "layerName is immutable",
            ".layerName",
            "FieldValueForbidden",
        ),
    )
    layer_name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.LAYER_NAME_CHARS_MAX,
            pattern=r"^[a-zA-Z0-9_-]+$",
            description="Lambda's name of the layer, up to 140 letters, digits, hyphens and underscores. "
            "Part of the ARN and immutable. Default: metadata.name.",
        ),
    ] = None
    content: Annotated[LayerContent, Field(description="The zip archive with the layer's files. Exactly one source.")]
    image_pull_secrets: Annotated[
        list[KubernetesName],
        Field(max_length=16, description="Names of Secrets with registry credentials, for content.artifactUri."),
        ListType("set"),
    ] = Field(default_factory=list)

    @property
    def origin(self) -> Origin:
        """What decides which content is obtained."""
        return Origin(
            "Layer", self.content, pull_secrets=tuple(self.image_pull_secrets if self.content.artifact_uri else ())
        )


class LayerStatus(Fields):
    """What is true of the layer now."""

    observed_generation: ObservedGeneration = None
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            max_length=16,
            description="What is true of the layer. Ready is always there; Reconciling and Stalled only while True.",
        ),
        ListType("map", ("type",)),
    ] = Field(default_factory=list)
    layer_arn: Annotated[str | None, Field(max_length=256, description="ARN of the layer.")] = None
    latest_version: Annotated[int | None, Field(ge=1, description="Number of the newest version.")] = None
    latest_version_arn: Annotated[str | None, Field(max_length=256, description="ARN of the newest version.")] = None
    revision: Annotated[
        str | None,
        Field(
            max_length=16,
            description="Digest of content and metadata of the newest version: what equals it is not published again.",
        ),
    ] = None
    code_sha256: Annotated[
        str | None, Field(max_length=64, description="SHA-256 of the newest version's archive, base64.")
    ] = None
    code_size: Annotated[int | None, Field(ge=0, description="Size of the archive in bytes.")] = None
    code_unzipped_size: Annotated[int | None, Field(ge=0, description="Bytes of its files, unzipped.")] = None
    code_source: Annotated[
        str | None,
        Field(
            max_length=16,
            description="Digest of the source (spec.content and what it refers to) that codeSha256 was obtained from: "
            "while it stays the same, the content is not fetched again.",
        ),
    ] = None
    last_modified: Annotated[
        str | None, Field(description="When the newest version was published."), Extra({"format": "date-time"})
    ] = None


class Layer(Fields):
    """A layer: files that functions get under /opt. Its versions are LayerVersions, numbered and immutable."""

    rules = (
        Rule(
            "has(self.spec.layerName) || (size(self.metadata.name) <= "
            f"{limits.LAYER_NAME_CHARS_MAX} && !self.metadata.name.contains('.'))",
            "metadata.name is over 140 characters or has a dot, which Lambda's layer names may not: "
            "give spec.layerName",
            ".spec.layerName",
            "FieldValueRequired",
        ),
        Rule(
            f"size(self.metadata.name) <= {OBJECT_NAME_CHARS_MAX}",
            f"metadata.name has more than {OBJECT_NAME_CHARS_MAX} characters: the names of its versions would be too "
            "long",
        ),
    )
    facts: ClassVar[KindFacts] = KindFacts(
        kind="Layer",
        plural="layers",
        singular="layer",
        short_names=("fnl",),
        categories=("lambent",),
        columns=(
            Column("Latest", ".status.latestVersion", "integer", description="Number of the newest version"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Size", ".status.codeSize", "integer", description="Bytes of the archive"),
            Column("Runtimes", ".spec.compatibleRuntimes", priority=1),
            Column("Architectures", ".spec.compatibleArchitectures", priority=1),
            Column("Revision", ".status.revision", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        selectable_fields=(".spec.layerName",),
    )
    spec: Annotated[LayerSpec, Field(description="What the layer is to be.")]
    status: Annotated[
        LayerStatus, Field(default_factory=LayerStatus, description="What is true of it now."), NobodyLooked
    ]


class LayerObject(KubernetesObject):
    """A Layer as read from the API server: identity and content, parsed once at the border."""

    kind: ClassVar[str] = Layer.facts.kind
    spec: LayerSpec
    status: LayerStatus

    @property
    def layer_name(self) -> str:
        """Lambda's name of the layer."""
        return self.spec.layer_name or self.name

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> LayerObject:
        """Parse an object of the API server.

        Raises:
            pydantic.ValidationError: when the object does not have the shape of the kind.
        """
        return cls(
            **identity(body),
            spec=LayerSpec.model_validate(body["spec"]),
            status=LayerStatus.model_validate(body.get("status") or {}),
        )

"""The LayerVersion kind: one published version of a layer, immutable. The controller makes them; people delete them.

There is no status: a version exists when its content is stored, and nothing of it changes afterwards.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from . import limits, names
from .fields import Fields
from .layers import LayerMetadata
from .objects import KubernetesObject, identity
from .schemas import Column, Extra, KindFacts, Rule


class LayerVersionSpec(LayerMetadata):
    """What the version is, for ever."""

    rules = (Rule("self == oldSelf", "a layer version is immutable: publish another", reason="FieldValueForbidden"),)
    layer_name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=limits.LAYER_NAME_CHARS_MAX,
            pattern=r"^[a-zA-Z0-9_-]+$",
            description="Lambda's name of the layer.",
        ),
    ]
    version: Annotated[int, Field(ge=1, description="Number of the version; never used twice for one name.")]
    layer_version_arn: Annotated[
        str, Field(max_length=256, description="ARN of the version, with the account at the time of publishing.")
    ]
    code_sha256: Annotated[
        str,
        Field(
            min_length=44,
            max_length=44,
            pattern=r"^[A-Za-z0-9+/]{43}=$",
            description="SHA-256 of the archive, base64: what the code store keeps it under.",
        ),
    ]
    code_size: Annotated[int, Field(ge=0, description="Size of the archive in bytes.")]
    code_unzipped_size: Annotated[int, Field(ge=0, description="Bytes of its files, unzipped.")]
    revision: Annotated[str, Field(max_length=16, description="Digest of content and metadata.")]
    created_date: Annotated[str, Field(description="When it was published."), Extra({"format": "date-time"})]


class LayerVersion(Fields):
    """A published version of a layer. Deleting it breaks no function that uses it already."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="LayerVersion",
        plural="layerversions",
        singular="layerversion",
        short_names=("fnlv",),
        categories=("lambent",),
        columns=(
            Column("Layer", ".spec.layerName"),
            Column("Version", ".spec.version", "integer"),
            Column("Size", ".spec.codeSize", "integer", description="Bytes of the archive"),
            Column("Description", ".spec.description"),
            Column("Runtimes", ".spec.compatibleRuntimes", priority=1),
            Column("Architectures", ".spec.compatibleArchitectures", priority=1),
            Column("ARN", ".spec.layerVersionArn", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        selectable_fields=(".spec.layerName",),
    )
    spec: Annotated[LayerVersionSpec, Field(description="What the version is. Immutable.")]


class LayerVersionObject(KubernetesObject):
    """A LayerVersion as read from the API server."""

    kind: ClassVar[str] = LayerVersion.facts.kind
    owner_uid: str
    """Uid of its Layer; empty when that is gone and the version was left."""
    spec: LayerVersionSpec

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> LayerVersionObject:
        """Parse an object of the API server.

        Raises:
            pydantic.ValidationError: when the object does not have the shape of the kind.
        """
        metadata = body["metadata"]
        owners = (
            owner["uid"]
            for owner in metadata.get("ownerReferences") or []
            if owner.get("controller") and owner.get("kind") == "Layer" and owner.get("apiVersion") == names.API_VERSION
        )
        return cls(
            **identity(body),
            owner_uid=next(owners, ""),
            spec=LayerVersionSpec.model_validate(body["spec"]),
        )

"""`status` of a Function: conditions and what was observed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from . import limits
from .fields import Fields, ObservedGeneration
from .schemas import Extra, ListType


class ConditionStatus(Fields):
    """A condition as metav1.Condition."""

    type: Annotated[str, Field(max_length=316, description="Type of the condition; CamelCase, unique in the list.")]
    status: Annotated[
        Literal["True", "False", "Unknown"], Field(description="Whether the condition holds: True, False or Unknown.")
    ]
    observed_generation: Annotated[int | None, Field(ge=0, description="Generation of the object that was judged.")] = (
        None
    )
    last_transition_time: Annotated[
        str, Field(description="When the status of the condition changed last."), Extra({"format": "date-time"})
    ]
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, description="Why, as one of the documented reasons; CamelCase.")
    ]
    message: Annotated[str, Field(max_length=32768, description="Why, for people, with the next step.")]


Argument = Annotated[str, Field(max_length=limits.IMAGE_ARGUMENT_CHARS_MAX)]


class ImageStatus(Fields):
    """A container image as its registry showed it when the specification changed."""

    resolved_uri: Annotated[
        str, Field(max_length=1200, description="Repository and digest: what environments run, wherever the tag goes.")
    ]
    entry_point: Annotated[
        list[Argument],
        Field(max_length=limits.IMAGE_ARGUMENTS_MAX, description="ENTRYPOINT of the image."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    command: Annotated[
        list[Argument],
        Field(max_length=limits.IMAGE_ARGUMENTS_MAX, description="CMD of the image."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    working_directory: Annotated[
        str | None, Field(max_length=4096, description="WORKDIR of the image; the root without one.")
    ] = None


class LayerInUse(Fields):
    """A version of a layer that environments get. What stands here stays, also when the version is deleted."""

    arn: Annotated[str, Field(max_length=256, description="ARN of the layer's version.")]
    code_sha256: Annotated[str, Field(max_length=64, description="SHA-256 of its archive, base64.")]
    code_size: Annotated[int, Field(ge=0, description="Size of the archive in bytes.")]
    code_unzipped_size: Annotated[int, Field(ge=0, description="Bytes of its files, unzipped.")]


class FunctionStatus(Fields):
    """What is true of the function now."""

    observed_generation: ObservedGeneration = None
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            max_length=16,
            description="What is true of the function. Ready is always there; Reconciling and Stalled only while True.",
        ),
        ListType("map", ("type",)),
    ] = Field(default_factory=list)
    function_arn: Annotated[str | None, Field(max_length=256, description="ARN of the function.")] = None
    code_sha256: Annotated[
        str | None,
        Field(
            max_length=64,
            description="SHA-256 of the deployment package, base64; of a container image its digest, hexadecimal, as "
            "Lambda spells both.",
        ),
    ] = None
    code_size: Annotated[int | None, Field(ge=0, description="Size of the deployment package in bytes.")] = None
    code_unzipped_size: Annotated[
        int | None, Field(ge=0, description="Bytes of the deployment package's files, unzipped.")
    ] = None
    code_source: Annotated[
        str | None,
        Field(
            max_length=16,
            description="Digest of the source (spec.code and what it refers to) that codeSha256 was obtained from: "
            "while it stays the same, the code is not fetched again.",
        ),
    ] = None
    layers: Annotated[
        list[LayerInUse] | None,
        Field(
            max_length=limits.LAYERS_MAX,
            description="Layers of environments, in the order in which they are merged into /opt.",
        ),
        ListType("atomic"),
    ] = None
    image: Annotated[
        ImageStatus | None, Field(description="The container image, resolved, with packageType Image.")
    ] = None
    revision: Annotated[
        str | None, Field(max_length=16, description="Digest of configuration and code: the identity of a publish.")
    ] = None
    pod_revision: Annotated[
        str | None,
        Field(max_length=16, description="Digest of all that makes an environment: the identity of environments."),
    ] = None
    latest_version: Annotated[
        str | None, Field(max_length=18, description="Number of the newest published version.")
    ] = None
    environments: Annotated[
        int | None,
        Field(ge=0, description="Execution environments of $LATEST, sampled at most every ten seconds."),
    ] = None
    last_modified: Annotated[
        str | None, Field(description="When code or configuration changed last."), Extra({"format": "date-time"})
    ] = None

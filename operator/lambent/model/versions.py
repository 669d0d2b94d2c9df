"""The Version kind: an immutable, numbered snapshot of a function's code and configuration.

People and tools write a Version to publish; the controller takes the snapshot once and never changes it. The number
is in the status: Git cannot know it. `spec.publish` of a Function makes Versions by itself.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from . import limits, names
from .environments import Scope
from .fields import Fields, NobodyLooked, ObservedGeneration
from .function_configurations import FunctionConfiguration
from .function_statuses import ConditionStatus, ImageStatus, LayerInUse
from .objects import KubernetesObject, identity
from .owners import owner_function
from .schemas import Column, Extra, KindFacts, ListType, Rule

NUMBER_PATTERN = r"^[1-9][0-9]{0,17}$"
Number = Annotated[str, Field(min_length=1, max_length=18, pattern=NUMBER_PATTERN)]
"""Number of a version, as Lambda spells it: a string of digits."""
FunctionName = Annotated[
    str, Field(min_length=1, max_length=limits.FUNCTION_NAME_CHARS_MAX, pattern=r"^[a-zA-Z0-9_-]+$")
]


class VersionSpec(Fields):
    """What is to be published. Immutable."""

    rules = (Rule("self == oldSelf", "a version is immutable: publish another", reason="FieldValueForbidden"),)
    function_name: Annotated[
        FunctionName, Field(description="Lambda's name of the function whose $LATEST is published.")
    ]
    description: Annotated[
        str,
        Field(
            max_length=limits.DESCRIPTION_CHARS_MAX,
            description="A description of the version, up to 256 characters. Default: the function's own.",
        ),
    ] = ""
    code_sha256: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^([A-Za-z0-9+/]{43}=|[0-9a-f]{64})$",
            description="Publish only when the function's codeSha256 is this.",
        ),
    ] = None
    revision_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[0-9a-zA-Z-]+$",
            description="Publish only when the function's status.revision is this.",
        ),
    ] = None


class VersionSnapshot(FunctionConfiguration):
    """Code and configuration of the function at the time of publishing."""

    code_sha256: Annotated[
        str,
        Field(
            max_length=64,
            description="SHA-256 of the deployment package, base64; of a container image its digest, hexadecimal.",
        ),
    ]
    code_size: Annotated[int, Field(ge=0, description="Size of the deployment package in bytes.")]
    code_unzipped_size: Annotated[
        int | None, Field(ge=0, description="Bytes of the deployment package's files, unzipped.")
    ] = None
    layers_in_use: Annotated[
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
        str, Field(max_length=16, description="Digest of configuration and code: the identity of a publish.")
    ]
    description: Annotated[str, Field(max_length=limits.DESCRIPTION_CHARS_MAX, description="What it is.")] = ""


class VersionStatus(Fields):
    """What is true of the version now. `version` and `snapshot` never change once they are there."""

    rules = (
        Rule(
            "!has(oldSelf.version) || (has(self.version) && self.version == oldSelf.version)",
            "the number of a version never changes",
            ".version",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(oldSelf.functionUid) || (has(self.functionUid) && self.functionUid == oldSelf.functionUid)",
            "a version belongs to one function for ever",
            ".functionUid",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(oldSelf.snapshot) || (has(self.snapshot) && self.snapshot == oldSelf.snapshot)",
            "a version is immutable: publish another",
            ".snapshot",
            "FieldValueForbidden",
        ),
    )
    observed_generation: ObservedGeneration = None
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            max_length=16,
            description="What is true of the version. Ready is always there; Reconciling, Stalled and Duplicate only "
            "while True.",
        ),
        ListType("map", ("type",)),
    ] = Field(default_factory=list)
    function_uid: Annotated[
        str | None, Field(max_length=64, description="Uid of the Function that it was published of.")
    ] = None
    version: Annotated[Number | None, Field(description="Number of the version; never given twice.")] = None
    function_arn: Annotated[str | None, Field(max_length=256, description="ARN of the version.")] = None
    snapshot: Annotated[VersionSnapshot | None, Field(description="What was published. Immutable.")] = None
    pod_revision: Annotated[
        str | None,
        Field(max_length=16, description="Digest of all that makes an environment: the identity of environments."),
    ] = None
    environments: Annotated[
        int | None, Field(ge=0, description="Execution environments, sampled at most every ten seconds.")
    ] = None
    referenced_by: Annotated[
        list[Annotated[str, Field(max_length=limits.ALIAS_NAME_CHARS_MAX)]],
        Field(
            max_length=1000,
            description="Names of the aliases that refer to the version; while there is one, the version cannot be "
            "deleted.",
        ),
        ListType("set"),
    ] = Field(default_factory=list)
    published_at: Annotated[str | None, Field(description="When it was published."), Extra({"format": "date-time"})] = (
        None
    )

    def applied(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """As `Fields.applied`, and of the snapshot what was given and no more.

        A later release knows more fields. Their defaults, written into a snapshot that was taken before, would be a
        change of it, which the API server refuses.
        """
        dumped = super().applied(without)
        if self.snapshot is not None and "snapshot" in dumped:
            dumped["snapshot"] = _given(self.snapshot, dumped["snapshot"])
        return dumped


class Version(Fields):
    """A published version of a function: immutable, with a number that is never given twice."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="Version",
        plural="versions",
        singular="version",
        short_names=("fnv",),
        categories=("lambent",),
        columns=(
            Column("Function", ".spec.functionName"),
            Column("Version", ".status.version"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Aliases", ".status.referencedBy", description="Aliases that refer to it"),
            Column("Envs", ".status.environments", "integer", priority=1),
            Column("Description", ".status.snapshot.description", priority=1),
            Column("CodeSha256", ".status.snapshot.codeSha256", priority=1),
            Column("Revision", ".status.snapshot.revision", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        selectable_fields=(".spec.functionName",),
    )
    spec: Annotated[VersionSpec, Field(description="What is to be published. Immutable.")]
    status: Annotated[
        VersionStatus, Field(default_factory=VersionStatus, description="What is true of it now."), NobodyLooked
    ]


class VersionObject(KubernetesObject):
    """A Version as read from the API server: identity and content, parsed once at the border."""

    kind: ClassVar[str] = Version.facts.kind
    owner_uid: str
    """Uid of the Function by the owner reference; empty until it was published. Anybody may write it, so that only
    the garbage collector goes by it."""
    published_by: str = ""
    """Who made the object, by its label; empty for a person's."""
    marks: tuple[str, str] = ("", "")
    """Function uid and number as its labels say: for who selects by them, never believed."""
    spec: VersionSpec
    status: VersionStatus

    @property
    def by_function(self) -> bool:
        """Whether `spec.publish` of the Function made it: it is named `<function object>.<number>`."""
        return self.published_by == names.PUBLISHED_BY_FUNCTION

    @property
    def function_name(self) -> str:
        """Lambda's name of the function."""
        return self.spec.function_name

    @property
    def function_uid(self) -> str:
        """Uid of its Function; empty until it was published."""
        return self.status.function_uid or ""

    @property
    def number(self) -> str | None:
        """The number, once it is published with its snapshot."""
        return self.status.version if self.status.snapshot is not None and self.status.function_uid else None

    @property
    def configuration(self) -> VersionSnapshot:
        """What its environments are made of. Only of a published one."""
        assert self.status.snapshot is not None
        return self.status.snapshot

    @property
    def scope(self) -> Scope:
        """That of its environments. Only of a published one."""
        assert self.number is not None
        return Scope(self.function_uid, self.number)

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> VersionObject:
        """Parse an object of the API server.

        Raises:
            pydantic.ValidationError: when the object does not have the shape of the kind.
        """
        metadata = body["metadata"]
        labels = metadata.get("labels") or {}
        return cls(
            **identity(body),
            owner_uid=owner_function(metadata),
            published_by=labels.get(names.LABEL_PUBLISHED_BY, ""),
            marks=(labels.get(names.LABEL_FUNCTION_UID, ""), labels.get(names.LABEL_VERSION, "")),
            spec=VersionSpec.model_validate(body["spec"]),
            status=VersionStatus.model_validate(body.get("status") or {}),
        )


def _given(fields: Fields, dumped: dict[str, Any]) -> dict[str, Any]:
    """What of a dump was given, at whatever depth."""
    given: dict[str, Any] = {}
    for name, field in type(fields).model_fields.items():
        key = field.serialization_alias or name
        if name not in fields.model_fields_set or key not in dumped:
            continue
        value = getattr(fields, name)
        given[key] = _given(value, dumped[key]) if isinstance(value, Fields) else dumped[key]
    return given

"""The Function kind: `$LATEST` of one Lambda function, its code and its configuration.

Field names are the Lambda API's own in camelCase; what only Kubernetes has takes Kubernetes' own shape.
Descriptions are the manual: `kubectl explain fn.spec` prints them.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from . import limits
from .schemas import Column, Extra, KindFacts, ListType, Rule

KubernetesName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class Fields(BaseModel):
    """Root of everything parsed out of a resource: frozen, camelCase outside, unknown fields ignored.

    (Unknown fields were refused or pruned by the API server already.)
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")
    rules: ClassVar[tuple[Rule, ...]] = ()


class Code(Fields):
    """Where the function's code comes from. Exactly one source."""

    rules = (
        Rule(
            "[has(self.inline), has(self.zipFile)].filter(x, x).size() == 1",
            "exactly one of inline and zipFile must be given",
        ),
    )
    inline: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.INLINE_SOURCE_CHARS_MAX,
            description="Source of a single handler file, saved as index.py (Python runtimes); the handler is then "
            "index.<function>, as with CloudFormation's ZipFile property.",
        ),
    ] = None
    zip_file: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.ZIP_FILE_BASE64_CHARS_MAX,
            description="A zip archive, base64. Kubernetes objects hold about 1 MB; apply with "
            "`kubectl apply --server-side` when the archive is over 256 KiB.",
        ),
        Extra({"format": "byte"}),
    ] = None


class Environment(Fields):
    """Environment variables of the function."""

    variables: Annotated[
        dict[str, Annotated[str, Field(max_length=limits.ENVIRONMENT_BYTES_MAX)]],
        Field(
            default_factory=dict,
            description="Names and values, together at most 4 KB. Names that Lambda reserves are refused.",
        ),
        Extra({"maxProperties": 512}),
    ]


class EphemeralStorage(Fields):
    """The size of /tmp."""

    size: Annotated[
        int,
        Field(
            ge=limits.EPHEMERAL_MB_MIN, le=limits.EPHEMERAL_MB_MAX, description="Size of the /tmp directory, in MB."
        ),
    ] = limits.EPHEMERAL_MB_DEFAULT


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
    toleration_seconds: Annotated[
        int | None, Field(description="How long a NoExecute taint is tolerated.", ge=0)
    ] = None


class TopologySpread(Fields):
    """How environments of the function spread over a topology; the label selector is ours."""

    max_skew: Annotated[int, Field(ge=1, description="Most difference between two domains.")] = 1
    topology_key: Annotated[str, Field(min_length=1, max_length=317, description="Node label that names the domain.")]
    when_unsatisfiable: Annotated[
        Literal["DoNotSchedule", "ScheduleAnyway"], Field(description="What to do when the skew cannot be kept.")
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


class FunctionSpec(Fields):
    """What the function is to be."""

    rules = (
        Rule(
            "!has(self.packageType) || self.packageType != 'Zip' || (has(self.runtime) && has(self.handler))",
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ".runtime",
            "FieldValueRequired",
        ),
        Rule(
            "!has(self.code.inline) || !has(self.runtime) || self.runtime.startsWith('python')",
            "code.inline is for Python runtimes; give other runtimes their code as code.zipFile",
            ".code",
        ),
        Rule(
            "!has(self.code.inline) || !has(self.handler) || self.handler.startsWith('index.')",
            "inline code is saved as a file named index: the handler must be index.<function>",
            ".handler",
        ),
        Rule(
            "has(oldSelf.functionName) == has(self.functionName) && "
            "(!has(self.functionName) || self.functionName == oldSelf.functionName)",
            "functionName is immutable",
            ".functionName",
            "FieldValueForbidden",
        ),
    )
    function_name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.FUNCTION_NAME_CHARS_MAX,
            pattern=r"^[a-zA-Z0-9-_]+$",
            description="Lambda's name of the function, up to 64 letters, digits, hyphens and underscores. "
            "Immutable. Default: metadata.name.",
        ),
    ] = None
    description: Annotated[
        str, Field(max_length=limits.DESCRIPTION_CHARS_MAX, description="A description of the function.")
    ] = ""
    package_type: Annotated[
        Literal["Zip", "Image"],
        Field(description="Zip for a managed runtime with code; Image for a container image of your own."),
    ] = "Zip"
    runtime: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[a-z][a-z0-9.]*$",
            description="Identifier of the runtime, such as python3.11 or provided.al2023.",
        ),
    ] = None
    handler: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.HANDLER_CHARS_MAX,
            pattern=r"^[^\s]+$",
            description="The method that Lambda calls to run the function, <file>.<function> for Python.",
        ),
    ] = None
    code: Annotated[Code, Field(description="The code of the function. Exactly one source.")]
    memory_size: Annotated[
        int,
        Field(
            ge=limits.MEMORY_MB_MIN,
            le=limits.MEMORY_MB_MAX,
            description="Memory in MB. CPU follows memory: one vCPU at 1,769 MB, linear, at most six.",
        ),
    ] = limits.MEMORY_MB_DEFAULT
    timeout: Annotated[
        int,
        Field(
            ge=limits.TIMEOUT_S_MIN,
            le=limits.TIMEOUT_S_MAX,
            description="Seconds the function may run before Lambda stops it.",
        ),
    ] = limits.TIMEOUT_S_DEFAULT
    environment: Annotated[
        Environment | None, Field(description="Environment variables of the function.")
    ] = None
    ephemeral_storage: Annotated[
        EphemeralStorage, Field(default_factory=EphemeralStorage, description="The /tmp directory.")
    ]
    architectures: Annotated[
        list[Literal["x86_64", "arm64"]],
        Field(min_length=1, max_length=1, description="Instruction set of the code: x86_64 or arm64."),
        ListType("atomic"),
    ] = Field(default_factory=lambda: ["x86_64"])  # type: ignore[arg-type]
    role: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            pattern=r"^(arn:aws[a-zA-Z-]*:iam::\d{12}:role/([a-zA-Z0-9+=,.@_-]+/)*)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            description="Execution role: an ARN arn:aws:iam::<account>:role/<name> or a bare name; it means the "
            "ServiceAccount <name> in the function's namespace. Without a role environments hold no API token.",
        ),
    ] = None
    tags: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]],
        Field(default_factory=dict, description="Tags of the function."),
        Extra({"maxProperties": limits.TAGS_MAX}),
    ]
    placement: Annotated[
        Placement | None, Field(description="Where environments of the function may run.")
    ] = None

    @property
    def service_account(self) -> str | None:
        """Name of the ServiceAccount that the role means."""
        return self.role.rsplit("/", 1)[-1] if self.role else None


class ConditionStatus(Fields):
    """A condition as metav1.Condition."""

    type: Annotated[str, Field(max_length=316, description="Type of the condition.")]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="True, False or Unknown.")]
    observed_generation: Annotated[int | None, Field(ge=0, description="Generation that was judged.")] = None
    last_transition_time: Annotated[
        str, Field(description="When the status changed last."), Extra({"format": "date-time"})
    ]
    reason: Annotated[str, Field(min_length=1, max_length=1024, description="Documented reason, CamelCase.")]
    message: Annotated[str, Field(max_length=32768, description="For people.")]


class FunctionStatus(Fields):
    """What is true of the function now."""

    observed_generation: Annotated[
        int | None, Field(ge=0, description="Generation of the specification that this status describes.")
    ] = None
    conditions: Annotated[
        list[ConditionStatus], Field(max_length=16, description="Conditions."), ListType("map", ("type",))
    ] = Field(default_factory=list)
    function_arn: Annotated[str | None, Field(max_length=256, description="ARN of the function.")] = None
    code_sha256: Annotated[
        str | None, Field(max_length=44, description="SHA-256 of the deployment package, base64.")
    ] = None
    code_size: Annotated[int | None, Field(ge=0, description="Size of the deployment package in bytes.")] = None
    revision: Annotated[
        str | None, Field(max_length=16, description="Digest of configuration and code: the identity of a publish.")
    ] = None
    pod_revision: Annotated[
        str | None,
        Field(max_length=16, description="Digest of all that makes an environment: the identity of environments."),
    ] = None
    environments: Annotated[
        int | None, Field(ge=0, description="Execution environments, sampled at most every ten seconds.")
    ] = None
    last_modified: Annotated[
        str | None, Field(description="When code or configuration changed last."), Extra({"format": "date-time"})
    ] = None


class Function(Fields):
    """A Lambda function: code, configuration and what is true of it."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="Function",
        plural="functions",
        singular="function",
        short_names=("fn",),
        categories=("lambent", "all"),
        columns=(
            Column("Runtime", ".spec.runtime"),
            Column("Memory", ".spec.memorySize", "integer", description="MB"),
            Column("Timeout", ".spec.timeout", "integer", description="Seconds"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Envs", ".status.environments", "integer", description="Execution environments, sampled"),
            Column("Handler", ".spec.handler", priority=1),
            Column("CodeSize", ".status.codeSize", "integer", priority=1),
            Column("Revision", ".status.revision", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        selectable_fields=(".spec.runtime", ".spec.functionName"),
    )
    spec: Annotated[FunctionSpec, Field(description="What the function is to be.")]
    status: Annotated[FunctionStatus, Field(default_factory=FunctionStatus, description="What is true of it now.")]


class FunctionObject(Fields):
    """A Function as read from the API server: identity and content, parsed once at the border."""

    name: str
    namespace: str
    uid: str
    generation: int
    created: str
    deleting: bool
    spec: FunctionSpec
    status: FunctionStatus

    @property
    def function_name(self) -> str:
        """Lambda's name of the function."""
        return self.spec.function_name or self.name

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> FunctionObject:
        """Parse an object of the API server.

        Raises:
            pydantic.ValidationError: when the object does not have the shape of the kind.
        """
        metadata = body["metadata"]
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            created=metadata.get("creationTimestamp", ""),
            deleting=bool(metadata.get("deletionTimestamp")),
            spec=FunctionSpec.model_validate(body["spec"]),
            status=FunctionStatus.model_validate(body.get("status") or {}),
        )

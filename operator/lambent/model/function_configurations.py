"""Configuration of a function without its code: what a version is a snapshot of, and what environments are told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from . import environment_variables, limits
from .configurations import EphemeralStorage, FileSystemConfig, LoggingConfig, TracingConfig
from .fields import Fields, KubernetesName
from .layer_references import LAYER_RULES, REFERENCE_PATTERN
from .placements import Placement
from .schemas import Extra, ListType, Rule


def _at_least(name: str, bound: int) -> Rule:
    return Rule(f"self >= {bound}", _refused(name, f"greater than or equal to {bound}"))


def _at_most(name: str, bound: int) -> Rule:
    return Rule(f"self <= {bound}", _refused(name, f"less than or equal to {bound}"))


def _refused(name: str, constraint: str) -> str:
    """The refusal of a number as the Lambda API words it; the API server puts the value before it."""
    return (
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
        f"Member must have value {constraint}"
    )


class ImageConfig(Fields):
    """What to run in the image instead of what it says itself."""

    entry_point: Annotated[
        list[Annotated[str, Field(max_length=limits.IMAGE_ARGUMENT_CHARS_MAX)]],
        Field(max_length=limits.IMAGE_ARGUMENTS_MAX, description="Instead of the image's ENTRYPOINT."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    command: Annotated[
        list[Annotated[str, Field(max_length=limits.IMAGE_ARGUMENT_CHARS_MAX)]],
        Field(max_length=limits.IMAGE_ARGUMENTS_MAX, description="Instead of the image's CMD."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    working_directory: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1000,
            pattern=r"^/.*$",
            description="Instead of the image's WORKDIR; an absolute path.",
        ),
    ] = None


class KeyReference(Fields):
    """One key of a Secret or ConfigMap of the function's namespace."""

    name: Annotated[KubernetesName, Field(description="Name of the object.")]
    key: Annotated[
        str,
        Field(
            min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$", description="Key of the value in the object."
        ),
    ]


class VariableSource(Fields):
    """An environment variable whose value stands in a Secret or a ConfigMap."""

    rules = (
        Rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            "give exactly one of secretKeyRef and configMapKeyRef",
        ),
        Rule(
            f"!(self.name in {list(environment_variables.RESERVED_NAMES)})",
            f"{environment_variables.RESERVED_REFUSED}see environment.valueFrom",
            ".name",
            "FieldValueForbidden",
            message_expression=f"'{environment_variables.RESERVED_REFUSED}' + self.name",
        ),
    )
    name: Annotated[
        str,
        Field(
            min_length=2,
            max_length=256,
            pattern=f"^{environment_variables.NAME_PATTERN}$",
            description="Name of the variable.",
        ),
    ]
    secret_key_ref: Annotated[KeyReference | None, Field(description="Key of a Secret.")] = None
    config_map_key_ref: Annotated[KeyReference | None, Field(description="Key of a ConfigMap.")] = None


class Environment(Fields):
    """Environment variables of the function."""

    rules = (
        *environment_variables.RULES,
        Rule(
            "!has(self.valueFrom) || !has(self.variables) || "
            "!self.valueFrom.exists(source, source.name in self.variables)",
            "a variable stands in variables or in valueFrom, not in both",
            ".valueFrom",
        ),
    )
    variables: Annotated[
        dict[str, Annotated[str, Field(max_length=environment_variables.VALUE_CHARS_MAX)]],
        Field(
            default_factory=dict,
            description="Names and values; as JSON, which is how Lambda measures them, at most 4 KB. Names match "
            f"{environment_variables.NAME_PATTERN}; those that Lambda sets itself are refused: "
            f"{', '.join(environment_variables.RESERVED_NAMES)}.",
        ),
        Extra({"maxProperties": environment_variables.VARIABLES_MAX}),
    ]
    value_from: Annotated[
        list[VariableSource],
        Field(
            max_length=64,
            description="Variables whose values stand in Secrets and ConfigMaps of the namespace. The kubelet gives "
            "them to the environment; a changed object brings new environments.",
        ),
        ListType("map", ("name",)),
    ] = Field(default_factory=list)


class FunctionConfiguration(Fields):
    """What Lambda calls the configuration of a function: everything that a version keeps beside the code."""

    package_type: Annotated[
        Literal["Zip", "Image"],
        Field(
            description="Zip for a managed runtime with code, Image for a container image of your own "
            "(code.imageUri); immutable."
        ),
    ] = "Zip"
    runtime: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="Identifier of the runtime, such as python3.11 or provided.al2023. Required with packageType "
            "Zip; the chart value `runtimes` says which are installed.",
        ),
    ] = None
    handler: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.HANDLER_CHARS_MAX,
            pattern=r"^[^\s]+$",
            description="The method that Lambda calls to run the function: <file>.<function> for Python, any word for "
            "provided runtimes. Required with packageType Zip.",
        ),
    ] = None
    image_config: Annotated[
        ImageConfig | None, Field(description="With packageType Image: what to run instead of what the image says.")
    ] = None
    memory_size: Annotated[
        int,
        Field(
            ge=limits.MEMORY_MB_MIN,
            le=limits.MEMORY_MB_MAX,
            description="Memory in MB, 128 to 10,240. CPU follows memory after init: one vCPU at 1,769 MB, linear, "
            "at most six.",
        ),
        _at_least("memorySize", limits.MEMORY_MB_MIN),
        _at_most("memorySize", limits.MEMORY_MB_MAX),
    ] = limits.MEMORY_MB_DEFAULT
    timeout: Annotated[
        int,
        Field(
            ge=limits.TIMEOUT_S_MIN,
            le=limits.TIMEOUT_S_MAX,
            description="Seconds the function may run before Lambda stops it, 1 to 900.",
        ),
        _at_least("timeout", limits.TIMEOUT_S_MIN),
        _at_most("timeout", limits.TIMEOUT_S_MAX),
    ] = limits.TIMEOUT_S_DEFAULT
    environment: Annotated[Environment | None, Field(description="Environment variables of the function.")] = None
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
            pattern=r"^(arn:aws[a-zA-Z-]*:iam::[0-9]{12}:role/([a-zA-Z0-9+=,.@_-]+/)*)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            description="Execution role: an ARN arn:aws:iam::<account>:role/<name> or a bare name; it means the "
            "ServiceAccount <name> in the function's namespace. Without a role environments hold no API token.",
        ),
    ] = None
    layers: Annotated[
        list[
            Annotated[
                str,
                Field(
                    min_length=3,
                    max_length=256,
                    pattern=REFERENCE_PATTERN,
                ),
            ]
        ],
        Field(
            max_length=limits.LAYERS_LISTED_MAX,
            description="Versions of layers, merged into /opt in this order: <layer>:<version>, or Lambda's ARN of it. "
            "At most five, not with packageType Image; together with the code at most 250 MB unzipped.",
        ),
        ListType("atomic"),
        *LAYER_RULES,
    ] = Field(default_factory=list)
    file_system_configs: Annotated[
        list[FileSystemConfig],
        Field(max_length=1, description="File systems that environments mount; Lambda allows one."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    logging_config: Annotated[LoggingConfig | None, Field(description="How the function's log is written.")] = None
    tracing_config: Annotated[TracingConfig | None, Field(description="Whether invocations are traced.")] = None
    placement: Annotated[Placement | None, Field(description="Where environments of the function may run.")] = None

    @property
    def service_account(self) -> str | None:
        """Name of the ServiceAccount that the role means."""
        return self.role.rsplit("/", 1)[-1] if self.role else None

    @property
    def tracing_mode(self) -> str:
        """`Active` or `PassThrough`."""
        return self.tracing_config.mode if self.tracing_config else "PassThrough"

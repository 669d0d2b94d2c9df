"""`spec` of a Function: code and configuration, with the rules that refuse what Lambda refuses, in its words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from . import environment_variables, limits
from .fields import Fields
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


class Code(Fields):
    """Where the function's code comes from. Exactly one source."""

    rules = (
        Rule(
            "has(self.inline) || has(self.zipFile) || has(self.imageUri)",
            "Please provide a source for function code.",
            reason="FieldValueRequired",
        ),
        Rule(
            "[has(self.inline), has(self.zipFile), has(self.imageUri)].filter(given, given).size() <= 1",
            "Please do not provide other FunctionCode parameters when providing a ZipFile. "
            "Exactly one of inline, zipFile and imageUri may be given.",
        ),
    )
    inline: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.INLINE_SOURCE_CHARS_MAX,
            description="Source of a single handler file, saved as index.py (Python) or index.js "
            "(Node.js); the handler is then "
            "index.<function>, as with CloudFormation's ZipFile property.",
        ),
    ] = None
    zip_file: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.ZIP_FILE_BASE64_CHARS_MAX,
            # Not format byte: the API server takes that for URL-safe base64. core/packaging says what is wrong.
            description="A zip archive, base64. Kubernetes objects hold about 1 MB; apply with "
            "`kubectl apply --server-side` when the archive is over 256 KiB.",
        ),
    ] = None
    image_uri: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1024,
            description="A container image. Refused for now: packageType Image arrives with a later release.",
        ),
    ] = None


class Environment(Fields):
    """Environment variables of the function."""

    rules = environment_variables.RULES
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


class EphemeralStorage(Fields):
    """The size of /tmp."""

    size: Annotated[
        int,
        Field(ge=limits.EPHEMERAL_MB_MIN, le=limits.EPHEMERAL_MB_MAX, description="Size of the /tmp directory, in MB."),
    ] = limits.EPHEMERAL_MB_DEFAULT


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
            "!has(self.code.inline) || !has(self.runtime) || self.runtime.startsWith('python') || "
            "self.runtime.startsWith('nodejs')",
            "code.inline is for Python and Node.js runtimes; give other runtimes their code as code.zipFile",
            ".code",
        ),
        Rule(
            "!has(self.code.inline) || !has(self.handler) || self.handler.startsWith('index.')",
            "inline code is saved as a file named index: the handler must be index.<function>",
            ".handler",
        ),
        Rule(
            "!has(self.packageType) || self.packageType != 'Image'",
            "packageType Image arrives with a later release of Lambent; this release runs Zip packages only.",
            ".packageType",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(self.code.imageUri) || (has(self.packageType) && self.packageType == 'Image')",
            "Please do not provide ImageUri when creating a function with packageType Zip.",
            ".code.imageUri",
            "FieldValueForbidden",
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
            pattern=r"^[a-zA-Z0-9_-]+$",
            description="Lambda's name of the function, up to 64 letters, digits, hyphens and underscores. "
            "Part of the ARN and immutable. Default: metadata.name.",
        ),
    ] = None
    description: Annotated[
        str,
        Field(
            max_length=limits.DESCRIPTION_CHARS_MAX, description="A description of the function, up to 256 characters."
        ),
    ] = ""
    package_type: Annotated[
        Literal["Zip", "Image"],
        Field(
            description="Zip for a managed runtime with code. Image, a container image of your own, is refused "
            "until a later release."
        ),
    ] = "Zip"
    runtime: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[a-z][a-z0-9.]*$",
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
    code: Annotated[Code, Field(description="The code of the function. Exactly one source.")]
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
    tags: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]],
        Field(
            default_factory=dict, description="Tags of the function, at most fifty; a value has at most 256 characters."
        ),
        Extra({"maxProperties": limits.TAGS_MAX}),
    ]
    placement: Annotated[Placement | None, Field(description="Where environments of the function may run.")] = None

    @property
    def service_account(self) -> str | None:
        """Name of the ServiceAccount that the role means."""
        return self.role.rsplit("/", 1)[-1] if self.role else None

"""`spec` of a Function: code and configuration, with the rules that refuse what Lambda refuses, in its words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from . import limits, runtimes
from .codes import Code, Origin
from .fields import Fields
from .function_configurations import FunctionConfiguration
from .schemas import Extra, Rule

_NO_RUNTIME = (
    "'" + runtimes.NOT_A_MEMBER.format(runtime="%", members=", ".join(runtimes.CATALOGUE)).replace("'", "\\'") + "'"
).replace("%", "' + self.runtime + '")


class VersionRetention(Fields):
    """Which of the versions that `publish` made are kept."""

    keep_last: Annotated[
        int,
        Field(
            ge=1,
            le=limits.VERSIONS_KEPT_MAX,
            description="So many of the newest versions stay; an older one goes unless an alias refers to it.",
        ),
    ]


class FunctionSpec(FunctionConfiguration):
    """What the function is to be."""

    rules = (
        Rule(
            "!has(self.packageType) || self.packageType != 'Zip' || (has(self.runtime) && has(self.handler))",
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ".runtime",
            "FieldValueRequired",
        ),
        Rule(
            "!has(self.runtime) || self.runtime in [" + ", ".join(f"'{one}'" for one in runtimes.CATALOGUE) + "]",
            "the runtime is none of Lambda's",
            ".runtime",
            message_expression=_NO_RUNTIME,
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
            "!has(self.packageType) || self.packageType != 'Image' || has(self.code.imageUri)",
            "Please provide ImageUri when creating a function with packageType Image.",
            ".code",
            "FieldValueRequired",
        ),
        Rule(
            "!has(self.packageType) || self.packageType != 'Image' || (!has(self.runtime) && !has(self.handler))",
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
            ".packageType",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(self.packageType) || self.packageType != 'Image' || !has(self.layers) || self.layers.size() == 0",
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
            ".layers",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(self.imageConfig) || (has(self.packageType) && self.packageType == 'Image')",
            "Please don't provide ImageConfig when creating a function with packageType Zip.",
            ".imageConfig",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(self.code.imageUri) || (has(self.packageType) && self.packageType == 'Image')",
            "Please do not provide ImageUri when creating a function with packageType Zip.",
            ".code.imageUri",
            "FieldValueForbidden",
        ),
        Rule(
            "has(oldSelf.packageType) == has(self.packageType) && "
            "(!has(self.packageType) || self.packageType == oldSelf.packageType)",
            "packageType is immutable: delete the function and create it anew",
            ".packageType",
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
    code: Annotated[Code, Field(description="The code of the function. Exactly one source.")]
    tags: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]],
        Field(
            default_factory=dict, description="Tags of the function, at most fifty; a value has at most 256 characters."
        ),
        Extra({"maxProperties": limits.TAGS_MAX}),
    ]
    publish: Annotated[
        bool,
        Field(
            description="Whether every change of code or configuration is published as the next version; a Version "
            "object <metadata.name>.<number> is made of it. A change of the description alone publishes nothing."
        ),
    ] = False
    version_retention: Annotated[
        VersionRetention | None,
        Field(
            description="Which versions are kept. Without it all are. Versions that somebody wrote a Version object "
            "for stay in any case."
        ),
    ] = None

    @property
    def origin(self) -> Origin:
        """What decides which code is obtained."""
        secrets = self.placement.image_pull_secrets if self.placement else []
        asked = self.code.image_uri or self.code.artifact_uri
        return Origin("Function", self.code, self.runtime, self.architectures[0], tuple(secrets) if asked else ())

"""The Alias kind: a name for one version of a function, or for two of them with weights.

What people write is where it shall point; what gateways go by is `status.routing`, which a rollout moves there.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from . import limits, names
from .alias_statuses import AliasStatus, Weight
from .fields import Fields, KubernetesName, NobodyLooked
from .objects import KubernetesObject, identity
from .owners import owner_function
from .rollouts import Rollout
from .schemas import Column, Extra, KindFacts, Rule
from .versions import FunctionName

NAME_PATTERN = r"^[a-zA-Z0-9_-]+$"
_REFUSED = "failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
NAME_REFUSED = f"1 validation error detected: Value at 'name' {_REFUSED}"
WEIGHTS_AND_LATEST = "$LATEST is not supported for an alias pointing to more than 1 version"


class VersionReference(Fields):
    """A Version object of the namespace."""

    name: Annotated[KubernetesName, Field(description="Its metadata.name.")]


class RoutingConfig(Fields):
    """A share of the requests for a second version."""

    rules = (
        Rule(
            "!has(self.additionalVersionWeights) || "
            "self.additionalVersionWeights.all(version, version.matches('^[1-9][0-9]{0,17}$'))",
            "additionalVersionWeights names what is no version: its keys are numbers of published versions",
            ".additionalVersionWeights",
        ),
        Rule(
            "!has(self.additionalVersionWeights) || size(self.additionalVersionWeights) <= 1",
            "an alias can point to at most two versions: additionalVersionWeights has at most one entry",
            ".additionalVersionWeights",
            "FieldValueInvalid",
        ),
        Rule(
            "!has(self.additionalVersionWeights) || self.additionalVersionWeights.all(version, "
            "self.additionalVersionWeights[version] >= 0.0 && self.additionalVersionWeights[version] <= 1.0)",
            "1 validation error detected: Value at 'routingConfig.additionalVersionWeights' failed to satisfy "
            "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member "
            "must have value greater than or equal to 0.0]",
            ".additionalVersionWeights",
        ),
    )
    additional_version_weights: Annotated[
        dict[str, Weight],
        Field(
            default_factory=dict,
            description="Number of a second version and its share of the requests, 0 to 1; functionVersion gets the "
            "rest.",
        ),
        Extra({"maxProperties": 8}),
    ]


class AliasSpec(Fields):
    """Where the alias is to point."""

    rules = (
        Rule(
            "[has(self.functionVersion), has(self.versionRef), "
            "has(self.latestPublished) && self.latestPublished].filter(given, given).size() == 1",
            "give exactly one of functionVersion, versionRef and latestPublished",
        ),
        Rule(
            "self.functionName == oldSelf.functionName",
            "functionName is immutable",
            ".functionName",
            "FieldValueForbidden",
        ),
        Rule(
            "has(oldSelf.name) == has(self.name) && (!has(self.name) || self.name == oldSelf.name)",
            "name is immutable",
            ".name",
            "FieldValueForbidden",
        ),
        Rule("!has(self.name) || !self.name.matches('^[0-9]+$')", NAME_REFUSED, ".name"),
        Rule(
            "!has(self.functionVersion) || self.functionVersion != '$LATEST' || !has(self.routingConfig) || "
            "!has(self.routingConfig.additionalVersionWeights) || "
            "size(self.routingConfig.additionalVersionWeights) == 0",
            WEIGHTS_AND_LATEST,
            ".routingConfig",
        ),
        Rule(
            "!has(self.functionVersion) || !has(self.routingConfig) || "
            "!has(self.routingConfig.additionalVersionWeights) || "
            "!(self.functionVersion in self.routingConfig.additionalVersionWeights)",
            "additionalVersionWeights names functionVersion itself: it gets what the additional version does not",
            ".routingConfig",
        ),
        Rule(
            "!has(self.rollout) || !has(self.routingConfig) || !has(self.routingConfig.additionalVersionWeights) || "
            "size(self.routingConfig.additionalVersionWeights) == 0",
            "give rollout or routingConfig, not both: a rollout sets the weights by itself, in status.routing",
            ".rollout",
            "FieldValueForbidden",
        ),
    )
    function_name: Annotated[FunctionName, Field(description="Lambda's name of the function. Immutable.")]
    name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.ALIAS_NAME_CHARS_MAX,
            pattern=NAME_PATTERN,
            description="Name of the alias, up to 128 letters, digits, hyphens and underscores, not digits alone. "
            "Immutable. Default: what follows the last dot of metadata.name (hello.live: live), or all of it.",
        ),
    ] = None
    description: Annotated[
        str,
        Field(max_length=limits.DESCRIPTION_CHARS_MAX, description="A description of the alias, up to 256 characters."),
    ] = ""
    function_version: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=18,
            pattern=r"^(\$LATEST|[1-9][0-9]*)$",
            description="Number of a published version, or $LATEST (then without weights). Never another alias.",
        ),
    ] = None
    version_ref: Annotated[
        VersionReference | None,
        Field(description="Instead of functionVersion: a Version object, whose number Git does not know."),
    ] = None
    latest_published: Annotated[
        bool, Field(description="Instead of functionVersion: the newest published version, whichever it is.")
    ] = False
    routing_config: Annotated[
        RoutingConfig | None, Field(description="A second version with a share of the requests.")
    ] = None
    rollout: Annotated[
        Rollout | None, Field(description="How the alias moves to another version. Without it: at once.")
    ] = None

    @property
    def weights(self) -> dict[str, float]:
        """Additional versions and their shares."""
        return self.routing_config.additional_version_weights if self.routing_config else {}


class Alias(Fields):
    """A name for one version of a function, or for two with weights."""

    rules = (
        Rule(
            "has(self.spec.name) || !self.metadata.name.matches('^(.*[.])?[0-9]+$')",
            NAME_REFUSED,
            ".spec.name",
        ),
        Rule(
            f"has(self.spec.name) || size(self.metadata.name) <= {limits.ALIAS_NAME_CHARS_MAX}",
            f"metadata.name is over {limits.ALIAS_NAME_CHARS_MAX} characters: give spec.name",
            ".spec.name",
            "FieldValueRequired",
        ),
    )
    facts: ClassVar[KindFacts] = KindFacts(
        kind="Alias",
        plural="aliases",
        singular="alias",
        short_names=("fna",),
        categories=("lambent",),
        columns=(
            Column("Function", ".spec.functionName"),
            Column("Version", ".status.routing.functionVersion"),
            Column("Weights", ".status.routing.additionalVersionWeights", description="Additional version and share"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Target", ".status.targetVersion", priority=1, description="What the specification means"),
            Column("Phase", ".status.rollout.phase", priority=1),
            Column("Step", ".status.rollout.step", "integer", priority=1),
            Column("Deployment", ".status.rollout.deploymentId", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        selectable_fields=(".spec.functionName",),
    )
    spec: Annotated[AliasSpec, Field(description="Where the alias is to point.")]
    status: Annotated[
        AliasStatus, Field(default_factory=AliasStatus, description="What is true of it now."), NobodyLooked
    ]


class AliasObject(KubernetesObject):
    """An Alias as read from the API server: identity and content, parsed once at the border."""

    kind: ClassVar[str] = Alias.facts.kind
    owner_uid: str
    """Uid of its Function by the owner reference; empty until the controller saw both. Only the garbage collector
    goes by it."""
    request: str = ""
    """What a person asks of the rollout by annotation: pause, promote, abort, or nothing."""
    spec: AliasSpec
    status: AliasStatus

    @property
    def alias_name(self) -> str:
        """Lambda's name of the alias."""
        return self.spec.name or self.name.rpartition(".")[2]

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> AliasObject:
        """Parse an object of the API server.

        Raises:
            pydantic.ValidationError: when the object does not have the shape of the kind.
        """
        metadata = body["metadata"]
        return cls(
            **identity(body),
            owner_uid=owner_function(metadata),
            request=str((metadata.get("annotations") or {}).get(names.ANNOTATION_ROLLOUT, "")),
            spec=AliasSpec.model_validate(body["spec"]),
            status=AliasStatus.model_validate(body.get("status") or {}),
        )

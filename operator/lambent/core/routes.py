"""A route: everything that invoking one configuration of a function needs, as a status gives it.

`$LATEST` comes from a Function, published versions from Versions; both are the same to whoever runs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lambent.core.collecting import hex_digest
from lambent.model import names
from lambent.model.arns import function_arn
from lambent.model.conditions import ConditionType
from lambent.model.environments import Key
from lambent.model.function_configurations import FunctionConfiguration
from lambent.model.function_statuses import LayerInUse
from lambent.model.functions import ConditionStatus, FunctionObject
from lambent.model.versions import VersionObject


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A layer's archive in the code store."""

    sha256: str
    """Hex."""
    size: int


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that invoking one published configuration of a function needs."""

    key: Key
    namespace: str
    account: str
    function_name: str
    arn: str
    """Unqualified."""
    revision: str
    runtime: str
    handler: str
    timeout_ms: int
    memory_mb: int
    environment: dict[str, str] = field(hash=False, compare=False)
    """Never logged. Not compared: it is part of what `revision` digests."""
    code_sha256: str
    """Hex; empty when the code is the container image."""
    code_size: int
    layers: tuple[LayerBlob, ...] = ()
    """In the order in which they are merged."""
    version: str = names.LATEST
    """`$LATEST` or a number."""
    logging: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    """As claims have it (`LoggingConfig.told`). Not compared, as `environment`."""
    tracing_mode: str = "PassThrough"
    file_systems: tuple[str, ...] = ()
    """ARNs, as the function names them."""

    def arn_as_invoked(self, qualifier: str | None) -> str:
        """The ARN that the function sees in its context."""
        return f"{self.arn}:{qualifier}" if qualifier else self.arn


@dataclass(frozen=True, slots=True)
class Change:
    """What an observation changed for `$LATEST` or one version of a Function object.

    `after` is None when it is gone or not routable yet.
    """

    uid: str
    """The Function object's."""
    version: str
    """As in keys: `latest` or a number."""
    before: Route | None
    after: Route | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """What a function is called, which its Function and its Namespace say: published versions take it from there."""

    namespace: str
    account: str
    function_name: str
    arn: str

    @classmethod
    def of(cls, region: str, namespace: str, account: str, function_name: str) -> Address:
        """With its unqualified ARN."""
        return cls(namespace, account, function_name, function_arn(region, account, function_name))

    def put_on(self, route: Route) -> Route:
        """The route under this address."""
        return replace(route, account=self.account, function_name=self.function_name, arn=self.arn)


NOWHERE = Address("", "", "", "")
"""Of a version whose Function was not seen yet: it is not routed."""


def function_route(function: FunctionObject, address: Address) -> Route | None:
    """The route that this state of a Function gives, None when its status does not (yet) describe it."""
    status = function.status
    if (
        status.observed_generation != function.generation
        or not status.revision
        or not status.pod_revision
        or is_true(status.conditions, ConditionType.STALLED)
    ):
        return None
    key = Key(*function.scope, status.pod_revision)
    code = _Code(status.revision, status.code_sha256, status.code_size or 0, status.layers or ())
    return _route(key, address, function.spec, code)


def version_route(version: VersionObject) -> Route | None:
    """The route of a published version, addressed nowhere yet; None before its snapshot and its podRevision are there.

    What else its status says does not matter: a version never changes, so it can be invoked once it could.
    """
    snapshot, number, pod_revision = version.status.snapshot, version.number, version.status.pod_revision
    if snapshot is None or number is None or not pod_revision or not version.function_uid or not snapshot.revision:
        return None
    key = Key(*version.scope, pod_revision)
    address = replace(NOWHERE, namespace=version.namespace)
    code = _Code(snapshot.revision, snapshot.code_sha256, snapshot.code_size, snapshot.layers_in_use or ())
    return _route(key, address, snapshot, code)


def is_true(conditions: Iterable[ConditionStatus], kind: ConditionType) -> bool:
    """Whether a condition is there and True."""
    return any(condition.type == kind and condition.status == "True" for condition in conditions)


@dataclass(frozen=True, slots=True)
class _Code:
    """The code of a configuration as a status tells it."""

    revision: str
    sha256: str | None
    size: int
    layers: Sequence[LayerInUse]


def _route(key: Key, address: Address, configuration: FunctionConfiguration, code: _Code) -> Route | None:
    """None when a digest is none."""
    sha256 = "" if configuration.package_type == "Image" else hex_digest(code.sha256)
    layers = _layer_blobs(code.layers)
    if sha256 is None or layers is None:
        return None
    environment, logging = configuration.environment, configuration.logging_config
    return Route(
        key=key,
        namespace=address.namespace,
        account=address.account,
        function_name=address.function_name,
        arn=address.arn,
        revision=code.revision,
        runtime=configuration.runtime or "",
        handler=configuration.handler or "",
        timeout_ms=configuration.timeout * 1000,
        memory_mb=configuration.memory_size,
        environment=dict(environment.variables) if environment else {},
        code_sha256=sha256,
        code_size=code.size,
        layers=layers,
        version=names.version_of_label(key.version),
        logging=logging.told() if logging else {},
        tracing_mode=configuration.tracing_mode,
        file_systems=tuple(system.arn for system in configuration.file_system_configs),
    )


def _layer_blobs(layers: Sequence[LayerInUse]) -> tuple[LayerBlob, ...] | None:
    """The layers that a status tells; None when a digest is none."""
    digests = [hex_digest(layer.code_sha256) for layer in layers]
    found = tuple(LayerBlob(digest, layer.code_size) for digest, layer in zip(digests, layers, strict=True) if digest)
    return found if len(found) == len(digests) else None

"""The controller's settings, from the environment; parsed once, refused at start when they make no sense."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lambent.adapters.prometheus import PrometheusSettings
from lambent.agent.protocol.names import DOOR_PORT
from lambent.core.collecting import Policy
from lambent.core.plan import Installation
from lambent.core.policies import Release
from lambent.core.scaling import ScalingSettings
from lambent.core.workload import WorkloadSettings
from lambent.model.addresses import AddressPolicy, Network, parse_networks


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where code may come from."""

    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    """What may be dialled on a tenant's word."""
    insecure_registries: frozenset[str] = frozenset()
    s3_endpoint: str = ""
    """Where functions name none; the administrator's word."""
    s3_region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Everything the controller is told from outside."""

    installation: Installation
    workload: WorkloadSettings
    namespaces: tuple[str, ...]
    """Empty: all."""
    codestore_url: str
    internal_token_file: str
    gateway_service: str
    gateway_port: int
    keys_secret: str
    pod_name: str
    pod_namespace: str
    lease_name: str
    metrics_port: int
    log_level: str
    workers: int = 32
    sources: SourceSettings = field(default_factory=SourceSettings)
    collect_seconds: float = 600.0
    """Between two rounds of deleting code that nobody needs; 0: never."""
    collecting: Policy = field(default_factory=Policy)
    policies: Release | None = None
    """Whose gateway environments accept; None: no NetworkPolicies are written."""
    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)
    """What alarms of rollouts ask."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ControllerSettings:
        """Parse the environment.

        Raises:
            ValueError: naming the variable that is missing or makes no sense.
        """
        read = _Reader(environ)
        return cls(
            installation=Installation(
                region=read.text("LAMBENT_REGION", "us-east-1"),
                runtimes=read.table("LAMBENT_RUNTIMES"),
                agent_image=read.text("LAMBENT_AGENT_IMAGE", ""),
                scaling=ScalingSettings(
                    idle=float(read.number("LAMBENT_IDLE_SECONDS", 300, at_least=1)),
                    max_pending=read.number("LAMBENT_MAX_PENDING", 50, at_least=1),
                ),
            ),
            workload=WorkloadSettings(
                door_port=DOOR_PORT,
                agent_image=read.text("LAMBENT_AGENT_IMAGE", ""),
                pull_policy=read.choice("LAMBENT_RUNTIME_PULL_POLICY", ("IfNotPresent", "Always", "Never")),
                agent_allowance_mb=read.number("LAMBENT_AGENT_ALLOWANCE_MB", 64, at_least=0),
                start_cpu_millicores=read.number("LAMBENT_START_CPU_MILLICORES", 1000, at_least=0),
                freeze=read.choice("LAMBENT_ENVIRONMENT_FREEZE", ("on", "off")) == "on",
                log_sink=_log_sink(read),
                cpu_request_percent=min(100, read.number("LAMBENT_CPU_REQUEST_PERCENT", 10, at_least=1)),
            ),
            namespaces=tuple(read.list("LAMBENT_NAMESPACES")),
            codestore_url=read.text("LAMBENT_CODESTORE_URL"),
            internal_token_file=read.text("LAMBENT_INTERNAL_TOKEN_FILE"),
            gateway_service=read.text("LAMBENT_GATEWAY_SERVICE"),
            gateway_port=read.number("LAMBENT_GATEWAY_PORT", 8081, at_least=1),
            keys_secret=read.text("LAMBENT_KEYS_SECRET"),
            pod_name=read.text("LAMBENT_POD_NAME"),
            pod_namespace=read.text("LAMBENT_POD_NAMESPACE"),
            lease_name=read.text("LAMBENT_LEASE_NAME", "lambent-controller"),
            metrics_port=read.number("LAMBENT_METRICS_PORT", 9090, at_least=0),
            log_level=read.text("LAMBENT_LOG_LEVEL", "INFO").upper(),
            workers=read.number("LAMBENT_WORKERS", 32, at_least=1),
            sources=SourceSettings(
                addresses=AddressPolicy(
                    allowed=read.networks("LAMBENT_ALLOWED_NETWORKS"), denied=read.networks("LAMBENT_DENIED_NETWORKS")
                ),
                insecure_registries=frozenset(read.list("LAMBENT_INSECURE_REGISTRIES")),
                s3_endpoint=read.text("LAMBENT_S3_ENDPOINT", ""),
                s3_region=read.text("LAMBENT_S3_REGION", "us-east-1"),
            ),
            collect_seconds=float(read.number("LAMBENT_COLLECT_SECONDS", 600, at_least=0)),
            collecting=Policy(grace=float(read.number("LAMBENT_COLLECT_GRACE_SECONDS", 3600, at_least=1))),
            policies=_release(read),
            prometheus=_prometheus(read),
        )


_LOG_SINK = re.compile(r"http://(\[[0-9A-Fa-f:.]+\]|[^/:?#@\s]+):[0-9]{1,5}(/[!-~]*)?|tcp://[^/?#@\s]+:[0-9]{1,5}/?")


def _log_sink(read: _Reader) -> str:
    """Judged here: an agent that cannot understand it does not start."""
    sink = read.text("LAMBENT_ENVIRONMENT_LOG_SINK", "")
    if sink and _LOG_SINK.fullmatch(sink) is None:
        raise ValueError(
            f"LAMBENT_ENVIRONMENT_LOG_SINK must be http://<host>:<port>/<path> or tcp://<host>:<port>, not {sink!r}"
        )
    return sink


def _prometheus(read: _Reader) -> PrometheusSettings:
    url = read.text("LAMBENT_PROMETHEUS_URL", "").rstrip("/")
    if url and re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", url) is None:
        raise ValueError(f"LAMBENT_PROMETHEUS_URL must be http(s)://<host>[:<port>][/<path>], not {url!r}")
    return PrometheusSettings(
        url, read.text("LAMBENT_PROMETHEUS_TOKEN_FILE", ""), read.text("LAMBENT_PROMETHEUS_CA_FILE", "")
    )


def _release(read: _Reader) -> Release | None:
    if read.choice("LAMBENT_ENVIRONMENT_POLICY", ("off", "on")) == "off":
        return None
    return Release(
        name=read.text("LAMBENT_RELEASE_NAME"),
        namespace=read.text("LAMBENT_POD_NAMESPACE"),
        door_port=DOOR_PORT,
        gateway_labels=read.table("LAMBENT_GATEWAY_LABELS"),
    )


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name) or default
        if value is None:
            raise ValueError(f"{name} is not set")
        return value

    def number(self, name: str, default: int, at_least: int) -> int:
        value = self._environ.get(name)
        try:
            number = int(value) if value else default
        except ValueError:
            raise ValueError(f"{name} is not a whole number: {value!r}") from None
        if number < at_least:
            raise ValueError(f"{name} must be at least {at_least}, not {number}")
        return number

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        value = self._environ.get(name) or options[0]
        if value not in options:
            raise ValueError(f"{name} must be one of {', '.join(options)}, not {value!r}")
        return value

    def list(self, name: str) -> Iterator[str]:
        return filter(None, (part.strip() for part in self.text(name, "").split(",")))

    def networks(self, name: str) -> tuple[Network, ...]:
        try:
            return parse_networks(self.list(name))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def table(self, name: str) -> dict[str, str]:
        try:
            table = json.loads(self.text(name, "{}"))
        except ValueError as error:
            raise ValueError(f"{name} is not JSON: {error}") from None
        if not isinstance(table, dict) or not all(isinstance(value, str) and value for value in table.values()):
            raise ValueError(f"{name} must be a JSON object whose values are texts")
        return table

"""The controller's settings, from the environment; parsed once, refused at start when they make no sense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.agent.protocol.names import DOOR_PORT
from lambent.core.plan import Installation
from lambent.core.scaling import ScalingSettings
from lambent.core.workload import WorkloadSettings


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
    workers: int = field(default=16)

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
                cpu_request_percent=min(100, read.number("LAMBENT_CPU_REQUEST_PERCENT", 10, at_least=1)),
            ),
            namespaces=tuple(filter(None, (part.strip() for part in read.text("LAMBENT_NAMESPACES", "").split(",")))),
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
            workers=read.number("LAMBENT_WORKERS", 16, at_least=1),
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

    def table(self, name: str) -> dict[str, str]:
        try:
            table = json.loads(self.text(name, "{}"))
        except ValueError as error:
            raise ValueError(f"{name} is not JSON: {error}") from None
        if not isinstance(table, dict) or not all(isinstance(image, str) and image for image in table.values()):
            raise ValueError(f"{name} must be a JSON object of runtime identifiers and images")
        return table

"""What the gateway is told by its environment, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KUBERNETES, NONE = "kubernetes", "none"
AUTH_MODES = (KUBERNETES, NONE)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every field is one variable `LAMBENT_<FIELD>`; see `from_environment`."""

    agent_key: bytes = field(repr=False)
    """Cluster key of agent tokens."""
    url_key: bytes = field(repr=False)
    """Key of the code store's signed URLs."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty for all."""
    default_namespace: str = "default"
    region: str = "us-east-1"
    codestore_url: str = "http://lambent-codestore:8082"
    cold_start_timeout_seconds: float = 60.0
    auth_mode: str = KUBERNETES
    """Who may invoke: `kubernetes` asks the API server; `none` lets everybody who reaches the public door."""
    auth_audiences: tuple[str, ...] = ()
    """Audiences that tokens may be made for; empty: the API server's own."""
    controller_user: str = ""
    """The user that TokenReview must name on the internal door; empty refuses everybody."""
    pod_name: str = "gateway"
    pod_namespace: str = "default"
    public_port: int = 8080
    internal_port: int = 8081
    metrics_port: int = 9090
    host: str | None = None
    """Interface to listen on; None for all."""
    log_level: str = "INFO"
    inline_code_bytes: int = 262_144
    account_concurrency: int = 1000
    """Requests of one namespace that run or wait at the same time; more are answered 429."""
    bodies_bytes: int = 256 * 1024 * 1024
    """Memory for the bodies of large requests, of all callers together; beyond it they are answered 503."""
    linger_seconds: float = 5.0
    """After SIGTERM: still accepting, but not ready, until endpoints have gone away."""
    drain_seconds: float = 905.0
    """After that: how long requests in flight may take to end. The pod's grace period bounds it too."""
    otlp_endpoint: str = ""
    """The base URL of a collector for spans; empty for none. Its own variable: OpenTelemetry's, not one of ours."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Parse the variables.

        Raises:
            ValueError: a number is none.
            OSError: a key cannot be read.
        """
        keys = Path(environment.get("LAMBENT_KEYS_DIR", "/etc/lambent/keys"))
        return cls(
            agent_key=_key(keys / "agent-key"),
            url_key=_key(keys / "url-key"),
            namespaces=_names(environment.get("LAMBENT_NAMESPACES", "")),
            default_namespace=environment.get("LAMBENT_DEFAULT_NAMESPACE", "default"),
            region=environment.get("LAMBENT_REGION", "us-east-1"),
            codestore_url=environment.get("LAMBENT_CODESTORE_URL", "http://lambent-codestore:8082"),
            cold_start_timeout_seconds=float(environment.get("LAMBENT_COLD_START_TIMEOUT_SECONDS", "60")),
            auth_mode=_mode(environment.get("LAMBENT_AUTH_MODE") or KUBERNETES),
            auth_audiences=_names(environment.get("LAMBENT_AUTH_AUDIENCES", "")),
            controller_user=environment.get("LAMBENT_CONTROLLER_USER", ""),
            pod_name=environment.get("LAMBENT_POD_NAME", "gateway"),
            pod_namespace=environment.get("LAMBENT_POD_NAMESPACE", "default"),
            public_port=_port(environment.get("LAMBENT_PUBLIC_PORT", ""), 8080),
            internal_port=_port(environment.get("LAMBENT_INTERNAL_PORT", ""), 8081),
            metrics_port=_port(environment.get("LAMBENT_METRICS_PORT", ""), 9090),
            host=environment.get("LAMBENT_HOST") or None,
            log_level=environment.get("LAMBENT_LOG_LEVEL", "INFO"),
            inline_code_bytes=int(environment.get("LAMBENT_INLINE_CODE_BYTES", "262144")),
            account_concurrency=int(environment.get("LAMBENT_ACCOUNT_CONCURRENCY", "1000")),
            bodies_bytes=int(environment.get("LAMBENT_BODIES_BYTES", str(256 * 1024 * 1024))),
            linger_seconds=float(environment.get("LAMBENT_LINGER_SECONDS", "5")),
            drain_seconds=float(environment.get("LAMBENT_DRAIN_SECONDS", "905")),
            otlp_endpoint=environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _mode(text: str) -> str:
    if text not in AUTH_MODES:
        raise ValueError(f"LAMBENT_AUTH_MODE is {text!r}, but may be {' or '.join(AUTH_MODES)}")
    return text


def _port(text: str, default: int) -> int:
    # a Service named lambent-public would set LAMBENT_PUBLIC_PORT to tcp://…: that is not meant for us
    return default if not text or text.startswith("tcp://") else int(text)


def _key(path: Path) -> bytes:
    # Secrets made with an editor end with a newline; nobody means it.
    return path.read_bytes().strip()

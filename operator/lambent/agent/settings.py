"""What the agent is told by its own environment, read once at start. Nothing of it reaches a child."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from .protocol.names import DOOR_PORT, RUNTIME_API_PORT

DEFAULT_ORPHAN_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Ports may be 0 (any free one). `bootstrap` is the managed runtime's; without it, the function brings its own."""

    token_sha256: str
    host: str = "0.0.0.0"  # noqa: S104  the door is for gateways in other pods
    port: int = DOOR_PORT
    runtime_port: int = RUNTIME_API_PORT
    ready: str = ""
    task_root: str = "/var/task"
    opt_root: str = "/opt"
    runtime_dir: str = "/var/runtime"
    bootstrap: str = "/var/runtime/bootstrap"
    prestart: bool = False
    orphan_seconds: float = DEFAULT_ORPHAN_SECONDS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises ValueError naming the variable that is missing or makes no sense."""
        digest = environment.get("LAMBENT_TOKEN_SHA256", "").lower()
        if len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise ValueError("LAMBENT_TOKEN_SHA256 must be the hexadecimal SHA-256 of the door's token")
        runtime_dir = environment.get("LAMBENT_RUNTIME_DIR", "/var/runtime")
        return cls(
            token_sha256=digest,
            host=environment.get("LAMBENT_AGENT_HOST", "0.0.0.0"),  # noqa: S104
            port=_number(environment, "LAMBENT_AGENT_PORT", DOOR_PORT),
            runtime_port=_number(environment, "LAMBENT_RUNTIME_PORT", RUNTIME_API_PORT),
            ready=environment.get("LAMBENT_READY_FD", ""),
            task_root=environment.get("LAMBENT_TASK_ROOT", "/var/task"),
            opt_root=environment.get("LAMBENT_OPT_ROOT", "/opt"),
            runtime_dir=runtime_dir,
            bootstrap=environment.get("LAMBENT_BOOTSTRAP", f"{runtime_dir}/bootstrap"),
            prestart=environment.get("LAMBENT_PRESTART", "0") == "1",
            orphan_seconds=float(_number(environment, "LAMBENT_ORPHAN_SECONDS", int(DEFAULT_ORPHAN_SECONDS))),
        )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise ValueError(f"{name} must be a whole number, not {text!r}")
    return int(text)

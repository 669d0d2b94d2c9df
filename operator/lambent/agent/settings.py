"""What the agent is told by its own environment, read once at start. Nothing of it reaches a child."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from .protocol.names import DOOR_PORT, RUNTIME_API_PORT

DEFAULT_ORPHAN_SECONDS = 900.0
DEFAULT_FAREWELL_SECONDS = 1.0
_VARIABLE = "LAMBENT_VARIABLE_"
_NOT_THE_IMAGES = re.compile(r"LAMBENT_.*|KUBERNETES_(SERVICE|PORT)(_.*)?")
"""Ours, and what the kubelet adds to every container."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a container image runs: ENTRYPOINT and CMD, the working directory, and the image's own environment."""

    arguments: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]

    @property
    def handler(self) -> str:
        """The last argument, as Lambda takes it for `_HANDLER`; empty when there is only a program."""
        return self.arguments[-1] if len(self.arguments) > 1 else ""


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
    freeze: bool = True
    """Every process of the function stands still between invocations."""
    orphan_seconds: float = DEFAULT_ORPHAN_SECONDS
    farewell_seconds: float = DEFAULT_FAREWELL_SECONDS
    """How long an agent that ends waits for gateways to let go of their connections."""
    log_sink: str = ""
    """Where the installation wants every environment's telemetry too: `http://host:port/path` or `tcp://host:port`."""
    program: Program | None = None
    """Of a container image; else a bootstrap is looked for."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The function's own that do not come with the claim."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises ValueError naming the variable that is missing or makes no sense. An empty one is as none."""
        digest = environment.get("LAMBENT_TOKEN_SHA256", "").lower()
        if len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise ValueError("LAMBENT_TOKEN_SHA256 must be the hexadecimal SHA-256 of the door's token")
        runtime_dir = environment.get("LAMBENT_RUNTIME_DIR") or "/var/runtime"
        return cls(
            token_sha256=digest,
            host=environment.get("LAMBENT_AGENT_HOST") or "0.0.0.0",  # noqa: S104
            port=_number(environment, "LAMBENT_AGENT_PORT", DOOR_PORT),
            runtime_port=_number(environment, "LAMBENT_RUNTIME_PORT", RUNTIME_API_PORT),
            ready=environment.get("LAMBENT_READY_FD", ""),
            task_root=environment.get("LAMBENT_TASK_ROOT") or "/var/task",
            opt_root=environment.get("LAMBENT_OPT_ROOT") or "/opt",
            runtime_dir=runtime_dir,
            bootstrap=environment.get("LAMBENT_BOOTSTRAP") or f"{runtime_dir}/bootstrap",
            prestart=environment.get("LAMBENT_PRESTART", "0") == "1",
            freeze=(environment.get("LAMBENT_FREEZE") or "1") != "0",
            orphan_seconds=float(_number(environment, "LAMBENT_ORPHAN_SECONDS", int(DEFAULT_ORPHAN_SECONDS))),
            farewell_seconds=_seconds(environment, "LAMBENT_FAREWELL_SECONDS", DEFAULT_FAREWELL_SECONDS),
            log_sink=_sink(environment),
            program=_program(environment),
            variables={
                name.removeprefix(_VARIABLE): value for name, value in environment.items() if name.startswith(_VARIABLE)
            },
        )


def _program(environment: Mapping[str, str]) -> Program | None:
    command = environment.get("LAMBENT_COMMAND")
    if not command:
        return None
    try:
        arguments = json.loads(command)
    except ValueError:
        arguments = None
    if not isinstance(arguments, list) or not all(isinstance(word, str) and "\0" not in word for word in arguments):
        raise ValueError("LAMBENT_COMMAND must be a JSON list of strings")
    own = {name: value for name, value in environment.items() if not _NOT_THE_IMAGES.fullmatch(name)}
    return Program(tuple(arguments), environment.get("LAMBENT_WORKING_DIRECTORY") or "/", own)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    if text and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f"{name} must be a number of seconds, not {text!r}")
    return float(text or default)


def _sink(environment: Mapping[str, str]) -> str:
    address = environment.get("LAMBENT_LOG_SINK", "")
    if address:
        from .destinations import parse_sink

        parse_sink(address)
    return address


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise ValueError(f"{name} must be a whole number, not {text!r}")
    return int(text)

"""What the code store is told by its environment, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

URL_KEY_BYTES_MIN = 16
PORT, METRICS_PORT = 8082, 9090


class InvalidSettings(Exception):
    """The process cannot start as it was told to; the message names the variable or file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one code store."""

    directory: Path
    """LAMBENT_CODESTORE_DIR: where blobs are kept."""
    url_key: bytes = field(repr=False)
    """The file `url-key` in LAMBENT_KEYS_DIR: what URLs are signed with."""
    port: int = PORT
    """LAMBENT_CODESTORE_PORT."""
    metrics_port: int = METRICS_PORT
    """LAMBENT_METRICS_PORT."""
    log_level: str = "INFO"
    """LAMBENT_LOG_LEVEL."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Parse the variables and read the key. Raises InvalidSettings."""
        return cls(
            directory=Path(_given(environment, "LAMBENT_CODESTORE_DIR")),
            url_key=_key(Path(_given(environment, "LAMBENT_KEYS_DIR")) / "url-key"),
            port=_port(environment, "LAMBENT_CODESTORE_PORT", PORT),
            metrics_port=_port(environment, "LAMBENT_METRICS_PORT", METRICS_PORT),
            log_level=_level(environment),
        )


def _given(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise InvalidSettings(f"{name} is not set")
    return value


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise InvalidSettings(f"{name} is no port: {text!r}")
    return int(text)


def _level(environment: Mapping[str, str]) -> str:
    level = (environment.get("LAMBENT_LOG_LEVEL") or "INFO").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise InvalidSettings(f"LAMBENT_LOG_LEVEL is no level: {level!r}")
    return level


def _key(file: Path) -> bytes:
    try:
        key = file.read_bytes().strip()  # an editor's newline, which nobody means; every process strips it
    except OSError as error:
        raise InvalidSettings(f"the key file {file} cannot be read: {error.strerror}") from error
    if len(key) < URL_KEY_BYTES_MIN:
        raise InvalidSettings(f"the key file {file} has fewer than {URL_KEY_BYTES_MIN} bytes")
    return key

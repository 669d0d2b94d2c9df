"""What `lambent depart` is told by its environment, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SECONDS_MIN = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one departure."""

    pod_namespace: str
    """LAMBENT_POD_NAMESPACE: the namespace of the release."""
    release: str
    """LAMBENT_RELEASE_NAME: what the release's own pods carry as their instance."""
    prefix: str
    """LAMBENT_PROCESS_NAME_PREFIX: what the names of its Deployments begin with."""
    namespaces: tuple[str, ...] = ()
    """LAMBENT_NAMESPACES: where its functions are; empty for all."""
    seconds: float = 240.0
    """LAMBENT_DEPART_SECONDS: how long all of it may take."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Parse the variables. Raises ValueError, which names the variable."""
        text = environ.get("LAMBENT_DEPART_SECONDS") or "240"
        if not (text.isascii() and text.isdigit() and int(text) >= SECONDS_MIN):
            raise ValueError(f"LAMBENT_DEPART_SECONDS must be a whole number of at least {SECONDS_MIN}, not {text!r}")
        names = (part.strip() for part in environ.get("LAMBENT_NAMESPACES", "").split(","))
        return cls(
            pod_namespace=_given(environ, "LAMBENT_POD_NAMESPACE"),
            release=_given(environ, "LAMBENT_RELEASE_NAME"),
            prefix=_given(environ, "LAMBENT_PROCESS_NAME_PREFIX"),
            namespaces=tuple(filter(None, names)),
            seconds=float(text),
        )


def _given(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise ValueError(f"{name} is not set")
    return value

"""What `lambent selftest` is told by its environment, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one self-test."""

    namespace: str
    """LAMBENT_DEFAULT_NAMESPACE: where requests go that name no account."""
    function: str
    """LAMBENT_SELFTEST_FUNCTION: the name of the function that is made and removed."""
    runtime: str
    """LAMBENT_SELFTEST_RUNTIME: a Python."""
    url: str
    """LAMBENT_SELFTEST_URL: the public door."""
    token_file: str
    """LAMBENT_SELFTEST_TOKEN_FILE: the caller's token."""
    closed: bool
    """LAMBENT_AUTH_MODE is not none: callers without a token have to be refused."""
    seconds: float = 120.0
    """LAMBENT_SELFTEST_SECONDS: how long it may take until the function has answered."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Parse the variables. Raises ValueError, which names the variable."""
        return cls(
            namespace=_given(environ, "LAMBENT_DEFAULT_NAMESPACE"),
            function=_given(environ, "LAMBENT_SELFTEST_FUNCTION"),
            runtime=_given(environ, "LAMBENT_SELFTEST_RUNTIME"),
            url=_given(environ, "LAMBENT_SELFTEST_URL"),
            token_file=_given(environ, "LAMBENT_SELFTEST_TOKEN_FILE"),
            closed=_given(environ, "LAMBENT_AUTH_MODE") != "none",
            seconds=float(environ.get("LAMBENT_SELFTEST_SECONDS") or "120"),
        )


def _given(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise ValueError(f"{name} is not set")
    return value

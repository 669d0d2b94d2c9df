"""What a span of an invocation is made of, free of any library: `tracing` sends it where somebody wants it."""

from __future__ import annotations

from dataclasses import dataclass

QUEUE = "queue"
"""Arrival, until an environment was lent."""
CLAIM = "claim"
"""An environment becoming the function's, code included; where a request waited for it."""
INIT = "init"
"""Its init, the same."""
INVOKE = "invoke"
"""Sent, until runtime and extensions were ready for more."""


@dataclass(frozen=True, slots=True)
class Phase:
    """From when until when, in seconds of the monotonic clock."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class InvocationSpan:
    """One invocation: its span, and one below it for each phase."""

    trace_id: int
    parent_id: int
    whole: Phase
    """Named as the function."""
    phases: tuple[Phase, ...]
    attributes: dict[str, str | bool]
    error: str = ""
    """Empty when all went well."""

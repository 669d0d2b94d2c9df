"""What people are told of: Events of Kubernetes, as a decision wants them recorded."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.model.conditions import Reason


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Tell people of a milestone, or of something with a consequence."""

    warning: bool
    reason: Reason
    note: str

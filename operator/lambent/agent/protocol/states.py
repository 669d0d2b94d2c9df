"""What an environment says about itself: `GET /v1/state`."""

# ruff: noqa: N815, TRY004  fields are named as on the wire; a wrong answer is a ValueError whatever is wrong

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """generic → init → idle ⇄ busy; any of the last three may become failed, and failed stays usable."""

    GENERIC = "generic"
    INIT = "init"
    IDLE = "idle"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """`epoch` and `owner` are the highest seen (0 and "" before anybody spoke)."""

    state: State
    claimId: str | None
    revision: str | None
    requestId: str | None
    epoch: int
    owner: str = ""
    draining: bool = False

    def to_json(self) -> bytes:
        """As on the wire."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "EnvironmentState":
        """Raises ValueError when the answer is not a state."""
        fields = json.loads(body)
        if not isinstance(fields, dict):
            raise ValueError("a state is a JSON object")
        claim, revision, request = (_text_or_none(fields, name) for name in ("claimId", "revision", "requestId"))
        epoch, owner = fields.get("epoch"), fields.get("owner", "")
        if not isinstance(epoch, int) or not isinstance(owner, str):
            raise ValueError("epoch is a number, owner a string")
        state, draining = State(str(fields.get("state"))), bool(fields.get("draining"))
        return cls(state, claim, revision, request, epoch, owner, draining)


def _text_or_none(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is a string or null")
    return value

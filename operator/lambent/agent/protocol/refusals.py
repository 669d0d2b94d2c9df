"""The door's refusals: what the agent answers instead of doing what it was asked.

Refusal                    carries HTTP status, errorType, errorMessage and named details
├── BadRequest        400  the caller has a bug
├── Unauthorized      401  wrong or missing token
├── NotFound          404
├── MethodNotAllowed  405
├── StaleOwner        409  a newer owner has spoken: details `epoch`, `owner`; the caller stops using this pod
├── AlreadyClaimed    409  another claim holds it: detail `claimId`; the caller takes another pod
├── NotIdle           409  busy, in init or draining: detail `state`; nothing was started, so try elsewhere
├── NotClaimed        409  nothing to invoke yet
└── TooLarge          413  the body is over its limit
"""

import json
from typing import ClassVar, Final


class Refusal(Exception):
    """One answer of the door that is not 200. `details` are further fields of its JSON."""

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "Refusal"

    def __init__(self, message: str, **details: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def to_json(self) -> bytes:
        """`{"errorType": …, "errorMessage": …, <details>}`."""
        fields = {"errorType": self.error_type, "errorMessage": self.message, **self.details}
        return json.dumps(fields, separators=(",", ":")).encode()

    @staticmethod
    def from_json(status: int, body: bytes) -> "Refusal":
        """The refusal behind an answer of the door; an unknown one becomes a plain Refusal."""
        try:
            fields = json.loads(body)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            return Refusal(f"the agent answered {status}")
        kind = KINDS.get(str(fields.pop("errorType", "")), Refusal)
        message = str(fields.pop("errorMessage", ""))
        details = {name: value for name, value in fields.items() if isinstance(value, str | int)}
        return kind(message, **details)


class BadRequest(Refusal):
    """The call cannot be understood."""

    status = 400
    error_type = "BadRequest"


class Unauthorized(Refusal):
    """The token is missing or wrong."""

    status = 401
    error_type = "Unauthorized"


class NotFound(Refusal):
    """The door has no such path."""

    status = 404
    error_type = "NotFound"


class MethodNotAllowed(Refusal):
    """The path is for another method."""

    status = 405
    error_type = "MethodNotAllowed"


class StaleOwner(Refusal):
    """`details`: the highest `epoch` heard and its `owner`."""

    status = 409
    error_type = "StaleOwner"


class AlreadyClaimed(Refusal):
    """`details`: the `claimId` that holds."""

    status = 409
    error_type = "AlreadyClaimed"


class NotIdle(Refusal):
    """`details`: the `state` that is in the way."""

    status = 409
    error_type = "NotIdle"


class NotClaimed(Refusal):
    """There is no function here yet."""

    status = 409
    error_type = "NotClaimed"


class TooLarge(Refusal):
    """The body is over its limit."""

    status = 413
    error_type = "TooLarge"


KINDS: Final[dict[str, type[Refusal]]] = {kind.error_type: kind for kind in Refusal.__subclasses__()}

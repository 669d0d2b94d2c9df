"""What an environment is asked to become, once in its life, and what it answers.

`to_json` and `from_json` are each other's inverse; `from_json` is strict and says BadRequest (claims come from
outside) or ValueError (answers come from an agent that is ours).
"""

# ruff: noqa: N815, TRY004  fields are named as on the wire; a wrong answer is a ValueError whatever is wrong

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from .fields import Fields
from .names import MAX_TIMEOUT_MS, MAX_ZIPPED_BYTES
from .refusals import BadRequest
from .states import State

DEFAULT_INIT_TIMEOUT_MS: Final = 10_000  # Lambda's, on demand
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ENVIRONMENT_BYTES: Final = 256 * 1024  # Lambda says 4 KB; what the cluster adds comes on top


@dataclass(frozen=True, slots=True)
class Code:
    """One zip: where it is, or the bytes themselves. `sha256` in hex, of the zip; `size` in bytes."""

    sha256: str
    size: int
    url: str | None = None
    inline: bytes | None = field(default=None, repr=False)

    def to_fields(self) -> dict[str, object]:
        """As in a claim."""
        fields: dict[str, object] = {"sha256": self.sha256, "size": self.size}
        if self.inline is not None:
            fields["inline"] = base64.b64encode(self.inline).decode("ascii")
        else:
            fields["url"] = self.url
        return fields

    @classmethod
    def from_fields(cls, fields: Fields) -> "Code":
        """BadRequest for what is no code."""
        sha256 = fields.text("sha256")
        if _SHA256.fullmatch(sha256) is None:
            raise BadRequest("code.sha256 must be 64 lower-case hexadecimal digits")
        size = fields.number("size", 0, MAX_ZIPPED_BYTES)
        url, inline = fields.optional_text("url"), fields.optional_text("inline")
        if (url is None) == (inline is None):
            raise BadRequest("code needs either url or inline")
        if inline is None:
            return cls(sha256, size, url=url)
        try:
            return cls(sha256, size, inline=binascii.a2b_base64(inline, strict_mode=True))
        except (ValueError, binascii.Error) as error:
            raise BadRequest("code.inline is not base64") from error


@dataclass(frozen=True, slots=True)
class Claim:
    """The function that an environment becomes. `logging`, `tracing` and `layers` are passed on as they are."""

    claimId: str
    arn: str
    functionName: str
    version: str
    revision: str
    runtime: str
    handler: str
    timeoutMs: int
    memoryMb: int
    initType: str = "on-demand"
    env: dict[str, str] = field(default_factory=dict)
    layers: tuple[Code, ...] = ()
    code: Code | None = None
    logging: dict[str, Any] = field(default_factory=dict)
    tracing: dict[str, Any] = field(default_factory=dict)
    region: str = "us-east-1"
    accountId: str = "000000000000"
    initTimeoutMs: int = DEFAULT_INIT_TIMEOUT_MS

    def to_json(self) -> bytes:
        """As on the wire."""
        fields: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        fields["layers"] = [layer.to_fields() for layer in self.layers]
        fields["code"] = self.code.to_fields() if self.code is not None else None
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Claim":
        """Raises BadRequest naming the field. Unknown fields are ignored: later gateways may say more."""
        fields = Fields.of_json(body, "claim")
        environment = fields.texts("env")
        if sum(len(name) + len(value) for name, value in environment.items()) > _ENVIRONMENT_BYTES:
            raise BadRequest("env is too large")
        code = fields.optional_object("code")
        return cls(
            claimId=fields.text("claimId"),
            arn=fields.text("arn"),
            functionName=fields.text("functionName"),
            version=fields.text("version"),
            revision=fields.text("revision"),
            initType=fields.text("initType", "on-demand"),
            runtime=fields.text("runtime", ""),
            handler=fields.text("handler", ""),
            timeoutMs=fields.number("timeoutMs", 1, MAX_TIMEOUT_MS),
            memoryMb=fields.number("memoryMb", 1, 1_000_000),
            env=environment,
            layers=tuple(Code.from_fields(layer) for layer in fields.objects("layers")),
            code=Code.from_fields(code) if code is not None else None,
            logging=fields.mapping("logging"),
            tracing=fields.mapping("tracing"),
            region=fields.text("region", "us-east-1"),
            accountId=fields.text("accountId", "000000000000"),
            initTimeoutMs=fields.number("initTimeoutMs", 1, MAX_TIMEOUT_MS, DEFAULT_INIT_TIMEOUT_MS),
        )


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """How the claim ended: state idle or failed. `log` is the tail of what init wrote, at most 4 KB.

    `error` is what the runtime reported (`errorType`, `errorMessage`, perhaps `stackTrace`) or what Lambda would say.
    """

    claimId: str
    state: State
    initMs: float
    log: bytes = b""
    error: dict[str, Any] | None = None

    def to_json(self) -> bytes:
        """As on the wire."""
        fields = {
            "claimId": self.claimId,
            "state": self.state,
            "initMs": round(self.initMs, 3),
            "log": base64.b64encode(self.log).decode("ascii"),
            "error": self.error,
        }
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "ClaimAnswer":
        """Raises ValueError when this is no answer to a claim."""
        fields = json.loads(body)
        if not isinstance(fields, dict):
            raise ValueError("the answer to a claim is a JSON object")
        claim, init, log, error = (fields.get(name) for name in ("claimId", "initMs", "log", "error"))
        if not isinstance(claim, str) or not isinstance(init, int | float) or not isinstance(log, str):
            raise ValueError("claimId and log are strings, initMs is a number")
        if error is not None and not isinstance(error, dict):
            raise ValueError("error is an object or null")
        return cls(claim, State(str(fields.get("state"))), float(init), base64.b64decode(log, validate=True), error)

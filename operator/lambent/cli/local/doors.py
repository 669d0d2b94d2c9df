"""What is said to an agent on this machine: claim, invoke, drain, through its own codec and a plain socket."""

from __future__ import annotations

import base64
import socket
import time
from dataclasses import dataclass

from lambent.agent.protocol import names
from lambent.agent.protocol.claims import Claim, ClaimAnswer
from lambent.agent.protocol.heads import MessageEnd, ProtocolError, ResponseHead
from lambent.agent.protocol.http1 import ResponseDecoder
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.writing import encode_request
from lambent.cli.outcomes import CommandFailed, ExitCode

_PATIENCE_SECONDS = 60.0
"""How much longer than agreed the agent may take; it keeps the time itself."""
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation."""

    request_id: str
    event: bytes
    timeout_ms: int
    client_context: str | None = None
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, as `answers` reads it."""

    request_id: str
    body: bytes
    function_error: str | None
    log: str | None
    status: int = 200
    executed_version: str = "$LATEST"


class Door:
    """One keep-alive connection to an agent's door."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
        self._decoder = ResponseDecoder()
        owner = Owner(int(time.time() * 1000), "local")
        self._fields = (
            (b"Host", b"agent"),
            (names.AUTHORIZATION, b"Bearer " + token.encode()),
            (names.OWNER, owner.to_header()),
        )

    def close(self) -> None:
        """No more calls."""
        self._connection.close()

    def claim(self, claim: Claim) -> ClaimAnswer:
        """Makes the environment this function: returns when init is done or has failed.

        Raises:
            CommandFailed: the agent refuses or is gone.
        """
        head, body, _ = self._call(names.CLAIM_PATH, (), claim.to_json(), claim.initTimeoutMs / 1000)
        if head.status != 200:
            raise _refused(body)
        return ClaimAnswer.from_json(body)

    def invoke(self, call: Call) -> Outcome:
        """One invocation, until the environment is idle again. Raises CommandFailed as `claim`."""
        fields = [(names.REQUEST_ID, call.request_id.encode()), (names.TIMEOUT_MS, b"%d" % call.timeout_ms)]
        if call.client_context is not None:
            fields.append((names.CLIENT_CONTEXT, base64.b64encode(call.client_context.encode())))
        if call.tail:
            fields.append((names.LOG_TYPE, names.TAIL))
        head, body, end = self._call(names.INVOKE_PATH, tuple(fields), call.event, call.timeout_ms / 1000)
        if head.status != 200:
            raise _refused(body)
        error, log = head.headers.get(names.FUNCTION_ERROR_KEY), end.trailers.get(names.LOG_RESULT_KEY)
        return Outcome(
            request_id=call.request_id,
            body=body,
            function_error=None if error is None else error.decode(),
            log=None if log is None else base64.b64decode(log).decode("utf-8", "replace"),
        )

    def drain(self) -> None:
        """Shuts the environment down as Lambda does; the agent ends."""
        self._call(names.DRAIN_PATH, (), b"", 0)

    def _call(
        self, path: bytes, fields: tuple[tuple[bytes, bytes], ...], body: bytes, seconds: float
    ) -> tuple[ResponseHead, bytes, MessageEnd]:
        head: ResponseHead | None = None
        pieces: list[bytes] = []
        try:
            self._connection.settimeout(seconds + _PATIENCE_SECONDS)
            self._connection.sendall(encode_request(b"POST", path, (*self._fields, *fields), body))
            while data := self._connection.recv(_PIECE):
                for event in self._decoder.feed(data):
                    if isinstance(event, ResponseHead):
                        head = event
                    elif isinstance(event, bytes):
                        pieces.append(event)
                    elif isinstance(event, MessageEnd):
                        assert head is not None
                        return head, b"".join(pieces), event
        except (OSError, ProtocolError) as error:
            raise CommandFailed(ExitCode.SERVICE_FAILED, f"the agent does not answer: {error}") from error
        raise CommandFailed(ExitCode.SERVICE_FAILED, "the agent has ended before it answered")


def _refused(body: bytes) -> CommandFailed:
    said = body.decode("utf-8", "replace")
    return CommandFailed(ExitCode.SERVICE_FAILED, f"the agent refuses: {said}")

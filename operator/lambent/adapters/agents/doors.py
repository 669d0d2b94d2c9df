"""One environment's door: dial it, ask its state, claim it, lend it to invocations, drain it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lambent.agent.protocol import names
from lambent.agent.protocol.claims import Claim, ClaimAnswer
from lambent.agent.protocol.heads import Headers, ResponseHead
from lambent.agent.protocol.refusals import Refusal
from lambent.agent.protocol.states import EnvironmentState
from lambent.agent.protocol.writing import encode_fields, encode_request

from .connections import AgentConnection, Listener, Streamer
from .failures import AgentMisbehaved, AgentNotConnected, AgentUnavailable

SHORT_ANSWER_BYTES_MAX = 256 * 1024
"""States and the answers to claims, whose log is at most 4 KB."""

TOGETHER_BYTES_MAX = 32 * 1024
"""Up to this size an event goes out with its head: one packet is worth a copy."""


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation as it goes to an agent; all texts are ASCII without line ends, as the borders made sure."""

    request_id: str
    arn: str
    timeout_ms: int
    trace: str
    client_context: str | None
    tail: bool
    event: bytes | bytearray
    streaming: bool = False
    """The answer is wanted as it comes; its listener is a Streamer then."""
    cognito_identity: str | None = None


class _Reply:
    """Collects one short answer; resolved when the connection is free again."""

    __slots__ = ("_answer", "future")

    def __init__(self, future: asyncio.Future[tuple[int, bytes]]) -> None:
        self.future = future
        self._answer = (500, b"")

    def answered(self, head: ResponseHead, body: bytes | bytearray) -> None:
        self._answer = (head.status, bytes(body))

    def ended(self, trailers: Headers) -> None:  # noqa: ARG002 - short answers have none that matter
        if not self.future.done():
            self.future.set_result(self._answer)

    def lost(self, error: AgentUnavailable) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class AgentDoor:
    """The client of one agent. Not connected until `connect`; `lost` is called when a connection is gone."""

    def __init__(self, host: str, port: int, token: str, lost: Callable[[], None]) -> None:
        self._host, self._port, self._lost = host, port, lost
        self._connection: AgentConnection | None = None
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._fields = ((b"Host", authority.encode()), (names.AUTHORIZATION, f"Bearer {token}".encode()))
        self._invoke_head = b"POST %b HTTP/1.1\r\n%b" % (names.INVOKE_PATH, encode_fields(self._fields))

    @property
    def usable(self) -> bool:
        """Whether there is a connection without an exchange on it."""
        return self._connection is not None and self._connection.usable

    async def connect(self, timeout: float) -> None:
        """Dial once, unless there is a free connection already.

        Raises:
            AgentUnavailable: nobody listens there (yet).
        """
        if self.usable:
            return
        self.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, connection = await loop.create_connection(self._new_connection, self._host, self._port)
        except (OSError, TimeoutError) as error:
            raise AgentUnavailable(f"the agent cannot be reached: {error or 'no answer'}") from error
        self._connection = connection

    def _new_connection(self) -> AgentConnection:
        connection = AgentConnection(lambda: self._connection_lost(connection))
        return connection

    def _connection_lost(self, connection: AgentConnection) -> None:
        if connection is self._connection:
            self._connection = None
            self._lost()

    def close(self) -> None:
        """Give the connection up; `lost` is not called for it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort(AgentUnavailable("the connection was closed"))

    async def state(self, timeout: float, owner: bytes | None = None) -> EnvironmentState:
        """What the environment says of itself; with `owner` it also hears that it still has one.

        Raises:
            AgentUnavailable, AgentNotConnected: no answer.
            Refusal: such as Unauthorized.
        """
        fields = self._fields if owner is None else (*self._fields, (names.OWNER, owner))
        body = await self._ask(encode_request(b"GET", names.STATE_PATH, fields), timeout)
        try:
            return EnvironmentState.from_json(body)
        except ValueError as error:
            raise AgentMisbehaved(f"not a state: {error}") from error

    async def claim(self, claim: Claim, owner: bytes, timeout: float) -> ClaimAnswer:
        """Make the environment a function's; answers when init is done or failed.

        Raises:
            AgentUnavailable, AgentNotConnected: no answer.
            Refusal: StaleOwner, AlreadyClaimed, BadRequest …
        """
        fields = (*self._fields, (names.OWNER, owner), (b"Content-Type", b"application/json"))
        body = await self._ask(encode_request(b"POST", names.CLAIM_PATH, fields, claim.to_json()), timeout)
        try:
            return ClaimAnswer.from_json(body)
        except ValueError as error:
            raise AgentMisbehaved(f"not an answer to a claim: {error}") from error

    async def drain(self, owner: bytes, timeout: float) -> None:
        """Shut the environment down as Lambda does. Raises as `claim`."""
        fields = (*self._fields, (names.OWNER, owner))
        await self._ask(encode_request(b"POST", names.DRAIN_PATH, fields), timeout)

    async def _ask(self, request: bytes, timeout: float) -> bytes:
        if self._connection is None:
            raise AgentNotConnected("no connection to the agent")
        connection = self._connection
        reply = _Reply(asyncio.get_running_loop().create_future())
        connection.send(request, reply, SHORT_ANSWER_BYTES_MAX)
        try:
            async with asyncio.timeout(timeout):
                status, body = await reply.future
        except TimeoutError as error:
            connection.abort(AgentUnavailable("no answer in time"))
            raise AgentUnavailable(f"the agent did not answer within {timeout:g} seconds") from error
        except asyncio.CancelledError:
            connection.abort(AgentUnavailable("the caller gave up"))
            raise
        if status != 200:
            raise Refusal.from_json(status, body)
        return body

    def invoke(self, call: Call, owner: bytes, listener: Listener) -> None:
        """Send one invocation; the listener hears of its answer.

        Raises:
            AgentNotConnected: nothing was sent.
        """
        if self._connection is None:
            raise AgentNotConnected("no connection to the agent")
        fields = [
            (names.OWNER, owner),
            (names.REQUEST_ID, call.request_id.encode()),
            (names.TIMEOUT_MS, b"%d" % call.timeout_ms),
            (names.ARN, call.arn.encode()),
            (names.TRACE_ID, call.trace.encode()),
        ]
        if call.client_context is not None:
            fields.append((names.CLIENT_CONTEXT, call.client_context.encode()))
        if call.cognito_identity is not None:
            fields.append((names.COGNITO_IDENTITY, call.cognito_identity.encode()))
        if call.tail:
            fields.append((names.LOG_TYPE, names.TAIL))
        if call.streaming:
            fields.append((names.RESPONSE_MODE, names.STREAMING))
        head = b"%b%bContent-Length: %d\r\n\r\n" % (self._invoke_head, encode_fields(fields), len(call.event))
        if len(call.event) <= TOGETHER_BYTES_MAX:
            self._connection.send(head + call.event, listener, names.MAX_RESPONSE_BYTES)
        else:
            self._connection.send(head, listener, names.MAX_RESPONSE_BYTES, call.event)

    def stream(self, call: Call, owner: bytes, streamer: Streamer) -> None:
        """`invoke` with an answer that comes piece by piece, where the function streams. Raises as `invoke`."""
        self.invoke(call, owner, streamer)
        if self._connection is not None:
            self._connection.stream_to(streamer)

    def pause(self) -> None:
        """Read nothing of the answer under way for now."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self._connection is not None:
            self._connection.resume()

    def abort(self, reason: str) -> None:
        """Cut an exchange that took too long; its listener is told."""
        if self._connection is not None:
            self._connection.abort(AgentUnavailable(reason))

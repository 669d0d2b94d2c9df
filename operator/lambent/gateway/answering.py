"""One request to run and its answer in the Lambda API's words: the same behind the public and the internal door."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from lambent.core import sampling
from lambent.core.routes import Route
from lambent.core.routing import RoutingTable
from lambent.model.errors import InvalidParameterValue, LambdaError
from lambent.wire import events, eventstream, lambda_api, tracing

from .answer_streams import AnswerStream
from .invocations import Answer
from .invoking import Invoking, Request
from .serving import Abandon, Respond

_CHECKED_AT_ONCE = 2
"""Large events: more would only share the same core."""
_CHECKED_SECONDS = 0.001
"""So long one of them is looked at before others have their turn."""

DICE_BYTES = 36
"""Randomness of one request."""


@dataclass(slots=True)
class Exchange:
    """One request and how it is answered."""

    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    body: bytes | bytearray | None
    """None when it is over the limit."""
    target: lambda_api.Target
    respond: Respond
    request_id: str
    dice: str
    """Random hex digits, from which the request id and trace ids are made."""
    roll: float
    """In [0, 1), drawn once: where an alias has two versions, it decides between them."""
    task: asyncio.Task[None] | None = None
    abandoned: Abandon | None = None

    def abandon(self) -> None:
        """The client went away."""
        if self.task is not None:
            self.task.cancel()
        if self.abandoned is not None:
            self.abandoned()

    def refuse(self, error: LambdaError) -> None:
        """Answer with an error."""
        refuse(error, self.request_id, self.respond)


class Answering:
    """Runs what a caller may run."""

    def __init__(self, table: RoutingTable, invoking: Invoking) -> None:
        self._table = table
        self._invoking = invoking
        self._checking = asyncio.Semaphore(_CHECKED_AT_ONCE)
        self._reservoir = sampling.Reservoir()

    async def begin_in_turn(self, exchange: Exchange, namespace: str) -> None:
        """Run a request once its event is known to be JSON: a large one is looked at in turns with others.

        Raises:
            LambdaError: it is refused.
        """
        large = is_large(exchange.body)
        if large and exchange.body is not None:
            await self._check(exchange.body)
        exchange.abandoned = self.begin(exchange, namespace, checked=large)

    async def _check(self, body: bytes | bytearray) -> None:
        clock = asyncio.get_running_loop().time
        async with self._checking:
            pause = clock() + _CHECKED_SECONDS
            for _ in events.check_in_slices(body):
                if clock() > pause:
                    await asyncio.sleep(0)
                    pause = clock() + _CHECKED_SECONDS

    def _trace(self, headers: Mapping[bytes, bytes], route: Route, dice: str) -> str:
        second = int(time.time())
        sample: Callable[[], bool] = _never
        if route.tracing_mode == sampling.ACTIVE:
            sample = functools.partial(self._reservoir.sample, route.key.function_uid, second, random.random())
        return tracing.trace_header(headers, second, dice, sample)

    def begin(self, exchange: Exchange, namespace: str, *, checked: bool = False) -> Abandon | None:
        """Run a request in the namespace that its caller may use. `checked`: its event is known to be JSON.

        Raises:
            LambdaError: it is refused.
        """
        target, respond, request_id = exchange.target, exchange.respond, exchange.request_id
        options = lambda_api.parse_options(exchange.headers, streaming=target.streaming)
        if exchange.body is None:
            raise events.too_large()
        event = exchange.body if checked else events.check_event(exchange.body)
        if options.invocation_type == lambda_api.EVENT:
            raise InvalidParameterValue("Invocation type Event is not supported yet: use RequestResponse.")
        route = self._table.resolve(target.reference, target.qualifier, namespace, exchange.roll)
        trace = self._trace(exchange.headers, route, exchange.dice[32:])
        if options.invocation_type == lambda_api.DRY_RUN:
            respond(204, lambda_api.dry_run_fields(request_id, trace, route.version), b"")
            return None

        def settle(outcome: Answer | LambdaError, version: str) -> None:
            if isinstance(outcome, Answer):
                if target.streaming:
                    kind = outcome.stream.content_type if outcome.stream is not None else None
                    respond(200, lambda_api.stream_fields(request_id, trace, version, kind), _events(outcome))
                    return
                fields = lambda_api.answer_fields(request_id, trace, version)
                if outcome.function_error:
                    fields.append(lambda_api.FUNCTION_ERROR_FIELD)
                if outcome.log_result is not None:
                    fields.append((lambda_api.LOG_RESULT, outcome.log_result.encode()))
                respond(200, fields, outcome.body)
            else:
                refuse(outcome, request_id, respond)

        asked = Request(
            request_id=request_id,
            reference=target.reference,
            namespace=namespace,
            roll=exchange.roll,
            qualifier=target.qualifier if target.qualified else None,
            trace=trace,
            client_context=options.client_context,
            tail=options.tail,
            event=event,
            streaming=target.streaming,
            cognito_identity=options.cognito_identity,
        )
        return self._invoking.begin(route, asked, settle)


def is_large(body: bytes | bytearray | None) -> bool:
    """Whether looking if an event is JSON takes long enough to hold others up."""
    return body is not None and len(body) >= events.LARGE_BYTES


def _never() -> bool:
    return False


class _EventStream:
    """A streamed answer in InvokeWithResponseStream's framing (`serving.Pieces`)."""

    def __init__(self, stream: AnswerStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream.pieces():
            yield eventstream.payload_chunk(piece)
        yield eventstream.invoke_complete(await self._stream.completion())

    def abandon(self) -> None:
        self._stream.abandon()


def _events(answer: Answer) -> bytes | _EventStream:
    """The events of an answer. One that is an error from the beginning has no payload: InvokeComplete tells it."""
    if answer.stream is not None:
        return _EventStream(answer.stream)
    if answer.function_error:
        return eventstream.invoke_complete(eventstream.failure(answer.body, answer.log_result))
    completion = eventstream.Completion(log_result=answer.log_result)
    return eventstream.payload_chunk(answer.body) + eventstream.invoke_complete(completion)


def refuse(error: LambdaError, request_id: str, respond: Respond) -> None:
    """Answer with an error."""
    fields, body = lambda_api.encode_error(error, request_id)
    respond(error.status, fields, body)

"""Port 8080: the Lambda API as clients speak it. Requests are not logged; payloads are never encoded anew."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from lambent.core import sampling
from lambent.core.routing import Route, RoutingTable
from lambent.model.errors import InvalidParameterValue, LambdaError, ServiceFailed
from lambent.wire import events, eventstream, lambda_api, tracing

from .answer_streams import AnswerStream
from .authorizing import Gate
from .invocations import Answer
from .invoking import Invoking, Request
from .serving import Abandon, Asked, Reply, Respond

log = logging.getLogger(__name__)

_INTERNAL = "An internal error occurred."
_CHECKED_AT_ONCE = 2
"""Large events: more would only share the same core."""
_CHECKED_SECONDS = 0.001
"""So long one of them is looked at before others have their turn."""


@dataclass(slots=True)
class _Exchange:
    """One request and how it is answered."""

    request: Asked
    target: lambda_api.Target
    respond: Respond
    request_id: str
    dice: str
    task: asyncio.Task[None] | None = None
    abandoned: Abandon | None = None

    def abandon(self) -> None:
        """The client went away."""
        if self.task is not None:
            self.task.cancel()
        if self.abandoned is not None:
            self.abandoned()


class PublicDoor:
    """Answers requests of the public port (`serving.Begin`, `serving.Admit`)."""

    def __init__(self, table: RoutingTable, gate: Gate, invoking: Invoking) -> None:
        self._table = table
        self._gate = gate
        self._invoking = invoking
        self._checking = asyncio.Semaphore(_CHECKED_AT_ONCE)
        self._reservoir = sampling.Reservoir()

    def __call__(self, request: Asked, respond: Respond) -> Abandon | None:
        """Begin to answer one request."""
        dice = os.urandom(36).hex()
        request_id = lambda_api.request_id(dice)
        try:
            target = lambda_api.parse_target(request.method, request.target)
            exchange = _Exchange(request, target, respond, request_id, dice)
            namespace = self._gate.at_once(request.headers, target.reference)
            if namespace is not None and (request.body is None or len(request.body) < events.LARGE_BYTES):
                return self._begin(exchange, namespace)
            exchange.task = asyncio.get_running_loop().create_task(self._take_time(exchange, namespace))
        except LambdaError as error:
            _refuse(error, request_id, respond)
        except Exception:
            log.exception("request %s failed", request_id)
            _refuse(ServiceFailed(_INTERNAL), request_id, respond)
        else:
            return exchange.abandon
        return None

    async def admit(self, head: Asked) -> Reply | None:
        """The refusal of a caller whose body nobody needs to read; None for everybody else."""
        try:
            target = lambda_api.parse_target(head.method, head.target)
            if self._gate.at_once(head.headers, target.reference) is None:
                await self._gate.ask(head.headers, target.reference)
        except LambdaError as error:
            request_id = lambda_api.request_id(os.urandom(16).hex())
            return error.status, *lambda_api.encode_error(error, request_id)
        return None

    async def _take_time(self, exchange: _Exchange, namespace: str | None) -> None:
        """Begin once the API server has said who calls and what he may, and once a large event is known to be JSON."""
        request = exchange.request
        try:
            if namespace is None:
                namespace = await self._gate.ask(request.headers, exchange.target.reference)
            checked = request.body is not None and len(request.body) >= events.LARGE_BYTES
            if checked and request.body is not None:
                await self._check(request.body)
            exchange.abandoned = self._begin(exchange, namespace, checked=checked)
        except LambdaError as error:
            _refuse(error, exchange.request_id, exchange.respond)
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            _refuse(ServiceFailed(_INTERNAL), exchange.request_id, exchange.respond)

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

    def _begin(self, exchange: _Exchange, namespace: str, *, checked: bool = False) -> Abandon | None:
        """Run what the caller may run."""
        request, target, respond = exchange.request, exchange.target, exchange.respond
        request_id, dice = exchange.request_id, exchange.dice
        options = lambda_api.parse_options(request.headers, streaming=target.streaming)
        if request.body is None:
            raise events.too_large()
        event = request.body if checked else events.check_event(request.body)
        if options.invocation_type == lambda_api.EVENT:
            raise InvalidParameterValue("Invocation type Event is not supported yet: use RequestResponse.")
        route = self._table.resolve(target.reference, target.qualifier, namespace)
        trace = self._trace(request.headers, route, dice[32:])
        if options.invocation_type == lambda_api.DRY_RUN:
            respond(204, lambda_api.dry_run_fields(request_id, trace), b"")
            return None

        def settle(outcome: Answer | LambdaError) -> None:
            if isinstance(outcome, Answer):
                if target.streaming:
                    kind = outcome.stream.content_type if outcome.stream is not None else None
                    respond(200, lambda_api.stream_fields(request_id, trace, route.version, kind), _events(outcome))
                    return
                fields = lambda_api.answer_fields(request_id, trace, route.version)
                if outcome.function_error:
                    fields.append(lambda_api.FUNCTION_ERROR_FIELD)
                if outcome.log_result is not None:
                    fields.append((lambda_api.LOG_RESULT, outcome.log_result.encode()))
                respond(200, fields, outcome.body)
            else:
                _refuse(outcome, request_id, respond)

        asked = Request(
            request_id=request_id,
            qualifier=target.qualifier if target.qualified else None,
            trace=trace,
            client_context=options.client_context,
            tail=options.tail,
            event=event,
            streaming=target.streaming,
            cognito_identity=options.cognito_identity,
        )
        return self._invoking.begin(route, asked, settle)


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


def _refuse(error: LambdaError, request_id: str, respond: Respond) -> None:
    fields, body = lambda_api.encode_error(error, request_id)
    respond(error.status, fields, body)

"""One invocation on an agent's connection: what comes back, and what becomes of the environment afterwards.

These are callbacks, not a coroutine: a client that goes away cancels whoever waits for the answer, never the
invocation, which runs to its end and gives its environment back (Lambda does so too).
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass

from lambent.adapters.agents.failures import AgentUnavailable
from lambent.adapters.telemetry import metrics
from lambent.agent.protocol import names
from lambent.agent.protocol.heads import Headers, ResponseHead
from lambent.agent.protocol.refusals import Refusal
from lambent.wire import eventstream

from .answer_streams import AnswerStream
from .environments import Environment, Environments


@dataclass(slots=True)
class Answer:
    """What the function said. `log_result` is base64, only when the caller asked for the log's tail."""

    body: bytes | bytearray
    function_error: bool = False
    log_result: str | None = None
    stream: AnswerStream | None = None
    """Where the body comes piece by piece; `body` is empty then, and the stream says how it ended."""


class NotStarted(Exception):
    """The agent refused before it started anything: another environment may be tried."""


_SLOW_CLIENT_SECONDS = 10.0

Outcome = Answer | NotStarted | AgentUnavailable
Settle = Callable[[Outcome], bool]
"""Called once; False when nobody wanted to know any more."""


def _over() -> None:
    """There is nobody left to tell."""


class Invocation:
    """The listener of one exchange. `settle` hears how it went, unless it is None by then: the client is gone."""

    __slots__ = (
        "_answer",
        "_complete",
        "_environment",
        "_environments",
        "_error",
        "_finished",
        "_pool",
        "_refusal",
        "_tail",
        "deadline",
        "not_started",
        "settle",
    )

    def __init__(
        self,
        environments: Environments,
        environment: Environment,
        finished: Callable[[], None],
        *,
        tail: bool,
        settle: Settle,
    ) -> None:
        self._environments = environments
        self._environment = environment
        self._pool = environments.pools.get(environment.key)
        self._tail = tail
        self._finished = finished
        """Called once when the invocation is over, unless it never started."""
        self._answer: Answer | None = None
        self._error = ""
        self._complete = False
        """The whole body is in."""
        self._refusal: Refusal | None = None
        self.settle: Settle | None = settle
        self.deadline = math.inf
        """By the loop's clock; see `cut_off`."""
        self.not_started = False
        """The agent refused it: it may be tried elsewhere."""

    def when_finished(self, finished: Callable[[str], None]) -> None:
        """Call this instead, with what went wrong: empty for nothing, else the metrics' word for it."""
        self._finished = lambda: finished(self._error)

    # --- Streamer -----------------------------------------------------------------------------------------------

    def began(self, head: ResponseHead) -> bool:
        """An answer that is no error goes to the client as it comes."""
        if head.status != 200 or names.FUNCTION_ERROR_KEY in head.headers:
            return False
        kind = head.headers.get(b"content-type", b"").decode("latin-1")
        stream = AnswerStream(self._environment.door, kind)
        answer = self._answer = Answer(b"", stream=stream)
        if not self._settle(answer):
            stream.abandon()
        return True

    def took(self, piece: bytes) -> None:
        """The next bytes."""
        if self._answer is not None and self._answer.stream is not None:
            self._answer.stream.put(piece)

    # --- Listener -----------------------------------------------------------------------------------------------

    def answered(self, head: ResponseHead, body: bytes | bytearray) -> None:
        """The body is complete: without a log to wait for, the caller is answered now."""
        if head.status != 200:
            self._refusal = Refusal.from_json(head.status, bytes(body))
            return
        self._complete = True
        if self._answer is not None:
            self._end_stream(eventstream.Completion())
            return
        answer = self._answer = Answer(body, names.FUNCTION_ERROR_KEY in head.headers)
        if not self._tail:
            self._settle(answer)

    def ended(self, trailers: Headers) -> None:
        """Runtime and extensions asked for more: the environment is idle."""
        self._environments.running.discard(self)
        answer = self._answer
        if answer is None:
            self._refused()
            return
        if self._tail:
            answer.log_result = trailers.get(names.LOG_RESULT_KEY, b"").decode("ascii", "replace")
            self._settle(answer)
        if answer.stream is not None:
            self._finish_stream(answer.stream, trailers)
        self._measure(answer, trailers)
        self._environments.release(self._environment)
        self._finish()

    def lost(self, error: AgentUnavailable) -> None:
        """There will be no more: the environment is looked at again before anybody else gets it."""
        self._error = metrics.OUTCOME_SERVICE_ERROR
        self._environments.running.discard(self)
        self._environments.again(self._environment)
        if self._answer is not None and self._answer.stream is not None and not self._complete:
            if not self._answer.stream.end(error):  # the client is gone: nobody else will count it
                self._count(metrics.OUTCOME_SERVICE_ERROR)
        elif self._answer is not None:
            self._count(metrics.OUTCOME_FUNCTION_ERROR if self._answer.function_error else metrics.OUTCOME_SUCCESS)
            self._settle(self._answer)  # when only the log's tail is lost
            if self._answer.stream is not None:
                self._answer.stream.end(eventstream.Completion(log_result=""))
        elif not self._settle(error):  # the client is gone: nobody else will count it
            self._count(metrics.OUTCOME_SERVICE_ERROR)
        self._finish()

    # --- streams ------------------------------------------------------------------------------------------------

    def _end_stream(self, completion: eventstream.Completion) -> None:
        """A complete body ends its stream at once, unless the log's tail is to come."""
        assert self._answer is not None
        if self._answer.stream is not None and not self._tail:
            self._answer.stream.end(completion)

    def _finish_stream(self, stream: AnswerStream, trailers: Headers) -> None:
        answer = self._answer
        assert answer is not None
        completion = eventstream.Completion(log_result=answer.log_result)
        if names.FUNCTION_ERROR_KEY in trailers:
            answer.function_error = True
            kind = trailers.get(names.ERROR_TYPE_KEY, b"").decode("latin-1")
            completion = eventstream.failure(_decoded(trailers), answer.log_result, kind)
        stream.end(completion)

    # --- what follows -------------------------------------------------------------------------------------------

    def _refused(self) -> None:
        self._environments.again(self._environment)
        self.not_started = True
        if not self._settle(NotStarted(self._refusal)):  # the client is gone: nobody will try elsewhere
            self._finish()

    def _finish(self) -> None:
        """It is over, once. Who is told refers to us: let go, or event and answer wait for the garbage collector."""
        finished, self._finished = self._finished, _over
        finished()

    def _settle(self, outcome: Outcome) -> bool:
        """Tell whoever waits, once; False when nobody does."""
        settle, self.settle = self.settle, None
        return settle is not None and settle(outcome)

    def cut_off(self) -> None:
        """The agent kept no time limit: its connection is cut, `lost` follows. A slow client gets more time."""
        stream = self._answer.stream if self._answer is not None else None
        if stream is not None and stream.full:  # the door bounds how slow a client may be
            self.deadline += _SLOW_CLIENT_SECONDS
            return
        self._environment.door.abort("the agent kept no time limit")

    def _measure(self, answer: Answer, trailers: Headers) -> None:
        self._count(metrics.OUTCOME_FUNCTION_ERROR if answer.function_error else metrics.OUTCOME_SUCCESS)
        try:
            seconds = float(trailers.get(names.DURATION_MS_KEY, b"nan")) / 1000
        except ValueError:
            return
        if seconds >= 0 and self._pool.metrics is not None:  # nan and nonsense are not counted
            self._pool.metrics.duration.observe(seconds)
            self._pool.count(seconds)

    def _count(self, outcome: str) -> None:
        self._error = "" if outcome == metrics.OUTCOME_SUCCESS else outcome
        self._environments.pools.count_outcome(self._pool, outcome)


def _decoded(trailers: Headers) -> bytes:
    try:
        return base64.b64decode(trailers.get(names.ERROR_BODY_KEY, b""), validate=True)
    except (ValueError, binascii.Error):
        return b""

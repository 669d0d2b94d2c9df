"""One request from its route to its answer: get an environment, send the invocation at most once, explain failures."""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime

from lambent.adapters.agents.doors import Call
from lambent.adapters.agents.failures import AgentMisbehaved, AgentNotConnected, AgentUnavailable
from lambent.adapters.telemetry import metrics
from lambent.agent.protocol.refusals import NotClaimed, NotIdle, Refusal, StaleOwner
from lambent.core import diagnosing, last_words, moments
from lambent.core.admission import Account
from lambent.core.last_words import Lost
from lambent.core.routes import Route
from lambent.core.routing import RoutingTable, mount_failure
from lambent.model import names
from lambent.model.arns import FunctionReference
from lambent.model.errors import LambdaError, ServiceFailed, TooManyRequests
from lambent.wire.eventstream import Completion, failure

from .accounts import Accounts
from .environments import Environment, Environments, Phase
from .invocations import Answer, Invocation, NotStarted, Outcome, Settle
from .ownership import Ownership
from .pools import ColdStartTimeout, Pool, RouteGone
from .spanning import Course, Spans

log = logging.getLogger(__name__)

INTERNAL = "An internal error occurred."

TRY_ELSEWHERE = (StaleOwner, NotIdle, NotClaimed)
"""Refusals that concern one environment, not the request."""


def internal_error() -> ServiceFailed:
    """What callers hear of a mistake of ours; the log has the rest."""
    return ServiceFailed(INTERNAL)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long what may take, in seconds, and how much there may be at the same time."""

    cold_start: float = 60.0
    allowance: float = 10.0
    """Beyond the function's timeout, for an agent that does not keep it: no client hangs for ever."""
    ending: float = 3.0
    """For the watch to show how a lost container ended."""
    account_concurrency: int = 1000
    """Requests of one namespace that run or wait."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants run."""

    request_id: str
    reference: FunctionReference
    """As the caller named the function, and in which namespace, so that it can be resolved again …"""
    namespace: str
    roll: float
    """… with the same roll, in [0, 1): it is drawn once for a request."""
    qualifier: str | None
    """As the caller wrote it; None for an unqualified call."""
    trace: str
    client_context: str | None
    tail: bool
    event: bytes | bytearray
    streaming: bool = False
    """The answer is wanted as it comes."""
    cognito_identity: str | None = None


Settled = Callable[[Answer | LambdaError, str], None]
"""How it went, and the version that ran it."""


class _Running:
    """One admitted request, from its arrival to its settlement."""

    __slots__ = ("_account", "arrived", "handed_over", "request", "route", "settle", "task")

    def __init__(self, account: Account, route: Route, request: Request, settle: Settled) -> None:
        self._account = account
        self.route = route
        self.request = request
        self.settle: Settled | None = settle
        self.arrived = 0.0
        """By the loop's clock, where somebody wants spans."""
        self.task: asyncio.Task[Answer] | None = None
        self.handed_over: Invocation | None = None
        """The invocation that gives the request's place in its account back: it may outlive the client."""

    def leave(self) -> None:
        """Give the place in the account's concurrency back."""
        self._account.leave()

    def settled(self, outcome: Answer | LambdaError) -> None:
        """Tell the client, if it is still there."""
        settle, self.settle = self.settle, None
        if settle is not None:
            settle(outcome, self.route.version)
        elif isinstance(outcome, Answer) and outcome.stream is not None:
            outcome.stream.abandon()

    def abandon(self) -> None:
        """The client is gone: a request that waits leaves the queue, one that runs goes on to its end."""
        self.settle = None
        if self.task is not None:
            self.task.cancel()

    def task_ended(self, task: asyncio.Task[Answer]) -> None:
        """What took time is over."""
        if self.handed_over is None or self.handed_over.not_started:
            self.leave()
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.settled(task.result())
        elif isinstance(error, LambdaError):
            self.settled(error)
        else:
            log.error("request %s failed", self.request.request_id, exc_info=error)
            self.settled(internal_error())


def _into(future: asyncio.Future[Outcome]) -> Settle:
    def settle(outcome: Outcome) -> bool:
        if future.done():
            return False
        future.set_result(outcome)
        return True

    return settle


async def _heard(future: asyncio.Future[Outcome]) -> Outcome:
    try:
        return await future
    except asyncio.CancelledError:
        # An answer that came in the moment in which its client went is nobody's.
        outcome = future.result() if future.done() and not future.cancelled() else None
        if isinstance(outcome, Answer) and outcome.stream is not None:
            outcome.stream.abandon()
        raise


class Invoking:
    """Runs requests."""

    def __init__(
        self,
        table: RoutingTable,
        environments: Environments,
        ownership: Ownership,
        accounts: Accounts,
        bounds: Bounds = Bounds(),
    ) -> None:
        self.spans: Spans | None = None
        """Set where somebody wants spans."""
        self._table = table
        self._pools = environments.pools
        self._environments = environments
        self._ownership = ownership
        self._bounds = bounds
        self._accounts = accounts

    def begin(self, route: Route, request: Request, settle: Settled) -> Callable[[], None]:
        """Run a request of a resolved route; `settle` hears how it went, unless the function returned is called first.

        With an idle environment the request is sent on before this returns, and `settle` is called in the moment
        the answer is there. Everything else is a task.

        Raises:
            TooManyRequests: the account's concurrency is used up.
        """
        account = self._accounts.of(route.namespace)
        pool = self._pools.of(route)
        if not account.enter():
            self._pools.count_throttle(pool, metrics.THROTTLE_CONCURRENCY)
            raise TooManyRequests
        running = _Running(account, route, request, settle)
        if self.spans is not None:
            running.arrived = self._pools.clock()
        environment = pool.admission.lend()
        if environment is None:
            self._take_time(running, self._until_started(running))
        else:
            self._send_at_once(running, environment, pool)
        return running.abandon

    def _send_at_once(self, running: _Running, environment: Environment, pool: Pool) -> None:
        def settle(outcome: Outcome) -> bool:
            if running.settle is None:
                return False
            if isinstance(outcome, Answer):
                self._explainable(outcome, environment, pool, running.request)
                running.settled(outcome)
            else:
                self._take_time(running, self._after(running, environment, pool, outcome))
            return True

        invocation = self._invocation(running, environment, settle)
        try:
            self._send(invocation, environment, running.route, running.request)
        except AgentNotConnected:  # its connection went a moment ago; nothing was sent
            self._environments.again(environment)
            self._take_time(running, self._until_started(running))
        else:
            running.handed_over = invocation

    def _invocation(self, running: _Running, environment: Environment, settle: Settle) -> Invocation:
        tail, spans = running.request.tail, self.spans
        invocation = Invocation(self._environments, environment, running.leave, tail=tail, settle=settle)
        if spans is not None:
            # On the warm path it is lent in the moment in which it arrives: there was no queue.
            lent = running.arrived if running.task is None else self._pools.clock()
            course = Course(running.route, environment, running.arrived, lent)
            invocation.when_finished(functools.partial(self._record, spans, course, running))
        return invocation

    def _record(self, spans: Spans, course: Course, running: _Running, error: str) -> None:
        running.leave()
        request = running.request
        span = course.span(request.request_id, request.trace, error, self._pools.clock())
        if span is not None:
            spans.record(span)

    def _take_time(self, running: _Running, work: Coroutine[None, None, Answer]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        running.task = task
        task.add_done_callback(running.task_ended)

    async def _after(self, running: _Running, environment: Environment, pool: Pool, outcome: Outcome) -> Answer:
        """Go on after a first try that brought no answer."""
        if isinstance(outcome, AgentUnavailable):
            return await self._explain(environment, pool, running.request, outcome)
        assert isinstance(outcome, NotStarted)
        self._check(outcome, environment, pool)
        self._follow(running)
        return await self._until_started(running)

    async def _until_started(self, running: _Running) -> Answer:
        """Try environments until one starts the request; each that refuses is out, so this ends.

        Raises:
            ResourceNotFound: what the caller named went away while the request waited.
            ServiceFailed: no environment in time, or the environment was lost.
        """
        deadline: float | None = None
        request = running.request
        while True:
            pool = self._pools.of(running.route)
            environment = pool.admission.lend()
            if environment is None:
                if deadline is None:
                    deadline = self._pools.clock() + self._bounds.cold_start
                try:
                    environment = await self._wait(pool, deadline)
                except RouteGone:
                    self._resolve_again(running)
                    continue
                pool = self._pools.get(environment.key)  # another one, when the function changed meanwhile
                running.route = pool.route or running.route
            future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            invocation = self._invocation(running, environment, _into(future))
            try:
                self._send(invocation, environment, running.route, request)
            except AgentNotConnected:
                self._environments.again(environment)
            else:
                running.handed_over = invocation
                outcome = await _heard(future)
                if isinstance(outcome, Answer):
                    self._explainable(outcome, environment, pool, request)
                    return outcome
                if isinstance(outcome, AgentUnavailable):
                    return await self._explain(environment, pool, request, outcome)
                self._check(outcome, environment, pool)
            self._follow(running)

    def _follow(self, running: _Running) -> None:
        """Go on with the newest route of the same function and version."""
        current = self._table.route_of(running.route.key)
        if current is None:
            self._resolve_again(running)
        else:
            running.route = current

    def _resolve_again(self, running: _Running) -> None:
        """The version of a request is gone: what its caller named may lead to another one now, by the same roll.

        Never to another function: its caller was not asked about that one.
        """
        request, before = running.request, running.route
        qualifier = request.qualifier or names.LATEST
        after = self._table.resolve(request.reference, qualifier, request.namespace, request.roll)
        if after.key.function_uid != before.key.function_uid:
            raise self._table.not_found(before.account, before.function_name, request.qualifier)
        running.route = after

    async def _wait(self, pool: Pool, deadline: float) -> Environment:
        arrived = self._pools.clock()
        if (unmounted := self._unmounted(pool)) is not None:
            self._pools.count_outcome(pool, metrics.OUTCOME_SERVICE_ERROR)
            raise unmounted
        try:
            environment = await self._pools.wait(pool, deadline)
        except ColdStartTimeout:
            raise self._too_slow(pool) from None
        if pool.metrics is not None:
            pool.metrics.phases[metrics.PHASE_WAIT].observe(self._pools.clock() - arrived)
        return environment

    def _unmounted(self, pool: Pool) -> LambdaError | None:
        """Why waiting is in vain: a file system is not there, and no environment that has it."""
        unmounted = mount_failure(self._table.conditions_of(pool.key))
        if unmounted is None or any(
            each.key == pool.key and each.phase is not Phase.RETIRED for each in self._environments.all()
        ):
            return None
        return unmounted

    def _too_slow(self, pool: Pool) -> LambdaError:
        current = self._table.route_of(pool.key)
        if current is not None:  # it may have changed while the request waited
            pool = self._pools.of(current)
        start = diagnosing.ColdStart(
            self._bounds.cold_start,
            [environment.pod for environment in self._environments.all() if environment.key == pool.key],
            self._table.conditions_of(pool.key),
            pool.claim_failure,
            pool.route.file_systems if pool.route else (),
        )
        self._pools.count_outcome(pool, metrics.OUTCOME_SERVICE_ERROR)
        return diagnosing.cold_start_failure(start)

    def _send(self, invocation: Invocation, environment: Environment, route: Route, request: Request) -> None:
        """Send the request, once. Raises AgentNotConnected when nothing was sent."""
        call = Call(
            request_id=request.request_id,
            arn=route.arn_as_invoked(request.qualifier),
            timeout_ms=route.timeout_ms,
            trace=request.trace,
            client_context=request.client_context,
            tail=request.tail,
            event=request.event,
            streaming=request.streaming,
            cognito_identity=request.cognito_identity,
        )
        send = environment.door.stream if request.streaming else environment.door.invoke
        send(call, self._ownership.header, invocation)
        environment.sent = self._pools.clock()
        invocation.deadline = environment.sent + route.timeout_ms / 1000 + self._bounds.allowance
        self._environments.running.add(invocation)

    def _check(self, refused: NotStarted, environment: Environment, pool: Pool) -> None:
        """Return when another environment should be tried."""
        refusal = refused.args[0]
        if isinstance(refusal, TRY_ELSEWHERE):
            return
        assert isinstance(refusal, Refusal)
        log.error("environment %s refused an invocation: %s", environment.name, refusal)
        self._pools.count_outcome(pool, metrics.OUTCOME_SERVICE_ERROR)
        raise ServiceFailed(f"The execution environment refused the invocation ({refusal.error_type}).")

    def _explainable(self, answer: Answer, environment: Environment, pool: Pool, request: Request) -> None:
        """Should the environment be lost in the middle of a streamed answer, its client hears why."""
        if answer.stream is None:
            return

        async def explain(error: AgentUnavailable) -> Completion:
            try:
                explained = await self._explain(environment, pool, request, error)
            except ServiceFailed as failed:
                return Completion(failed.code, failed.message)
            return failure(explained.body, explained.log_result)

        answer.stream.explain = explain

    async def _explain(self, environment: Environment, pool: Pool, request: Request, error: AgentUnavailable) -> Answer:
        """The answer for an invocation that was sent and never answered. It is not sent again."""
        ending, took = None, self._pools.clock() - environment.sent
        if not isinstance(error, AgentMisbehaved):
            ending = await self._environments.ending(environment, self._bounds.ending)
        message = diagnosing.environment_lost(request.request_id, environment.pod, ending)
        if message is not None and ending is not None:
            self._pools.count_outcome(pool, metrics.OUTCOME_FUNCTION_ERROR)
            log_result = None
            if request.tail:
                at = moments.spell(datetime.now(UTC))
                lost = Lost(request.request_id, message, took * 1000, ending, at)
                log_result = base64.b64encode(last_words.tail(lost, pool.route)).decode() if pool.route else ""
            return Answer(diagnosing.exit_error(message), function_error=True, log_result=log_result)
        self._pools.count_outcome(pool, metrics.OUTCOME_SERVICE_ERROR)
        log.error("environment %s lost an invocation: %s", environment.name, error)
        raise ServiceFailed("The execution environment was lost before it answered.") from error

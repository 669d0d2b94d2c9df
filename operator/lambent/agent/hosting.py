"""Hosting one function: what the door asks, which is claim, invoke and drain. Knows one generation at a time.

The warm path (invoke → response → next) is plain calls from socket to socket, with no task and no future; init, reset
and shutdown are tasks.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from .environment import log_stream_name, standing_variables
from .faults import Fault, bad_code, timed_out
from .freezing import Freezer
from .generations import Generation, Sandbox
from .invocations import Invocation
from .journal import Journal
from .lifecycle import Lifecycle
from .logs import Tail
from .memory import Meter
from .protocol.claims import Claim, ClaimAnswer
from .protocol.http1 import Request
from .protocol.names import MAX_LOG_TAIL_BYTES, STATE
from .protocol.states import State
from .runtime_api import Route, RuntimeApi, RuntimeConnection
from .settings import Settings
from .starting import Starter, StartFailure
from .supervising import Processes
from .unpacking import BadArchive

_EXTENSIONS_PREFIX = b"/2020-01-01/extension/"
_TELEMETRY_PREFIXES = (b"/2022-07-01/telemetry", b"/2020-08-15/logs")
_MOST_OF_EXTENSIONS = 256 * 1024


class Host:
    """One environment. `ended` is set when there is nothing left to do but exit."""

    def __init__(self, settings: Settings, journal: Journal, meter: Meter) -> None:
        self.lifecycle = Lifecycle()
        self.api = RuntimeApi()
        self.api.routes.append(Route(_EXTENSIONS_PREFIX, _MOST_OF_EXTENSIONS, self._extension_calls))
        for prefix in _TELEMETRY_PREFIXES:
            self.api.routes.append(Route(prefix, _MOST_OF_EXTENSIONS, self._telemetry_calls))
        self.processes = Processes(self._exited)
        self.claim: Claim | None = None
        self.ended = asyncio.Event()
        self._settings = settings
        self._journal = journal
        self._meter = meter
        self._freezer = Freezer(journal, self.processes, on=settings.freeze)
        self._sandbox: Sandbox | None = None
        self._present: Generation | None = None
        self._answer: asyncio.Task[ClaimAnswer] | None = None
        self._invocation: Invocation | None = None
        self._init_ms: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._code_fault: Fault | None = None
        self._log_stream = ""
        self._number = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    # Starting and claiming

    def open(self, runtime_port: int) -> None:
        """The Runtime API listens: a runtime that can wait for its claim is started now."""
        standing = standing_variables(self._settings, runtime_port)
        starter = Starter(self._settings, self.processes, standing, self._journal)
        self._sandbox = Sandbox(
            self._settings, self._journal, self._meter, self.api, self.processes, self._freezer, starter
        )
        self._present = Generation(self._sandbox, self)
        if starter.waits:
            try:
                self._present.prestart()
            except StartFailure as failure:
                self._journal.note(failure.fault.message)

    def claim_once(self, claim: Claim) -> "asyncio.Task[ClaimAnswer]":
        """The one claim of this life; the same claimId again gets the same answer. Raises Refusal."""
        if self.lifecycle.claim(claim.claimId, claim.revision):
            self.claim = claim
            self._log_stream = log_stream_name(claim.version)
            self._journal.claimed(claim, self._log_stream)
            self._answer = self._spawn(self._become(claim))
        assert self._answer is not None
        return self._answer

    async def _become(self, claim: Claim) -> ClaimAnswer:
        tail = Tail(MAX_LOG_TAIL_BYTES)
        self._journal.follow(tail)
        self._code_fault = fault = await self._prepare_code(claim)
        took = 0.0
        if fault is None:
            generation = await self._next_generation()
            fault, took = await generation.initialise(claim, self._log_stream, "init", claim.initTimeoutMs)
        self._journal.follow(None)
        if fault is None:
            self._init_ms = took
            self.lifecycle.initialised()
            asyncio.get_running_loop().call_later(0, self._rest)  # after the answer
            return ClaimAnswer(claim.claimId, State.IDLE, took, tail.value())
        self._begin_end(fault)
        await self._generation.runtime_dead.wait()
        self.lifecycle.failed()
        return ClaimAnswer(claim.claimId, State.FAILED, took, tail.value(), fault.error())

    async def _prepare_code(self, claim: Claim) -> Fault | None:
        """A zip that cannot be had or is not what was promised stays a fault: another environment may do better."""
        if claim.code is None and not claim.layers:
            return None
        from .fetching import CodeUnavailable, install

        try:
            await asyncio.get_running_loop().run_in_executor(
                None, install, claim, self._settings.task_root, self._settings.opt_root
            )
        except BadArchive as error:
            fault = bad_code("InvalidZipFileException", str(error))
        except CodeUnavailable as error:
            fault = bad_code("Sandbox.CodeUnavailable", str(error))
        except OSError as error:
            fault = bad_code("Sandbox.Failure", f"the code could not be unpacked: {error.strerror}")
        else:
            return None
        self._journal.fault(fault, claim.claimId)
        return fault

    @property
    def _generation(self) -> Generation:
        assert self._present is not None
        return self._present

    async def _next_generation(self) -> Generation:
        """The present one, or a new one when it has ended."""
        present = self._generation
        if present.ending:
            await present.end("failure")
            assert self._sandbox is not None
            self._present = present = Generation(self._sandbox, self)
        return present

    # Invoking

    def invoke(self, invocation: Invocation) -> None:
        """Raises Refusal, and then nothing was started."""
        warm = self.lifecycle.invoke(invocation.request_id)
        self._invocation = invocation
        self._quiet.clear()
        loop = asyncio.get_running_loop()
        invocation.started = loop.time()
        claim = self.claim
        assert claim is not None
        self._timer = loop.call_later(invocation.timeout_ms / 1000, self._timed_out, invocation)
        self._journal.invoke_start(invocation)
        self._number += 1
        if warm:
            invocation.init_ms, self._init_ms = self._init_ms, None
            invocation.init_counts = claim.initType == "on-demand"
            self._generation.invoke(invocation, self._number)
        else:
            self._spawn(self._invoke_cold(invocation, claim))

    async def _invoke_cold(self, invocation: Invocation, claim: Claim) -> None:
        """Suppressed init: inside the invocation, under the function's timeout, part of its duration."""
        if self._code_fault is not None:
            self._fail(invocation, self._code_fault)
            return
        generation = await self._next_generation()
        if invocation.fault is not None:
            return  # its deadline passed meanwhile and has been dealt with
        fault, took = await generation.initialise(claim, self._log_stream, "invoke", None)
        invocation.init_ms, invocation.init_counts = took, False
        if invocation.fault is not None:
            return
        if fault is None:
            generation.invoke(invocation, self._number)
        else:
            self._fail(invocation, fault)

    def invocation_done(self, invocation: Invocation, now: float) -> None:
        """Runtime and extensions wait again: idle."""
        self._conclude(invocation, now)
        self._rest()

    def _rest(self) -> None:
        """Whoever was quick may be at work again."""
        if self._invocation is None and self.lifecycle.state is State.IDLE:
            self._freezer.freeze()

    def _conclude(self, invocation: Invocation, now: float) -> None:
        claim = self.claim
        assert claim is not None
        assert self._timer is not None
        self._timer.cancel()
        report = invocation.report(claim.memoryMb, self._meter.max_used_mb(), now)
        self._journal.report(invocation, report)
        self._invocation = None
        if invocation.fault is None:
            self.lifecycle.finished()
        else:
            self.lifecycle.failed()
            invocation.trailers.append((STATE, State.FAILED.encode()))
        self._quiet.set()
        # Last, because the next request may be waiting on the same connection.
        invocation.finish(report)

    # Failing

    def _timed_out(self, invocation: Invocation) -> None:
        if invocation is self._invocation and invocation.fault is None:
            self._fail(invocation, timed_out(invocation.timeout_ms))

    def generation_lost(self, fault: Fault) -> None:
        """A process that is needed has ended, or an extension has given up."""
        invocation = self._invocation
        if invocation is not None:
            if invocation.fault is None:
                self._fail(invocation, fault)
            return
        # Nobody waits; the next invocation brings up another generation (and waits for this end).
        if self.lifecycle.state is State.IDLE:
            self.lifecycle.failed()
        self._begin_end(fault)

    def survived(self) -> None:
        """Processes are left: this environment is good for nothing more."""
        self.ended.set()

    def _fail(self, invocation: Invocation, fault: Fault) -> None:
        """Kills first, so that a handler has stopped before its caller hears; then answers; then cleans up."""
        invocation.fault = fault
        self._generation.withdraw()
        self._spawn(self._fail_and_reset(invocation, fault))

    async def _fail_and_reset(self, invocation: Invocation, fault: Fault) -> None:
        generation, ended = self._generation, asyncio.get_running_loop().time()
        generation.interrupt(fault)
        ending = self._begin_end(fault)
        await generation.runtime_dead.wait()
        invocation.answer_fault(fault)
        if not invocation.runtime_done:
            self._journal.runtime_done(invocation, ended)
        await ending
        self._journal.fault(fault, invocation.request_id)
        self._conclude(invocation, ended)

    def _begin_end(self, fault: Fault) -> "asyncio.Task[None]":
        return self._spawn(self._generation.end("timeout" if fault.status == "timeout" else "failure"))

    def _exited(self, pid: int, code: int) -> None:
        self._generation.exited(pid, code)

    def _extension_calls(self, connection: RuntimeConnection, request: Request) -> None:
        from .extension_api import answer

        answer(self._generation, connection, request)

    def _telemetry_calls(self, connection: RuntimeConnection, request: Request) -> None:
        from .telemetry_api import answer

        answer(self._generation, self._journal, connection, request)

    # Shutting down

    async def drain(self) -> None:
        """A busy one finishes, then all processes end: at once, or in order where there are extensions."""
        self.lifecycle.draining = True
        await self._quiet.wait()
        await self._generation.end("spindown")
        self._journal.flush()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

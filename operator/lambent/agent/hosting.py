"""Hosting one function: claim, init, invocations, resets. Where the door, the runtime and its processes meet.

The warm path (invoke → response → next) is plain calls from socket to socket, with no task and no future; init, reset
and shutdown are tasks.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

from .environment import log_stream_name, standing_variables
from .faults import Fault, bad_code, exited, reported_init_error, timed_out
from .invocations import Invocation
from .journal import Journal
from .lifecycle import Lifecycle
from .logs import Tail
from .memory import Meter
from .protocol.claims import Claim, ClaimAnswer
from .protocol.names import MAX_LOG_TAIL_BYTES, STATE
from .protocol.states import State
from .runtime_api import RuntimeApi
from .runtime_posts import Post
from .settings import Settings
from .starting import Runtime, Starter, StartFailure
from .supervising import Processes
from .unpacking import BadArchive

_LAST_WORDS: Final = 0.25  # seconds for what an ended runtime has posted to be read from its sockets


class Host:
    """One environment. `ended` is called when there is nothing left to do but exit."""

    def __init__(self, settings: Settings, journal: Journal, meter: Meter) -> None:
        self.lifecycle = Lifecycle()
        self.api = RuntimeApi(self)
        self.processes = Processes(self._exited)
        self.claim: Claim | None = None
        self.ended = asyncio.Event()
        self._settings = settings
        self._journal = journal
        self._meter = meter
        self._starter: Starter | None = None
        self._runtime: Runtime | None = None
        self._answer: asyncio.Task[ClaimAnswer] | None = None
        self._invocation: Invocation | None = None
        self._init: asyncio.Future[Fault | None] | None = None
        self._init_ms: float | None = None
        self._resetting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._code_fault: Fault | None = None
        self._log_stream = ""
        self._number = 0
        self._oom_kills = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    # Starting and claiming

    def open(self, runtime_port: int) -> None:
        """The Runtime API listens: a runtime that can wait for its claim is started now."""
        standing = standing_variables(self._settings, runtime_port)
        self._starter = Starter(self._settings, self.processes, standing, self._journal)
        if self._starter.waits:
            try:
                self._adopt(self._starter.prestart())
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
            fault, took = await self._initialise(claim, "init", claim.initTimeoutMs)
        self._journal.follow(None)
        if fault is None:
            self._init_ms = took
            self.lifecycle.initialised()
            return ClaimAnswer(claim.claimId, State.IDLE, took, tail.value())
        await self._reset()
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

    async def _initialise(self, claim: Claim, phase: str, timeout_ms: float | None) -> tuple[Fault | None, float]:
        """Brings up a runtime until it asks for its first event: (None or what went wrong, milliseconds)."""
        if self._resetting is not None:
            await self._resetting
        self._journal.init_start(phase)
        self._init = init = asyncio.get_running_loop().create_future()
        begun = time.monotonic()
        fault: Fault | None
        try:
            self._start(claim)
            fault = await asyncio.wait_for(init, None if timeout_ms is None else timeout_ms / 1000)
        except StartFailure as failure:
            fault = failure.fault
        except TimeoutError:
            assert timeout_ms is not None
            fault = timed_out(timeout_ms)
        took = (time.monotonic() - begun) * 1000
        self._init = None
        self._drain_output()
        self._journal.init_runtime_done(phase, fault, took)
        if fault is not None and phase == "init" and fault.status == "error":
            self._journal.fault(fault, claim.claimId)
        self._journal.init_report(phase, fault, took)
        return fault, took

    def _start(self, claim: Claim) -> None:
        """Hands over to the runtime that waits, or starts one."""
        starter, runtime = self._starter, self._runtime
        assert starter is not None
        if runtime is not None and runtime.claim_fd >= 0:
            starter.hand_over(runtime, claim, self._log_stream)
        else:
            self._adopt(starter.start(claim, self._log_stream))

    def _adopt(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._oom_kills = self._meter.oom_kills()
        self._meter.watch(runtime.pid)

    # Invoking

    def invoke(self, invocation: Invocation) -> None:
        """Raises Refusal, and then nothing was started."""
        warm = self.lifecycle.invoke(invocation.request_id)
        self._invocation = invocation
        self._quiet.clear()
        invocation.started = asyncio.get_running_loop().time()
        claim = self.claim
        assert claim is not None
        self._timer = asyncio.get_running_loop().call_later(invocation.timeout_ms / 1000, self._timed_out, invocation)
        self._journal.invoke_start(invocation)
        if warm:
            invocation.init_ms, self._init_ms = self._init_ms, None
            invocation.init_counts = claim.initType == "on-demand"
            self._offer(invocation)
        else:
            self._spawn(self._invoke_cold(invocation, claim))

    def _offer(self, invocation: Invocation) -> None:
        self._number += 1
        self.api.offer(invocation.render(self._number))

    async def _invoke_cold(self, invocation: Invocation, claim: Claim) -> None:
        """Suppressed init: inside the invocation, under the function's timeout, part of its duration."""
        if self._code_fault is not None:
            self._fail(invocation, self._code_fault)
            return
        fault, took = await self._initialise(claim, "invoke", None)
        invocation.init_ms, invocation.init_counts = took, False
        if invocation.fault is not None:
            return  # its deadline passed meanwhile and has been dealt with
        if fault is None:
            self._offer(invocation)
        else:
            self._fail(invocation, fault)

    def runtime_ready(self) -> None:
        """The runtime has asked for an event: init is done, or the invocation is."""
        invocation = self._invocation
        if self._init is not None:
            if not self._init.done():
                self._init.set_result(None)
        elif invocation is not None and invocation.responded and invocation.fault is None:
            self._finish(invocation)

    def runtime_answered(self, post: Post) -> None:
        """The runtime has posted a response or an error: the caller has it before anything else happens."""
        invocation = self._invocation
        if invocation is not None and not invocation.responded:
            invocation.responded = True
            invocation.exchange.respond(post.body, is_error=post.is_error)
            invocation.responded_at = asyncio.get_running_loop().time()
            invocation.produced_bytes, invocation.error_type = len(post.body), post.error_type

    def runtime_failed_init(self, post: Post) -> None:
        """The runtime has posted /init/error."""
        if self._init is not None and not self._init.done():
            self._init.set_result(reported_init_error(post.body, post.error_type))

    # Ending an invocation

    def _finish(self, invocation: Invocation) -> None:
        """The runtime waits again: idle. Trailers first, the log is written when nobody waits for it."""
        now = asyncio.get_running_loop().time()
        self._drain_output()
        self._conclude(invocation, now)

    def _conclude(self, invocation: Invocation, now: float) -> None:
        claim = self.claim
        assert claim is not None
        assert self._timer is not None
        self._timer.cancel()
        report = invocation.report(claim.memoryMb, self._meter.max_used_mb(), now)
        self._journal.runtime_done(invocation, now)
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

    def _timed_out(self, invocation: Invocation) -> None:
        if invocation is self._invocation and invocation.fault is None:
            self._fail(invocation, timed_out(invocation.timeout_ms))

    def _fail(self, invocation: Invocation, fault: Fault) -> None:
        """Kills first, so that a handler has stopped before its caller hears; then answers; then cleans up."""
        invocation.fault = fault
        self.api.withdraw()
        self._spawn(self._fail_and_reset(invocation, fault))

    async def _fail_and_reset(self, invocation: Invocation, fault: Fault) -> None:
        if self._init is not None and not self._init.done():
            self._init.set_result(fault)
        ended = asyncio.get_running_loop().time()
        await self._reset()
        if not invocation.responded:
            # A response that was posted in time stands (Lambda only marks the environment for reset).
            invocation.responded = True
            invocation.exchange.respond(fault.payload(invocation.request_id), is_error=True)
        self._journal.fault(fault, invocation.request_id)
        self._conclude(invocation, ended)

    def _exited(self, pid: int, code: int) -> None:
        """A process that was started here has ended; only the present runtime's end means something."""
        runtime = self._runtime
        if runtime is None or runtime.pid != pid or self._resetting is not None:
            return
        out_of_memory = code == -9 and self._meter.oom_kills() > self._oom_kills
        fault = exited(code, out_of_memory=out_of_memory)
        if self.lifecycle.state is State.IDLE:
            # Nobody waits; the next invocation brings up another (and waits for this reset).
            self.lifecycle.failed()
            self._spawn(self._reset())
        else:
            self._spawn(self._after_exit(runtime, fault))

    async def _after_exit(self, runtime: Runtime, fault: Fault) -> None:
        """What the runtime posted before it ended is still in its sockets: read that first."""
        limit = time.monotonic() + _LAST_WORDS
        for _ in range(3):
            await asyncio.sleep(0)
        while self.api.connections and time.monotonic() < limit:  # noqa: ASYNC110  the kernel sets no event
            await asyncio.sleep(0.001)
        if self._runtime is not runtime:
            return
        invocation = self._invocation
        if self._init is not None:
            if not self._init.done():
                self._init.set_result(fault)
        elif invocation is not None:
            if invocation.fault is None:
                self._fail(invocation, fault)
        elif self.lifecycle.state is State.IDLE:
            self.lifecycle.failed()
            await self._reset()
        elif self.lifecycle.state in {State.GENERIC, State.INIT}:
            await self._reset()  # the interpreter that waited is gone; the claim starts another

    async def _reset(self) -> None:
        """Ends every process of the function; `/tmp` and the unpacked code stay."""
        if self._resetting is None:
            self._resetting = asyncio.create_task(self._end_generation())
        await self._resetting

    async def _end_generation(self) -> None:
        try:
            await self.processes.end_all()
        except TimeoutError:
            self._journal.note("processes survive SIGKILL, ending this environment")
            self.ended.set()
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.pipe.close()
            if runtime.claim_fd >= 0:
                runtime.claim_fd = -1
        self.api.reset()
        self._resetting = None

    # Shutting down

    async def drain(self) -> None:
        """As Lambda shuts down without extensions: a busy one finishes, then SIGKILL at once."""
        self.lifecycle.draining = True
        await self._quiet.wait()
        await self._reset()
        self._journal.flush()

    def _drain_output(self) -> None:
        if self._runtime is not None:
            self._runtime.pipe.drain()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

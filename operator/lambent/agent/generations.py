"""One generation: the processes of the function from their start to their end.

External extensions first; when all have registered, the runtime; when runtime and extensions have all asked for their
next event, init is done, and later each invocation. A generation ends once, for a reason, and another takes its place.
"""

import asyncio
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from .faults import Fault, exited, reported_init_error, timed_out
from .freezing import Freezer
from .invocations import Invocation
from .journal import Journal
from .memory import Meter
from .protocol.claims import Claim
from .response_streams import Source, Taker
from .runtime_api import RuntimeApi
from .runtime_posts import Post
from .settings import Settings
from .starting import Runtime, Starter, StartFailure, extension_paths
from .supervising import Processes

if TYPE_CHECKING:
    from .extensions import Extensions

_LAST_WORDS: Final = 0.25  # seconds for what an ended runtime has posted to be read from its sockets
_RUNTIMES_SHARE: Final = 0.3  # of the time for an orderly end
_TELEMETRYS_SHARE: Final = 0.2  # so long an extension may take to hear what it has subscribed to, before it shuts down
_KERNEL: Final = 5.0  # seconds for a SIGKILL to do its work


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What all generations of one environment have in common."""

    settings: Settings
    journal: Journal
    meter: Meter
    api: RuntimeApi
    processes: Processes
    freezer: Freezer
    starter: Starter


class Keeper(Protocol):
    """Who started a generation and decides what follows."""

    def invocation_done(self, invocation: Invocation, now: float) -> None:
        """Runtime and extensions have all asked for their next event. `now` in monotonic seconds."""

    def generation_lost(self, fault: Fault) -> None:
        """After init: it cannot go on, in an invocation or without one."""

    def survived(self) -> None:
        """Its end was tried and processes are left."""


class Generation:
    """Listens to the Runtime API and to the exits of its processes."""

    def __init__(self, sandbox: Sandbox, keeper: Keeper) -> None:
        self.claim: Claim | None = None
        self.runtime_dead = asyncio.Event()
        self._sandbox = sandbox
        self._keeper = keeper
        self._log_stream = ""
        self._phase = "init"
        self._begun = 0.0
        self._runtime: Runtime | None = None
        self._extensions: Extensions | None = None
        self._init: asyncio.Future[Fault | None] | None = None
        self._runtime_waits = False
        self._registration_closed = False
        self._invocation: Invocation | None = None
        self._ending: asyncio.Task[None] | None = None
        self._last_words: asyncio.Task[None] | None = None
        self._oom_kills = 0
        sandbox.api.listener = self

    # Init

    @property
    def extensions(self) -> "Extensions":
        """The extensions; asked for only where there is one."""
        if self._extensions is None:
            from .extensions import Extensions

            self._extensions = Extensions(self._sandbox.processes, self._sandbox.journal, self._fail)
            self._extensions.roster.closed = self._registration_closed
        return self._extensions

    @property
    def handler(self) -> str:
        """What `_HANDLER` says."""
        program = self._sandbox.settings.program
        assert self.claim is not None
        return self.claim.handler or (program.handler if program is not None else "")

    def prestart(self) -> None:
        """A runtime that waits for its claim. StartFailure."""
        self._adopt(self._sandbox.starter.prestart())

    async def initialise(
        self, claim: Claim, log_stream: str, phase: str, timeout_ms: float | None
    ) -> tuple[Fault | None, float]:
        """Brings up extensions and runtime until all wait for an event: (None or what went wrong, milliseconds)."""
        journal = self._sandbox.journal
        self.claim, self._log_stream, self._phase = claim, log_stream, phase
        journal.init_start(phase)
        self._init = init = asyncio.get_running_loop().create_future()
        self._begun = time.monotonic()
        fault: Fault | None
        try:
            self._start(claim)
            fault = await asyncio.wait_for(init, None if timeout_ms is None else timeout_ms / 1000)
        except StartFailure as failure:
            fault = failure.fault
        except TimeoutError:
            assert timeout_ms is not None
            fault = timed_out(timeout_ms)
        took = (time.monotonic() - self._begun) * 1000
        self._init = None
        self._drain_output()
        if not self._runtime_waits:
            journal.init_runtime_done(phase, fault, took)
        if self._extensions is not None:
            self._extensions.describe()
        if fault is not None and phase == "init" and fault.status == "error":
            journal.fault(fault, claim.claimId)
        journal.init_report(phase, fault, took)
        return fault, took

    def interrupt(self, fault: Fault) -> None:
        """Ends an init that is under way."""
        if self._init is not None and not self._init.done():
            self._init.set_result(fault)

    def _start(self, claim: Claim) -> None:
        sandbox = self._sandbox
        paths = extension_paths(sandbox.settings.opt_root)
        if paths:
            self.extensions.launch(paths, sandbox.starter.variables(claim, self._log_stream))
        else:
            self._start_runtime(claim)

    def _start_runtime(self, claim: Claim) -> None:
        """Hands over to the runtime that waits, or starts one. StartFailure."""
        starter, runtime = self._sandbox.starter, self._runtime
        if runtime is not None and runtime.claim_fd >= 0:
            starter.hand_over(runtime, claim, self._log_stream)
        else:
            self._adopt(starter.start(claim, self._log_stream))

    def _adopt(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._oom_kills = self._sandbox.meter.oom_kills()
        self._sandbox.meter.watch(runtime.pid)

    def extension_registered(self) -> None:
        """When the last external one has, the runtime's turn has come."""
        init, claim = self._init, self.claim
        runtime = self._runtime
        started = runtime is not None and runtime.claim_fd < 0
        if init is None or init.done() or claim is None or started or not self.extensions.roster.all_registered:
            return
        try:
            self._start_runtime(claim)
        except StartFailure as failure:
            init.set_result(failure.fault)

    def _check_init(self) -> None:
        init, extensions = self._init, self._extensions
        if init is None or init.done() or not self._runtime_waits:
            return
        if extensions is None or extensions.roster.all_ready:
            init.set_result(None)

    # Invocations

    def invoke(self, invocation: Invocation, number: int) -> None:
        """The event to the runtime and to the extensions that want it, then they wake."""
        self._invocation = invocation
        self._sandbox.api.offer(invocation.render(number))
        if self._extensions is not None:
            self._extensions.invoke(invocation)
        self._sandbox.freezer.thaw()

    def withdraw(self) -> None:
        """The invocation is over without the runtime: what it still posts is refused."""
        self._invocation = None
        self._sandbox.api.withdraw()

    def runtime_ready(self) -> None:
        """The runtime has asked for an event: its init is done, or its part of the invocation."""
        invocation = self._invocation
        if self._init is not None:
            self._runtime_waits = self._registration_closed = True
            if self._extensions is not None:
                self._extensions.drain()  # they have spoken first
            if self._runtime is not None:
                self._runtime.pipe.drain()
            took = (time.monotonic() - self._begun) * 1000
            self._sandbox.journal.init_runtime_done(self._phase, None, took)
            if self._extensions is not None:
                self._extensions.roster.closed = True
            self._check_init()
        elif invocation is not None and invocation.responded and invocation.fault is None:
            now = asyncio.get_running_loop().time()
            invocation.runtime_done = True
            if self._runtime is not None:
                self._runtime.pipe.drain()
            self._sandbox.journal.runtime_done(invocation, now)
            self._finish(invocation, now)

    def runtime_answered(self, post: Post) -> None:
        """The runtime has posted a response or an error: the caller has it before anything else happens."""
        invocation = self._invocation
        if invocation is not None and not invocation.responded:
            invocation.responded = True
            invocation.exchange.respond(post.body, is_error=post.is_error)
            invocation.responding_at = invocation.responded_at = asyncio.get_running_loop().time()
            invocation.produced_bytes, invocation.error_type = len(post.body), post.error_type

    def runtime_streams(self, content_type: bytes, source: Source) -> Taker | None:
        """The runtime begins to post a response piece by piece."""
        invocation = self._invocation
        return invocation.open_stream(content_type, source) if invocation is not None else None

    def runtime_failed_init(self, post: Post) -> None:
        """The runtime has posted /init/error."""
        self.interrupt(reported_init_error(post.body, post.error_type))

    def extension_waits(self) -> None:
        """An extension has asked for an event: its init is done, or its part of the invocation."""
        invocation = self._invocation
        if self._init is not None:
            self._check_init()
        elif invocation is not None and invocation.runtime_done and invocation.fault is None:
            self._finish(invocation, asyncio.get_running_loop().time())

    def _finish(self, invocation: Invocation, now: float) -> None:
        """Unless an extension is still at work."""
        extensions = self._extensions
        if extensions is not None:
            if not extensions.roster.at_rest:
                return
            extensions.drain()
        self._invocation = None
        self._keeper.invocation_done(invocation, now)

    def _drain_output(self) -> None:
        if self._runtime is not None:
            self._runtime.pipe.drain()
        if self._extensions is not None:
            self._extensions.drain()

    # Failing

    def exited(self, pid: int, code: int) -> None:
        """A process that was started here has ended; only those of this generation mean something."""
        runtime = self._runtime
        if runtime is not None and runtime.pid == pid:
            if self._ending is None:
                out_of_memory = code == -9 and self._sandbox.meter.oom_kills() > self._oom_kills
                self._runtime_exited(exited(code, out_of_memory=out_of_memory))
        elif self._extensions is not None:
            self._extensions.exited(pid, code)

    def _runtime_exited(self, fault: Fault) -> None:
        if self._invocation is None and self._init is None:
            self._fail(fault)  # at once, so that no invocation begins with it
        else:
            self._last_words = asyncio.get_running_loop().create_task(self._after_exit(fault))

    async def _after_exit(self, fault: Fault) -> None:
        """What the runtime posted before it ended is still in its sockets: read that first."""
        api, limit = self._sandbox.api, time.monotonic() + _LAST_WORDS
        for _ in range(3):
            await asyncio.sleep(0)
        while not api.is_silent() and time.monotonic() < limit:  # noqa: ASYNC110  the kernel sets no event
            await asyncio.sleep(0.001)
        self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        if self._ending is not None:
            return
        if self._init is not None:
            self.interrupt(fault)
        else:
            self._keeper.generation_lost(fault)

    # Ending

    @property
    def ending(self) -> bool:
        """Its end has begun."""
        return self._ending is not None

    async def end(self, reason: str) -> None:
        """Ends every process of the function; `/tmp` and the unpacked code stay. `runtime_dead` is set on the way.

        `reason` is what extensions hear: `spindown`, `timeout` or `failure`.
        """
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(reason))
        await asyncio.shield(self._ending)

    async def _end(self, reason: str) -> None:
        processes, extensions = self._sandbox.processes, self._extensions
        if extensions is not None and extensions.roster.extensions:
            extensions.expect_the_end()
            await self._end_in_order(extensions, reason)
        try:
            await processes.end_all()
        except TimeoutError:
            self._sandbox.journal.note("processes survive SIGKILL, ending this environment")
            self._keeper.survived()
        self._sandbox.freezer.forget()
        if self._runtime is not None:
            self._runtime.pipe.close()
        if extensions is not None:
            extensions.close()
        self._sandbox.api.reset()
        self.runtime_dead.set()

    async def _end_in_order(self, extensions: "Extensions", reason: str) -> None:
        """SIGTERM to the runtime, SIGKILL soon after; then the extensions have the rest of the time."""
        processes, runtime = self._sandbox.processes, self._runtime
        begun, budget = time.monotonic(), extensions.budget
        self._sandbox.freezer.thaw()
        if runtime is not None:
            processes.signal(runtime.pid, signal.SIGTERM)
            if not await processes.wait(runtime.pid, budget * _RUNTIMES_SHARE):
                processes.signal(runtime.pid, signal.SIGKILL)
                await processes.wait(runtime.pid, _KERNEL)
            runtime.pipe.drain()
        self.runtime_dead.set()
        await self._sandbox.journal.settle(budget * _TELEMETRYS_SHARE)
        await extensions.shut_down(reason, begun + budget)

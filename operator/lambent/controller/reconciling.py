"""One Function, once: observe, decide, apply. Everything level-triggered: it does not matter what happened before."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lambent.controller import applying
from lambent.controller.applying import Tools
from lambent.controller.beginning import Beginner
from lambent.controller.measuring import ERROR, SUCCESS
from lambent.controller.store import Malformed
from lambent.controller.storing import RECHECK_SECONDS, CodeShelf
from lambent.core import layer_use, readiness, scaling
from lambent.core import plan as planning
from lambent.core.plan import (
    Action,
    CreatePods,
    DeletePods,
    Installation,
    NarrowPods,
    Observation,
    ObtainCode,
    Plan,
    PlanState,
    RecordEvent,
    RetirePods,
    TellNotNarrowed,
    WriteStatus,
)
from lambent.core.readiness import Problem, StoredCode
from lambent.core.references import Versions
from lambent.model.errors import LambentError, Unavailable
from lambent.model.functions import FunctionObject

log = logging.getLogger(__name__)

RETIRE_AGAIN_SECONDS = 5.0
TOLD_AT_ONCE = 4
"""Events: a crowd of them leaves the API server to statuses and pods."""
_LONG_AGO = 1e9


@dataclass(slots=True)
class _Memory:
    """What the next decision about a Function needs of the last ones."""

    state: PlanState = field(default_factory=PlanState)
    refusal: Problem | None = None
    status_written: float = -_LONG_AGO
    retiring: set[str] = field(default_factory=set)
    """Pods that gateways are being asked about."""


class Reconciler(Beginner):
    """Works on one Function at a time per uid; the queue sees to that."""

    def __init__(
        self, tools: Tools, shelf: CodeShelf, installation: Installation, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._tools = tools
        self._shelf = shelf
        self._installation = installation
        self._clock = clock
        self._memories: dict[str, _Memory] = {}
        self._telling = asyncio.Semaphore(TOLD_AT_ONCE)

    async def reconcile(self, uid: str) -> float | None:
        """Work on one Function; returns in how many seconds to do so again, None when only an event can matter."""
        started = time.perf_counter()
        outcome = ERROR
        try:
            again = await self._reconcile(uid)
            outcome = SUCCESS
            return again
        finally:
            self._tools.metrics.reconciles.labels(outcome).observe(time.perf_counter() - started)

    async def _reconcile(self, uid: str) -> float | None:
        function = self._tools.store.function(uid)
        if function is None:
            await self._bury(uid)
            return None
        if isinstance(function, Malformed):
            await self._report_malformed(function)
            return None
        account = self._tools.store.account(function.namespace)
        if account is None:  # its namespace will be seen in a moment
            return 1.0
        versions = self._tools.references.versions(function)
        if not function.deleting and self._tools.references.unseen(function):
            return None  # what exists is about to be looked up, and that nudges
        memory = self._memories.setdefault(uid, _Memory())
        seen = self._observe(function, account, memory, versions)
        decided = planning.plan(seen, self._installation, memory.state)
        if decided.actions == (ObtainCode(),):
            seen = replace(seen, code=await self._shelf.obtain(function, seen.versions))
            decided = planning.plan(seen, self._installation, memory.state)
        memory.state = decided.state
        waits = [decided.look_again, await self._apply(function, decided, memory)]
        if isinstance(seen.code, StoredCode):
            starting = any(isinstance(action, CreatePods) for action in decided.actions)
            waits.append(self._look_after_code(function, starting=starting))
        if isinstance(seen.code, Problem) and seen.code.reason in readiness.TRIED_AGAIN:
            raise Unavailable(seen.code.message)  # said in the status; the queue tries again
        return min((wait for wait in waits if wait is not None), default=None)

    def _observe(self, function: FunctionObject, account: str, memory: _Memory, versions: Versions) -> Observation:
        store, board = self._tools.store, self._tools.board
        now = self._clock()
        return Observation(
            function=function,
            account=account,
            older=store.older(function),
            code=self._shelf.lookup(function, versions),
            versions=versions,
            unknown=self._tools.references.refusal(function),
            layers=self._layers(function, account),
            pods=store.pods(function.uid),
            reports=board.reports(function.uid),
            gateways_heard=board.heard(),
            refusal=memory.refusal,
            now=now,
            timestamp=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            since_status=now - memory.status_written,
        )

    def _layers(self, function: FunctionObject, account: str) -> layer_use.Resolved:
        named = layer_use.named(function.spec)
        known = self._tools.store.layers.use(function.uid, function.namespace, named)
        here = layer_use.Account(self._installation.region, account)
        return layer_use.resolve(function.spec, here, known, function.status)

    async def _apply(self, function: FunctionObject, decided: Plan, memory: _Memory) -> float | None:
        """Carry out the plan. What fails is raised after everything else was tried: pods do not wait for a status."""
        failure: LambentError | None = None
        waits: list[float] = []
        for action in decided.actions:
            if failure is not None and isinstance(action, RecordEvent):
                continue  # told when it is written
            try:
                if isinstance(action, CreatePods):
                    waits += await self._create(function, action, memory)
                elif isinstance(action, RetirePods):
                    waits.append(self._retire(function, action, memory))
                elif isinstance(action, WriteStatus):
                    if not await applying.write_status(self._tools, function, action.status):
                        break
                    memory.status_written = self._clock()
                else:
                    await self._carry_out(function, action)
            except LambentError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return min(waits, default=None)

    async def _carry_out(self, function: FunctionObject, action: Action) -> None:
        match action:
            case DeletePods(pods):
                await applying.delete_pods(self._tools, function.uid, pods)
            case NarrowPods(pods):
                self._begin(applying.narrow_pods(self._tools, function.uid, pods))  # nobody waits for it
            case TellNotNarrowed(pods):
                applying.tell_not_narrowed(self._tools, function.uid, pods)
            case RecordEvent():
                self._begin(self._tell(function, action))  # who waits for Ready does not wait for its Event
            case _:
                raise AssertionError(f"{action} is carried out elsewhere")

    async def _tell(self, function: FunctionObject, event: RecordEvent) -> None:
        async with self._telling:
            await applying.record(self._tools, function, event)

    async def _create(self, function: FunctionObject, action: CreatePods, memory: _Memory) -> list[float]:
        """Create environments; a refusal is remembered, told at once and tried again later."""
        memory.refusal = await applying.create_pods(self._tools, function, action.facts, action.count)
        if memory.refusal is None:
            memory.state = replace(memory.state, scaling=scaling.accepted(memory.state.scaling))
            return []
        settings = self._installation.scaling
        state = scaling.refused(memory.state.scaling, settings, action.facts.key, self._clock())
        memory.state = replace(memory.state, scaling=state)
        return [0.0]  # decide anew: the status has to say so

    def _retire(self, function: FunctionObject, action: RetirePods, memory: _Memory) -> float:
        """Gateways may take seconds to drain environments; nobody who waits for a new one waits for that."""
        pods = tuple(pod for pod in action.pods if pod not in memory.retiring)
        if pods:
            memory.retiring |= set(pods)
            self._begin(self._retire_now(function, pods, memory))
        return RETIRE_AGAIN_SECONDS

    async def _retire_now(self, function: FunctionObject, pods: tuple[str, ...], memory: _Memory) -> None:
        try:
            await applying.retire_pods(self._tools, function, pods)
        finally:
            memory.retiring -= set(pods)

    def _look_after_code(self, function: FunctionObject, *, starting: bool) -> float | None:
        wait = self._shelf.recheck_in(function, starting=starting)
        if wait == 0.0:
            self._begin(self._shelf.recheck(function))
            return RECHECK_SECONDS
        return wait

    def has_judged(self, uid: str) -> bool:
        """Whether this Function was worked on before."""
        return uid in self._memories

    async def _report_malformed(self, function: Malformed) -> None:
        timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = readiness.malformed_status(function.status, function.generation, function.message, timestamp)
        if not readiness.same(function.status, status) and await applying.write_status(self._tools, function, status):
            for event in planning.events(function.status, status):
                await applying.record(self._tools, function, event)

    async def _bury(self, uid: str) -> None:
        """A Function is gone: its environments go at once, not when the garbage collector comes by."""
        if self._tools.store.is_gone(uid):
            await applying.delete_pods(self._tools, uid, [pod.name for pod in self._tools.store.pods(uid)])
        self._memories.pop(uid, None)
        self._shelf.forget(uid)
        self._tools.references.forget(uid)
        self._tools.store.layers.forget_user(uid)

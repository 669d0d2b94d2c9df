"""One Function, once: observe, decide, apply. Everything level-triggered: it does not matter what happened before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from lambent.controller import applying
from lambent.controller.applying import Tools
from lambent.controller.housing import Household, Houser
from lambent.controller.measuring import timing
from lambent.controller.observed import Malformed
from lambent.controller.retaining import find_surplus
from lambent.controller.store import MalformedFunction
from lambent.controller.storing import RECHECK_SECONDS, CodeShelf
from lambent.controller.version_book import Name
from lambent.core import housing, layer_use, moments, publishing, readiness
from lambent.core import plan as planning
from lambent.core.housing import CreatePods
from lambent.core.plan import Installation, Observation, ObtainCode, Plan, WriteStatus
from lambent.core.readiness import Problem, StoredCode
from lambent.core.references import Versions
from lambent.model.errors import Unavailable
from lambent.model.functions import FunctionObject


class Reconciler(Houser):
    """Works on one Function at a time per uid; the queue sees to that."""

    def __init__(
        self,
        tools: Tools,
        shelf: CodeShelf,
        installation: Installation,
        ask: Callable[[Name], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(tools, installation.scaling, clock)
        self._ask = ask
        """Told of a function's name of which something is to be published, or let go."""
        self._shelf = shelf
        self._installation = installation
        self._memories: dict[str, Household] = {}

    async def reconcile(self, uid: str) -> float | None:
        """Work on one Function; returns in how many seconds to do so again, None when only an event can matter."""
        with timing(self._tools.metrics.reconciles):
            return await self._reconcile(uid)

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
        memory = self._memories.setdefault(uid, Household())
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
        self._look_after_versions(uid)
        if isinstance(seen.code, Problem) and seen.code.reason in readiness.TRIED_AGAIN:
            raise Unavailable(seen.code.message)  # said in the status; the queue tries again
        return min((wait for wait in waits if wait is not None), default=None)

    def _observe(self, function: FunctionObject, account: str, memory: Household, versions: Versions) -> Observation:
        store = self._tools.store
        now = self._clock()
        environments = self._see(function.scope, memory, now)
        newest = store.versions.newest(function)
        return Observation(
            function=function,
            account=account,
            older=store.older(function),
            code=self._shelf.lookup(function, versions),
            versions=versions,
            unknown=self._tools.references.refusal(function),
            layers=self._layers(function, account),
            environments=environments,
            latest_version=str(newest.number) if newest is not None else None,
            timestamp=moments.spell_seconds(datetime.now(UTC)),
            since_status=now - memory.status_written,
        )

    def _layers(self, function: FunctionObject, account: str) -> layer_use.Resolved:
        named = layer_use.named(function.spec)
        known = self._tools.store.layers.use(function.uid, function.namespace, named)
        here = layer_use.Account(self._installation.region, account)
        return layer_use.resolve(function.spec, here, known, function.status)

    async def _apply(self, function: FunctionObject, decided: Plan, memory: Household) -> float | None:
        async def own(action: ObtainCode | WriteStatus) -> bool:
            if isinstance(action, ObtainCode):  # done before
                return True
            written = await applying.write_status(self._tools, function, action.status)
            if written:
                memory.status_written = self._clock()
            return written

        return await self._carry_out(function, decided.actions, memory, own)

    def _look_after_code(self, function: FunctionObject, *, starting: bool) -> float | None:
        wait = self._shelf.recheck_in(function, starting=starting)
        if wait == 0.0:
            self._begin(self._shelf.recheck(function))
            return RECHECK_SECONDS
        return wait

    def _look_after_versions(self, uid: str) -> None:
        """Ask for what is to be published by itself, and for what retention does not keep."""
        function = self._tools.store.function(uid)
        if not isinstance(function, FunctionObject) or function.deleting:
            return
        newest = self._tools.store.versions.newest(function)
        if publishing.is_due(function, newest) or find_surplus(self._tools.store, function):
            self._ask((function.namespace, function.function_name))

    def has_judged(self, uid: str) -> bool:
        """Whether this Function was worked on before."""
        return uid in self._memories

    async def _report_malformed(self, function: MalformedFunction) -> None:
        timestamp = moments.spell_seconds(datetime.now(UTC))
        status = readiness.malformed_status(function.status, function.generation, function.message, timestamp)
        if not readiness.same(function.status, status) and await applying.write_status(self._tools, function, status):
            for event in housing.events(function.status.conditions, status.conditions):
                await applying.record(self._tools, function, event)

    async def _bury(self, uid: str) -> None:
        """A Function is gone: its environments go at once, not when the garbage collector comes by."""
        if self._tools.store.is_gone(uid):
            for scope, pods in self._tools.store.scopes(uid).items():  # those of its versions too
                await applying.delete_pods(self._tools, scope, [pod.name for pod in pods])
        self._memories.pop(uid, None)
        self._shelf.forget(uid)
        self._tools.references.forget(uid)
        self._tools.store.layers.forget_user(uid)

"""One Version, once: handed on to be published, and from then on housed like a Function."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lambent.adapters.kube.resources import VERSIONS
from lambent.controller import applying
from lambent.controller.applying import Tools, apply_metadata, apply_status
from lambent.controller.housing import Household, Houser
from lambent.controller.measuring import timing
from lambent.controller.observed import Malformed
from lambent.controller.version_book import MalformedVersion, Name
from lambent.core import housing, moments, publishing, readiness, version_plan
from lambent.core.events import RecordEvent
from lambent.core.plan import Installation
from lambent.core.readiness import Problem
from lambent.core.version_plan import Adopt, Observation, Plan, WriteStatus
from lambent.model.conditions import Reason
from lambent.model.environments import Scope
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject, VersionStatus

LOOKED_UP = Problem(Reason.PROGRESSING, "what it refers to is being looked up")


@dataclass(slots=True)
class _Memory(Household):
    scope: Scope | None = None
    """Whose environments are to go with it."""


class VersionReconciler(Houser):
    """Works on one Version at a time per uid; the queue sees to that."""

    def __init__(
        self,
        tools: Tools,
        ask: Callable[[Name], None],
        installation: Installation,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(tools, installation.scaling, clock)
        self._book = tools.store.versions
        self._ask = ask
        """Told of a function's name of which something is to be published."""
        self._installation = installation
        self._memories: dict[str, _Memory] = {}

    async def reconcile(self, uid: str) -> float | None:
        """Work on one Version; returns in how many seconds to do so again, None when only an event can matter."""
        with timing(self._tools.metrics.version_reconciles):
            return await self._reconcile(uid)

    async def _reconcile(self, uid: str) -> float | None:
        version = self._book.version(uid)
        if version is None:
            await self._bury(uid)
            return None
        memory = self._memories.setdefault(uid, _Memory())
        if isinstance(version, Malformed):
            problem = Problem(Reason.INVALID_SPEC, version.message)
            await self.tell_waiting(version, problem)
            return None
        account = self._tools.store.account(version.namespace)
        if account is None:  # its namespace will be seen in a moment
            return 1.0
        if version.number is None:
            self._ask((version.namespace, version.function_name))
            return None
        memory.scope = version.scope
        seen = self._observe(version, account, memory)
        if not version.deleting and self._tools.references.unseen(version):
            return None  # what exists is about to be looked up, and that nudges
        decided = version_plan.plan(seen, self._installation, memory.state)
        memory.state = decided.state
        waits = [decided.look_again, await self._apply(version, decided, memory)]
        return min((wait for wait in waits if wait is not None), default=None)

    def _observe(self, version: VersionObject, account: str, memory: Household) -> Observation:
        store, now = self._tools.store, self._clock()
        function = store.function(version.function_uid)
        wellformed = function if isinstance(function, FunctionObject) else None
        holder = self._book.holder(version.scope)
        return Observation(
            version=version,
            shown=version.status,
            alive=function is not None and not (wellformed is not None and wellformed.deleting),
            function=wellformed,
            holder=holder.name if holder is not None else None,
            account=account,
            versions=self._tools.references.versions(version),
            unknown=self._tools.references.refusal(version),
            environments=self._see(version.scope, memory, now),
            referenced_by=store.aliases.referring((version.namespace, version.function_name), version.number or ""),
            timestamp=_timestamp(),
            since_status=now - memory.status_written,
        )

    async def _apply(self, version: VersionObject, decided: Plan, memory: Household) -> float | None:
        async def own(action: Adopt | WriteStatus) -> bool:
            if isinstance(action, Adopt):
                await adopt(self._tools, version, action.function, version.number or "")
                return True
            written = await self._write_status(version, action.status)
            if written:
                memory.status_written = self._clock()
            return written

        return await self._carry_out(version, decided.actions, memory, own)

    async def _write_status(self, version: VersionObject | MalformedVersion, status: VersionStatus) -> bool:
        """Write a status; False when the Version is gone or another by now."""
        answer = await apply_status(self._tools, VERSIONS, version, status)
        if answer is not None:
            self._book.put_version(answer, quiet=True)
        return answer is not None

    # --- publishing ---------------------------------------------------------------------------------------------

    def describe(
        self, version: VersionObject, given: VersionStatus, account: str
    ) -> tuple[VersionStatus, list[RecordEvent]]:
        """The whole status of a version that is about to get its number and its snapshot, and what to tell then."""
        published = version.model_copy(update={"status": given})
        seen = self._observe(published, account, self._memories.get(version.uid) or Household())
        unknown = LOOKED_UP if self._tools.references.unseen(published) else seen.unknown
        # nobody holds the number yet, or another object does
        seen = replace(seen, shown=version.status, unknown=unknown, holder=seen.holder or version.name)
        decided = version_plan.plan(seen, self._installation, housing.HousingState())
        return decided.status, [action for action in decided.actions if isinstance(action, RecordEvent)]

    async def tell_waiting(self, version: VersionObject | MalformedVersion, problem: Problem) -> None:
        """Say in the status why it is not published, and tell when that is another reason than before."""
        status = publishing.waiting_status(version.status, version.generation, problem, _timestamp())
        if not readiness.same(version.status, status) and await self._write_status(version, status):
            for event in housing.events(version.status.conditions, status.conditions):
                self.tell(version, event)

    def has_judged(self, uid: str) -> bool:
        """Whether this Version was worked on before."""
        return uid in self._memories

    async def _bury(self, uid: str) -> None:
        """A Version is gone: its environments go at once, unless another object holds the number now."""
        memory = self._memories.pop(uid, None)
        self._tools.references.forget(uid)
        if memory is not None and memory.scope is not None and self._book.holder(memory.scope) is None:
            pods = [pod.name for pod in self._tools.store.pods(memory.scope)]
            await applying.delete_pods(self._tools, memory.scope, pods)


async def adopt(tools: Tools, version: VersionObject, function: FunctionObject, number: str) -> VersionObject | None:
    """Write the owner reference and the labels of a version; None when it is gone or another by now."""
    owners = [publishing.owner_reference(function)]
    metadata = {"labels": publishing.marks(function, number), "ownerReferences": owners}
    answer = await apply_metadata(tools, VERSIONS, version, metadata)
    if answer is None:
        return None
    tools.store.versions.put_version(answer, quiet=True)
    found = tools.store.versions.version(version.uid)
    return found if isinstance(found, VersionObject) else None


def _timestamp() -> str:
    return moments.spell_seconds(datetime.now(UTC))

"""What was decided about environments, carried out: for whatever kind of object owns them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lambent.controller import applying
from lambent.controller.applying import Tools
from lambent.controller.beginning import Beginner
from lambent.core import housing, scaling
from lambent.core.events import RecordEvent
from lambent.core.housing import (
    CreatePods,
    DeletePods,
    HousingState,
    NarrowPods,
    RetirePods,
    TellNotNarrowed,
)
from lambent.core.readiness import Problem
from lambent.core.scaling import ScalingSettings
from lambent.core.workload import Named, Owner
from lambent.model.environments import Scope
from lambent.model.errors import LambentError

RETIRE_AGAIN_SECONDS = 5.0
TOLD_AT_ONCE = 4
"""Events: a crowd of them leaves the API server to statuses and pods."""
_LONG_AGO = 1e9


@dataclass(slots=True)
class Household:
    """What the next decision about an owner needs of the last ones."""

    state: HousingState = field(default_factory=HousingState)
    refusal: Problem | None = None
    status_written: float = -_LONG_AGO
    retiring: set[str] = field(default_factory=set)
    """Pods that gateways are being asked about."""


class Houser(Beginner):
    """Whoever reconciles a kind whose objects own environments."""

    def __init__(self, tools: Tools, settings: ScalingSettings, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._tools = tools
        self._scaling = settings
        self._clock = clock
        self._telling = asyncio.Semaphore(TOLD_AT_ONCE)

    def _see(self, scope: Scope, household: Household, now: float) -> housing.Seen:
        """What is seen of environments."""
        board = self._tools.board
        pods = self._tools.store.pods(scope)
        return housing.Seen(pods, board.reports(scope), board.heard(), household.refusal, now)

    async def _carry_out(
        self,
        owner: Owner,
        actions: Iterable[object],
        household: Household,
        own: Callable[[Any], Awaitable[bool]],
    ) -> float | None:
        """Carry out a plan; seconds until the owner is to be looked at again, None when only an event can matter.

        What fails is raised after everything else was tried: pods do not wait for a status. `own` carries out what
        only this kind has; False ends the plan: the object is gone, or another by now.
        """
        failure: LambentError | None = None
        waits: list[float] = []
        for action in actions:
            if failure is not None and isinstance(action, RecordEvent):
                continue  # told when it is written
            try:
                if isinstance(action, housing.Action):
                    wait = await self._house(owner, action, household)
                    waits += [wait] if wait is not None else []
                elif not await own(action):
                    break
            except LambentError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return min(waits, default=None)

    async def _house(self, owner: Owner, action: housing.Action, household: Household) -> float | None:
        """Carry out one action; seconds until the owner is to be looked at again, None when only an event can matter.

        Raises Unavailable or Refused.
        """
        match action:
            case CreatePods():
                return await self._create(owner, action, household)
            case RetirePods():
                return self._retire(owner, action, household)
            case DeletePods(pods):
                await applying.delete_pods(self._tools, owner.scope, pods)
            case NarrowPods(pods):
                self._begin(applying.narrow_pods(self._tools, owner.scope, pods))  # nobody waits for it
            case TellNotNarrowed(pods):
                applying.tell_not_narrowed(self._tools, owner.scope, pods)
            case RecordEvent():
                self.tell(owner, action)
        return None

    def tell(self, owner: Named, event: RecordEvent) -> None:
        """Record an Event. Nobody waits for it: who waits for Ready does not wait for its Event."""
        self._begin(self._record(owner, event))

    async def _record(self, owner: Named, event: RecordEvent) -> None:
        async with self._telling:
            await applying.record(self._tools, owner, event)

    async def _create(self, owner: Owner, action: CreatePods, household: Household) -> float | None:
        """Create environments; a refusal is remembered, told at once and tried again later."""
        household.refusal = await applying.create_pods(self._tools, owner, action.facts, action.count)
        before = household.state.scaling
        if household.refusal is None:
            household.state = replace(household.state, scaling=scaling.accepted(before))
            return None
        state = scaling.refused(before, self._scaling, action.facts.key, self._clock())
        household.state = replace(household.state, scaling=state)
        return 0.0  # decide anew: the status has to say so

    def _retire(self, owner: Owner, action: RetirePods, household: Household) -> float:
        """Gateways may take seconds to drain environments; nobody who waits for a new one waits for that."""
        pods = tuple(pod for pod in action.pods if pod not in household.retiring)
        if pods:
            household.retiring |= set(pods)
            self._begin(self._retire_now(owner, pods, household))
        return RETIRE_AGAIN_SECONDS

    async def _retire_now(self, owner: Owner, pods: tuple[str, ...], household: Household) -> None:
        try:
            await applying.retire_pods(self._tools, owner, pods)
        finally:
            household.retiring -= set(pods)

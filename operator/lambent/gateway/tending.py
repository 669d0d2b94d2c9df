"""Leading an environment from its first dial to ready: dial, ask its state, claim it, wait while it is busy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from lambent.adapters.agents.failures import AgentNotConnected, AgentUnavailable
from lambent.adapters.telemetry import metrics
from lambent.agent.protocol.refusals import Refusal
from lambent.agent.protocol.states import EnvironmentState, State
from lambent.core.routes import Route
from lambent.model.environments import Key
from lambent.model.errors import InvalidCode, Unavailable

from .claiming import Claiming
from .environments import Environment, Environments, Phase, Start
from .ownership import Ownership

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an environment is tried, in seconds."""

    first: float = 0.005
    """An agent boots in tens of milliseconds: the first dials come close together …"""
    growth: float = 1.5
    most: float = 0.25
    """… and then not further apart than this,"""
    patience: float = 30.0
    """until it has been unreachable for so long; then"""
    slow: float = 2.0
    dial: float = 2.0
    """Bound of one dial."""
    state: float = 5.0
    """Bound of one question for the state."""
    claim: float = 60.0
    """Bound of a claim: fetching and unpacking 250 MB, then ten seconds of init."""
    foreign: float = 1.0
    """How long an environment is left to the newer owner that has it, before we look again."""


class Tending:
    """Calls `environment.door` until the environment is ready, unwanted, or gone (then the task is cancelled)."""

    def __init__(
        self,
        environments: Environments,
        ownership: Ownership,
        claiming: Claiming,
        route_of: Callable[[Key], Route | None],
        pace: Pace = Pace(),
    ) -> None:
        self._environments = environments
        self._pools = environments.pools
        self._ownership = ownership
        self._claiming = claiming
        self._route_of = route_of
        self._pace = pace

    async def __call__(self, environment: Environment) -> None:
        """See `environments.Tend`."""
        if self._environments.wanted(environment):
            self._pools.starts(environment)
        wait, began = self._pace.first, self._pools.clock()
        while True:
            try:
                if await self._step(environment):
                    return
            except (AgentUnavailable, AgentNotConnected) as error:
                self._note(environment, str(error))
                environment.door.close()
            except (Refusal, InvalidCode, Unavailable) as error:
                self._note(environment, str(error))
                log.warning("environment %s: %s", environment.name, error)
                wait = max(wait, self._pace.most)
            environment.asked = True
            await asyncio.sleep(wait)
            patient = self._pools.clock() - began < self._pace.patience
            wait = min(wait * self._pace.growth, self._pace.most) if patient else self._pace.slow

    def _note(self, environment: Environment, problem: str) -> None:
        pool = self._pools.find(environment.key)
        if pool is not None:
            pool.claim_failure = problem

    async def _step(self, environment: Environment) -> bool:
        """One look at the environment; True when there is nothing more to do for now."""
        await environment.door.connect(self._pace.dial)
        state = await environment.door.state(self._pace.state)
        self._ownership.seen(state)
        environment.asked = True
        environment.busy_elsewhere = state.state in (State.BUSY, State.INIT)
        if state.draining:
            return self._unwanted(environment)
        if self._ownership.outranked(state):
            await self._leave_to_newer_owner(environment, state)
            return False
        if state.state is State.GENERIC:
            return await self._claim(environment)
        environment.claimed = True
        if environment.busy_elsewhere:  # with what a predecessor sent: neither starting nor idle
            self._pools.lose(environment)
            return False
        self._environments.ready(environment)
        return True

    async def _leave_to_newer_owner(self, environment: Environment, state: EnvironmentState) -> None:
        """A newer gateway speaks to it (a rolling update): leave it alone, unless requests wait here.

        The agent arbitrates: whoever has the higher epoch is heard, and nothing ever runs twice. So the worst of
        taking it back is that the other gateway has one request refused before it started, and takes it back too.
        """
        self._pools.lose(environment)
        await asyncio.sleep(self._pace.foreign)
        pool = self._pools.find(environment.key)
        if pool is not None and pool.admission.waiting:
            self._ownership.take_over(state.epoch)

    def _unwanted(self, environment: Environment) -> bool:
        self._pools.lose(environment)
        environment.phase = Phase.WAITING
        return True

    async def _claim(self, environment: Environment) -> bool:
        route = self._route_of(environment.key)
        if route is None or route.key != environment.key:
            return self._unwanted(environment)
        pool = self._pools.of(route)
        self._pools.starts(environment)
        clock, asked = self._pools.clock, self._pools.clock()
        claim = await self._claiming.claim(environment.pod.uid, route)
        code_seconds = clock() - asked
        answer = await environment.door.claim(claim, self._ownership.header, self._pace.claim)
        total, init = clock() - asked, answer.initMs / 1000
        environment.claimed = True
        environment.start = Start(asked, asked + total - init, asked + total)
        pool.claim_failure = None
        if pool.metrics is not None:
            phases = pool.metrics.phases
            phases[metrics.PHASE_BOOT].observe(max(0.0, asked - (environment.seen or asked)))
            phases[metrics.PHASE_CODE].observe(code_seconds)
            phases[metrics.PHASE_CLAIM].observe(max(0.0, total - code_seconds - init))
            phases[metrics.PHASE_INIT].observe(init)
            pool.metrics.init.observe(init)
        self._environments.ready(environment)
        return True

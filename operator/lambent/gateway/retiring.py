"""Giving environments up: what the controller wants back leaves the index at once and is drained, unless it is busy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from lambent.adapters.agents.failures import AgentNotConnected, AgentUnavailable
from lambent.agent.protocol.refusals import NotIdle, Refusal, StaleOwner

from .environments import Environment, Environments
from .ownership import Ownership

log = logging.getLogger(__name__)

DIAL_SECONDS = 1.0
DRAIN_SECONDS = 3.0


class Retiring:
    """Answers `POST /v1/retire`."""

    def __init__(self, environments: Environments, ownership: Ownership) -> None:
        self._environments = environments
        self._ownership = ownership

    async def retire(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """(retired, busy) of pods named `namespace/name`. A pod we do not know is retired: we will not use it."""
        retired, busy, drained = [], [], []
        for name in names:
            if self._environments.find(name) is None:
                retired.append(name)
                continue
            environment = self._environments.retire(name)
            if environment is None:
                busy.append(name)
            else:
                drained.append(environment)
        for environment, gone in zip(drained, await asyncio.gather(*map(self._drain, drained)), strict=True):
            (retired if gone else busy).append(environment.name)
        return retired, busy

    async def _drain(self, environment: Environment) -> bool:
        """False when the agent says that it is at work for somebody."""
        if environment.seen is None:  # it never ran
            return True
        try:
            await environment.door.connect(DIAL_SECONDS)
            await environment.door.drain(self._ownership.header, DRAIN_SECONDS)
            environment.door.close()  # the agent ends when all have hung up
        except (NotIdle, StaleOwner):
            self._environments.reinstate(environment)
            return False
        except (AgentUnavailable, AgentNotConnected, Refusal) as error:
            # Nobody is there to drain, or it will not listen; nothing of ours runs there either way.
            log.info("environment %s was retired without being drained: %s", environment.name, error)
        return True

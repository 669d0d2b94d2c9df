"""Keeping idle environments: an agent that hears of no owner for fifteen minutes ends itself.

The word goes over a connection of its own, so that an environment stays lendable meanwhile and stays as idle as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lambent.adapters.agents.doors import AgentDoor
from lambent.adapters.agents.failures import AgentNotConnected, AgentUnavailable
from lambent.agent.protocol.refusals import Refusal
from lambent.model.environments import EnvironmentPod

from .environments import Environments
from .ownership import Ownership

log = logging.getLogger(__name__)

SPOKEN_SECONDS = 300.0
"""Environments are spoken to this often: a third of what agents bear."""
ANSWER_SECONDS = 5.0


class Keeping:
    """Speaks to idle environments."""

    def __init__(
        self,
        environments: Environments,
        ownership: Ownership,
        make_door: Callable[[EnvironmentPod, Callable[[], None]], AgentDoor],
        every: float = SPOKEN_SECONDS,
    ) -> None:
        self._environments = environments
        self._ownership = ownership
        self._make_door = make_door
        self._every = every

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            for pool in self._environments.pools.all():
                for environment, since in pool.admission.idle():
                    if self._environments.pools.clock() - since >= self._every:
                        await self._speak(environment.pod)

    async def _speak(self, pod: EnvironmentPod) -> None:
        door = self._make_door(pod, _gone)
        try:
            await door.connect(ANSWER_SECONDS)
            await door.state(ANSWER_SECONDS, self._ownership.header)
        except (AgentUnavailable, AgentNotConnected, Refusal) as error:
            log.info("idle environment %s/%s did not listen: %s", pod.namespace, pod.name, error)
        finally:
            door.close()


def _gone() -> None:
    """The connection was for one question."""

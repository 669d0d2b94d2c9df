"""This gateway's word towards agents: its id and epoch. They refuse whoever is below the highest they have seen."""

from __future__ import annotations

from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.states import EnvironmentState


class Ownership:
    """The first epoch is the start in milliseconds; a takeover uses one more than the highest that agents report."""

    __slots__ = ("_owner", "header", "settled")

    def __init__(self, gateway: str, started_ms: int) -> None:
        self._owner = Owner(started_ms, gateway)
        self.header = self._owner.to_header()
        self.settled = False
        """Set when every known agent was asked; until then a higher epoch means a predecessor with a faster clock."""

    @property
    def epoch(self) -> int:
        """The epoch that is sent now."""
        return self._owner.epoch

    def seen(self, state: EnvironmentState) -> None:
        """An agent reported who spoke to it last."""
        if not self.settled and self.outranked(state):
            self.take_over(state.epoch)

    def outranked(self, state: EnvironmentState) -> bool:
        """Whether an agent would refuse us in favour of whoever it heard of."""
        return Owner(state.epoch, state.owner) > self._owner

    def take_over(self, epoch: int) -> None:
        """Be heard where `epoch` was the highest seen."""
        if epoch >= self._owner.epoch:
            self._owner = Owner(epoch + 1, self._owner.gateway)
            self.header = self._owner.to_header()

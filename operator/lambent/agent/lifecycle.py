"""What an environment may do when: states, the one claim, and which owner is heard. Pure: no clock, no I/O."""

from .protocol.owners import Owner
from .protocol.refusals import AlreadyClaimed, NotClaimed, NotIdle, StaleOwner
from .protocol.states import EnvironmentState, State


class Lifecycle:
    """generic → init → idle ⇄ busy, with failed beside them; draining ends in every state."""

    def __init__(self) -> None:
        self.state = State.GENERIC
        self.draining = False
        self.claim_id: str | None = None
        self.revision: str | None = None
        self.request_id: str | None = None
        self.owner: Owner | None = None

    def hear(self, owner: Owner) -> None:
        """StaleOwner for whoever a newer owner has overruled."""
        highest = self.owner
        if highest is None or owner > highest:
            self.owner = owner
        elif owner < highest:
            raise StaleOwner("a newer owner has spoken", epoch=highest.epoch, owner=highest.gateway)

    def claim(self, claim_id: str, revision: str) -> bool:
        """True when the claim begins now, False when it is a repetition of the one that holds."""
        if self.claim_id == claim_id:
            return False
        if self.claim_id is not None:
            raise AlreadyClaimed("this environment is claimed", claimId=self.claim_id)
        if self.draining:
            raise self._not_idle()
        self.claim_id, self.revision = claim_id, revision
        self.state = State.INIT
        return True

    def invoke(self, request_id: str) -> bool:
        """True when a runtime waits, False when init has to be repeated first."""
        state = self.state
        if state is State.GENERIC and not self.draining:
            raise NotClaimed("claim this environment before invoking it")
        if self.draining or (state is not State.IDLE and state is not State.FAILED):
            raise self._not_idle()
        self.state = State.BUSY
        self.request_id = request_id
        return state is State.IDLE

    def initialised(self) -> None:
        """The claim's init is done."""
        self.state = State.IDLE

    def finished(self) -> None:
        """The runtime has asked for the next event."""
        self.state = State.IDLE
        self.request_id = None

    def failed(self) -> None:
        """No runtime any more; the next invocation brings one up."""
        self.state = State.FAILED
        self.request_id = None

    def describe(self) -> EnvironmentState:
        """What `GET /v1/state` answers."""
        epoch, owner = (self.owner.epoch, self.owner.gateway) if self.owner is not None else (0, "")
        return EnvironmentState(
            self.state, self.claim_id, self.revision, self.request_id, epoch, owner, draining=self.draining
        )

    def _not_idle(self) -> NotIdle:
        reason = "draining" if self.draining else str(self.state)
        return NotIdle(f"this environment is {reason}", state=reason)

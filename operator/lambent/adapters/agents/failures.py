"""What can go wrong between a gateway and an agent (refusals of the agent are `agent.protocol.refusals`).

Unavailable
└── AgentUnavailable     nobody answered, or not in time; whatever was sent may have been acted on
    └── AgentMisbehaved  what came back is not an answer of an agent, or is over its limits
AgentNotConnected        nothing was sent: trying elsewhere is safe
"""

from __future__ import annotations

from lambent.model.errors import LambentError, Unavailable


class AgentUnavailable(Unavailable):
    """The connection could not be made, was lost, or the answer took too long."""


class AgentMisbehaved(AgentUnavailable):
    """The peer does not speak the protocol, or says more than it may."""


class AgentNotConnected(LambentError):
    """There is no connection that could carry a request: nothing was sent."""

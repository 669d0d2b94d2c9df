"""The runtime's states as the Runtime API sees them: a table, and Lambda's words for a step that is not in it."""

from enum import Enum
from typing import Final


class RuntimeState(Enum):
    """Values are the names in Lambda's messages."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDED = "InvocationResponse"
    FAILED = "InvocationErrorResponse"
    SENT = "RuntimeResponseSentState"


class Call(Enum):
    """Values are the state that the call wants to reach, as Lambda's messages name it."""

    NEXT = "Ready"
    RESPONSE = "InvocationResponse"
    ERROR = "InvocationErrorResponse"
    INIT_ERROR = "InitError"


# A whole response is sent on at once, so InvocationErrorResponse is passed through, never rested in; InvocationResponse
# lasts as long as a response that is streamed.
TABLE: Final[dict[tuple[RuntimeState, Call], RuntimeState]] = {
    (RuntimeState.STARTED, Call.NEXT): RuntimeState.READY,
    (RuntimeState.STARTED, Call.INIT_ERROR): RuntimeState.INIT_ERROR,
    (RuntimeState.READY, Call.NEXT): RuntimeState.READY,
    (RuntimeState.RUNNING, Call.NEXT): RuntimeState.RUNNING,  # the same event again
    (RuntimeState.RUNNING, Call.RESPONSE): RuntimeState.SENT,
    (RuntimeState.RUNNING, Call.ERROR): RuntimeState.SENT,
    (RuntimeState.SENT, Call.NEXT): RuntimeState.READY,
}


def refusal_message(state: RuntimeState, call: Call) -> str:
    """Lambda's message of InvalidStateTransition."""
    return (
        f"State transition from {state.value} to {call.value} failed for runtime. "
        "Error: State transition is not allowed"
    )

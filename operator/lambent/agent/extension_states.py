"""Which extensions are registered, and what each may do now, in Lambda's words. Pure: no I/O, no dice."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

INVOKE: Final = "INVOKE"
SHUTDOWN: Final = "SHUTDOWN"
MOST: Final = 10


class ExtensionState(Enum):
    """Values are the names in Lambda's messages and in its log."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    SHUTDOWN_FAILED = "ShutdownFailed"
    EXITED = "Exited"


State = ExtensionState

TABLE: Final[dict[State, frozenset[State]]] = {
    State.STARTED: frozenset({State.REGISTERED}),
    State.REGISTERED: frozenset({State.READY, State.INIT_ERROR, State.EXIT_ERROR}),
    State.READY: frozenset({State.EXIT_ERROR}),
    State.RUNNING: frozenset({State.READY, State.EXIT_ERROR}),
    State.INIT_ERROR: frozenset({State.INIT_ERROR}),
    State.EXIT_ERROR: frozenset({State.EXIT_ERROR}),
}
"""What a call of the extension may lead to; a state that is missing leads nowhere."""


class ExtensionRefusal(Exception):
    """Every mistake of an extension is answered with 403, a type and a sentence."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message


@dataclass(slots=True, eq=False)
class Extension:
    """`identifier` is what it shows with every call; `external` ones are processes of their own."""

    name: str
    identifier: str
    external: bool
    state: State = State.STARTED
    events: tuple[str, ...] = ()
    error_type: str = ""

    def step(self, wanted: State, shown: str) -> None:
        """ExtensionRefusal when that is not allowed now; `shown` is how the message names the extension."""
        if wanted not in TABLE.get(self.state, ()):
            raise ExtensionRefusal(
                "Extension.InvalidExtensionState",
                f"State transition from {self.state.value} to {wanted.value} failed for extension {shown}. "
                "Error: State transition is not allowed",
            )
        self.state = wanted

    @property
    def failed(self) -> bool:
        """It has said that it cannot go on."""
        return self.state in {State.INIT_ERROR, State.EXIT_ERROR}


class Roster:
    """The extensions of one generation. `closed` from the runtime's first request for an event."""

    def __init__(self) -> None:
        self.extensions: list[Extension] = []
        self.closed = False

    def expect(self, name: str, identifier: str) -> Extension:
        """An external one, which is about to be started."""
        extension = Extension(name, identifier, external=True)
        self.extensions.append(extension)
        return extension

    def register(self, name: str, events: tuple[str, ...], identifier: str) -> Extension:
        """The external one of that name, or a new internal one. ExtensionRefusal."""
        if not name:
            raise ExtensionRefusal("Extension.InvalidExtensionName", "Empty extension name")
        known = next((one for one in self.extensions if one.name == name), None)
        external = known is not None and known.external
        for event in events:
            _check_event(event, external=external)
        if known is None:
            known = self._admit(name, identifier)
        elif not external:
            raise ExtensionRefusal("Extension.InvalidExtensionState", "Extension with this name already registered")
        known.step(State.REGISTERED, name)
        known.events = tuple(dict.fromkeys(events))
        return known

    def find(self, identifier: str, unknown: str) -> Extension:
        """Whose identifier it is; `unknown` is the message of the ExtensionRefusal when it is nobody's."""
        for extension in self.extensions:
            if extension.identifier == identifier:
                return extension
        raise ExtensionRefusal("Extension.UnknownExtensionIdentifier", unknown)

    @property
    def all_registered(self) -> bool:
        """Every external one has: the runtime may start."""
        return all(one.state is not State.STARTED for one in self.extensions)

    @property
    def all_ready(self) -> bool:
        """Every one has asked for its first event: init is done."""
        return all(one.state in {State.READY, State.RUNNING} for one in self.extensions)

    @property
    def at_rest(self) -> bool:
        """Every one that got the invocation has asked for the next event."""
        return all(one.state is State.READY for one in self.extensions if INVOKE in one.events)

    def _admit(self, name: str, identifier: str) -> Extension:
        if self.closed:
            raise ExtensionRefusal("Extension.RegistrationClosed", "Extension registration closed already")
        if len(self.extensions) >= MOST:
            raise ExtensionRefusal("Extension.TooManyExtensions", f"Extension limit ({MOST}) reached")
        extension = Extension(name, identifier, external=False)
        self.extensions.append(extension)
        return extension


def _check_event(event: str, *, external: bool) -> None:
    if event == SHUTDOWN and not external:
        problem = "ShutdownEventNotSupportedForInternalExtension"
    elif event not in {INVOKE, SHUTDOWN}:
        problem = "ErrorInvalidEventType"
    else:
        return
    raise ExtensionRefusal("Extension.InvalidEventType", f"{event}: {problem}")

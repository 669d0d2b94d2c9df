"""The extensions of one generation: starting the external ones, handing out events, shutting them down.

What each may do when is `extension_states`; what init, an invocation and the end wait for is `generations`. Imported
only where there is an extension.
"""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from .extension_states import INVOKE, MOST, SHUTDOWN, Extension, ExtensionState, Roster
from .faults import Fault, extension_exited, extension_failed, extension_unstartable, too_many_extensions
from .invocations import Invocation
from .journal import Journal
from .logs import LogPipe
from .protocol.writing import encode_response
from .runtime_api import RuntimeConnection
from .starting import StartFailure
from .supervising import Command, Processes

_RUNTIMES_OWN: Final = frozenset(
    {
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Variables that Lambda gives to the runtime but not to its extensions."""
_LAST_STEPS: Final = 0.25  # seconds for an extension that has reported an error to end
_ERROR_TYPES: Final = {
    ExtensionState.INIT_ERROR: "Extension.InitError",
    ExtensionState.EXIT_ERROR: "Extension.ExitError",
}


def extension_variables(variables: dict[str, str]) -> dict[str, str]:
    """The function's environment as an extension gets it."""
    return {
        name: value
        for name, value in variables.items()
        if name not in _RUNTIMES_OWN and not name.startswith(("_", "AWS_XRAY_"))
    }


class Extensions:
    """`fail` hears of an extension that is lost while it is needed."""

    def __init__(self, processes: Processes, journal: Journal, fail: Callable[[Fault], None]) -> None:
        self.roster = Roster()
        self._processes = processes
        self._journal = journal
        self._fail = fail
        self._pids: dict[int, Extension] = {}
        self._pipes: list[LogPipe] = []
        self._askers: dict[Extension, RuntimeConnection] = {}
        self._events: dict[Extension, bytes] = {}
        self._ending = False

    # Starting

    def launch(self, paths: Iterable[str], variables: dict[str, str]) -> None:
        """Starts the external ones. StartFailure names the first that cannot be."""
        environment = extension_variables(variables)
        for path in paths:
            extension = self.roster.expect(os.path.basename(path), str(uuid.uuid4()))
            if len(self.roster.extensions) > MOST:
                self._lose_at_launch(extension, "Extension.TooManyExtensions", too_many_extensions(MOST))
            self._start(extension, path, environment)

    def _start(self, extension: Extension, path: str, environment: dict[str, str]) -> None:
        def sink(data: bytes) -> None:
            self._journal.extension_output(extension.name, data)

        pipe = LogPipe(asyncio.get_running_loop(), sink)
        self._pipes.append(pipe)
        try:
            pid = self._processes.start(Command(path, (path,), environment, "/"), pipe.writer)
        except OSError as error:
            denied = isinstance(error, PermissionError)
            self._lose_at_launch(
                extension, "PermissionDenied" if denied else "UnknownError", extension_unstartable(path, error)
            )
        finally:
            pipe.started()
        self._pids[pid] = extension

    def _lose_at_launch(self, extension: Extension, error_type: str, fault: Fault) -> None:
        extension.state, extension.error_type = ExtensionState.LAUNCH_ERROR, error_type
        raise StartFailure(fault)

    # Events

    def ask(self, extension: Extension, asker: RuntimeConnection) -> None:
        """GET /event/next: answered now if there is an event, else when there is one. ExtensionRefusal."""
        earlier = self._askers.get(extension)
        if earlier is None or _listens(earlier) or extension.state is not ExtensionState.READY:
            extension.step(ExtensionState.READY, extension.identifier)
        self._askers[extension] = asker
        self._deliver(extension)

    def invoke(self, invocation: Invocation) -> None:
        """The event of an invocation, to all that subscribed to it."""
        body = _invoke_event(invocation)
        for extension in self.roster.extensions:
            if INVOKE in extension.events:
                self._events[extension] = body
                extension.state = ExtensionState.RUNNING
                self._deliver(extension)

    def _deliver(self, extension: Extension) -> None:
        asker, body = self._askers.get(extension), self._events.get(extension)
        if asker is None or body is None or not _listens(asker):
            return
        del self._askers[extension], self._events[extension]
        extension.state = ExtensionState.RUNNING
        fields = (
            (b"Content-Type", b"application/json"),
            (b"Lambda-Extension-Event-Identifier", str(uuid.uuid4()).encode()),
        )
        asker.answer(encode_response(200, fields, body))

    # Failing

    def report(self, extension: Extension, state: ExtensionState, error_type: str) -> None:
        """POST /init/error or /exit/error: it is about to end, and then all is. ExtensionRefusal."""
        extension.step(state, extension.identifier)
        extension.error_type = error_type
        patience = _LAST_STEPS if extension.external else 0.0
        asyncio.get_running_loop().call_later(patience, self._give_up, extension)

    def _give_up(self, extension: Extension) -> None:
        """It reported an error and did not end: its own word for it has to do."""
        if not self._ending and (not extension.external or extension in self._pids.values()):
            self._fail(extension_failed(_ERROR_TYPES[extension.state], extension.error_type))

    def exited(self, pid: int, code: int) -> bool:
        """Whether that was one of ours; one that is needed is a fault."""
        extension = self._pids.pop(pid, None)
        if extension is None:
            return False
        if self._ending:
            well = code == 0 and extension.state is ExtensionState.RUNNING
            extension.state = ExtensionState.EXITED if well else ExtensionState.SHUTDOWN_FAILED
            return True
        fault = extension_exited(_ERROR_TYPES.get(extension.state, "Extension.Crash"), code)
        extension.error_type = extension.error_type or fault.error_type
        self._fail(fault)
        return True

    def describe(self) -> None:
        """How each has come through init, for the log."""
        for one in self.roster.extensions:
            self._journal.extension(one.name, one.state.value, one.events, one.error_type)

    # Ending

    @property
    def budget(self) -> float:
        """Seconds for an orderly end: Lambda's, with external extensions, and with internal ones only."""
        return 2.0 if any(one.external for one in self.roster.extensions) else 0.5

    def expect_the_end(self) -> None:
        """From now on an exit is no crash."""
        self._ending = True

    async def shut_down(self, reason: str, deadline: float) -> None:
        """SHUTDOWN to those that want it, SIGKILL to others; waits until `deadline`, in monotonic seconds."""
        left = deadline - time.monotonic()
        body = _encode(
            {"eventType": SHUTDOWN, "deadlineMs": int((time.time() + left) * 1000), "shutdownReason": reason}
        )
        waiting = {}
        for pid, extension in list(self._pids.items()):
            if SHUTDOWN in extension.events and not extension.failed:
                self._events[extension] = body
                self._deliver(extension)
                waiting[pid] = extension
            else:
                self._processes.signal(pid, signal.SIGKILL)
        for pid, extension in waiting.items():
            ended = await self._processes.wait(pid, max(0.0, deadline - time.monotonic()))
            if not ended or extension.state is ExtensionState.SHUTDOWN_FAILED:
                error_type = "Extension.Crash" if ended else ""
                state = ExtensionState.SHUTDOWN_FAILED.value
                self._journal.extension(extension.name, state, extension.events, error_type)

    def drain(self) -> None:
        """What they have written up to now goes to the log."""
        for pipe in self._pipes:
            pipe.drain()

    def close(self) -> None:
        """Nobody is left to write, or to be known."""
        for pipe in self._pipes:
            pipe.close()
        self.roster = Roster()
        self.roster.closed = True


def _listens(asker: RuntimeConnection) -> bool:
    return asker.transport is not None and not asker.transport.is_closing()


def _invoke_event(invocation: Invocation) -> bytes:
    event: dict[str, object] = {
        "eventType": INVOKE,
        "deadlineMs": invocation.deadline_ms,
        "requestId": invocation.request_id,
        "invokedFunctionArn": invocation.arn.decode("utf-8", "replace"),
    }
    if invocation.trace_id:
        event["tracing"] = {"type": "X-Amzn-Trace-Id", "value": invocation.trace_id.decode("utf-8", "replace")}
    return _encode(event)


def _encode(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"

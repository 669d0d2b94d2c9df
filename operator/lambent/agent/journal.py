"""The one place that hears what happens in an environment: log lines, the tail that a caller asked for, telemetry.

Whoever decides *when* (hosting, generations) calls one method per event; how that reads is decided here alone, and
nobody else writes to the log. Where the log is text and nobody else listens, an event is a line and nothing more: the
audience, and with it every record, comes into being with the first who listens.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .faults import Fault
from .invocations import Invocation
from .logs import Output, Tail
from .protocol.claims import Claim
from .reports import (
    Report,
    end_line,
    extension_line,
    fault_line,
    init_report_line,
    init_start_line,
    launch_error_line,
    start_line,
    subscription_line,
)

if TYPE_CHECKING:
    from .audience import Audience
    from .levels import LineFilter
    from .records import Note
    from .subscriptions import Subscription

_EARLY_BYTES: Final = 256 * 1024
_EARLY_NOTES: Final = 1000


class Journal:
    """One environment's. Times are in milliseconds unless said otherwise; output is whole lines of bytes."""

    def __init__(self, output: Output, sink: str = "") -> None:
        self._output = output
        self._sink = sink
        self._tail: Tail | None = None
        self._claim: Claim | None = None
        self._log_stream = ""
        self._text = True
        self._wanted: LineFilter | None = None
        self._audience: Audience | None = None
        self._early: list[Note] | None = None
        self._early_room = 0
        self._extended = False
        self._runtime_done = 0.0

    def claimed(self, claim: Claim, log_stream: str) -> None:
        """From now on it is known whose log this is."""
        self._claim, self._log_stream = claim, log_stream
        self._text = str(claim.logging.get("logFormat", "")).upper() != "JSON"
        if not self._text:
            from .levels import LineFilter

            self._wanted = LineFilter(claim.logging.get("applicationLogLevel"))
        if self._sink:
            from .destinations import parse_sink

            self._listening().add_sink(parse_sink(self._sink))
        elif not self._text:
            self._listening()

    def follow(self, tail: Tail | None) -> None:
        """What is written from now on is added to `tail` too; None ends that."""
        self._tail = tail

    # Init

    def init_start(self, phase: str) -> None:
        """Extensions and runtime are about to start. `phase` is `init` or `invoke` (suppressed init).

        From now on extensions may subscribe, and hear what has happened since.
        """
        claim = self._claim
        assert claim is not None
        self._early, self._early_room, self._extended = [], _EARLY_BYTES, False
        if self._audience is not None:
            self._audience.calm()
        if self._text:
            self._write(init_start_line(claim.runtime))
        self._tell("platform.initStart", phase)

    def init_runtime_done(self, phase: str, fault: Fault | None, ms: float) -> None:  # noqa: ARG002
        """The runtime has asked for its first event, or something went wrong before."""
        self._tell("platform.initRuntimeDone", phase, fault)

    def init_report(self, phase: str, fault: Fault | None, ms: float) -> None:
        """Runtime and extensions are all ready, or not. Nobody may subscribe any more."""
        if fault is not None and self._text:
            self._write(init_report_line(ms, phase, fault))
        self._tell("platform.initReport", phase, fault, ms)
        self._early = None

    # Invocations

    def invoke_start(self, invocation: Invocation) -> None:
        """START. Its tail is followed until its report."""
        claim = self._claim
        assert claim is not None
        self._tail = tail = invocation.tail
        if self._text:
            start = start_line(invocation.request_id, claim.version)
            self._output.defer(start)
            if tail is not None:
                tail.add(start)
        if self._audience is not None:
            self._tell("platform.start", invocation)

    def runtime_done(self, invocation: Invocation, now: float) -> None:
        """The runtime has asked for its next event, or has failed. `now` in monotonic seconds."""
        if self._audience is not None:
            from .records import Clock

            self._runtime_done = now
            self._tell("platform.runtimeDone", invocation, now, Clock(time.monotonic(), time.time()))

    def report(self, invocation: Invocation, report: Report) -> None:
        """Runtime and extensions have done with it: END and REPORT, and the end of its tail."""
        if self._text:
            self._write(end_line(invocation.request_id) + report.line())
        if self._audience is not None:
            overhead = time.monotonic() - self._runtime_done
            waited = (time.time() - overhead, overhead) if self._extended and invocation.fault is None else None
            self._tell("platform.report", invocation, report, waited)
        self._tail = None

    # At any time

    def fault(self, fault: Fault, request_id: str) -> None:
        """How the environment failed. `request_id` is the claim's id when there is no request."""
        self._tell_fault(fault_line(fault, request_id, time.time()))

    def launch_error(self, fault: Fault, arguments: Sequence[str], folder: str) -> None:
        """A container image's program could not be started."""
        self._tell_fault(launch_error_line(fault, arguments, folder))

    def function_output(self, data: bytes) -> None:
        """The runtime, or any process of the function, wrote whole lines."""
        self._write(data if self._wanted is None else self._wanted.passed(data))
        if self._audience is not None or self._early is not None:
            self._tell("function", data, False)

    def function_event(self, message: bytes, when: float) -> None:
        """The runtime's client wrote one event, perhaps of several lines. `when` in epoch seconds."""
        self._write(message)  # it has chosen by level itself
        if self._audience is not None or self._early is not None:
            self._tell_note((when, "function", (message, True)))

    def extension_output(self, name: str, data: bytes) -> None:  # noqa: ARG002
        """An external extension wrote whole lines."""
        self._write(data)
        self._tell("extension", data, False)

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str = "") -> None:
        """An extension is `Ready`, or was lost in another state: with its error type then."""
        self._extended = True
        if self._text:
            self._write(extension_line(name, state, events, error_type))
        self._tell("platform.extension", name, state, events, error_type)

    def note(self, text: str) -> None:
        """The agent's own words, for whoever looks for a reason."""
        if self._text:
            self._write(b"lambent: " + text.encode("utf-8", "replace") + b"\n")
        else:
            from .records import PLATFORM, Event, envelope

            self._write(envelope(Event(time.time(), PLATFORM, "lambent.note", text)) + b"\n")

    # Subscribers

    @property
    def subscribable(self) -> bool:
        """Only during init."""
        return self._early is not None

    def subscription_of(self, name: str) -> "Subscription | None":
        """What the extension of this name has subscribed to."""
        return self._audience.subscription_of(name) if self._audience is not None else None

    def subscribe(self, name: str, subscription: "Subscription") -> None:
        """An extension wants to hear. It hears what has happened since init began, too."""
        state = self._listening().subscribe(name, subscription, self._early or ())
        if self._text:
            self._write(subscription_line(subscription.api.label, name, state, subscription.types))
        self._tell("platform.telemetrySubscription", name, state, subscription.types)

    def frozen(self) -> None:
        """Every process of the function stands still: nothing can be delivered to it."""
        if self._audience is not None:
            self._audience.pause()

    def thawed(self) -> None:
        """They run again."""
        if self._audience is not None:
            self._audience.resume()

    # The end

    async def settle(self, seconds: float) -> None:
        """The processes are about to end: waits, at most so long, until subscribers have heard everything.

        Until the next init they hear at once what happens.
        """
        if self._audience is not None:
            await self._audience.settle(seconds)

    async def leave(self, seconds: float) -> None:
        """The agent is about to end: waits, at most so long, until the sink has heard everything."""
        if self._audience is not None:
            await self._audience.leave(seconds)

    def flush(self) -> None:
        """What the log's reader takes now is written now."""
        self._output.flush()

    def _listening(self) -> "Audience":
        """The audience, which begins with its first member. Only a claimed environment has one."""
        if self._audience is None:
            from .audience import Audience
            from .records import Origin

            assert self._claim is not None
            write = None if self._text else self._write
            self._audience = Audience(Origin(self._claim, self._log_stream), write)
        return self._audience

    def _tell(self, kind: str, *details: Any) -> None:
        if self._audience is not None or self._early is not None:
            self._tell_note((time.time(), kind, details))

    def _tell_note(self, note: "Note") -> None:
        if self._audience is not None:
            self._audience.tell(note)
        early, details = self._early, note[2]
        if early is not None and len(early) < _EARLY_NOTES and self._early_room > 0:
            early.append(note)
            if isinstance(details[0], bytes):
                self._early_room -= len(details[0])

    def _tell_fault(self, line: bytes) -> None:
        if line:
            if self._text:
                self._write(line)
            self._tell("platform.fault", line.decode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        if data:
            self._output.write(data)
            if self._tail is not None:
                self._tail.add(data)

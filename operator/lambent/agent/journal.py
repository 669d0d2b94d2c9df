"""The one place that hears what happens in an environment: log lines, and the tail that a caller asked for.

Whoever decides *when* (hosting, generations) calls one method per event; how that reads is decided here alone, and
nobody else writes to the log.
"""

import time
from collections.abc import Sequence

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
)


class Journal:
    """One environment's. Times are in milliseconds unless said otherwise; output is whole lines of bytes."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._tail: Tail | None = None
        self._claim: Claim | None = None
        self._log_stream = ""

    def claimed(self, claim: Claim, log_stream: str) -> None:
        """From now on it is known whose log this is."""
        self._claim, self._log_stream = claim, log_stream

    def follow(self, tail: Tail | None) -> None:
        """What is written from now on is added to `tail` too; None ends that."""
        self._tail = tail

    # Init

    def init_start(self, phase: str) -> None:  # noqa: ARG002
        """Extensions and runtime are about to start. `phase` is `init` or `invoke` (suppressed init)."""
        claim = self._claim
        assert claim is not None
        self._write(init_start_line(claim.runtime))

    def init_runtime_done(self, phase: str, fault: Fault | None, ms: float) -> None:
        """The runtime has asked for its first event, or something went wrong before."""

    def init_report(self, phase: str, fault: Fault | None, ms: float) -> None:
        """Runtime and extensions are all ready, or not."""
        if fault is not None:
            self._write(init_report_line(ms, phase, fault))

    # Invocations

    def invoke_start(self, invocation: Invocation) -> None:
        """START. Its tail is followed until its report."""
        claim = self._claim
        assert claim is not None
        start = start_line(invocation.request_id, claim.version)
        self._output.defer(start)
        self._tail = tail = invocation.tail
        if tail is not None:
            tail.add(start)

    def runtime_done(self, invocation: Invocation, now: float) -> None:
        """The runtime has asked for its next event, or has failed. `now` in monotonic seconds."""

    def report(self, invocation: Invocation, report: Report) -> None:
        """Runtime and extensions have done with it: END and REPORT, and the end of its tail."""
        self._write(end_line(invocation.request_id) + report.line())
        self._tail = None

    # At any time

    def fault(self, fault: Fault, request_id: str) -> None:
        """How the environment failed. `request_id` is the claim's id when there is no request."""
        self._write(fault_line(fault, request_id, time.time()))

    def launch_error(self, fault: Fault, arguments: Sequence[str], folder: str) -> None:
        """A container image's program could not be started."""
        self._write(launch_error_line(fault, arguments, folder))

    def function_output(self, data: bytes) -> None:
        """The runtime, or any process of the function, wrote whole lines."""
        self._write(data)

    def extension_output(self, name: str, data: bytes) -> None:  # noqa: ARG002
        """An external extension wrote whole lines."""
        self._write(data)

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str = "") -> None:
        """An extension is `Ready`, or was lost in another state: with its error type then."""
        self._write(extension_line(name, state, events, error_type))

    def frozen(self) -> None:
        """Every process of the function stands still: nothing can be delivered to it."""

    def thawed(self) -> None:
        """They run again."""

    def note(self, text: str) -> None:
        """The agent's own words, for whoever looks for a reason."""
        self._write(b"lambent: " + text.encode("utf-8", "replace") + b"\n")

    def flush(self) -> None:
        """What the log's reader takes now is written now."""
        self._output.flush()

    def _write(self, data: bytes) -> None:
        if data:
            self._output.write(data)
            if self._tail is not None:
                self._tail.add(data)

"""How an environment fails, in Lambda's words: what the caller sees, what the log says, what REPORT says."""

import json
import signal
from dataclasses import dataclass

from .protocol.names import MAX_RESPONSE_BYTES


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of the environment (not of the handler): after it the environment is reset.

    `body` is what a runtime reported itself and is passed on verbatim; otherwise the payload is made of type and
    message. `report_type` is REPORT's `Error Type`, empty for none.
    """

    error_type: str
    message: str
    status: str = "error"
    report_type: str = ""
    body: bytes | None = None

    def payload(self, request_id: str) -> bytes:
        """What the caller receives, with `X-Amz-Function-Error: Unhandled`."""
        if self.body is not None:
            return self.body
        message = f"RequestId: {request_id} Error: {self.message}"
        return _compact({"errorType": self.error_type, "errorMessage": message})

    def error(self) -> dict[str, object]:
        """The `error` of a claim's answer: no request exists yet."""
        if self.body is not None:
            try:
                reported = json.loads(self.body)
            except ValueError:
                reported = None
            if isinstance(reported, dict):
                return {"errorType": self.error_type, "errorMessage": self.message, **reported}
        return {"errorType": self.error_type, "errorMessage": self.message}


def timed_out(milliseconds: float) -> Fault:
    """The function (or its init) took longer than it may."""
    return Fault("Sandbox.Timedout", f"Task timed out after {milliseconds / 1000:.2f} seconds", "timeout")


def exited(code: int, *, out_of_memory: bool) -> Fault:
    """`code` as subprocess gives it: negative for a signal. The words are those of Go's exec.ExitError."""
    if code == 0:
        return Fault("Runtime.ExitError", "Runtime exited without providing a reason", report_type="Runtime.ExitError")
    reason = _exit_words(code)
    report_type = "Runtime.OutOfMemory" if out_of_memory else "Runtime.ExitError"
    return Fault("Runtime.ExitError", f"Runtime exited with error: {reason}", report_type=report_type)


def extension_exited(error_type: str, code: int) -> Fault:
    """An external extension has ended by itself; `error_type` says whether it had reported why."""
    reason = "exit code 0" if code == 0 else _exit_words(code)
    return Fault(error_type, reason, report_type=error_type)


def extension_failed(error_type: str, reported: str) -> Fault:
    """An extension has reported an error and does not end; `reported` is its own word for it."""
    return Fault(error_type, reported, report_type=error_type)


def extension_unstartable(path: str, error: OSError) -> Fault:
    """Go's words for a failing execve, or for a file that may not be executed."""
    reason = (error.strerror or str(error)).lower()
    return Fault("Extension.LaunchError", f"fork/exec {path}: {reason}", report_type="Extension.LaunchError")


def too_many_extensions(most: int) -> Fault:
    """More files in /opt/extensions than there may be extensions."""
    return Fault("Extension.LaunchError", f"Extension limit ({most}) reached", report_type="Extension.LaunchError")


def missing_bootstrap(candidates: list[str]) -> Fault:
    """Neither the function nor a layer brings a program to start."""
    message = f"Couldn't find valid bootstrap(s): [{' '.join(candidates)}]"
    return Fault("Runtime.InvalidEntrypoint", message, report_type="Runtime.InvalidEntrypoint")


def unstartable(path: str, error: OSError) -> Fault:
    """Go's words for a failing execve: `fork/exec /var/task/bootstrap: permission denied`."""
    reason = (error.strerror or str(error)).lower()
    return Fault("Runtime.InvalidEntrypoint", f"fork/exec {path}: {reason}", report_type="Runtime.InvalidEntrypoint")


def bad_folder(path: str, error: OSError) -> Fault:
    """The image's working directory is no place to be; the first words are Lambda's, the second Go's."""
    if not path.startswith("/"):
        message = f"the working directory '{path}' is invalid, it needs to be an absolute path"
    else:
        message = f"chdir {path}: {(error.strerror or str(error)).lower()}"
    return Fault("Runtime.InvalidWorkingDir", message, report_type="Runtime.InvalidWorkingDir")


def bad_code(error_type: str, message: str) -> Fault:
    """The code could not be had or is not what was promised."""
    return Fault(error_type, message, report_type=error_type)


def reported_init_error(body: bytes, error_type: str) -> Fault:
    """What a runtime posted to /init/error; the body is the caller's."""
    return Fault(error_type, "the runtime reported an error in init", report_type=error_type, body=body)


def response_too_large(limit: int = MAX_RESPONSE_BYTES) -> bytes:
    """What the caller receives instead of an answer over its limit; the runtime stays usable."""
    message = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
    return _compact({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"})


def response_truncated() -> bytes:
    """Why a streamed answer ends early: its connection did, and the runtime goes on as if nothing had been."""
    return _compact({"errorMessage": "HTTP request detected as truncated", "errorType": "Runtime.TruncatedResponse"})


def _exit_words(code: int) -> str:
    return f"signal: {_signal_words(-code)}" if code < 0 else f"exit status {code}"


def _signal_words(number: int) -> str:
    """Go's names: `killed`, `segmentation fault`; glibc's in lower case are the same for the common ones."""
    words = signal.strsignal(number)
    return words.lower() if words else f"signal {number}"


def _compact(fields: dict[str, str]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()

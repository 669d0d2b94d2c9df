"""How a command ended: exit codes, and the failure that carries one to the shell."""

from __future__ import annotations

from enum import IntEnum

from lambent.model.errors import LambentError, Refused, Unavailable


class ExitCode(IntEnum):
    """What the shell gets; the guide (docs/guide/cli.md) and `lambent --help` list them."""

    OK = 0
    FUNCTION_FAILED = 1
    USAGE = 2
    THROTTLED = 3
    NOT_FOUND = 4
    DENIED = 5
    UNREACHABLE = 6
    SERVICE_FAILED = 7
    NOT_READY = 8
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS = {
    ExitCode.OK: "all is well",
    ExitCode.FUNCTION_FAILED: "the function itself failed (its error is on standard error); a version was refused; a "
    "rollout came back",
    ExitCode.USAGE: "wrong arguments or payload",
    ExitCode.THROTTLED: "throttled (429): try again later",
    ExitCode.NOT_FOUND: "no such function, version, alias or release",
    ExitCode.DENIED: "not allowed, or not known who asks",
    ExitCode.UNREACHABLE: "the cluster or the gateway cannot be reached, or nothing came in time",
    ExitCode.SERVICE_FAILED: "Lambent failed, not the function",
    ExitCode.NOT_READY: "not possible in the present state of the function or its rollout",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.BROKEN_PIPE: "whoever read the output has gone (as in `lambent logs … | head`)",
}


class CommandFailed(LambentError):
    """A command cannot go on: one line for people, perhaps what would help, and the exit code."""

    def __init__(self, code: ExitCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


_REFUSALS = {401: ExitCode.DENIED, 403: ExitCode.DENIED, 404: ExitCode.NOT_FOUND, 410: ExitCode.NOT_FOUND}


def failure_of(error: Refused | Unavailable) -> CommandFailed:
    """The API server's no, or its silence, as a command's failure."""
    if isinstance(error, Refused):
        return CommandFailed(_REFUSALS.get(error.status, ExitCode.USAGE), str(error))
    return CommandFailed(ExitCode.UNREACHABLE, str(error))

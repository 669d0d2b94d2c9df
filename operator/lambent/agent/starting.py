"""Bringing up a runtime: which program, with what, and the hand-over to one that already waits.

A managed runtime that can wait (Python: its interpreter is up and AWS's client imported before anybody has claimed)
gets one JSON document through a pipe, whose descriptor is named in LAMBENT_CLAIM_FD. One that cannot, and the
function's own bootstrap, is started at the claim with everything in its environment. So is a container image's
ENTRYPOINT, which is found as a shell would: by PATH where it is a bare name.
"""

import asyncio
import fcntl
import json
import os
from dataclasses import dataclass
from typing import Final

from .environment import runtime_variables
from .faults import Fault, bad_folder, missing_bootstrap, unstartable
from .frames import DESCRIPTOR, SPEAKERS, VARIABLE, is_possible
from .journal import Journal
from .logs import LogPipe
from .protocol.claims import Claim
from .settings import Program, Settings
from .supervising import BadFolder, Command, Processes

CLAIM_FD: Final = "LAMBENT_CLAIM_FD"
_F_SETPIPE_SZ: Final = 1031
_PIPE_BYTES: Final = 1024 * 1024  # a claim's environment fits, so handing over never blocks


class StartFailure(Exception):
    """The runtime could not be started: what Lambda calls Runtime.InvalidEntrypoint."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(slots=True)
class Runtime:
    """One generation: its process, its output, and the pipe for its claim while it waits for one (else -1)."""

    pid: int
    pipe: LogPipe
    claim_fd: int


class Starter:
    """Starts generations of the runtime; `standing` are the variables known before any claim."""

    def __init__(self, settings: Settings, processes: Processes, standing: dict[str, str], journal: Journal) -> None:
        self._settings = settings
        self._processes = processes
        self._standing = standing
        self._journal = journal
        self._frames = is_possible()
        self.waits = settings.program is None and settings.prestart and os.path.isfile(settings.bootstrap)

    def prestart(self) -> Runtime:
        """A runtime that waits for its claim. StartFailure when the image is broken."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            if reader == DESCRIPTOR:  # that number is taken in the runtime
                reader, taken = os.dup(reader), reader
                os.close(taken)
            environment = {**self._standing, CLAIM_FD: str(reader)}
            command = self._command(self._settings.bootstrap, environment)
            return self._start(command, (reader, writer))
        except StartFailure:
            os.close(writer)
            raise
        finally:
            os.close(reader)

    def start(self, claim: Claim, log_stream: str) -> Runtime:
        """A runtime with the function's environment, ready to initialise."""
        if self.waits:
            runtime = self.prestart()
            self.hand_over(runtime, claim, log_stream)
            return runtime
        variables = self.variables(claim, log_stream)
        program = self._settings.program
        if program is None:
            return self._start(self._command(self._bootstrap(), variables), ())
        try:
            return self._start(_image_command(program, variables), ())
        except StartFailure as failure:
            self._journal.launch_error(failure.fault, program.arguments, program.folder)
            raise

    def variables(self, claim: Claim, log_stream: str) -> dict[str, str]:
        """The function's environment."""
        variables = runtime_variables(claim, self._settings, self._standing, log_stream)
        if self._frames and claim.runtime.startswith(SPEAKERS):
            variables[VARIABLE] = str(DESCRIPTOR)
        return variables

    def hand_over(self, runtime: Runtime, claim: Claim, log_stream: str) -> None:
        """Tells a waiting runtime who it is. A broken pipe is noticed by its exit."""
        variables = self.variables(claim, log_stream)
        document = {"env": variables, "handler": claim.handler, "cwd": self._settings.task_root}
        try:
            os.write(runtime.claim_fd, json.dumps(document).encode())
        except BrokenPipeError:
            pass
        finally:
            os.close(runtime.claim_fd)
            runtime.claim_fd = -1

    def _bootstrap(self) -> str:
        """/var/runtime/bootstrap where the image has one, else the function's, else a layer's."""
        own = [f"{self._settings.task_root}/bootstrap", f"{self._settings.opt_root}/bootstrap"]
        for candidate in (self._settings.bootstrap, *own):
            if os.path.isfile(candidate):
                return candidate
        raise StartFailure(missing_bootstrap(own))

    def _command(self, bootstrap: str, variables: dict[str, str]) -> Command:
        folder = self._settings.task_root if os.path.isdir(self._settings.task_root) else "/"
        return Command(bootstrap, (bootstrap,), variables, folder)

    def _start(self, command: Command, claim: tuple[int, ...]) -> Runtime:
        journal = self._journal
        events = journal.function_event if self._frames else None
        pipe = LogPipe(asyncio.get_running_loop(), journal.function_output, events)
        kept = {descriptor: descriptor for descriptor in claim[:1]}
        if self._frames:
            kept[DESCRIPTOR] = pipe.framed
        try:
            pid = self._processes.start(command, pipe.writer, kept)
        except OSError as error:
            pipe.started()
            pipe.close()
            bad = isinstance(error, BadFolder)
            fault = bad_folder(command.folder, error) if bad else unstartable(command.program, error)
            raise StartFailure(fault) from error
        pipe.started()
        return Runtime(pid, pipe, claim[1] if claim else -1)


def extension_paths(opt_root: str) -> list[str]:
    """External extensions: every regular file directly in /opt/extensions, by name."""
    folder = f"{opt_root}/extensions"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [path for name in names if os.path.isfile(path := f"{folder}/{name}")]


def _image_command(program: Program, variables: dict[str, str]) -> Command:
    """StartFailure when ENTRYPOINT and CMD are empty, or a bare name is nowhere on the PATH."""
    if not program.arguments:
        raise StartFailure(missing_bootstrap([]))
    name = program.arguments[0]
    path = name if "/" in name else _find(name, program.folder, variables.get("PATH", ""))
    return Command(path, program.arguments, variables, program.folder)


def _find(name: str, folder: str, path: str) -> str:
    for place in path.split(":"):
        candidate = os.path.join(folder, place, name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise StartFailure(missing_bootstrap([name]))

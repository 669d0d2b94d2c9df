"""The probe under AWS's Runtime Interface Emulator and under the agent: two sides with one face."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.agent.driving import Agent, Caller, claim_of, zipped
from tests.bench import emulator

from lambent.agent.protocol import names

PROBE = Path(__file__).with_name("probe.py")
TIMEOUT_S = 2
_INVOKE = "/2015-03-31/functions/function/invocations"


@dataclass(frozen=True)
class Seen:
    """What caller and runtime saw of one event. `failed` as far as the side says it (the emulator's caller is not told)."""

    body: str
    event: dict[str, str]
    answers: list[dict]


class Side:
    """One environment with the probe as its runtime."""

    def __init__(self, folder: Path, script: dict | None) -> None:
        self.report = folder / "report"
        self.report.touch()
        self.environment = {"PROBE_REPORT": str(self.report)}
        if script is not None:
            self.environment["PROBE_INIT"] = json.dumps(script)

    def invoke(self, event: dict) -> str:
        """The answer's body, as the caller gets it."""
        raise NotImplementedError

    def perform(self, event: dict) -> Seen:
        """One event, and what became of it."""
        known = len(self.reports())
        body = self.invoke(event)
        new = self.reports()[known:]
        last = new[-1] if new else {"event": {}, "answers": []}
        return Seen(body, last["event"], last["answers"])

    def invoke_unanswered(self, event: dict) -> None:
        """Brings the runtime up; what becomes of the event does not matter."""
        raise NotImplementedError

    def first_report(self) -> dict:
        """What the runtime reported of its init, as soon as it has."""
        while not (reports := self.reports()):
            time.sleep(0.01)
        return reports[0]

    def reports(self) -> list[dict]:
        """Everything that the runtime has reported, one document an event."""
        return [json.loads(line) for line in self.report.read_text().splitlines()]


class EmulatorSide(Side):
    """AWS's emulator."""

    def __init__(self, folder: Path, script: dict | None) -> None:
        super().__init__(folder, script)
        self.port, runtime_port = _free_port(), _free_port()
        arguments = [
            str(emulator.binary()),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"),
            *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
            *(sys.executable, str(PROBE)),
        ]
        variables = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": "hello",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(TIMEOUT_S),
            **self.environment,
        }
        self.process = subprocess.Popen(
            arguments, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def invoke(self, event: dict) -> str:
        connection = self._connect()
        with contextlib.closing(connection):
            connection.request("POST", _INVOKE, json.dumps(event))
            return connection.getresponse().read().decode("utf-8", "replace")

    def invoke_unanswered(self, event: dict) -> None:
        connection = self._connect()
        connection.request("POST", _INVOKE, json.dumps(event))
        self._unanswered = connection  # closed, it would cancel

    def _connect(self) -> http.client.HTTPConnection:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            try:
                connection.connect()
            except ConnectionRefusedError:
                assert self.process.poll() is None, "the emulator ended"
                time.sleep(0.01)
            else:
                return connection

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class AgentSide(Side):
    """Our agent, spoken to as a gateway does."""

    def __init__(self, folder: Path, script: dict | None) -> None:
        super().__init__(folder, script)
        self.agent = Agent(folder, managed=False)
        self.number = 0
        self.loop = asyncio.new_event_loop()
        bootstrap = f"#!/bin/sh\nexec {sys.executable} {PROBE}\n"
        self.claim = claim_of(
            zipped({"bootstrap": bootstrap}, ("bootstrap",)),
            runtime="provided.al2023",
            handler="",
            timeoutMs=TIMEOUT_S * 1000,
            env=self.environment,
        )
        self.caller: Caller = self._run(self.agent.connect())
        if script is None:
            self._run(self.caller.claim(self.claim))

    def invoke(self, event: dict) -> str:
        self.number += 1
        answer = self._run(
            self.caller.invoke(event, request_id=f"request-{self.number}", timeout_ms=self.claim.timeoutMs)
        )
        return answer.body.decode("utf-8", "replace")

    def invoke_unanswered(self, event: dict) -> None:
        self.caller.send(b"POST", names.CLAIM_PATH, self.claim.to_json())
        self._run(self.caller.writer.drain())

    def _run(self, work):
        return self.loop.run_until_complete(work)

    def stop(self) -> None:
        self._run(self.caller.close())
        self.agent.stop()
        self.loop.close()


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@contextlib.contextmanager
def both(folder: Path, script: dict | None = None) -> Iterator[tuple[AgentSide, EmulatorSide]]:
    """Ours and theirs; `script` is what the runtime does before it asks for its first event."""
    with contextlib.ExitStack() as stack:
        sides = []
        for kind in (AgentSide, EmulatorSide):
            place = folder / kind.__name__
            place.mkdir()
            sides.append(kind(place, script))
            stack.callback(sides[-1].stop)
        yield sides[0], sides[1]

"""Driving an agent from a test: the process, the claim, and a caller that speaks the door's protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from lambent.agent.protocol import names
from lambent.agent.protocol.claims import Claim, ClaimAnswer, Code
from lambent.agent.protocol.http1 import BODY_END, MessageEnd, ResponseDecoder, ResponseHead
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.states import EnvironmentState
from lambent.agent.protocol.writing import encode_request
from lambent.agent.supervising import descendants

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-the-tests"
OWNER = Owner(1, "gateway-a")


def site_packages() -> str:
    import awslambdaric

    return str(Path(awslambdaric.__file__).resolve().parents[1])


def zipped(files: dict[str, str | bytes], executable: tuple[str, ...] = ()) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | (0o755 if name in executable else 0o644)) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def claim_of(code: bytes | None, **changes) -> Claim:
    """A claim with this zip inside."""
    fields = {
        "claimId": "claim-1",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:hello",
        "functionName": "hello",
        "version": "$LATEST",
        "revision": "0123456789abcdef",
        "runtime": "python3.11",
        "handler": "app.handler",
        "timeoutMs": 3000,
        "memoryMb": 128,
        "code": None if code is None else Code(hashlib.sha256(code).hexdigest(), len(code), inline=code),
    }
    return Claim(**{**fields, **changes})


def python(source: str, **changes) -> Claim:
    """A Python function whose app.py is `source`."""
    return claim_of(zipped({"app.py": source}), **changes)


@dataclass
class Answer:
    """What came back; `order` says which events came in which order."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    trailers: dict[bytes, bytes]

    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> bytes | None:
        return self.headers.get(names.FUNCTION_ERROR_KEY)

    @property
    def log(self) -> bytes:
        return base64.b64decode(self.trailers[names.LOG_RESULT_KEY])

    def trailer(self, key: bytes) -> bytes | None:
        return self.trailers.get(key)


@dataclass
class Caller:
    """One keep-alive connection to a door."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    decoder: ResponseDecoder = field(default_factory=ResponseDecoder)
    pending: list = field(default_factory=list)

    async def event(self):
        while not self.pending:
            data = await self.reader.read(65536)
            if not data:
                raise EOFError("the agent closed the connection")
            self.pending += self.decoder.feed(data)
        return self.pending.pop(0)

    async def head_and_body(self) -> tuple[ResponseHead, bytes]:
        head, body = await self.event(), b""
        while (event := await self.event()) is not BODY_END:
            body += event
        return head, body

    async def answer(self) -> Answer:
        head, body = await self.head_and_body()
        end = await self.event()
        assert isinstance(end, MessageEnd)
        return Answer(head.status, head.headers, body, end.trailers)

    def send(self, method: bytes, path: bytes, body: bytes = b"", *, token=TOKEN, owner=OWNER, **headers) -> None:
        fields = [(b"Host", b"agent")]
        if token is not None:
            fields.append((names.AUTHORIZATION, b"Bearer " + token.encode()))
        if owner is not None:
            fields.append((names.OWNER, owner.to_header()))
        fields += [(name.replace("_", "-").encode(), str(value).encode()) for name, value in headers.items()]
        self.writer.write(encode_request(method, path, fields, body))

    async def call(self, method: bytes, path: bytes, body: bytes = b"", **more) -> Answer:
        self.send(method, path, body, **more)
        return await self.answer()

    def send_invoke(self, event=b"{}", request_id="request-1", timeout_ms=3000, **headers) -> None:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        more = {"Lambent_Request_Id": request_id, "Lambent_Timeout_Ms": timeout_ms, **headers}
        self.send(b"POST", names.INVOKE_PATH, body, **more)

    async def invoke(self, event=b"{}", **more) -> Answer:
        self.send_invoke(event, **more)
        return await self.answer()

    async def claim(self, claim: Claim) -> ClaimAnswer:
        answer = await self.call(b"POST", names.CLAIM_PATH, claim.to_json())
        assert answer.status == 200, answer
        return ClaimAnswer.from_json(answer.body)

    async def state(self) -> EnvironmentState:
        return EnvironmentState.from_json((await self.call(b"GET", names.STATE_PATH, owner=None)).body)

    async def close(self) -> None:
        self.writer.close()


class Agent:
    """The real agent in a process of its own, with its own roots."""

    def __init__(self, folder: Path, managed: bool = True, command: list[str] | None = None, **settings: str) -> None:
        self.folder = folder
        self.task_root = folder / "task"
        self.opt_root = folder / "opt"
        self.log_path = folder / "stdout"
        self.task_root.mkdir()
        self.opt_root.mkdir()
        bootstrap = ROOT / "runtime-images/python/bootstrap"
        launcher = folder / "bootstrap"
        if managed:
            launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -s {bootstrap} "$@"\n')
            launcher.chmod(0o755)
        reader, writer = os.pipe()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "operator"),
            "LAMBENT_TOKEN_SHA256": hashlib.sha256(TOKEN.encode()).hexdigest(),
            "LAMBENT_AGENT_HOST": "127.0.0.1",
            "LAMBENT_AGENT_PORT": "0",
            "LAMBENT_RUNTIME_PORT": "0",
            "LAMBENT_READY_FD": str(writer),
            "LAMBENT_TASK_ROOT": str(self.task_root),
            "LAMBENT_OPT_ROOT": str(self.opt_root),
            "LAMBENT_BOOTSTRAP": str(launcher),
            "LAMBENT_RUNTIME_DIR": site_packages(),
            "LAMBENT_PRESTART": "1" if managed else "0",
            **settings,
        }
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "lambent.agent"],
                env=environment,
                stdout=log,
                pass_fds=(writer,),
                cwd=folder,
            )
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            line = ready.readline()
        assert line, "the agent did not start"
        ports = json.loads(line)
        self.port, self.runtime_port = ports["port"], ports["runtimePort"]

    async def connect(self) -> Caller:
        return Caller(*await asyncio.open_connection("127.0.0.1", self.port))

    def log(self) -> str:
        return self.log_path.read_bytes().decode("utf-8", "replace")

    async def written(self) -> bytes:
        """The log with everything up to now: lines leave after the trailers, but before the agent listens again."""
        caller = await self.connect()
        await caller.state()
        await caller.close()
        return self.log_path.read_bytes()

    async def text(self) -> str:
        return (await self.written()).decode("utf-8", "replace")

    def stop(self) -> None:
        """At once, with everything below it."""
        if self.process.poll() is None:
            pids = descendants(self.process.pid)
            self.process.kill()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

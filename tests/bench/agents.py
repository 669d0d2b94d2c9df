"""Our side: the agent as `python3 -m lambent.agent`, with the managed Python runtime below it, claimed by the bench."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lambent.agent.protocol import names
from lambent.agent.protocol.claims import Claim, ClaimAnswer, Code
from lambent.agent.protocol.heads import MessageEnd, ResponseHead
from lambent.agent.protocol.http1 import BODY_END, ResponseDecoder
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.states import State
from lambent.agent.protocol.writing import encode_request

from . import places
from .loads import Target, request
from .processes import DidNotStart, read_ready, running, tail

TOKEN = "the-token-of-the-bench"
OWNER = Owner(1, "bench")
ACCOUNT, REGION = "123456789012", "us-east-1"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bench"
TIMEOUT_MS, MEMORY_MB = 3000, 1769
"""One vCPU's worth of memory: with less, Lambda's CPU quota would be measured and not the code."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One environment that waits for its claim."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    runtime_port: int


def package(function: str) -> bytes:
    """The deployment package of `functions/<function>.py`."""
    return package_of({f"{function}.py": (places.FUNCTIONS / f"{function}.py").read_bytes()})


def package_of(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def site_packages() -> str:
    """Where awslambdaric is installed: what a runtime image has as its runtime directory."""
    import awslambdaric

    return str(Path(awslambdaric.__file__).resolve().parents[1])


@contextlib.contextmanager
def agent(
    *,
    core: int,
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str = TOKEN,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Agent]:
    """An agent on one core with its runtime, generic and ready; `settings` are variables of its own."""
    log = folder / "agent.log"
    reader, writer = os.pipe()
    environment = {**_environment(folder, token), **(settings or {})}
    environment |= {"LAMBENT_AGENT_HOST": host, "LAMBENT_AGENT_PORT": str(port), "LAMBENT_READY_FD": str(writer)}
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader)
        try:
            arguments = [sys.executable, "-m", "lambent.agent"]
            process = stack.enter_context(
                running(arguments, core=core, log=log, env=environment, cwd=folder, keep=[writer])
            )
        finally:
            os.close(writer)
        line = read_ready(reader)
        if not line:
            raise DidNotStart(f"the agent: {tail(log)}")
        ports = json.loads(line)
        yield Agent(process, host, ports["port"], ports["runtimePort"])


def _environment(folder: Path, token: str) -> dict[str, str]:
    """As in a managed image: a bootstrap that waits with its interpreter up; code below a root of its own."""
    task_root, opt_root, launcher = folder / "task", folder / "opt", folder / "bootstrap"
    task_root.mkdir()
    opt_root.mkdir()
    bootstrap = places.ROOT / "runtime-images" / "python" / "bootstrap"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -s {bootstrap} "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(places.OPERATOR),
        "LAMBENT_TOKEN_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        "LAMBENT_RUNTIME_PORT": "0",
        "LAMBENT_TASK_ROOT": str(task_root),
        "LAMBENT_OPT_ROOT": str(opt_root),
        "LAMBENT_BOOTSTRAP": str(launcher),
        "LAMBENT_RUNTIME_DIR": site_packages(),
        "LAMBENT_PRESTART": "1",
    }


def claim_at(host: str, port: int, function: str) -> None:
    """Make the environment behind a door the function's. Raises DidNotStart when init failed."""
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    claim_with(host, port, package(function), runtime=runtime, handler=f"{function}.handler")


def claim_with(host: str, port: int, code: bytes, *, runtime: str, handler: str) -> None:
    """Make the environment behind a door run this package. Raises DidNotStart when init failed."""
    wanted = Claim(
        claimId="bench",
        arn=ARN,
        functionName="bench",
        version="$LATEST",
        revision="0123456789abcdef",
        runtime=runtime,
        handler=handler,
        timeoutMs=TIMEOUT_MS,
        memoryMb=MEMORY_MB,
        code=Code(hashlib.sha256(code).hexdigest(), len(code), inline=code),
    )
    fields = [
        (b"Host", b"agent"),
        (names.AUTHORIZATION, b"Bearer " + TOKEN.encode()),
        (names.OWNER, OWNER.to_header()),
    ]
    status, body = _call(host, port, encode_request(b"POST", names.CLAIM_PATH, fields, wanted.to_json()))
    if status != 200 or ClaimAnswer.from_json(body).state is not State.IDLE:
        raise DidNotStart(f"the claim: {status} {body[:1000]!r}")


def _call(host: str, port: int, message: bytes) -> tuple[int, bytes]:
    decoder, status, body = ResponseDecoder(), 0, b""
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(message)
        while piece := connection.recv(65536):
            for event in decoder.feed(piece):
                if isinstance(event, ResponseHead):
                    status = event.status
                elif isinstance(event, MessageEnd):
                    return status, body
                elif event is not BODY_END:
                    body += event
    raise DidNotStart("the agent closed the connection")


def invoke_target(environment: Agent) -> Target:
    """Its door, as a gateway uses it."""
    before, after = request(
        names.INVOKE_PATH.decode(),
        [
            ("Host", f"{environment.host}:{environment.port}"),
            ("Authorization", f"Bearer {TOKEN}"),
            ("Lambent-Owner", OWNER.to_header().decode()),
            ("Lambent-Arn", ARN),
            ("Lambent-Timeout-Ms", str(TIMEOUT_MS)),
            ("Lambent-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"),
        ],
        # of a UUID's length, as the gateway's are
        f"{names.REQUEST_ID.decode()}: 01234567-89ab-cdef-0123-",
    )
    return Target(environment.host, environment.port, before, after)


@contextlib.contextmanager
def claimed_agent(
    function: str, *, core: int, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[Target, subprocess.Popen[bytes]]]:
    """One environment of a function, warm."""
    with agent(core=core, folder=folder, settings=settings) as environment:
        claim_at(environment.host, environment.port, function)
        yield invoke_target(environment), environment.process

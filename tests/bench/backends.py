"""The frozen programs as processes: the raw proxy, the stub of agents, the responder that does nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lambent.agent.protocol import names

from . import agents, places
from .agents import OWNER, TOKEN
from .loads import EVENT, Target, request
from .processes import DidNotStart, await_port, read_ready, running, tail

FROZEN = places.BENCH / "frozen"
Process = subprocess.Popen[bytes]


@contextlib.contextmanager
def _frozen(
    program: str, settings: dict[str, Any], *, core: int, folder: Path, keep: Sequence[int] = ()
) -> Iterator[tuple[Process, Path]]:
    """One of the frozen programs and its log."""
    log = folder / f"{program}.log"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(places.OPERATOR)}
    arguments = [sys.executable, str(FROZEN / f"{program}.py")]
    document = json.dumps(settings).encode()
    with running(arguments, core=core, log=log, env=environment, cwd=folder, keep=keep, document=document) as process:
        yield process, log


@contextlib.contextmanager
def responder(answer: str, *, core: int, folder: Path) -> Iterator[tuple[Target, Process]]:
    """Answers everything with these bytes."""
    port = places.free_port()
    with _frozen("responder", {"port": port, "answer": answer}, core=core, folder=folder) as (process, log):
        await_port(process, "127.0.0.1", port, log)
        yield Target("127.0.0.1", port, *request("/", [("Host", f"127.0.0.1:{port}")], "X-Number: ")), process


def echo_answer() -> str:
    """What the responder answers to look like an echo of the event."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(EVENT)}\r\n\r\n{EVENT.decode()}"


@contextlib.contextmanager
def stubs(tokens: Sequence[str], *, core: int, folder: Path) -> Iterator[tuple[list[int], Process]]:
    """One process with a door for each token: its ports."""
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader)
        doors = [{"port": 0, "tokenSha256": hashlib.sha256(token.encode()).hexdigest()} for token in tokens]
        settings = {"host": "127.0.0.1", "doors": doors, "ready": writer}
        try:
            process, log = stack.enter_context(_frozen("stub", settings, core=core, folder=folder, keep=[writer]))
        finally:
            os.close(writer)
        line = read_ready(reader)
        if not line:
            raise DidNotStart(f"the stub: {tail(log)}")
        yield json.loads(line)["ports"], process


@contextlib.contextmanager
def raw_proxy(
    *, proxy_core: int, stub_core: int, folder: Path, event: bytes = EVENT, program: str = "raw_proxy"
) -> Iterator[tuple[Target, list[tuple[str, Process]]]]:
    """The raw proxy before one door of the stub, claimed: the proxy says the same constant headers every time."""
    with stubs([TOKEN], core=stub_core, folder=folder) as ((backend,), stub):
        agents.claim_at("127.0.0.1", backend, "echo")
        port = places.free_port()
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            names.OWNER.decode(): OWNER.to_header().decode(),
            names.REQUEST_ID.decode(): "01234567-89ab-cdef-0123-456789abcdef",
        }
        url = f"http://127.0.0.1:{backend}{names.INVOKE_PATH.decode()}"
        settings = {"port": port, "backend": url, "headers": headers}
        with _frozen(program, settings, core=proxy_core, folder=folder) as (proxy, log):
            await_port(proxy, "127.0.0.1", port, log)
            head = request("/", [("Host", f"127.0.0.1:{port}")], "X-Number: ", event)
            target = Target("127.0.0.1", port, *head, expected=event)
            yield target, [("proxy", proxy), ("stub", stub)]

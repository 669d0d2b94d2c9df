"""Our side with a gateway before it: the real gateway in a process of its own, and N agents that it claims."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lambent.wire.agent_tokens import agent_token

from . import agents, backends, places
from .loads import EVENT, Target, request
from .processes import DidNotStart, read_ready, running, tail

KEY = b"the cluster key of the bench"
NAMESPACE = "bench"
CALLER = f"{'h' * 90}.{'c' * 700}.{'s' * 342}"
"""A token as long as those of service accounts."""


Processes = list[tuple[str, subprocess.Popen[bytes]]]


@contextlib.contextmanager
def fronted(
    function: str, environments: int, *, gateway_core: int, environment_core: int, folder: Path
) -> Iterator[tuple[Target, Processes]]:
    """A gateway and its warm environments; the processes are every agent and the gateway."""
    with contextlib.ExitStack() as stack:
        processes: Processes = []
        pods = _pods(environments)
        for number, pod in enumerate(pods):
            place = folder / str(number)
            place.mkdir()
            agent = stack.enter_context(agents.agent(core=environment_core, folder=place, token=_token(pod)))
            processes.append(("agent", agent.process))
            pod["port"] = agent.port
        yield stack.enter_context(_gateway(function, pods, processes, core=gateway_core, folder=folder))


@contextlib.contextmanager
def before_stubs(
    environments: int,
    *,
    gateway_core: int,
    stub_core: int,
    folder: Path,
    token: str | None = None,
    event: bytes = EVENT,
    streaming: bool = False,
) -> Iterator[tuple[Target, Processes]]:
    """A gateway before environments that answer at once."""
    pods = _pods(environments)
    with stubbed(pods, core=stub_core, folder=folder) as stub:
        with _gateway("echo", pods, [("stub", stub)], core=gateway_core, folder=folder, token=token, event=event) as (
            target,
            processes,
        ):
            yield _streaming(target) if streaming else target, processes


@contextlib.contextmanager
def over_server(
    server: str, pods: list[dict[str, Any]], *, gateway_core: int, stub_core: int, folder: Path
) -> Iterator[tuple[Target, Processes]]:
    """A gateway that reads its objects from an API server; these of its pods answer at once."""
    with stubbed(pods, core=stub_core, folder=folder) as stub:
        with _gateway("echo", pods, [("stub", stub)], core=gateway_core, folder=folder, server=server) as started:
            yield started


@contextlib.contextmanager
def stubbed(pods: list[dict[str, Any]], *, core: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An environment for each pod, which learns its port."""
    with backends.stubs([_token(pod) for pod in pods], core=core, folder=folder) as (ports, stub):
        for pod, port in zip(pods, ports, strict=True):
            pod["port"] = port
        yield stub


def _streaming(target: Target) -> Target:
    """InvokeWithResponseStream instead of Invoke."""
    before = target.before.replace(b"/2015-03-31/", b"/2021-11-15/", 1)
    return dataclasses.replace(target, before=before.replace(b"/invocations ", b"/response-streaming-invocations ", 1))


def _pods(number: int) -> list[dict[str, Any]]:
    return [{"name": f"environment-{n}", "nonce": f"nonce-{n}", "host": "127.0.0.1"} for n in range(number)]


def _token(pod: dict[str, Any]) -> str:
    return agent_token(KEY, NAMESPACE, pod["name"], pod["nonce"])


@contextlib.contextmanager
def _gateway(
    function: str,
    pods: list[dict[str, Any]],
    processes: Processes,
    *,
    core: int,
    folder: Path,
    token: str | None = None,
    event: bytes = EVENT,
    server: str | None = None,
) -> Iterator[tuple[Target, Processes]]:
    reader, writer = os.pipe()
    settings = {
        "function": function,
        "handler": f"{function}.handler",
        "runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "package": base64.b64encode(agents.package(function)).decode(),
        "key": KEY.hex(),
        "agents": pods,
        "ready": writer,
        "token": token,
        "server": server,
    }
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(places.OPERATOR)}
    log = folder / "gateway.log"
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader)
        try:
            arguments = [sys.executable, str(places.BENCH / "gateway_process.py")]
            document = json.dumps(settings).encode()
            process = stack.enter_context(
                running(arguments, core=core, log=log, env=environment, cwd=folder, keep=[writer], document=document)
            )
        finally:
            os.close(writer)
        line = read_ready(reader)
        if not line:
            raise DidNotStart(f"the gateway: {tail(log)}")
        port = json.loads(line)["port"]
        path = f"/2015-03-31/functions/{function}/invocations"
        headers = [("Host", f"127.0.0.1:{port}")]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        target = Target("127.0.0.1", port, *request(path, headers, "X-Number: ", event), expected=event)
        yield target, [*processes, ("gateway", process)]

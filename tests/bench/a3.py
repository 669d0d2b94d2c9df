"""A3: what the agent adds to a runtime's own start.

Ours: from the claim to its answer, with a bootstrap of the function's own, so that nothing waits with an interpreter up.
Theirs: from starting the very same bootstrap to its first GET of /next, with nothing around it but a socket that
listens. Taken in turns on one core; the difference is unpacking, starting through the agent, and the way through its
Runtime API.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path

from . import agents, ratios
from .machines import Cores
from .processes import running
from .results import Measured
from .shapes import Plan

TURNS, SHORT_TURNS = 60, 15
_RUNTIME = """
import http.client, os, sys
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    connection.getresponse().read()
"""
_BOOTSTRAP = f"#!/bin/sh\nexec {sys.executable} -S -c '{_RUNTIME}'\n"


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart."""
    turns = TURNS if plan.full else SHORT_TURNS
    ours, theirs = [], []
    for turn in range(turns + 1):
        mine, bare = _through_the_agent(cores), _bare(cores)
        if turn:  # the first fills caches
            ours.append(mine)
            theirs.append(bare)
    overhead = (ratios.median(ours) - ratios.median(theirs)) * 1000
    return Measured(
        {
            "overhead_ms": overhead,
            "init_ms": ratios.median(ours) * 1000,
            "runtime_ms": ratios.median(theirs) * 1000,
        },
        turns,
    )


def _through_the_agent(cores: Cores) -> float:
    """Seconds from sending the claim to its answer."""
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder:
        settings = {"LAMBENT_BOOTSTRAP": f"{folder}/none", "LAMBENT_PRESTART": "0"}
        with agents.agent(core=cores.test, folder=Path(folder), settings=settings) as environment:
            code = agents.package_of({"bootstrap": _BOOTSTRAP.encode()}, mode=stat.S_IFREG | 0o755)
            begun = time.perf_counter()
            agents.claim_with(environment.host, environment.port, code, runtime="provided.al2023", handler="none")
            return time.perf_counter() - begun


def _bare(cores: Cores) -> float:
    """Seconds from starting the bootstrap to the first byte of its request."""
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder, socket.create_server(("127.0.0.1", 0)) as api:
        bootstrap = Path(folder) / "bootstrap"
        bootstrap.write_text(_BOOTSTRAP, encoding="utf-8")
        bootstrap.chmod(0o755)
        environment = {"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.getsockname()[1]}"}
        log = Path(folder) / "log"
        begun = time.perf_counter()
        with running([str(bootstrap)], core=cores.test, log=log, env=environment, cwd=Path(folder)):
            api.settimeout(30)
            connection, _ = api.accept()
            with contextlib.closing(connection):
                connection.recv(1)
                return time.perf_counter() - begun

"""The agent as PID 1 of a container-like process tree with a memory limit: what only a kernel can do to it.

Needs root and a writable version 1 memory cgroup, or is skipped; the cluster's tests do it on a real node.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from tests.agent.driving import Agent, python

from lambent.agent.protocol import names

CONTROLLER = Path("/sys/fs/cgroup/memory")
CAPABLE = os.getuid() == 0 and shutil.which("unshare") and os.access(CONTROLLER / "memory.limit_in_bytes", os.W_OK)

SOURCE = """
import os, subprocess, time
def handler(event, context):
    if event == "eat":
        kept = [bytearray(b"x" * 1_000_000) for _ in range(10_000)]
    if event == "hang":
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        time.sleep(100)
    return {
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "score": open("/proc/self/oom_score_adj").read().strip(),
    }
"""


@pytest.fixture
def contained(tmp_path):
    """An agent that is PID 1, in a memory cgroup of 128 MB."""
    group = CONTROLLER / f"lambent-test-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(128 * 1024 * 1024))
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    inside = f"mount --bind {group} {CONTROLLER}; exec {sys.executable} -m lambent.agent"
    script = (
        f"echo $$ > {group}/cgroup.procs; exec unshare --pid --fork --mount --mount-proc --kill-child sh -c '{inside}'"
    )
    agent = Agent(tmp_path, command=["sh", "-c", script])
    yield agent
    agent.stop()
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            break
        subprocess.run(["sleep", "0.05"], check=False)


@pytest.mark.skipif(not CAPABLE, reason="needs root and a version 1 memory cgroup")
async def test_the_function_dies_of_memory_and_the_agent_lives(contained):
    """The runtime is the kernel's first choice; REPORT names the cause, the next invocation works."""
    caller = await contained.connect()
    await caller.claim(python(SOURCE))
    assert (await caller.invoke("look")).json() == {"processes": 2, "score": "1000"}
    answer = await caller.invoke("eat", request_id="fat", timeout_ms=30_000)
    assert answer.json() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: fat Error: Runtime exited with error: signal: killed",
    }
    assert int(answer.trailers[names.MAX_MEMORY_MB_KEY]) == 128
    assert "Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\t\n" in (await contained.text())
    assert (await caller.invoke("look", timeout_ms=30_000)).error is None


@pytest.mark.skipif(not CAPABLE, reason="needs root and a version 1 memory cgroup")
async def test_a_timeout_leaves_nobody_beside_pid_one(contained):
    """kill(-1): whoever daemonised is gone and reaped as well."""
    caller = await contained.connect()
    await caller.claim(python(SOURCE))
    assert (await caller.invoke("hang", timeout_ms=500)).error == b"Unhandled"
    await asyncio.sleep(0)
    assert (await caller.invoke("look", timeout_ms=30_000)).json()["processes"] == 2

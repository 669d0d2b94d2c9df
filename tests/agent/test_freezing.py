"""Between invocations nothing of the function runs: as PID 1, and among other processes where the agent is not."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.driving import ROOT, Agent, claim_of, python, zipped

from lambent.agent.freezing import stop_tree
from lambent.agent.supervising import descendants

TICKING = """
import os, subprocess, sys, threading, time
ticks = [0]
def tick():
    while True:
        ticks[0] += 1
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
def handler(event, context):
    time.sleep(0.02)
    return {"ticks": ticks[0], "pids": [os.getpid(), child.pid], "child": child.poll()}
"""


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()


async def stands_still(pids: list[int]) -> None:
    while {state_of(pid) for pid in pids} != {"T"}:  # until the test's own time limit
        await asyncio.sleep(0.002)


async def test_every_process_stands_still_until_the_next_invocation(start):
    """Threads do not tick, children of other sessions neither; then all go on where they were."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(TICKING))
    await stands_still(descendants(agent.process.pid))
    first = (await caller.invoke()).json()
    await stands_still(first["pids"])
    await asyncio.sleep(0.2)
    second = (await caller.invoke()).json()
    # Meanwhile it would have ticked about 200 times; both invocations together last about 40 ms.
    assert second["ticks"] - first["ticks"] < 100
    assert (second["child"], second["pids"]) == (None, first["pids"])


async def test_freezing_can_be_turned_off(start):
    """LAMBENT_FREEZE=0: background threads run on."""
    caller = await start(LAMBENT_FREEZE="0").connect()
    await caller.claim(python(TICKING))
    first = (await caller.invoke()).json()
    before = first["ticks"]
    while (await caller.invoke()).json()["ticks"] - before < 300:
        await asyncio.sleep(0.1)
        assert state_of(first["pids"][0]) != "T"


async def test_what_stands_still_ends_with_the_environment(start):
    """SIGKILL reaches the frozen, children too."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(TICKING))
    pids = (await caller.invoke()).json()["pids"]
    await stands_still(pids)
    agent.process.terminate()
    assert await asyncio.to_thread(agent.process.wait, 20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_runtime_that_dies_frozen_is_replaced(start):
    """As the kernel's out-of-memory killer may do: the next invocation brings up another."""
    agent = start()
    caller = await agent.connect()
    await caller.claim(python(TICKING))
    [runtime, child] = (await caller.invoke()).json()["pids"]
    await stands_still([runtime, child])
    os.kill(runtime, signal.SIGKILL)
    while (await caller.state()).state != "failed":
        await asyncio.sleep(0.002)
    answer = await caller.invoke(timeout_ms=20_000)
    assert answer.json()["pids"][0] != runtime


BASH = """#!/bin/bash
while true; do
  exec 3<>/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
  length=0
  while IFS= read -r line <&3; do
    line=${line%$'\\r'}
    [ -z "$line" ] && break
    case "$line" in
      Lambda-Runtime-Aws-Request-Id:*) id=${line#*: } ;;
      Content-Length:*) length=${line#*: } ;;
    esac
  done
  read -r -N "$length" event <&3
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n%s' \\
    "$id" "${#event}" "$event" >&3
  read -r line <&3
  exec 3>&-
done
"""
NODE = """#!/usr/bin/env node
const http = require("http");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const call = (method, path, body) => new Promise((resolve, reject) => {
  const request = http.request({ host, port, method, path: "/2018-06-01/runtime/invocation/" + path, agent }, (answer) => {
    const pieces = [];
    answer.on("data", (piece) => pieces.push(piece));
    answer.on("end", () => resolve([answer.headers, Buffer.concat(pieces)]));
  });
  request.on("error", reject);
  request.end(body);
});
(async () => {
  for (;;) {
    const [headers, event] = await call("GET", "next");
    await call("POST", headers["lambda-runtime-aws-request-id"] + "/response", event);
  }
})();
"""
RUNTIMES = {"bash": BASH, "node": NODE}


async def outlives_freezing(agent, runtime: str | bytes) -> None:
    caller = await agent.connect()
    code = zipped({"bootstrap": runtime}, ("bootstrap",))
    claimed = await caller.claim(claim_of(code, runtime="provided.al2023", env={"PATH": os.environ["PATH"]}))
    assert claimed.error is None, (claimed, agent.log())
    for number in range(20):
        pids = descendants(agent.process.pid)
        if number % 5 == 0:  # both ways: with time to stand still, and in the middle of stopping
            await stands_still(pids)
        answer = await caller.invoke({"n": number}, request_id=f"r{number}", timeout_ms=20_000)
        assert answer.json() == {"n": number}
    assert agent.log().count("INIT_START") == 1


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
async def test_a_runtime_that_waits_for_its_event_outlives_freezing(start, runtime):
    """Blocked in read(2), or in an event loop: each event arrives once, and the process stays the same."""
    await outlives_freezing(start(managed=False), runtime)


@pytest.mark.skipif(not (os.getuid() == 0 and shutil.which("unshare")), reason="needs root for a PID namespace")
async def test_pid_one_freezes_its_whole_namespace(tmp_path):
    """One kill(-1): and the agent itself is woken by neither stop nor continue."""
    inside = f"exec {sys.executable} -m lambent.agent"
    agent = Agent(
        tmp_path, command=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "sh", "-c", inside]
    )
    try:
        caller = await agent.connect()
        await caller.claim(python(TICKING))
        for _ in range(3):
            assert (await caller.invoke()).error is None
            [pid_one] = [pid for pid in descendants(agent.process.pid) if "lambent.agent" in command_line(pid)]
            await stands_still(descendants(pid_one))
    finally:
        agent.stop()


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_tree_is_stopped_with_all_that_is_below():
    """Children of every thread, grandchildren, other sessions."""
    script = "sleep 1000 & setsid sh -c 'sleep 1000 & wait' & wait"
    parent = subprocess.Popen(["sh", "-c", f'sh -c "{script}" & echo; wait'], stdout=subprocess.PIPE)
    try:
        while len(descendants(parent.pid)) < 4:
            pass
        everybody = descendants(parent.pid)
        assert sorted(stop_tree(parent.pid)) == sorted(everybody)
    finally:
        for pid in [*descendants(parent.pid), parent.pid]:
            os.kill(pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()


def test_sigchld_tells_of_ends_only():
    """Python's handler stays, with SA_NOCLDSTOP: a stopped and continued child is no news, an ended one is."""
    program = f"""
import os, signal, sys, time
sys.path.insert(0, {str(ROOT / "operator")!r})
from lambent.agent.kernel import hear_only_of_ends
heard = []
signal.signal(signal.SIGCHLD, lambda *_: heard.append(1))
hear_only_of_ends()
child = os.posix_spawn("/bin/sleep", ["sleep", "1000"], dict(os.environ))
os.kill(child, signal.SIGSTOP)
os.waitpid(child, os.WUNTRACED)
os.kill(child, signal.SIGCONT)
os.waitpid(child, os.WCONTINUED)
before = len(heard)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print([before, len(heard)])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout or "null") == [0, 1], ran.stderr

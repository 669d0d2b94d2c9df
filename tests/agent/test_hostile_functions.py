"""A function that attacks its agent: its port, its memory, its signals; and one that only makes noise.

As in a pod: the agent is PID 1 of a namespace and both run as uid 993. Needs root, or is skipped; the cluster's tests
do the same in real pods (tests/cluster/test_image_pods.py).
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
from tests.agent.driving import ROOT, Agent, claim_of

from lambent.agent.protocol.states import State

CAPABLE = os.getuid() == 0 and shutil.which("unshare") and shutil.which("setpriv")
pytestmark = pytest.mark.skipif(not CAPABLE, reason="needs root to become uid 993 in a PID namespace")

HOSTILE = (Path(__file__).parent / "hostile.py").read_text()
AS_PID_ONE = "exec unshare --pid --fork --mount --mount-proc --kill-child=KILL "
AS_LAMBDAS_USER = "setpriv --reuid 993 --regid 990 --clear-groups /usr/bin/python3 -S -m lambent.agent"
CONTAINED = AS_PID_ONE + AS_LAMBDAS_USER
PIDS = Path("/sys/fs/cgroup/pids")


@contextlib.contextmanager
def attacked(command: str):
    """An agent as in a pod, whose function is the attacker."""
    # Not below pytest's own folder, which only its owner may enter, nor in /tmp, which may be another for the agent.
    folder = Path(tempfile.mkdtemp(prefix="lambent-hostile-", dir="/var/tmp"))
    folder.chmod(0o755)
    program = folder / "program"
    program.write_text(HOSTILE)
    program.chmod(0o755)
    agent = Agent(
        folder, managed=False, command=["sh", "-c", command], LAMBENT_COMMAND=json.dumps([str(program), "hostile"])
    )
    yield agent
    agent.stop()
    shutil.rmtree(folder)


@pytest.fixture
def contained():
    with attacked(CONTAINED) as agent:
        yield agent


async def hostile(agent):
    caller = await agent.connect()
    claimed = await caller.claim(claim_of(None, runtime="", handler="", env={"DOOR": str(agent.port)}))
    assert claimed.error is None, (claimed, agent.log())
    return caller


async def test_the_door_is_closed_to_the_function(contained):
    """No token, a forged one, the hash for a token: 401 for each call, and nothing has happened."""
    caller = await hostile(contained)
    answers = (await caller.invoke({"do": "port"}, timeout_ms=20_000)).json()
    assert set(answers.values()) == {401}, answers
    assert len(answers) == 12
    state = await caller.state()
    assert (state.state, state.claimId, state.draining) == (State.IDLE, "claim-1", False)


async def test_the_agents_memory_is_closed_to_the_function(contained):
    """/proc/1 shows nothing that could be read: not memory, maps, environment or descriptors; nor ptrace."""
    caller = await hostile(contained)
    answers = (await caller.invoke({"do": "memory"}, timeout_ms=20_000)).json()
    assert set(answers.values()) <= {"EACCES", "EPERM"}, answers
    assert len(answers) >= 9
    own = (await caller.invoke({"do": "secrets"}, timeout_ms=20_000)).json()
    assert own == {"token": False, "lambent": []}


async def test_signals_of_the_function_do_not_end_the_environment(contained):
    """Every signal to PID 1, plain and forged: the same process answers the next invocation, and nothing drains."""
    caller = await hostile(contained)
    before = (await caller.invoke({"do": "pid"}, timeout_ms=20_000)).json()
    sent = (await caller.invoke({"do": "signals"}, timeout_ms=20_000)).json()
    assert sent["SIGTERM"] == sent["SIGKILL"] == sent["SIGSTOP"] == "sent"
    assert sent["forged SIGTERM"] == "sent"
    await asyncio.sleep(0.3)
    state = await caller.state()
    assert (state.state, state.draining) == (State.IDLE, False)
    assert (await caller.invoke({"do": "pid"}, timeout_ms=20_000)).json() == before
    assert "SIGTERM of the function's process" in await contained.text()


async def test_sigterm_from_outside_still_drains(contained):
    """The kubelet's word counts, also after the function has cried wolf."""
    caller = await hostile(contained)
    await caller.invoke({"do": "signals"}, timeout_ms=20_000)
    [agent] = [pid for pid in descendants_of(contained.process.pid) if b"lambent.agent" in command_line(pid)]
    await nothing_pends(agent)
    os.kill(agent, signal.SIGTERM)
    try:
        assert await asyncio.to_thread(contained.process.wait, 20) == 0
    except subprocess.TimeoutExpired:
        pytest.fail(f"{Path(f'/proc/{agent}/status').read_text()}\n{contained.log()}")


async def nothing_pends(pid):
    """Standard signals do not queue: one that arrives while the function's own still pends is that one for the kernel."""
    async with asyncio.timeout(20):
        while not re.search(r"^ShdPnd:\s*0+$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE):
            await asyncio.sleep(0.01)


def descendants_of(pid):
    from lambent.agent.supervising import descendants

    return [child for child in descendants(pid) if b"setpriv" not in command_line(child)]


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_connections_held_open_keep_nobody_out(contained):
    """The function opens hundreds to both ports and says half a request or nothing; callers are served."""
    caller = await hostile(contained)
    opened = (await caller.invoke({"do": "hold"}, timeout_ms=20_000)).json()
    assert opened == {"door": 400, "runtime": 400}
    other = await contained.connect()
    assert (await other.state()).state is State.IDLE
    assert (await other.invoke({"do": "pid"}, timeout_ms=20_000)).error is None
    assert (await caller.invoke({"do": "pid"}, timeout_ms=20_000)).error is None


async def test_a_megabyte_without_a_newline_is_logged_in_pieces(contained):
    """No line is over CloudWatch's 256 KB, nothing is lost, and the platform's lines stand on lines of their own."""
    caller = await hostile(contained)
    await caller.invoke({"do": "megabyte"}, timeout_ms=20_000, request_id="big")
    lines = (await contained.written()).split(b"\n")
    assert sum(line.count(b"m") for line in lines if not line.strip(b"m")) == 1_000_000
    assert max(len(line) for line in lines) == 256 * 1024
    assert any(line.startswith(b"END RequestId: big") for line in lines)


async def test_output_that_is_no_text_passes_as_it_is(contained):
    """Invalid UTF-8, NUL and escape sequences: bytes are bytes, in the log and in its tail."""
    caller = await hostile(contained)
    answer = await caller.invoke({"do": "bytes"}, timeout_ms=20_000, Lambent_Log_Type="Tail")
    assert b"\xff\xfe\x00\x1b[2J\xc3(" in answer.log
    assert b"\xff\xfe\x00\x1b[2J\xc3(" in await contained.written()


async def test_processes_without_end_are_ended_with_the_invocation(contained):
    """Hundreds of processes that ignore every signal and daemonise: the timeout ends all, the next one is served."""
    caller = await hostile(contained)
    answer = await caller.invoke({"do": "fork"}, timeout_ms=2_000)
    assert answer.json()["errorType"] == "Sandbox.Timedout"
    assert (await caller.invoke({"do": "processes"}, timeout_ms=20_000)).json() == 2


assert ROOT  # the agent's code is read from the checkout, which uid 993 has to be able to enter


async def test_a_function_without_descriptors_left_answers_and_its_agent_too(contained):
    """1,024, as in Lambda: EMFILE is the function's own trouble."""
    caller = await hostile(contained)
    assert (await caller.invoke({"do": "files"}, timeout_ms=20_000)).json() == ["EMFILE", True]
    other = await contained.connect()
    assert (await other.invoke({"do": "who"}, timeout_ms=20_000)).json()[:2] == [993, 990]


async def test_a_full_tmp_is_the_functions_trouble_only():
    """ENOSPC in the handler; the agent answers, logs and serves on."""
    small = f"{AS_PID_ONE}sh -c 'mount -t tmpfs -o size=4m,mode=1777 tmpfs /tmp && exec {AS_LAMBDAS_USER}'"
    with attacked(small) as agent:
        caller = await hostile(agent)
        assert (await caller.invoke({"do": "fill"}, timeout_ms=20_000)).json() == "ENOSPC"
        assert (await caller.invoke({"do": "megabyte"}, timeout_ms=20_000)).error is None
        assert (await caller.invoke({"do": "who"}, timeout_ms=20_000)).error is None
        assert "REPORT RequestId" in await agent.text()


@pytest.mark.skipif(not os.access(PIDS / "cgroup.procs", os.W_OK), reason="needs a writable version 1 pids cgroup")
async def test_a_fork_bomb_ends_with_its_invocation():
    """Within the limit of processes that the kubelet sets: the timeout ends all of it, the next one is served."""
    group = PIDS / f"lambent-test-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    (group / "pids.max").write_text("120")
    try:
        with attacked(f"echo $$ > {group}/cgroup.procs; {CONTAINED}") as agent:
            caller = await hostile(agent)
            answer = await caller.invoke({"do": "bomb"}, timeout_ms=500)
            assert answer.json()["errorType"] == "Sandbox.Timedout"
            assert (await caller.invoke({"do": "processes"}, timeout_ms=20_000)).json() == 2
    finally:
        while group.exists():
            with contextlib.suppress(OSError):
                group.rmdir()
            await asyncio.sleep(0.01)

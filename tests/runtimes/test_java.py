"""Java: a handler that is none is told in the client's words, and what a function may decide about its machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent.driving import Agent, claim_of
from tests.runtimes import languages

from lambent.agent.protocol.states import State
from lambent.agent.supervising import descendants

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("Java")]


@pytest.fixture
def java(tmp_path):
    """An agent over Java, and a claim for the suite's handler."""
    languages.require(languages.JAVA)
    bundle = languages.JAVA.build(tmp_path)
    agent = Agent(
        tmp_path,
        managed=False,
        LAMBENT_BOOTSTRAP=str(bundle.bootstrap),
        LAMBENT_RUNTIME_DIR=str(bundle.runtime),
        LAMBENT_PRESTART="0",
    )

    def claim(**changes):
        fields = {"runtime": "java17", "handler": "suite.Handler", "memoryMb": 512, "initTimeoutMs": 60_000}
        return claim_of(bundle.code, **{**fields, **changes})

    yield agent, claim
    agent.stop()


BROKEN = {
    "no class": ("suite.Nobody", "Class not found: suite.Nobody"),
    "no method": ("suite.Handler::nothing", "No public method named nothing with appropriate method signature found"),
    "no handler": ("java.lang.Object", "Class does not implement an appropriate handler interface: java.lang.Object"),
}


@pytest.mark.parametrize(("handler", "words"), BROKEN.values(), ids=BROKEN)
async def test_a_handler_that_is_none_is_told_in_each_invocation(java, handler, words):
    """AWS's client for Java keeps it until an event comes: init goes well, and one process serves on."""
    agent, claim = java
    caller = await agent.connect()
    claimed = await caller.claim(claim(handler=handler))
    assert (claimed.state, claimed.error) == (State.IDLE, None)
    for _ in range(2):
        answer = await caller.invoke(timeout_ms=20_000)
        assert answer.error == b"Unhandled"
        assert answer.json()["errorMessage"].startswith(words)
        assert (await caller.state()).state is State.IDLE


async def test_the_heap_leaves_room_for_the_rest_of_the_machine(java):
    """Seven tenths of memorySize."""
    agent, claim = java
    caller = await agent.connect()
    assert (await caller.claim(claim(memoryMb=1000))).error is None
    [pid] = [int(line) for line in (await caller.invoke({"do": "pid"}, timeout_ms=20_000)).body.split()]
    with open(f"/proc/{pid}/cmdline") as line:
        assert "-Xmx700m" in line.read().split("\0")


async def test_java_tool_options_win(java):
    """A command line would win over them, so it says nothing of what they speak of."""
    agent, claim = java
    caller = await agent.connect()
    options = "-Xmx256m -XX:+UseParallelGC -XX:+TieredCompilation"
    assert (await caller.claim(claim(env={"JAVA_TOOL_OPTIONS": options}))).error is None
    pid = (await caller.invoke({"do": "pid"}, timeout_ms=20_000)).json()
    with open(f"/proc/{pid}/cmdline") as line:
        words = line.read().split("\0")
    assert not [word for word in words if word.startswith(("-Xmx", "-XX:TieredStop", "-XX:+UseSerial"))]


async def test_a_wrapper_script_wraps_the_runtime(java):
    """AWS_LAMBDA_EXEC_WRAPPER gets the runtime's command as arguments."""
    agent, claim = java
    wrapper = agent.folder / "wrap"
    wrapper.write_text('#!/bin/sh\nWRAPPED=yes exec "$@"\n')
    wrapper.chmod(0o755)
    caller = await agent.connect()
    assert (await caller.claim(claim(env={"AWS_LAMBDA_EXEC_WRAPPER": str(wrapper)}))).error is None
    answer = await caller.invoke({"do": "variables", "names": ["WRAPPED"]}, timeout_ms=20_000)
    assert answer.json() == {"WRAPPED": "yes"}


async def test_a_missing_wrapper_exits_with_127(java):
    """As a shell says."""
    agent, claim = java
    caller = await agent.connect()
    claimed = await caller.claim(claim(env={"AWS_LAMBDA_EXEC_WRAPPER": "/no/such"}))
    assert claimed.error["errorMessage"] == "Runtime exited with error: exit status 127"


async def test_the_clients_library_is_loaded_from_its_image(java):
    """Not written into /tmp first, which takes time, and where two that start at once would harm each other."""
    agent, claim = java
    caller = await agent.connect()
    assert (await caller.claim(claim())).error is None
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in descendants(agent.process.pid)]
    [loaded] = {line.split()[-1] for text in maps for line in text.splitlines() if "libaws-lambda-jni" in line}
    assert loaded == str(agent.folder / "runtime/jni/libaws-lambda-jni.so")

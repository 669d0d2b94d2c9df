"""The waiting Node.js: what it cannot apply any more makes it start afresh, and what goes wrong says so in Lambda's words."""

from __future__ import annotations

import pytest
from tests.agent.driving import Agent, claim_of, zipped
from tests.runtimes import languages

from lambent.agent.protocol.states import State

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("Node")]


@pytest.fixture
def nodejs(tmp_path):
    """Starts an agent over a Node.js that waits; files of layers lie below opt."""
    agents = []

    def begin(layers: dict[str, str] | None = None, language: languages.Language = languages.NODE24) -> Agent:
        languages.require(language)
        bundle = language.build(tmp_path)
        places = {"LAMBENT_BOOTSTRAP": str(bundle.bootstrap), "LAMBENT_RUNTIME_DIR": str(bundle.runtime)}
        agents.append(Agent(tmp_path, managed=False, LAMBENT_PRESTART="1", **places))
        for name, text in (layers or {}).items():
            path = agents[-1].opt_root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return agents[-1]

    yield begin
    for agent in agents:
        agent.stop()


def function(source: str, name: str = "index.mjs", **changes):
    """A claim for Node.js 24 whose only file is `source`."""
    fields = {"runtime": "nodejs24.x", "handler": "index.handler", "initTimeoutMs": 60_000}
    return claim_of(zipped({name: source}), **{**fields, **changes})


LATE = {
    "NODE_OPTIONS needs a new interpreter": ({"NODE_OPTIONS": "--stack-trace-limit=3"}, "Error.stackTraceLimit === 3"),
    "UV_THREADPOOL_SIZE needs a new interpreter": (
        {"UV_THREADPOOL_SIZE": "1"},
        "process.env.UV_THREADPOOL_SIZE === '1'",
    ),
    "TZ needs a new interpreter": ({"TZ": "Asia/Tokyo"}, "new Date(0).getHours() === 9"),
    "an ordinary variable is applied to the waiting one": ({"COLOUR": "grün"}, "process.env.COLOUR === 'grün'"),
}


@pytest.mark.parametrize(("env", "truth"), LATE.values(), ids=LATE)
async def test_variables_work_although_the_interpreter_was_there_first(nodejs, env, truth):
    caller = await nodejs().connect()
    claimed = await caller.claim(function(f"export const handler = async () => {truth};", env=env))
    assert claimed.error is None, claimed
    assert (await caller.invoke()).body == b"true"


async def test_a_wrapper_script_wraps_the_runtime(nodejs):
    """AWS_LAMBDA_EXEC_WRAPPER gets the runtime's command as arguments."""
    agent = nodejs()
    caller = await agent.connect()
    files = {
        "index.mjs": "export const handler = async () => process.env.WRAPPED;",
        "wrap": '#!/bin/sh\nWRAPPED=yes exec "$@"\n',
    }
    env = {"AWS_LAMBDA_EXEC_WRAPPER": f"{agent.task_root}/wrap"}
    code = zipped(files, ("wrap",))
    claimed = await caller.claim(claim_of(code, runtime="nodejs24.x", handler="index.handler", env=env))
    assert claimed.error is None, (claimed, agent.log())
    assert (await caller.invoke()).json() == "yes"


async def test_a_missing_wrapper_exits_with_127(nodejs):
    """As a shell says."""
    caller = await nodejs().connect()
    claimed = await caller.claim(function("export const handler = 1;", env={"AWS_LAMBDA_EXEC_WRAPPER": "/no/such"}))
    assert claimed.error["errorMessage"] == "Runtime exited with error: exit status 127"


async def test_a_layers_packages_are_found(nodejs):
    """Below nodejs/node_modules and nodejs/node24/node_modules, by require as by NODE_PATH."""
    layers = {
        "nodejs/node_modules/any/index.js": "module.exports = 'any';",
        "nodejs/node24/node_modules/its/index.js": "module.exports = 'its';",
    }
    caller = await nodejs(layers).connect()
    source = "exports.handler = async () => [require('any'), require('its')];"
    claimed = await caller.claim(function(source, "index.js"))
    assert claimed.error is None, claimed
    assert (await caller.invoke()).json() == ["any", "its"]


BROKEN = {
    "does not require": ("require('nothing-like-this');", "index.cjs", "Runtime.ImportModuleError"),
    "does not import": ("import 'nothing-like-this';", "index.mjs", "Error"),  # as it reaches the client
    "syntax error": ("export const handler = async () => {;", "index.mjs", "Runtime.UserCodeSyntaxError"),
    "no handler": ("export const other = 1;", "index.mjs", "Runtime.HandlerNotFound"),
    "no module": ("", "other.mjs", "Runtime.ImportModuleError"),
    "throws at import": ("throw new TypeError('no');", "index.mjs", "TypeError"),
    "takes a callback": (
        "exports.handler = (event, context, done) => done(null, 1);",
        "index.cjs",
        "Runtime.CallbackHandlerDeprecated",
    ),
}


@pytest.mark.parametrize(("source", "name", "error_type"), BROKEN.values(), ids=BROKEN)
async def test_an_init_error_fails_the_claim_and_each_invocation(nodejs, source, name, error_type):
    """With the client's own words."""
    caller = await nodejs().connect()
    claimed = await caller.claim(function(source, name))
    assert (claimed.state, claimed.error["errorType"]) == (State.FAILED, error_type), claimed
    answer = await caller.invoke(timeout_ms=20_000)
    assert (answer.error, answer.json()["errorType"]) == (b"Unhandled", error_type)


async def test_node_22_takes_a_callback(nodejs):
    """As Lambda's nodejs22.x does, the last that does."""
    caller = await nodejs(language=languages.NODE22).connect()
    source = "exports.handler = (event, context, done) => done(null, event);"
    claimed = await caller.claim(function(source, "index.js", runtime="nodejs22.x"))
    assert claimed.error is None, claimed
    assert (await caller.invoke({"a": 1})).json() == {"a": 1}


async def test_a_waiting_interpreter_ends_with_its_agent(nodejs):
    """Nobody claims, the agent goes: nothing is left behind."""
    import asyncio
    import os

    from lambent.agent.supervising import descendants

    agent = nodejs()
    [pid] = descendants(agent.process.pid)
    agent.process.terminate()
    await asyncio.to_thread(agent.process.wait, 20)
    while os.path.exists(f"/proc/{pid}/fd"):
        await asyncio.sleep(0.01)

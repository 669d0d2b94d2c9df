"""Which implementations of the agent's door the contract is run against.

An implementation is a function that starts one and gives something with `connect() -> Caller` and `stop()`. It has to
understand the claim `ECHO`: answer the event; with `{"sleep": s}` after s seconds; with `{"raise": true}` as an error.
A bench stub joins by adding itself to IMPLEMENTATIONS.
"""

from pathlib import Path

import pytest
from tests.agent.driving import Agent, python

ECHO = """
import time
print("echo starts")
def handler(event, context):
    if isinstance(event, dict):
        time.sleep(event.get("sleep", 0))
        if event.get("raise"):
            raise ValueError("as asked")
    return event
"""


def real(folder: Path) -> Agent:
    """The agent itself, with AWS's runtime client."""
    return Agent(folder)


IMPLEMENTATIONS = {"real": real}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def agent(request, tmp_path):
    started = IMPLEMENTATIONS[request.param](tmp_path)
    yield started
    started.stop()


@pytest.fixture
async def caller(agent):
    caller = await agent.connect()
    yield caller
    await caller.close()


@pytest.fixture
def echo():
    return python(ECHO)


@pytest.fixture
async def claimed(caller, echo):
    """A caller of an environment that holds the echo function and is idle."""
    answer = await caller.claim(echo)
    assert answer.error is None
    return caller

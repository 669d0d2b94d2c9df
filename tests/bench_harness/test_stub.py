"""The stub is an agent to whoever calls its door: every sentence of the agent's contract is true of it too."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from tests.agent.driving import TOKEN, Agent
from tests.bench import places
from tests.bench.processes import read_ready
from tests.contracts.agent.conftest import caller, claimed, echo  # noqa: F401 - fixtures of the contract
from tests.contracts.agent.test_door import *  # noqa: F403 - the contract


class Stub(Agent):
    """Driven as an agent, with the stub behind its port."""

    def __init__(self, folder):
        self.log_path = folder / "stdout"
        reader, writer = os.pipe()
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        settings = {"host": "127.0.0.1", "doors": [{"port": 0, "tokenSha256": digest}], "ready": writer}
        self.process = subprocess.Popen(
            [sys.executable, str(places.BENCH / "frozen" / "stub.py")],
            stdin=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(places.OPERATOR)},
            pass_fds=(writer,),
        )
        self.process.stdin.write(json.dumps(settings).encode())
        self.process.stdin.close()
        os.close(writer)
        (self.port,) = json.loads(read_ready(reader))["ports"]
        os.close(reader)


@pytest.fixture
def agent(tmp_path):
    started = Stub(tmp_path)
    yield started
    started.stop()

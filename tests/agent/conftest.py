"""Agents in processes of their own, one per test."""

import pytest
from tests.agent.driving import Agent


@pytest.fixture
def start(tmp_path):
    """Starts agents: `start()` with the managed Python runtime, `start(managed=False)` for a function's bootstrap."""
    started = []

    def begin(managed=True, **settings):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Agent(folder, managed, **settings))
        return started[-1]

    yield begin
    for agent in started:
        agent.stop()

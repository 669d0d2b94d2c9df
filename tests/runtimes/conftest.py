"""The languages of the suite: what is fetched and compiled once, and one environment of each for all its tests."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from tests.runtimes import languages
from tests.runtimes.environments import Environment


def family(language: languages.Language) -> str:
    """The language's name without its variant."""
    return "".join(itertools.takewhile(str.isalpha, language.name))


def pytest_generate_tests(metafunc):
    """Each fixture's languages; one worker has all of a language, since what is started stays until the end."""
    fixtures = {"language": languages.ALL, "streaming": languages.STREAMING}
    for fixture, chosen in fixtures.items():
        if fixture in metafunc.fixturenames:
            params = [pytest.param(one, id=one.name, marks=pytest.mark.xdist_group(family(one))) for one in chosen]
            metafunc.parametrize(fixture, params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    """Environments by language: started by the first test that wants one, ended after the last."""
    environments: dict[str, Environment] = {}

    def start(one: languages.Language) -> Environment:
        if one.name not in environments:
            languages.require(one)
            folder = tmp_path_factory.mktemp("".join(filter(str.isalnum, one.name)))
            environments[one.name] = Environment(one, folder)
            asyncio.run(environments[one.name].claim())
        return environments[one.name]

    yield start
    for environment in environments.values():
        environment.stop()


@pytest.fixture(scope="session")
def language(request, started) -> Environment:
    """The environment of one language."""
    return started(request.param)


@pytest.fixture(scope="session")
def streaming(request, started) -> Environment:
    """The environment of a language whose client can stream, with a handler that does."""
    return started(request.param)

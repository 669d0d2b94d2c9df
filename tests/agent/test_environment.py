"""Which variables a managed runtime of each language has besides those that all have."""

import pytest
from tests.agent.driving import claim_of

from lambent.agent.environment import runtime_variables, standing_variables
from lambent.agent.settings import Settings

SETTINGS = Settings("0" * 64)
OF_ONE_LANGUAGE = {"PYTHONPATH", "NODE_PATH", "GEM_PATH", "RUBYLIB", "AWS_LAMBDA_DOTNET_PREJIT"}
LANGUAGES = {
    "python3.13": {"PYTHONPATH": "/var/runtime"},
    "nodejs22.x": {
        "NODE_PATH": "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:"
        "/var/runtime/node_modules:/var/runtime:/var/task"
    },
    "ruby3.4": {
        "GEM_PATH": "/var/task/vendor/bundle/ruby/3.4.0:/opt/ruby/gems/3.4.0",
        "RUBYLIB": "/var/task:/var/runtime/lib:/opt/ruby/lib",
    },
    "dotnet8": {"AWS_LAMBDA_DOTNET_PREJIT": "Once"},
    "java21": {},
    "provided.al2023": {},
    "": {},
}


@pytest.mark.parametrize(("identifier", "own"), LANGUAGES.items(), ids=LANGUAGES)
def test_a_runtime_has_the_variables_of_its_own_language(identifier, own):
    """Layers' libraries are found before the function's; nobody has another language's."""
    claim = claim_of(None, runtime=identifier)
    variables = runtime_variables(claim, SETTINGS, standing_variables(SETTINGS, 9001), "stream")
    assert {name: value for name, value in variables.items() if name in OF_ONE_LANGUAGE} == own


def test_the_function_may_override_them():
    claim = claim_of(None, runtime="nodejs22.x", env={"NODE_PATH": "/mine"})
    assert runtime_variables(claim, SETTINGS, standing_variables(SETTINGS, 9001), "stream")["NODE_PATH"] == "/mine"

"""Every managed runtime that the chart offers: a function applied, invoked, compared; and what is refused."""

from __future__ import annotations

import pytest
from driving import Driver, eventually, zipped
from releases import RUNTIMES, Failed
from tests.runtimes import languages

PYTHON = "def handler(event, context): return [event, context.memory_limit_in_mb]"
NODE = "export const handler = async (event, context) => [event, context.memoryLimitInMB];"
COMMON = "exports.handler = async (event, context) => [event, context.memoryLimitInMB];"
CALLBACK = "exports.handler = (event, context, done) => done(null, [event, context.memoryLimitInMB]);"
PACKAGES = {
    "python3.11": ("index.handler", {"index.py": PYTHON}),
    "python3.13": ("index.handler", {"index.py": PYTHON}),
    "nodejs22.x": ("index.handler", {"index.js": CALLBACK}),
    "nodejs24.x": ("index.handler", {"index.mjs": NODE}),
}


def java_package() -> dict[str, str | bytes]:
    """The suite's handler, compiled."""
    return languages.files_of(languages.java_classes())


@pytest.mark.parametrize("identifier", [name for name in RUNTIMES if not name.startswith("provided")])
def test_a_function_of_a_managed_runtime_answers(driver: Driver, identifier: str):
    """AWS's client of that language, in the image, under the agent, through the gateway."""
    if identifier.startswith("java"):
        handler, files = "suite.Handler", java_package()
        event, expected = {"do": "echo", "value": ["grün", 1]}, ["grün", 1]
    else:
        handler, files = PACKAGES[identifier]
        event, expected = {"colour": "grün"}, [{"colour": "grün"}, 512]
    name = driver.function(
        runtime=identifier, handler=handler, memorySize=512, code={"zipFile": zipped(files)}, timeout=30
    )
    answer = driver.invoke(name, event)
    said = answer.json
    if not identifier.startswith("java"):
        said[1] = int(said[1])
    assert (answer.error, said) == (None, expected), answer.log
    assert driver.invoke(name, event).error is None


@pytest.mark.parametrize("source", [COMMON, CALLBACK], ids=["async", "callback"])
def test_inline_code_of_nodejs_is_an_index_js(driver: Driver, source: str):
    """As CloudFormation's ZipFile."""
    name = driver.function(source, runtime="nodejs22.x")
    assert driver.invoke(name, {"a": 1}).json[0] == {"a": 1}


def test_an_unknown_runtime_is_refused_at_admission_with_lambdas_words(driver: Driver):
    with pytest.raises(Failed) as refused:
        driver.apply(PYTHON, runtime="python3.99")
    assert (
        "Value python3.99 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [python2.7, "
    ) in str(refused.value)
    assert "or be a valid ARN" in str(refused.value)


def test_a_runtime_that_lambda_takes_no_more_stalls_with_lambdas_words(driver: Driver):
    """Known, without an image, past its day."""
    name = driver.apply(COMMON, runtime="nodejs12.x")
    stalled = eventually(lambda: driver.condition(name, "Stalled"))
    assert stalled["reason"] == "RuntimeDeprecated"
    assert stalled["message"].startswith("The runtime parameter of nodejs12.x is no longer supported for creating")

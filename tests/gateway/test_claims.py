"""What a function's configuration is to its runtime: from the Function over route and claim to variables."""

from __future__ import annotations

import pytest
from tests.gateway.clusters import CODE, function

from lambent.agent.environment import log_stream_name, runtime_variables, standing_variables
from lambent.agent.protocol.claims import Claim
from lambent.agent.settings import Settings
from lambent.core.routing import RoutingTable
from lambent.gateway.claiming import Claiming, CodeLinks
from lambent.model.arns import parse_function_reference
from lambent.model.functions import FunctionObject

SETTINGS = Settings(token_sha256="0" * 64)
LINKS = CodeLinks("http://codes.test", b"key", lambda: 0.0)


class Codes:
    """Every package is the same."""

    async def get(self, digest, path, limit):
        return CODE


async def claim_of(**spec) -> Claim:
    """The claim of a Function, as its agent reads it."""
    table = RoutingTable("eu-west-1", "default")
    table.observe_namespace("default", "uid-1", "2026-01-01", "123456789012")
    table.observe_function(FunctionObject.from_kubernetes(function(spec=spec)))
    route = table.resolve(parse_function_reference(spec.get("functionName", "hello")), "$LATEST", None, 0.0)
    claim = await Claiming(Codes(), LINKS, "eu-west-1", 262_144).claim("pod-uid", route)
    return Claim.from_json(claim.to_json())


async def variables_of(**spec) -> dict[str, str]:
    """What the runtime's process finds in its environment."""
    claim = await claim_of(**spec)
    standing = standing_variables(SETTINGS, 9001)
    return runtime_variables(claim, SETTINGS, standing, "2026/01/02/[$LATEST]" + "0" * 32)


ALWAYS = {
    "_HANDLER": "index.handler",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
    "AWS_LAMBDA_FUNCTION_NAME": "hello",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/hello",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]" + "0" * 32,
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "TZ": ":UTC",
    "LANG": "en_US.UTF-8",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
    "_AWS_XRAY_DAEMON_PORT": "2000",
    "STAGE": "test",
}


@pytest.mark.parametrize("name", ALWAYS)
async def test_every_function_is_told(name):
    """Lambda's variables, whatever the function says of itself."""
    assert (await variables_of())[name] == ALWAYS[name]


SAID = {
    "another handler": ({"handler": "app.main"}, {"_HANDLER": "app.main"}),
    "more memory": ({"memorySize": 2048}, {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048"}),
    "another name": ({"functionName": "Other_Name"}, {"AWS_LAMBDA_FUNCTION_NAME": "Other_Name"}),
    "a custom runtime": ({"runtime": "provided.al2023"}, {"AWS_EXECUTION_ENV": None}),
    "a text log": (
        {"loggingConfig": {"logFormat": "Text"}},
        {"AWS_LAMBDA_LOG_LEVEL": None, "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/hello"},
    ),
    "a JSON log": (
        {"loggingConfig": {"logFormat": "JSON"}},
        {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"},
    ),
    "a level": (
        {"loggingConfig": {"logFormat": "JSON", "applicationLogLevel": "FATAL", "systemLogLevel": "DEBUG"}},
        {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "FATAL"},
    ),
    "a log group": (
        {"loggingConfig": {"logGroup": "/team/a"}},
        {"AWS_LAMBDA_LOG_GROUP_NAME": "/team/a", "AWS_LAMBDA_LOG_LEVEL": None},
    ),
    "a time zone": ({"environment": {"variables": {"TZ": "Europe/Vienna"}}}, {"TZ": "Europe/Vienna", "STAGE": None}),
    "traces elsewhere": (
        {"environment": {"variables": {"AWS_XRAY_DAEMON_ADDRESS": "10.0.0.1:3000"}}},
        {"_AWS_XRAY_DAEMON_ADDRESS": "10.0.0.1", "_AWS_XRAY_DAEMON_PORT": "3000"},
    ),
    "a reserved variable, from before it was one": (
        {"environment": {"variables": {"AWS_REGION": "mars", "_X": "1"}}},
        {"AWS_REGION": "eu-west-1", "_X": None},
    ),
}


@pytest.mark.parametrize("row", SAID.values(), ids=SAID)
async def test_what_a_function_says_of_itself_arrives(row):
    """None: the variable is not there."""
    spec, expected = row
    variables = await variables_of(**spec)
    assert {name: variables.get(name) for name in expected} == expected


async def test_a_claim_says_how_to_log_and_how_to_trace():
    """Levels where they mean something, so that the agent needs no defaults of its own."""
    said = await claim_of(
        loggingConfig={"logFormat": "JSON", "applicationLogLevel": "ERROR", "logGroup": "/a"},
        tracingConfig={"mode": "Active"},
    )
    assert said.logging == {
        "logFormat": "JSON",
        "applicationLogLevel": "ERROR",
        "systemLogLevel": "INFO",
        "logGroup": "/a",
    }
    assert said.tracing == {"mode": "Active"}
    silent = await claim_of()
    assert (silent.logging, silent.tracing) == ({}, {"mode": "PassThrough"})


async def test_lambent_adds_no_variable_of_its_own():
    """What is not Lambda's or the function's would be a surprise to somebody."""
    others = {"LD_LIBRARY_PATH", "PYTHONPATH"}
    variables = await variables_of(loggingConfig={"logFormat": "JSON"})
    assert variables.keys() == ALWAYS.keys() | others | {"AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"}


def test_the_log_stream_names_day_version_and_environment():
    """`YYYY/MM/DD/[version]<32 hex digits>`."""
    date, _, rest = log_stream_name("7").partition("[")
    assert date.count("/") == 3
    version, _, digits = rest.partition("]")
    assert (version, len(digits)) == ("7", 32)

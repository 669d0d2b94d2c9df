"""The log's tail of an invocation whose environment was lost with its agent."""

import json

import pytest
from tests.gateway.clusters import function

from lambent.core.last_words import Lost, tail
from lambent.core.routing import RoutingTable
from lambent.model.arns import parse_function_reference
from lambent.model.environments import PodFailure
from lambent.model.functions import FunctionObject

MESSAGE = "RequestId: id Error: Runtime exited with error: signal: killed"
KILLED = PodFailure("OOMKilled", "", 137)
ENDED = PodFailure("Error", "", 137)


def route(**spec):
    table = RoutingTable("us-east-1", "default")
    table.observe_function(FunctionObject.from_kubernetes(function(spec=spec)))
    return table.resolve(parse_function_reference("hello"), "$LATEST", None, 0.0)


def lost(ending=KILLED):
    return Lost("id", MESSAGE, 1234.5678, ending, "2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize(
    ("ending", "memory", "kind"),
    [(KILLED, "Max Memory Used: 128 MB\t", "Runtime.OutOfMemory"), (ENDED, "", "Runtime.ExitError")],
    ids=["out of memory", "killed"],
)
def test_text_has_lambdas_lines(ending, memory, kind):
    """All that it used when it ran out of memory; what it used otherwise nobody knows."""
    assert tail(lost(ending), route()).decode() == (
        "START RequestId: id Version: $LATEST\n"
        f"{MESSAGE}\nRuntime.ExitError\n"
        "END RequestId: id\n"
        "REPORT RequestId: id\tDuration: 1234.57 ms\tBilled Duration: 1235 ms\tMemory Size: 128 MB\t"
        f"{memory}Status: error\tError Type: {kind}\t\n"
    )


@pytest.mark.parametrize(
    ("ending", "memory", "kind"),
    [(KILLED, {"maxMemoryUsedMB": 128}, "Runtime.OutOfMemory"), (ENDED, {}, "Runtime.ExitError")],
    ids=["out of memory", "killed"],
)
def test_json_has_the_platforms_records(ending, memory, kind):
    """One a line, as the agent writes them."""
    start, report = (
        json.loads(line) for line in tail(lost(ending), route(loggingConfig={"logFormat": "JSON"})).splitlines()
    )
    assert (start["type"], start["record"]) == ("platform.start", {"requestId": "id", "version": "$LATEST"})
    assert (report["time"], report["type"]) == ("2026-01-02T03:04:05.678Z", "platform.report")
    assert report["record"] == {
        "requestId": "id",
        "status": "error",
        "errorType": kind,
        "metrics": {"durationMs": 1234.568, "billedDurationMs": 1235, "memorySizeMB": 128, **memory},
    }

"""The Lambda API at the public door, as AWS's own client and as plain HTTP see it."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from tests.gateway.clusters import condition, function

from lambent.model import limits


@pytest.fixture
async def door(make_house, boto_port, boto):
    """A gateway that the boto3 client speaks to, with one warm function `hello`."""
    house = await make_house(port=boto_port)
    house.hello = house.cluster.apply(function())
    await house.agent(house.hello)
    await house.idle(house.hello)
    house.call = lambda **more: asyncio.to_thread(boto.invoke, **{"FunctionName": "hello", **more})
    return house


async def test_boto3_invokes(door):
    """Status, version, payload and request id as the SDK parses them."""
    answer = await door.call(Payload=b'{"n": 1}')
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.load(answer["Payload"]) == {"n": 1}
    assert answer["ResponseMetadata"]["RequestId"]
    assert "FunctionError" not in answer


async def test_boto3_sees_function_errors_and_logs(door):
    """FunctionError and LogResult."""
    answer = await door.call(Payload=b'{"do": "error"}', LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert b"REPORT" in base64.b64decode(answer["LogResult"])


async def test_an_empty_body_is_an_empty_object(door):
    """No payload at all: the function gets {}."""
    assert json.load((await door.call())["Payload"]) == {}


async def test_dry_run_is_204_and_runs_nothing(door):
    """Only resolved."""
    answer = await door.call(InvocationType="DryRun", Payload=b"{}")
    assert answer["StatusCode"] == 204
    assert door.agents[0].invocations() == []


@pytest.mark.parametrize(
    ("case", "arguments", "exception", "message"),
    [
        (
            "unknown function",
            {"FunctionName": "nope"},
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:{account}:function:nope",
        ),
        (
            "unknown version",
            {"Qualifier": "7"},
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:{account}:function:hello:7",
        ),
        (
            "unknown alias in the name",
            {"FunctionName": "hello:live"},
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:{account}:function:hello:live",
        ),
        (
            "another account",
            {"FunctionName": "123456789012:function:hello"},
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:123456789012:function:hello",
        ),
        (
            "another region",
            {"FunctionName": "arn:aws:lambda:eu-west-1:{account}:function:hello"},
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
        (
            "two qualifiers",
            {"FunctionName": "hello:$LATEST", "Qualifier": "1"},
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        ),
        (
            "not JSON",
            {"Payload": b"{nope"},
            "InvalidRequestContentException",
            (
                "Could not parse request body into json: Could not parse payload into json: "
                "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
            ),
        ),
        (
            "not UTF-8",
            {"Payload": b'"\x97"'},
            "InvalidRequestContentException",
            "Could not parse request body into json: Could not parse payload into json: Invalid UTF-8 start byte 0x97",
        ),
        (
            "NaN",
            {"Payload": b"NaN"},
            "InvalidRequestContentException",
            "Could not parse request body into json: Could not parse payload into json: Unrecognized token 'NaN'",
        ),
        (
            "event for later",
            {"InvocationType": "Event"},
            "InvalidParameterValueException",
            "Invocation type Event is not supported yet: use RequestResponse.",
        ),
        (
            "client context",
            {"ClientContext": "bm8="},
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
        ),
        (
            "long client context",
            {"ClientContext": "e" * 3584},
            "InvalidRequestContentException",
            "Client context must be no longer than 3583 bytes.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
async def test_boto3_raises_what_aws_would(door, boto, case, arguments, exception, message):
    """The typed exception of the SDK, with Lambda's words."""
    account = door.gateway.table.account("default")
    arguments = {
        key: value.replace("{account}", account) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    with pytest.raises(getattr(boto.exceptions, exception)) as raised:
        await door.call(**arguments)
    error = raised.value.response["Error"]
    assert error["Code"] == exception
    assert error["Message"] == message.replace("{account}", account)
    assert raised.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"InvocationType": "Later"},
            (
                "1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: "
                "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"
            ),
        ),
        (
            {"LogType": "All"},
            (
                "1 validation error detected: Value 'All' at 'logType' failed to satisfy constraint: "
                "Member must satisfy enum value set: [None, Tail]"
            ),
        ),
        (
            {"Qualifier": "a b"},
            (
                "1 validation error detected: Value 'a b' at 'qualifier' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
            ),
        ),
    ],
)
async def test_values_out_of_their_set_are_validation_errors(door, boto, arguments, message):
    """Un-modelled in the SDK, but typed on the wire."""
    with pytest.raises(boto.exceptions.ClientError) as raised:
        await door.call(**arguments)
    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ValidationException", message)


async def test_names_and_arns_all_mean_the_function(door):
    """Name, name with qualifier, partial ARN, ARN, percent-encoded or not."""
    account = door.gateway.table.account("default")
    for name in (
        "hello",
        "hello:$LATEST",
        f"{account}:hello",
        f"{account}:function:hello",
        f"arn:aws:lambda:us-east-1:{account}:function:hello",
        f"arn:aws:lambda:us-east-1:{account}:function:hello:$LATEST",
    ):
        assert (await door.call(FunctionName=name))["StatusCode"] == 200, name
    assert (await door.invoke(name=f"arn:aws:lambda:us-east-1:{account}:function:hello")).status == 200


async def test_a_request_over_the_limit_is_413(door, boto):
    """Exactly the limit is fine, one byte more is not, with Lambda's words."""
    fits = b'"' + b"x" * (limits.REQUEST_BYTES_MAX - 2) + b'"'
    answer = await door.call(Payload=fits)
    assert len(await asyncio.to_thread(answer["Payload"].read)) == limits.REQUEST_BYTES_MAX
    with pytest.raises(boto.exceptions.ClientError) as raised:
        await door.call(Payload=fits + b" ")
    response = raised.value.response
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (
        413,
        "RequestEntityTooLargeException",
    )
    message = "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    assert response["Error"]["Message"] == message


async def test_a_body_without_length_is_limited_too(door):
    """Chunked: nobody said how much would come."""

    async def endless():
        for _ in range(100):
            yield b"x" * 65536

    url = door.url("public", "/2015-03-31/functions/hello/invocations")
    async with door.session.post(url, data=endless()) as answer:
        assert answer.status == 413
        assert answer.headers["x-amzn-ErrorType"] == "RequestEntityTooLargeException"


async def test_the_namespace_comes_from_the_account_the_header_or_the_default(door):
    """The same function name in two namespaces is two functions."""
    door.cluster.namespace("team", account="111122223333")
    other = door.cluster.apply(function(namespace="team"))
    agent = await door.agent(other, "pod-team")
    await door.idle(other)
    await door.invoke()
    await door.invoke(X_Lambent_Namespace="team")
    await door.invoke(name="111122223333:function:hello")
    await door.invoke(name="111122223333:function:hello", X_Lambent_Namespace="default")
    assert (len(agent.invocations()), len(door.agents[0].invocations())) == (3, 1)
    assert (await door.invoke(X_Lambent_Namespace="nowhere")).status == 404
    assert agent.claim.accountId == "111122223333"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"observedGeneration": None, "revision": None, "podRevision": None, "codeSha256": None}, "Pending"),
        ({"podRevision": None, "conditions": [condition("Stalled", "True", "InvalidCode")]}, "Failed"),
    ],
)
async def test_a_function_without_a_configuration_that_ever_worked_is_in_conflict(door, boto, status, state):
    """409 with the state; never a wait."""
    door.cluster.apply(function("young", status=status))
    await asyncio.sleep(0.01)
    with pytest.raises(boto.exceptions.ResourceConflictException) as raised:
        await door.call(FunctionName="young")
    assert raised.value.response["Error"]["Message"] == (
        f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
    )


async def test_an_update_that_cannot_work_leaves_the_old_configuration(door):
    """LastUpdateStatus Failed: invokes go on with what worked."""
    stalled = condition("Stalled", "True", "InvalidCode", "no")
    door.cluster.apply(function(generation=2, status={"observedGeneration": 2, "conditions": [stalled]}))
    await asyncio.sleep(0.01)
    assert (await door.invoke()).status == 200


async def test_lambdas_function_name_may_differ_from_the_objects(door):
    """spec.functionName is what clients say."""
    body = door.cluster.apply(function("my-func-1a2b", function_name="My_Func"))
    await door.agent(body, "pod-2")
    assert (await door.call(FunctionName="My_Func"))["StatusCode"] == 200
    assert (await door.invoke(name="my-func-1a2b")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/2015-03-31/functions/hello"),
        ("GET", "/2015-03-31/functions/hello/invocations"),
        ("POST", "/2015-03-31/functions/hello/invocations/"),
        ("POST", "/2015-03-31/functions//invocations"),
        ("POST", "/2014-11-13/functions/hello/invoke-async"),
        ("GET", "/v1/demand"),
        ("POST", "/v1/retire"),
        ("GET", "/metrics"),
        ("PATCH", "/"),
    ],
)
async def test_everything_else_is_an_unknown_operation(door, method, path):
    """Typed, never HTML; no internal call exists here."""
    async with door.session.request(method, door.url("public", path)) as answer:
        assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")
        assert (await answer.json())["message"]
        assert answer.headers["x-amzn-RequestId"]


async def test_malformed_names_are_validation_errors(door):
    """With Lambda's pattern in the message."""
    answer = await door.invoke(name="a%20b")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert answer.json()["message"].startswith("1 validation error detected: Value 'a b' at 'functionName'")


async def test_curl_does_not_wait_for_100_continue(door):
    """Expect: 100-continue is answered before the body comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.gateway.ports["public"])
    writer.write(
        b"POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(b"{}")
    assert await reader.readline() == b"\r\n"
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_hostile_bytes_get_a_400_and_the_door_stays_open(door, caplog):
    """No traceback in the log, no harm to others."""
    for attack in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.gateway.ports["public"])
        writer.write(attack)
        assert (await reader.readline()).startswith(b"HTTP/1.")
        writer.close()
    assert (await door.invoke()).status == 200
    assert caplog.records == []


async def test_a_caller_cannot_put_lines_into_the_agents_request(door):
    """Trace headers that are no ASCII or too long are replaced; control characters never come through HTTP at all."""
    for trace in ("Root=1-\u00e9", "x" * 2000, "nonsense"):
        answer = await door.invoke(X_Amzn_Trace_Id=trace)
        assert (answer.status, answer.headers["X-Amzn-Trace-Id"][:7]) == (200, "Root=1-")

"""S9 of the goals, the gateway's part: malformed but schema-valid inputs stop nobody.

Objects as a hostile or broken writer with rights could leave them in the API server, and requests as anybody can send
them: twenty-four hundred in all, from a fixed seed, each kind beside a healthy function that goes on answering.
"""

from __future__ import annotations

import asyncio
import copy
import random

import pytest
from tests.gateway.clusters import condition, function, pod_of
from tests.gateway.publications import alias, rollout, version

from lambent.model import names

SEED = 20_260_509
TEXTS = (
    "", " ", "0", "-1", "x" * 300, "x" * 70_000, "\0", "\r\nX: y", "é", "\ud83d\ude00", "../../x", "a/b", "%00", "{}",
    "NaN", "null", "::", "arn:aws:lambda:us-east-1:1:function:x", "$LATEST", "2026-13-45T99:99:99Z", "999999999999",
)  # fmt: skip
LABELS = (names.LABEL_FUNCTION_UID, names.LABEL_VERSION, names.LABEL_POD_REVISION)


def functions(dice: random.Random, count: int):
    """Specifications that the schema lets through, with statuses that anybody with rights on them may write."""
    for number in range(count):
        body = function(f"odd-{number % 40}", dice.choice(("default", "team")), uid=f"odd-uid-{number % 45}")
        spec, status = body["spec"], body["status"]
        for _ in range(dice.randint(1, 4)):
            text = dice.choice(TEXTS)
            match dice.randrange(12):
                case 0:
                    spec["handler"] = text[:128]
                case 1:
                    spec["environment"] = {"variables": {dice.choice(TEXTS)[:60]: text[:4000]}}
                case 2:
                    status["revision"] = text
                case 3:
                    status["podRevision"] = text
                case 4:
                    status["codeSha256"] = text
                case 5:
                    status["codeSize"] = dice.choice((-1, 0, 2**53, None))
                case 6:
                    status["conditions"] = [condition("Stalled", dice.choice(("True", "Unknown")), text, text)]
                case 7:
                    status.pop(dice.choice(sorted(status)), None)
                case 8:
                    body["metadata"]["creationTimestamp"] = text
                case 9:
                    spec["functionName"] = dice.choice(("hello2", "Odd_1", "x" * 64))
                case 10:
                    status["observedGeneration"] = dice.choice((-1, 0, 2**40))
                case 11:
                    spec.pop(dice.choice(sorted(spec)), None)
        yield "functions", body


def pods(dice: random.Random, count: int, healthy: dict):
    """Pods with our labels, by whoever may create pods; some claim to be the healthy function's."""
    for number in range(count):
        body = copy.deepcopy(pod_of(healthy, f"odd-pod-{number % 60}"))
        metadata, status = body["metadata"], body["status"]
        metadata["labels"][names.LABEL_FUNCTION_UID] = "nobody"
        for _ in range(dice.randint(1, 4)):
            text = dice.choice(TEXTS)
            match dice.randrange(10):
                case 0:
                    metadata["labels"][dice.choice(LABELS)] = text[:63]
                case 1:
                    metadata["labels"].pop(dice.choice(LABELS), None)
                case 2:
                    metadata["annotations"] = dice.choice(({}, None, {names.ANNOTATION_NONCE: text}))
                case 3:
                    status["podIP"] = dice.choice((None, "127.0.0.1", "0.0.0.0", "::1", "fe80::1", text))
                case 4:
                    status["phase"] = dice.choice(("Pending", "Failed", "Succeeded", "Unknown", text))
                case 5:
                    status["containerStatuses"] = dice.choice(([], None, [{"name": text}], [{"name": "environment"}]))
                case 6:
                    metadata["deletionTimestamp"] = text
                case 7:
                    ended = {"terminated": {"reason": text, "exitCode": dice.choice((0, -1, 137))}}
                    status["containerStatuses"] = [{"name": "environment", "state": ended}]
                case 8:
                    body["spec"] = {"containers": [{"name": "environment", "resources": {"limits": {"cpu": text}}}]}
                case 9:
                    metadata["annotations"] = {names.ANNOTATION_NONCE: "n", names.ANNOTATION_CPU: text}
        yield "pods", body


def publications(dice: random.Random, count: int, healthy: dict):
    """Versions and aliases of the healthy function, as whoever may write their statuses could leave them."""
    for number in range(count):
        text = dice.choice(TEXTS)
        if number % 2:
            body = version(healthy, dice.choice((1, 2, 999, "0", "x")), f"odd-{number % 20}")
            parts = (body["status"], body["status"]["snapshot"], body["metadata"])
        else:
            body = alias(healthy, dice.choice(("live", "7", "x" * 200)), 1, object_name=f"odd-{number % 20}")
            parts = (body["status"], body["status"]["routing"], body["metadata"])
            if dice.random() < 0.5:
                weights = {dice.choice(("2", text)): dice.choice((-1, 0.5, 7, text))}
                body["status"]["routing"]["additionalVersionWeights"] = weights
            if dice.random() < 0.3:
                body["status"]["rollout"] = rollout("one", "two", phase=dice.choice(("AllowTraffic", text)))
        part = dice.choice(parts)
        key = dice.choice(sorted(set(part) - {"name", "namespace"}))
        if dice.random() < 0.5:
            part[key] = dice.choice((text, None, [], {}, 3, -1))
        else:
            part.pop(key)
        yield "aliases" if body["kind"] == "Alias" else "versions", body


def namespaces(dice: random.Random, count: int):
    """Annotations that an administrator mistyped."""
    for number in range(count):
        annotations = {
            names.ANNOTATION_ACCOUNT_ID: dice.choice((*TEXTS, "111122223333")),
            names.ANNOTATION_CONCURRENCY: dice.choice(TEXTS),
        }
        metadata = {"name": f"odd-{number % 30}", "uid": f"odd-ns-{number % 35}", "annotations": annotations}
        yield "namespaces", {"metadata": metadata}


@pytest.fixture
async def healthy(house):
    """`hello`, with an environment, that answers whatever happens."""
    house.hello = house.cluster.apply(function())
    await house.agent(house.hello)
    await house.idle(house.hello)
    return house


async def unharmed(house, caplog) -> None:
    """Alive, still watching, and the neighbour answers."""
    async with asyncio.timeout(20):
        assert (await house.invoke({"n": 1})).json() == {"n": 1}
    async with house.session.get(house.url("metrics", "/healthz")) as answer:
        assert answer.status == 200
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


async def test_2000_malformed_objects_stop_neither_the_gateway_nor_a_neighbour(healthy, caplog):
    """Applied, listed and deleted, in a mix; then a new function works as if nothing had been."""
    dice = random.Random(SEED)
    inputs = [
        *functions(dice, 900),
        *pods(dice, 500, healthy.hello),
        *publications(dice, 400, healthy.hello),
        *namespaces(dice, 200),
    ]
    dice.shuffle(inputs)
    assert len(inputs) == 2000
    streams = healthy.cluster.streams
    for number, (kind, body) in enumerate(inputs):
        streams[kind].put(body)
        if dice.random() < 0.2:
            streams[kind].delete(body)
        if number % 200 == 0:
            for stream in streams.values():
                stream.relist()
            await asyncio.sleep(0.01)
            await unharmed(healthy, caplog)
    await asyncio.sleep(0.1)
    await unharmed(healthy, caplog)
    fresh = healthy.cluster.apply(function("fresh"))
    await healthy.agent(fresh, "pod-fresh")
    assert (await healthy.invoke(name="fresh")).status == 200


async def test_400_odd_requests_are_all_answered_in_lambdas_words(healthy, caplog):
    """4xx with a type, never 500, never silence; what is JSON for `hello` is run."""
    dice = random.Random(SEED)
    for number in range(400):
        name = dice.choice(("hello", "hello", "odd", "%00", "a" * 200, "hello:$LATEST", "hello:9", "1:2:3", "%ff", "."))
        headers = {
            key: dice.choice(("", "0", "x" * 5000, "RequestResponse", "DryRun", "Event", "Tail", "e30=", "\x7f", "é"))
            for key in dice.sample(
                (
                    "X_Amz_Invocation_Type", "X_Amz_Log_Type", "X_Amz_Client_Context", "X_Amzn_Trace_Id",
                    "X_Lambent_Namespace", "Content_Type", "X_Amz_Date", "Authorization",
                ),
                dice.randint(0, 3),
            )
        }  # fmt: skip
        body = dice.choice((b"", b"{}", b"[", b"\xff", b"1" * 4000, b'{"a":' * 2000, b"\0", b'"\\ud800"', b"NaN"))
        query = dice.choice(("", "?Qualifier=", "?Qualifier=%00", "?Qualifier=$LATEST", "?x=" + "y" * 2000, "?&&=&"))
        headers = {key: value for key, value in headers.items() if value != "\x7f"}
        answer = await healthy.invoke(body, name, query, **headers)
        assert answer.status in (200, 204, 400, 404), (name, query, headers, body, answer)
        if answer.status >= 400:
            assert answer.headers["x-amzn-ErrorType"], answer
        assert answer.headers["x-amzn-RequestId"] or number < 0
    await unharmed(healthy, caplog)

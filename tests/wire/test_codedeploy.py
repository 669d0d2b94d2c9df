"""CodeDeploy's JSON 1.1 on the wire. What becomes of a report is tested at the gateway's door."""

from __future__ import annotations

import hashlib
import json

import pytest

from lambent.core.rollout_hooks import digest
from lambent.wire.codedeploy import (
    BODY_BYTES_MAX,
    OPERATION,
    Report,
    ReportRefused,
    encode_refusal,
    encode_taken,
    is_call,
    parse_report,
)

GOOD = {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "one", "status": "Succeeded"}


def headers(body: bytes, **changes: bytes) -> dict[bytes, bytes]:
    found = {b"x-amz-target": OPERATION.encode(), b"content-length": str(len(body)).encode()}
    return found | {name.replace("_", "-").encode(): value for name, value in changes.items()}


def test_a_report_is_parsed_and_known_by_its_digest():
    body = json.dumps({**GOOD, "more": 1}).encode()
    report = parse_report(headers(body), body)
    assert report == Report("d-1", "one", "Succeeded")
    assert digest(report.execution_id) == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [("POST", b"/", True), ("POST", b"/?x=1", True), ("GET", b"/", False), ("POST", b"/x", False)],
)
def test_a_call_is_a_post_to_the_root_with_a_target(method, target, expected):
    assert is_call(method, target, headers(b"")) is expected
    assert not is_call(method, target, {})


LENGTHS = {
    "none": b"",
    "no number": b"one",
    "negative": b"-1",
    "a byte too many": str(BODY_BYTES_MAX + 1).encode(),
    "hidden behind zeros": b"0" * 40 + b"7000000",
    "endless": b"9" * 5000,
}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS.keys())
def test_a_body_must_say_that_it_is_short(length):
    body = json.dumps(GOOD).encode()
    with pytest.raises(ReportRefused) as raised:
        parse_report(headers(body, content_length=length), body)
    assert raised.value.code == "RequestEntityTooLargeException"


def test_a_body_that_is_longer_than_it_says_is_refused():
    body = json.dumps(GOOD).encode() + b" " * BODY_BYTES_MAX
    with pytest.raises(ReportRefused):
        parse_report(headers(body, content_length=b"10"), body)


def test_answers_and_errors_are_json_1_1_with_a_request_id():
    fields, body = encode_taken(Report("d-1", "one", "Failed"), "id")
    assert json.loads(body) == {"lifecycleEventHookExecutionId": "one"}
    assert dict(fields) == {b"Content-Type": b"application/x-amz-json-1.1", b"x-amzn-RequestId": b"id"}
    _, body = encode_refusal(ReportRefused("SomeException", "words"), "id")
    assert json.loads(body) == {"__type": "SomeException", "message": "words"}

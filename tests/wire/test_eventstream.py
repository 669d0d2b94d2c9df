"""The encoder of event streams, judged by AWS's own decoder."""

import json

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from lambent.wire import eventstream
from lambent.wire.eventstream import Completion

NAMES = st.text(min_size=1, max_size=40)
VALUES = st.text(max_size=80)


def decoded(data: bytes, cut: int = 0):
    buffer = EventStreamBuffer()
    buffer.add_data(data[:cut])
    buffer.add_data(data[cut:])
    return [(message.headers, message.payload) for message in buffer]


@given(st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=300)), max_size=4), st.data())
def test_messages_are_read_as_they_were_written(messages, data):
    """Lengths and both checksums, however the bytes are cut."""
    encoded = b"".join(
        eventstream.encode_message(eventstream.encode_headers(headers.items()), payload)
        for headers, payload in messages
    )
    cut = data.draw(st.integers(0, len(encoded)))
    assert decoded(encoded, cut) == messages


@given(st.binary(min_size=1, max_size=300))
def test_a_payload_chunk_is_the_bytes_themselves(payload):
    """As the event that botocore's model names."""
    ((headers, body),) = decoded(eventstream.payload_chunk(payload))
    assert (headers[":message-type"], headers[":event-type"], body) == ("event", "PayloadChunk", payload)


COMPLETIONS = {
    "a good stream": (Completion(), {}),
    "a good stream with its log": (Completion(log_result="QQ=="), {"LogResult": "QQ=="}),
    "a failed one": (Completion("Runtime.X", "{}"), {"ErrorCode": "Runtime.X", "ErrorDetails": "{}"}),
}


@pytest.mark.parametrize(("completion", "members"), COMPLETIONS.values(), ids=COMPLETIONS)
def test_invoke_complete_says_only_what_there_is(completion, members):
    """JSON, as every event whose members are no payload."""
    ((headers, body),) = decoded(eventstream.invoke_complete(completion))
    assert (headers[":event-type"], headers[":content-type"]) == ("InvokeComplete", "application/json")
    assert json.loads(body) == members


FAILURES = {
    "an error of the handler": (b'{"errorType":"ValueError"}', None, "Unhandled"),
    "an error of the platform": (b'{"errorType":"Sandbox.Timedout"}', None, "Sandbox.Timedout"),
    "what the runtime says in its trailer": (b"anything", "Runtime.Broken", "Runtime.Broken"),
    "a body that is no JSON": (b"\xff{", None, "Unhandled"),
    "a body that is no object": (b"[1]", None, "Unhandled"),
    "a type that is no text": (b'{"errorType":{}}', None, "Unhandled"),
}


@pytest.mark.parametrize(("body", "kind", "code"), FAILURES.values(), ids=FAILURES)
def test_the_code_of_a_failure_is_the_platforms_word_for_it(body, kind, code):
    """Details are what Invoke would have answered."""
    assert eventstream.failure(body, None, kind) == Completion(code, body.decode("utf-8", "replace"))


def test_the_details_of_a_failure_are_bounded():
    """A quarter of a megabyte: they are one JSON string in one event."""
    assert len(eventstream.failure(b"x" * 1_000_000).error_details) == 262_144

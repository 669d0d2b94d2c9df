"""Demand lines: what a gateway says is what the controller reads, and noise is refused, never misread."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.environments import Counters, Demand, IdleEnvironment, Key
from lambent.wire.demand import decode_demand, encode_demand

counts = st.integers(0, 2**53)
words = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs",)), max_size=40)
demands = st.builds(
    Demand,
    seq=counts,
    key=st.builds(Key, words, words, words),
    in_flight=counts,
    waiting=counts,
    starting=counts,
    idle=st.lists(st.builds(IdleEnvironment, words, counts), max_size=5).map(tuple),
    counters=st.builds(Counters, counts, counts, counts, st.lists(counts, max_size=20).map(tuple)),
)
EXAMPLE = Demand(
    7, Key("uid", "latest", "0123456789abcdef"), 1, 2, 3, (IdleEnvironment("pod-a", 40),), Counters(9, 1, 0, (3, 6))
)
LINE = (
    b'{"seq":7,"key":"uid/latest/0123456789abcdef","inFlight":1,"waiting":2,"starting":3,'
    b'"idle":[{"pod":"pod-a","ms":40}],'
    b'"counters":{"invocations":9,"errors":1,"throttles":0,"durationBuckets":[3,6]}}\n'
)


def test_a_line_is_the_documented_one() -> None:
    assert encode_demand(EXAMPLE) == LINE
    assert decode_demand(LINE) == EXAMPLE


@given(demands)
def test_what_is_said_is_what_is_read(demand: Demand) -> None:
    line = encode_demand(demand)
    assert decode_demand(line) == demand
    assert decode_demand(line.rstrip()) == demand


@given(demands)
def test_a_line_is_one_line(demand: Demand) -> None:
    line = encode_demand(demand)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


@given(st.lists(demands, max_size=4))
def test_a_stream_is_its_lines(stream: list[Demand]) -> None:
    sent = b"".join(encode_demand(demand) for demand in stream)
    assert [decode_demand(line) for line in sent.splitlines()] == stream


def test_a_newer_gateway_may_say_more() -> None:
    fields = json.loads(LINE) | {"future": {"a": 1}}
    assert decode_demand(json.dumps(fields).encode()) == EXAMPLE


def test_an_older_gateway_may_leave_counters_out() -> None:
    fields = json.loads(LINE)
    del fields["counters"]
    assert decode_demand(json.dumps(fields).encode()).counters == Counters()


@pytest.mark.parametrize("field", ["seq", "key", "inFlight", "waiting", "starting", "idle"])
def test_a_line_without_a_field_is_refused(field: str) -> None:
    fields = json.loads(LINE)
    del fields[field]
    with pytest.raises(ValueError, match=field):
        decode_demand(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "line",
    {
        "empty": b"",
        "no JSON": b"demand\n",
        "cut": LINE[:60],
        "two lines": LINE + LINE,
        "no UTF-8": b"\xff\xfe\n",
        "a list": b"[]",
        "a number": b"7",
        "null": b"null",
        "a key of two parts": LINE.replace(b"uid/latest", b"uid"),
        "a key of four parts": LINE.replace(b"uid/latest", b"uid/a/b"),
        "a key that is no text": LINE.replace(b'"uid/latest/0123456789abcdef"', b"7"),
        "a count that is no number": LINE.replace(b'"waiting":2', b'"waiting":"many"'),
        "a count that is null": LINE.replace(b'"waiting":2', b'"waiting":null'),
        "a count that is a list": LINE.replace(b'"waiting":2', b'"waiting":[2]'),
        "idle that is no list": LINE.replace(b'[{"pod":"pod-a","ms":40}]', b"7"),
        "idle of texts": LINE.replace(b'{"pod":"pod-a","ms":40}', b'"pod-a"'),
        "idle without pod": LINE.replace(b'"pod":"pod-a",', b""),
        "counters that are a list": LINE.replace(b'{"invocations":9,"errors":1,"throttles":0,', b"[{").replace(b"]}}", b"]}]}"),
        "buckets that are a number": LINE.replace(b"[3,6]", b"7"),
        "a count that is not a number (NaN)": LINE.replace(b'"waiting":2', b'"waiting":NaN'),
    }.values(),
)  # fmt: skip
def test_what_is_no_demand_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode_demand(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pod", "ms", "errors", "x"]), inner),
    max_leaves=5,
)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for name, child in children for below in paths_in(child, (*path, name)))]


@given(st.data())
def test_a_line_with_any_value_replaced_is_a_demand_or_refused(data: st.DataObject) -> None:
    fields = json.loads(LINE)
    path = data.draw(st.sampled_from(paths_in(fields)))
    value = data.draw(json_values)
    target = fields
    for name in path[:-1]:
        target = target[name]
    if path:
        target[path[-1]] = value
    else:
        fields = value
    judge(json.dumps(fields).encode())


@given(st.data())
def test_a_line_with_bytes_flipped_is_a_demand_or_refused(data: st.DataObject) -> None:
    line = bytearray(LINE)
    for _ in range(data.draw(st.integers(1, 3))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    judge(bytes(line))


@pytest.mark.parametrize("number", [b"Infinity", b"-Infinity", b"1e999"])
def test_an_infinite_count_is_refused(number: bytes) -> None:
    with pytest.raises(ValueError):
        decode_demand(LINE.replace(b'"waiting":2', b'"waiting":' + number))


def test_a_line_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError):
        decode_demand(b"[" * 100_000)


@pytest.mark.parametrize("field", [b'"waiting":2', b'"inFlight":1', b'"starting":3', b'"ms":40', b'"seq":7'])
def test_a_negative_count_is_refused(field: bytes) -> None:
    """It would be summed with other gateways' counts, and environments retired that are needed."""
    with pytest.raises(ValueError):
        decode_demand(LINE.replace(field, field.replace(b":", b":-")))


def judge(line: bytes) -> None:
    try:
        demand = decode_demand(line)
    except ValueError:
        return
    assert decode_demand(encode_demand(demand)) == demand

"""What an extension may ask of the Telemetry API and of the Logs API, and in which words it is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.agent.destinations import Destination, parse_sink
from lambent.agent.dialects import logs_2020, logs_2021, telemetry
from lambent.agent.subscriptions import (
    LOGS,
    TELEMETRY,
    Buffering,
    InvalidSubscription,
    parse_subscription,
)

URI = "http://sandbox.localdomain:8080/path"
HTTP = {"protocol": "HTTP", "URI": URI}
GOOD = {"schemaVersion": "2022-12-13", "types": ["platform"], "destination": HTTP}
RESERVED = (9000, 9001)


def parsed(api=TELEMETRY, **changes):
    body = {**GOOD, **changes}
    return parse_subscription(api, json.dumps({k: v for k, v in body.items() if v is not ...}).encode(), RESERVED)


def refusal(api=TELEMETRY, **changes):
    with pytest.raises(InvalidSubscription) as refused:
        parsed(api, **changes)
    return str(refused.value)


def to(uri, **more):
    return {"destination": {"protocol": "HTTP", "URI": uri, **more}}


REFUSED = {
    "no schema": ({"schemaVersion": ...}, "schemaVersion is not provided"),
    "unknown schema": ({"schemaVersion": "1"}, "schemaVersion should be one of 2022-07-01, 2022-12-13, 2025-01-29"),
    "the other API's schema": (
        {"schemaVersion": "2020-08-15"},
        "schemaVersion should be one of 2022-07-01, 2022-12-13, 2025-01-29",
    ),
    "no types": ({"types": ...}, "types is not provided"),
    "empty types": ({"types": []}, "types should not be empty"),
    "types as text": ({"types": "platform"}, "types should be an array"),
    "unknown type": ({"types": ["platform", "x"]}, "types should be among platform, function, extension"),
    "a type that is no text": ({"types": [["platform"]]}, "types should be among platform, function, extension"),
    "no destination": ({"destination": ...}, "destination is not provided"),
    "destination as text": ({"destination": URI}, "destination should be an object"),
    "no protocol": ({"destination": {"URI": URI}}, "protocol is not provided"),
    "unknown protocol": ({"destination": {"protocol": "UDP"}}, "protocol should be HTTP or TCP"),
    "no URI": ({"destination": {"protocol": "HTTP"}}, "URI is not provided"),
    "TLS": (to("https://sandbox:1/"), "URI should be http://sandbox.localdomain:PORT/PATH"),
    "no port in the URI": (to("http://sandbox.localdomain/x"), "URI port is not provided"),
    "a port that is none": (to("http://sandbox:0/"), "URI port should be between 1 and 65535"),
    "another host": (to("http://example.com:80/"), "URI host should be sandbox.localdomain"),
    "another host behind a user": (
        to("http://sandbox@example.com:80/"),
        "URI should be http://sandbox.localdomain:PORT/PATH",
    ),
    "a host that only begins well": (to("http://localhost.example:80/"), "URI host should be sandbox.localdomain"),
    "the link-local address": (to("http://169.254.169.254:80/"), "URI host should be sandbox.localdomain"),
    "a line end in the path": (to("http://sandbox:1/a\r\nX: y"), "URI should be http://sandbox.localdomain:PORT/PATH"),
    "the platform's own port": (to("http://sandbox:9001/"), "port 9001 is reserved"),
    "TCP to the platform's own port": ({"destination": {"protocol": "TCP", "port": 9000}}, "port 9000 is reserved"),
    "PUT is the Logs API's": (to(URI, method="PUT"), "method should be POST"),
    "no TCP port": ({"destination": {"protocol": "TCP"}}, "port is not provided"),
    "a TCP port that is none": (
        {"destination": {"protocol": "TCP", "port": 65536}},
        "port should be between 1 and 65535",
    ),
    "a TCP port as text": ({"destination": {"protocol": "TCP", "port": "1"}}, "port should be between 1 and 65535"),
    "true is no port": ({"destination": {"protocol": "TCP", "port": True}}, "port should be between 1 and 65535"),
    "buffering as text": ({"buffering": "x"}, "buffering should be an object"),
    "too few items": ({"buffering": {"maxItems": 999}}, "maxItems should be between 1000 and 10000"),
    "too many items": ({"buffering": {"maxItems": 10001}}, "maxItems should be between 1000 and 10000"),
    "too few bytes": ({"buffering": {"maxBytes": 262143}}, "maxBytes should be between 262144 and 1048576"),
    "too many bytes": ({"buffering": {"maxBytes": 1048577}}, "maxBytes should be between 262144 and 1048576"),
    "too soon": ({"buffering": {"timeoutMs": 24}}, "timeoutMs should be between 25 and 30000"),
    "too late": ({"buffering": {"timeoutMs": 30001}}, "timeoutMs should be between 25 and 30000"),
    "a fraction": ({"buffering": {"timeoutMs": 25.5}}, "timeoutMs should be between 25 and 30000"),
    "all that is wrong, as in Lambda's documentation": (
        {"types": [], **to("http://sandbox.localdomain/")},
        "URI port is not provided; types should not be empty",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_told(changes, message):
    """The whole message, so that nothing else is complained about."""
    assert refusal(**changes) == message


BODIES = {
    "nothing": (b"", "request body is not valid JSON"),
    "no JSON": (b"{", "request body is not valid JSON"),
    "not UTF-8": (b"\xff\xfe{", "request body is not valid JSON"),
    "too deep": (b"[" * 100_000, "request body is not valid JSON"),
    "an array": (b"[]", "request body should be a JSON object"),
}


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES)
def test_a_body_is_a_json_object(body, message):
    """Before anything in it is looked at."""
    with pytest.raises(InvalidSubscription, match=message):
        parse_subscription(TELEMETRY, body, RESERVED)


def test_buffering_has_defaults():
    """Each on its own; null is as nothing."""
    assert parsed().buffering == parsed(buffering=None).buffering == Buffering(10_000, 262_144, 1000)
    assert parsed(buffering={"maxItems": 1000, "timeoutMs": 25}).buffering == Buffering(1000, 262_144, 25)


ADDRESSES = {
    "http://sandbox.localdomain:8080": ("/", "sandbox.localdomain:8080"),
    "http://sandbox:8080/": ("/", "sandbox:8080"),
    "http://127.0.0.1:8080/a/b?c=d": ("/a/b?c=d", "127.0.0.1:8080"),
    "HTTP://LocalHost:8080?x": ("/?x", "LocalHost:8080"),
}


@pytest.mark.parametrize(("uri", "expected"), ADDRESSES.items(), ids=ADDRESSES)
def test_http_goes_to_loopback_and_keeps_its_path(uri, expected):
    """Whatever the environment is called."""
    path, authority = expected
    assert parsed(**to(uri)).destination == Destination("127.0.0.1", 8080, path, "POST", authority)


def test_tcp_goes_to_loopback():
    """Only a port is named."""
    destination = parsed(destination={"protocol": "TCP", "port": 8080}).destination
    assert (destination, destination.http) == (Destination("127.0.0.1", 8080), False)


@given(st.text())
def test_no_text_leads_anywhere_else(uri):
    """Whatever is accepted is loopback and no port of the platform's."""
    for candidate in (uri, f"http://{uri}:80/", f"http://sandbox:{uri}/", f"http://sandbox:9001{uri}"):
        try:
            destination = parsed(**to(candidate)).destination
        except InvalidSubscription:
            continue
        assert destination.host == "127.0.0.1"
        assert destination.port not in RESERVED


def test_a_repeated_type_counts_once():
    """In the order in which they were listed."""
    assert parsed(types=["function", "platform", "function"]).types == ("function", "platform")


SCHEMAS = {
    "by default the older": (LOGS, ..., logs_2020),
    "2020-08-15": (LOGS, "2020-08-15", logs_2020),
    "2021-03-18": (LOGS, "2021-03-18", logs_2021),
    "2022-07-01": (TELEMETRY, "2022-07-01", telemetry),
    "2022-12-13": (TELEMETRY, "2022-12-13", telemetry),
    "2025-01-29": (TELEMETRY, "2025-01-29", telemetry),
}


@pytest.mark.parametrize(("api", "schema", "dialect"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_decides_the_words(api, schema, dialect):
    """Every version that Lambda has had."""
    assert parsed(api, schemaVersion=schema).dialect is dialect


def test_the_logs_api_takes_put():
    """Lambda delivers logs by PUT or POST, as its subscriber likes."""
    assert parsed(LOGS, schemaVersion=..., **to(URI, method="PUT")).destination.method == "PUT"
    assert refusal(LOGS, schemaVersion=..., **to(URI, method="GET")) == "method should be POST or PUT"


SINKS = {
    "http://collector.logs:8080/in": Destination("collector.logs", 8080, "/in", "POST", "collector.logs:8080"),
    "http://10.0.0.1:80": Destination("10.0.0.1", 80, "/", "POST", "10.0.0.1:80"),
    "http://[fd00::1]:80/": Destination("fd00::1", 80, "/", "POST", "[fd00::1]:80"),
    "tcp://collector:5170": Destination("collector", 5170, "", "POST", "collector:5170"),
}


@pytest.mark.parametrize(("address", "expected"), SINKS.items(), ids=SINKS)
def test_a_sink_may_be_anywhere(address, expected):
    """The installation names it, not the function."""
    assert parse_sink(address) == expected


@pytest.mark.parametrize(
    "address", ["collector:80", "https://a:1", "http://a", "tcp://a:1/path", "http://a:0/", "http://a b:1/"]
)
def test_a_sink_that_makes_no_sense_is_refused(address):
    """With what it should look like."""
    with pytest.raises(ValueError, match="LAMBENT_LOG_SINK must be http://host:port/path or tcp://host:port"):
        parse_sink(address)

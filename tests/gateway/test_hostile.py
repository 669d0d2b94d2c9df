"""What hostile and broken clients do to a port, what they hear, and that nobody beside them notices.

Every attack is followed by a request that must not be believed unless the connection is in order, and a good client
goes on all the while.
"""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from tests.gateway.clusters import function
from tests.gateway.hostile import AFTER, CHUNKED, CLOSED, HEAD, OPEN, SMALL, read_all

ATTACKS = {
    # name: bytes, status, the connection's fate, events that ran
    "both lengths": (HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, CLOSED, []),
    "both lengths, turned round": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        400,
        CLOSED,
        [],
    ),
    "two equal lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400, CLOSED, []),
    "a list of lengths": (HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 400, CLOSED, []),
    "a signed length": (HEAD + b"Content-Length: +2\r\n\r\n{}", 400, CLOSED, []),
    "a negative length": (HEAD + b"Content-Length: -2\r\n\r\n{}", 400, CLOSED, []),
    "a hexadecimal length": (HEAD + b"Content-Length: 0x2\r\n\r\n{}", 400, CLOSED, []),
    "a length with an underscore": (HEAD + b"Content-Length: 1_0\r\n\r\n{}", 400, CLOSED, []),
    "an empty length": (HEAD + b"Content-Length: \r\n\r\n{}", 400, CLOSED, []),
    "a folded header": (HEAD + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "a folded encoding": (HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, CLOSED, []),
    "bare line feeds": (SMALL.replace(b"\r\n", b"\n"), 400, CLOSED, []),
    "one bare line feed": (HEAD + b"A: b\nContent-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "a bare carriage return": (HEAD + b"A: b\rContent-Length: 9\r\nContent-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "a NUL": (HEAD + b"A: b\0\r\nContent-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "a space before the colon": (HEAD + b"Content-Length : 2\r\n\r\n{}", 400, CLOSED, []),
    "a space in a name": (HEAD + b"A B: 2\r\nContent-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "two encodings": (HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n2\r\n{}\r\n0\r\n\r\n", 400, CLOSED, []),
    "chunked is not last": (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, CLOSED, []),
    "nearly chunked": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, CLOSED, []),
    "chunked behind a vertical tab": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, CLOSED, []),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"2\r\n{}\r\n0\r\n\r\n", 200, CLOSED, [b"{}"]),
    "a chunk's extension": (CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n", 200, OPEN, [b"{}"]),
    "a line feed in an extension": (CHUNKED + b"2;a\n\r\n{}\r\n0\r\n\r\n", 400, CLOSED, []),
    "a chunk size with a space": (CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n", 400, CLOSED, []),
    "a chunk size with 0x": (CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", 400, CLOSED, []),
    "a chunk size without end": (CHUNKED + b"f" * 17 + b"\r\n{}\r\n0\r\n\r\n", 400, CLOSED, []),
    "chunks with line feeds": (CHUNKED + b"2\n{}\n0\n\n", 400, CLOSED, []),
    "a chunk longer than it says": (CHUNKED + b"2\r\n{}X\r\n0\r\n\r\n", 400, CLOSED, []),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nA: b\r\n\r\n", 200, OPEN, [b"{}"]),
    "a length among the trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n", 400, CLOSED, []),
    "another host in the target": (SMALL.replace(b"POST ", b"POST http://evil"), 404, OPEN, []),
    "a tunnel": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 404, OPEN, []),
    "an upgrade": (
        HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}",
        200,
        OPEN,
        [b"{}"],
    ),
    "an upgrade to HTTP/2": (
        HEAD
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\n{}",
        200,
        OPEN,
        [b"{}"],
    ),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, CLOSED, []),
    "a request of HTTP/2.0": (SMALL.replace(b"1.1", b"2.0"), 505, CLOSED, []),
    "a request of HTTP/1.9": (SMALL.replace(b"1.1", b"1.9"), 400, CLOSED, []),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505, CLOSED, []),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100, 400, CLOSED, []),
    "no host": (SMALL.replace(b"Host: x\r\n", b""), 400, CLOSED, []),
    "two hosts": (SMALL.replace(b"Host: x\r\n", b"Host: x\r\nHost: y\r\n"), 400, CLOSED, []),
    "a long target": (b"POST /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, CLOSED, []),
    "a long header": (HEAD + b"A: " + b"x" * 17_000 + b"\r\n\r\n", 431, CLOSED, []),
    "two hundred headers": (HEAD + b"A: b\r\n" * 200 + b"Content-Length: 2\r\n\r\n{}", 400, CLOSED, []),
    "headers without end": (HEAD + (b"A: " + b"x" * 9000 + b"\r\n") * 8, 431, CLOSED, []),
    "no method": (b"P{}ST / HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED, []),
    "a control character in the target": (b"POST /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED, []),
    "no ASCII in the target": (b"POST /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, CLOSED, []),
    "two callers": (
        HEAD + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 2\r\n\r\n{}",
        400,
        CLOSED,
        [],
    ),
    "two namespaces": (
        HEAD + b"X-Lambent-Namespace: a\r\nx-lambent-namespace: b\r\nContent-Length: 2\r\n\r\n{}",
        400,
        CLOSED,
        [],
    ),
    "a body of a GET": (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 404, OPEN, []),
    "empty lines first": (b"\r\n\r\n" + SMALL, 200, OPEN, [b"{}"]),
    "an unknown expectation": (HEAD + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 200, OPEN, [b"{}"]),
    "a length that nobody takes": (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413, CLOSED, []),
}


class Good:
    """A client beside: one keep-alive connection, one request after the other."""

    def __init__(self, house) -> None:
        self.house, self.statuses = house, []
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        while True:
            self.statuses.append((await self.house.invoke({"good": 1})).status)

    async def stop(self) -> None:
        """Two more answers: the second was asked for after the attack."""
        enough = len(self.statuses) + 2
        await self.house.eventually(lambda: len(self.statuses) >= enough)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        assert set(self.statuses) == {200}


@pytest.fixture
async def warm(house):
    """Two environments: one for the good client."""
    body = house.cluster.apply(function())
    await house.agent(body, "pod-1")
    await house.agent(body, "pod-2")
    await house.idle(body, 2)
    return house


@pytest.fixture
async def good(warm):
    client = Good(warm)
    yield client
    await client.stop()


def connections(house) -> int:
    return house.gateway._public.server.open_connections


@pytest.mark.parametrize(("attack", "status", "fate", "ran"), ATTACKS.values(), ids=ATTACKS.keys())
async def test_an_attack_is_answered_once_and_never_believed_again(warm, good, attack, status, fate, ran):
    """Its status, the connection's fate, what ran; the request behind it is answered only where all is in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", warm.gateway.ports["public"])
    writer.write(attack)
    await asyncio.sleep(0.01)
    writer.write(AFTER)
    received, end = await read_all(reader, 10 if fate == CLOSED else 0.5)
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", received)]
    assert (statuses, end) == ([status] if fate == CLOSED else [status, 404], fate)
    hostile = [each.body for agent in warm.agents for each in agent.invocations() if b"good" not in each.body]
    assert hostile == ran
    writer.close()
    await warm.eventually(lambda: connections(warm) <= 1)


async def test_every_error_is_typed(warm):
    """JSON with AWS's header, also for what is no HTTP."""
    for attack in (b"nonsense\r\n\r\n", ATTACKS["headers without end"][0], SMALL.replace(b"1.1", b"2.0")):
        reader, writer = await asyncio.open_connection("127.0.0.1", warm.gateway.ports["public"])
        writer.write(attack)
        head, _, body = (await read_all(reader))[0].partition(b"\r\n\r\n")
        assert b"x-amzn-ErrorType: InvalidRequestContentException" in head
        assert b"Server: lambent\r\n" in head + b"\r\n"
        assert b"aiohttp" not in head and b"Python" not in head
        assert json.loads(body)["message"] == "The request cannot be read."
        writer.close()


@pytest.mark.parametrize("door", ["internal", "metrics"])
@pytest.mark.parametrize(
    ("attack", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"A: " + b"x" * 17_000 + b"\r\n\r\n", 431),
        (HEAD + (b"A: " + b"x" * 9000 + b"\r\n") * 8, 431),
    ],
    ids=["nonsense", "both lengths", "a long header", "headers without end"],
)
async def test_the_other_ports_have_the_same_bounds(warm, door, attack, status):
    """Nothing there is softer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", warm.gateway.ports[door])
    writer.write(attack)
    received, end = await read_all(reader)
    assert received.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status))
    assert end == CLOSED
    writer.close()


async def test_a_body_of_a_caller_without_rights_is_not_kept(make_house):
    """Six megabytes of somebody unknown are read and thrown away; without rights nothing is checked or held."""
    house = await make_house(settings={"auth_mode": "kubernetes", "bodies_bytes": 1000})
    answer = await house.invoke(b'"' + b"x" * 5_000_000 + b'"', Authorization="Bearer nobody")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "UnrecognizedClientException")
    answer = await house.invoke(b"x" * 5_000_000)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")

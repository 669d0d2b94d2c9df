"""What hostile and broken clients do to a port, what they hear, and that nobody beside them notices.

Every attack is followed by a request that must not be believed unless the connection is in order, and a good client
goes on all the while.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct

import aiohttp
import pytest
from tests.gateway.clusters import function

from lambent.adapters.http import servers
from lambent.adapters.http.servers import Bounds
from lambent.gateway import bodies
from lambent.gateway.bodies import Room
from lambent.gateway.serving import HttpServer

PATH = b"/2015-03-31/functions/hello/invocations"
HEAD = b"POST " + PATH + b" HTTP/1.1\r\nHost: x\r\n"
AFTER = b"POST /after HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SMALL = HEAD + b"Content-Length: 2\r\n\r\n{}"

CLOSED, OPEN = "closed", "open"

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


async def read_all(reader, seconds: float = 0.5) -> tuple[bytes, str]:
    """What came, and whether the connection is closed."""
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65536):
                received += piece
    except TimeoutError:
        return received, OPEN
    except ConnectionError:
        pass
    return received, CLOSED


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


# --- time: on a server of its own, whose bounds are short ---------------------------------------------------------------


@pytest.fixture
async def serve(monkeypatch):
    """`await serve(bounds, begin)`: a server that looks at its connections all the time."""
    monkeypatch.setattr(servers, "_LOOK_SECONDS", 0.02)
    started = []

    async def start(begin=None, room=None, **bounds) -> HttpServer:
        def echo(request, respond):
            respond(200, [(b"Content-Type", b"application/json")], request.body or b"")

        server = HttpServer(begin or echo, lambda: False, room=room or Room(2**30))
        await server.start("127.0.0.1", 0, Bounds(**bounds))
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop(0)


async def connect(server: HttpServer):
    return await asyncio.open_connection("127.0.0.1", server.port)


async def ask(server: HttpServer, body: bytes = b"1") -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{server.port}/x", data=body) as answer,
    ):
        await answer.read()
        return answer.status


async def none_left(server: HttpServer, count: int = 0) -> None:
    async with asyncio.timeout(10):
        while server.server.open_connections > count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("first", [b"", SMALL], ids=["a new connection", "a kept one"])
async def test_a_head_that_drips_is_cut_off(serve, first):
    """However steadily its bytes come; a good client gets its answers meanwhile."""
    server = await serve(head_seconds=0.15)
    reader, writer = await connect(server)
    if first:
        writer.write(first)
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200")

    async def drip() -> None:
        for byte in HEAD + b"A: " + b"x" * 100_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    received, end = await read_all(reader, 10)
    assert (received[:12], end) == (b"HTTP/1.1 408", CLOSED)
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    assert await ask(server) == 200
    await none_left(server)


async def test_empty_lines_are_no_way_around_it(serve):
    """They belong to the next head."""
    server = await serve(head_seconds=0.1)
    reader, writer = await connect(server)
    writer.write(b"\r\n")
    assert (await read_all(reader, 10))[0][:12] == b"HTTP/1.1 408"
    writer.close()


async def test_slow_but_whole_heads_and_bodies_are_served(serve):
    """The bound is not on the connection, nor on the body."""
    server = await serve(head_seconds=0.3)
    reader, writer = await connect(server)
    for _ in range(3):
        for piece in (HEAD, b"Content-Length: 3\r\n\r\n", b"1", b"2", b"3"):
            writer.write(piece)
            await asyncio.sleep(0.12)
        assert (await reader.readuntil(b"123")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_body_that_drips_is_cut_off(serve, monkeypatch):
    """Each byte in time, the whole not."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    server = await serve(linger_seconds=0.1)
    reader, writer = await connect(server)
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")

    async def drip() -> None:
        for _ in range(1000):
            writer.write(b"1")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    received, end = await read_all(reader, 10)
    assert (received[:12], end) == (b"HTTP/1.1 408", CLOSED)
    dripping.cancel()
    await none_left(server)


async def test_an_idle_connection_is_closed_in_the_end(serve):
    """Without a word: there is no request to answer."""
    server = await serve(idle_seconds=0.2)
    reader, writer = await connect(server)
    assert await read_all(reader, 10) == (b"", CLOSED)
    writer.close()


@pytest.mark.parametrize("reads", [0, 1], ids=["nothing", "a byte now and then"])
async def test_an_answer_that_is_not_read_is_given_up(serve, reads):
    """Six megabytes; a client that takes nothing, or next to nothing, does not keep them."""

    def begin(request, respond):
        respond(200, [], b"x" * 6_000_000)

    server = await serve(begin, unread_seconds=30.0 if reads else 0.2, answer_seconds=0.6 if reads else 300.0)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(SMALL)
    for _ in range(100):
        if not server.server.open_connections and _ > 5:
            break
        await asyncio.sleep(0.05)
        if reads:
            try:
                client.recv(1000)
            except OSError:
                break
    await none_left(server)
    client.close()


async def test_a_slow_reader_that_keeps_reading_gets_everything(serve):
    """Progress is what counts."""

    def begin(request, respond):
        respond(200, [], b"x" * 3_000_000)

    server = await serve(begin, unread_seconds=0.5)
    reader, writer = await connect(server)
    writer.write(SMALL)
    length = len(await reader.readuntil(b"\r\n\r\n")) * 0
    while length < 3_000_000:
        length += len(await reader.read(100_000))
        await asyncio.sleep(0.01)
    writer.close()


async def test_pipelining_without_reading_is_bounded(serve):
    """The next request is not begun while the answers are not taken."""
    seen = []

    def begin(request, respond):
        seen.append(1)
        respond(200, [], b"x" * 1_000_000)

    server = await serve(begin, unread_seconds=0.3)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(SMALL * 500)
    await none_left(server)
    assert len(seen) < 20
    client.close()


async def test_a_flood_of_connections_costs_those_that_do_nothing(serve):
    """The quietest go first; what is in flight goes on, and newcomers get in."""
    gate = asyncio.Event()

    def begin(request, respond):
        if request.target == b"/wait":
            asyncio.get_running_loop().create_task(later(respond))
        else:
            respond(200, [], b"ok")

    async def later(respond):
        await gate.wait()
        respond(200, [], b"waited")

    server = await serve(begin, connections=64)
    reader, writer = await connect(server)
    writer.write(HEAD.replace(PATH, b"/wait") + b"Content-Length: 0\r\n\r\n")
    await asyncio.sleep(0.05)
    flood = [await connect(server) for _ in range(300)]
    assert await ask(server) == 200
    assert server.server.open_connections <= 64
    assert server.server.turned_away >= 236
    gate.set()
    assert (await reader.readuntil(b"waited")).startswith(b"HTTP/1.1 200")
    for _, other in flood:
        other.close()
    writer.close()
    await none_left(server)


async def test_where_all_are_busy_the_newcomer_is_turned_away(serve):
    """Requests that run are worth more than requests that do not yet."""
    responds = []

    def begin(request, respond):
        responds.append(respond)

    server = await serve(begin, connections=16)
    busy = [await connect(server) for _ in range(16)]
    for _, writer in busy:
        writer.write(SMALL)
    async with asyncio.timeout(10):
        while len(responds) < 16:
            await asyncio.sleep(0.01)
    reader, writer = await connect(server)
    assert (await read_all(reader, 10)) == (b"", CLOSED)
    for respond in responds:
        respond(200, [], b"done")
    for reader, _ in busy:
        await reader.readuntil(b"done")
    for _, writer in busy:
        writer.close()
    await none_left(server)


@pytest.mark.parametrize("when", ["in the body", "in the answer", "before the answer"])
async def test_a_reset_leaves_nothing_behind(serve, when):
    """Neither a connection, nor memory, nor a request that nobody abandons."""
    abandoned = []

    def begin(request, respond):
        if when == "in the answer":
            respond(200, [], b"x" * 6_000_000)
        return lambda: abandoned.append(1)

    room = Room(1_000_000)
    server = await serve(begin, room=room)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.connect(("127.0.0.1", server.port))
    if when == "in the body":
        client.sendall(HEAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 300_000)
    else:
        client.sendall(HEAD + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000)
    await asyncio.sleep(0.1)
    client.close()
    await none_left(server)
    assert abandoned == ([1] if when == "before the answer" else [])
    async with asyncio.timeout(10):
        while not room.take(1_000_000):
            await asyncio.sleep(0.01)


async def test_memory_for_bodies_is_bounded(serve):
    """Beyond it: 503, told after the body; small requests go on, and afterwards there is room again."""
    gate = asyncio.Event()

    def begin(request, respond):
        async def later():
            await gate.wait()
            respond(200, [], b"ok")

        if len(request.body) < 1000:
            respond(200, [], b"ok")
        else:
            asyncio.get_running_loop().create_task(later())

    server = await serve(begin, room=Room(2_500_000))
    asked = [asyncio.create_task(ask(server, b"x" * 1_000_000)) for _ in range(4)]
    await asyncio.sleep(0.3)
    assert await ask(server) == 200
    gate.set()
    assert sorted([await task for task in asked])[:2] == [200, 200]
    assert sorted([await task for task in asked])[-1] == 503
    assert await ask(server, b"x" * 1_000_000) == 200


async def test_a_peer_that_is_gone_without_a_word_will_be_noticed(serve):
    """The kernel asks after it."""
    server = await serve()
    _, writer = await connect(server)
    await asyncio.sleep(0.05)
    [transport] = server.server._open.values()
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    writer.close()


async def test_who_closes_half_a_connection_has_hung_up(serve):
    """As for every HTTP client there is: the request is abandoned, nothing waits."""
    abandoned = []
    server = await serve(lambda request, respond: lambda: abandoned.append(1))
    _, writer = await connect(server)
    writer.write(SMALL)
    await asyncio.sleep(0.05)
    writer.write_eof()
    await none_left(server)
    assert abandoned == [1]


async def test_a_body_of_a_caller_without_rights_is_not_kept(make_house):
    """Six megabytes of somebody unknown are read and thrown away; without rights nothing is checked or held."""
    house = await make_house(settings={"auth_mode": "kubernetes", "bodies_bytes": 1000})
    answer = await house.invoke(b'"' + b"x" * 5_000_000 + b'"', Authorization="Bearer nobody")
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "UnrecognizedClientException")
    answer = await house.invoke(b"x" * 5_000_000)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")

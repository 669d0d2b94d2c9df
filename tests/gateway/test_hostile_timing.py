"""What clients do with time: heads that drip, answers that nobody reads, connections by the hundred, resets.

On a server of its own, whose bounds are short.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import aiohttp
import pytest
from tests.gateway.hostile import CLOSED, HEAD, PATH, SMALL, read_all

from lambent.adapters.http import servers
from lambent.adapters.http.servers import Bounds
from lambent.gateway import bodies
from lambent.gateway.bodies import Room
from lambent.gateway.serving import HttpServer


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

"""How a server bounds its connections: in time, in number, and in what it takes for a request."""

import asyncio

import pytest
from tests.agent.driving import claim_of
from tests.contracts.agent.test_door import SMUGGLING

from lambent.agent.connections import Connection
from lambent.agent.protocol.states import State
from lambent.agent.protocol.writing import encode_response

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Patient(Connection):
    """Answers every request but those to /wait, with little patience and few places."""

    patience = 0.3
    most = 3

    def admit(self, head):
        return 100

    def handle(self, request):
        if request.head.target != b"/wait":
            self.send(encode_response(200, (), b"yes"))
            self.release()


@pytest.fixture
async def dial():
    """Opens connections to a server of Patients; `dial.peers` are those that are open."""
    peers = {}
    server = await asyncio.get_running_loop().create_server(lambda: Patient(peers), "127.0.0.1", 0)
    opened = []

    async def dial():
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        opened.append(writer)
        return reader, writer

    yield dial
    for writer in opened:
        writer.close()
    server.close()


async def answered(connection, request=REQUEST):
    """Whether a request is answered; False when the connection ends instead."""
    reader, writer = connection
    try:
        writer.write(request)
        return (await reader.read(100)).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


async def ended(connection):
    try:
        return await connection[0].read(100) == b""
    except ConnectionError:
        return True


BEGINNINGS = {
    "nothing": b"",
    "half a head": b"GET / HT",
    "half a body": b"POST / HTTP/1.1\r\nContent-Length: 90\r\n\r\nhalf",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_a_slow_request_ends_its_connection(dial, beginning):
    """Whoever sends nothing, or drop by drop, is not waited for: patience is for the whole message."""
    connection = await dial()
    connection[1].write(beginning)

    async def drip():
        while not connection[1].is_closing():
            await asyncio.sleep(0.05)
            connection[1].write(b"x" if beginning else b"")

    dripping = asyncio.create_task(drip())
    assert await ended(connection)
    dripping.cancel()


async def test_a_kept_connection_may_be_silent(dial):
    """Patience begins with a message's first byte."""
    connection = await dial()
    assert await answered(connection)
    await asyncio.sleep(0.5)
    assert await answered(connection)


async def test_a_new_connection_takes_the_place_of_one_that_never_asked(dial):
    """The oldest of those goes first; who has asked something stays."""
    asked = await dial()
    assert await answered(asked)
    silent = [await dial() for _ in range(2)]
    await asyncio.sleep(0.01)
    new = await dial()
    assert await answered(new)
    assert await ended(silent[0])
    assert await answered(silent[1])
    assert await answered(asked)


async def test_then_of_the_oldest_that_is_idle(dial):
    """A client that forgets its connections does not lock itself out."""
    kept = [await dial() for _ in range(3)]
    for connection in kept:
        assert await answered(connection)
    assert await answered(await dial())
    assert await ended(kept[0])
    assert await answered(kept[1])


async def test_but_never_of_one_that_is_being_answered(dial):
    """With all places busy the new one is turned away."""
    for _ in range(3):
        (await dial())[1].write(REQUEST.replace(b"/ ", b"/wait "))
    await asyncio.sleep(0.05)
    assert not await answered(await dial())


OF_RUNTIME = {name: rest for name, rest in SMUGGLING.items() if name != "endless head"}
"""A runtime's heads may have a megabyte."""


@pytest.mark.parametrize("rest", OF_RUNTIME.values(), ids=OF_RUNTIME)
async def test_the_runtime_api_refuses_what_two_parsers_could_read_differently(start, rest):
    """As the door: an error or nothing, the connection is closed, and what followed is not taken for a request."""
    agent = start(managed=False)
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.runtime_port)
    writer.write(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: a\r\n" + rest)
    writer.write(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n")
    writer.write_eof()
    try:
        said = await reader.read()
    except ConnectionError:
        said = b""
    assert said.count(b"HTTP/1.1") <= 1
    assert not said or said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 202"))
    assert (await (await agent.connect()).state()).state is State.GENERIC


async def test_a_head_of_nothing_but_blanks_is_read_in_no_time(start):
    """Quadratic patterns would show: sixty kilobytes of blanks, a hundred times."""
    agent = start(managed=False)
    for _ in range(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", agent.port)
        writer.write(b"GET /v1/state HTTP/1.1\r\nX:" + b" " * 60_000 + b"a" + b" \t" * 1000 + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        writer.close()


async def test_a_claim_without_end_is_refused(start):
    """More than 16 MB is not kept."""
    caller = await start(managed=False).connect()
    answer = await caller.call(b"POST", b"/v1/claim", b" " * (16 * 1024 * 1024) + claim_of(None).to_json())
    assert (answer.status, answer.json()["errorType"]) == (413, "TooLarge")

"""HTTP as the public door serves it: what proxies, old clients and hostile ones do."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from tests.gateway.clusters import function

from lambent.agent.protocol.http1 import BODY_END, MessageEnd, ResponseDecoder, ResponseHead
from lambent.agent.protocol.writing import encode_chunk
from lambent.gateway import bodies
from lambent.gateway.serving import HttpServer

PATH = b"/2015-03-31/functions/hello/invocations"


def post(body: bytes = b"{}", extra: bytes = b"", version: bytes = b"1.1", path: bytes = PATH) -> bytes:
    return b"POST %b HTTP/%b\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (path, version, extra, len(body), body)


class Client:
    """Raw bytes out, decoded answers in."""

    def __init__(self, reader, writer) -> None:
        self.reader, self.writer, self.decoder, self.events = reader, writer, ResponseDecoder(), []

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        head, body = None, b""
        async with asyncio.timeout(15):
            while True:
                while not self.events:
                    data = await self.reader.read(65536)
                    assert data, "closed"
                    self.events += self.decoder.feed(data)
                event = self.events.pop(0)
                if isinstance(event, ResponseHead):
                    head = event
                elif isinstance(event, MessageEnd):
                    return head.status, head.headers, body
                elif event is not BODY_END:
                    body += event

    async def closed(self) -> bool:
        async with asyncio.timeout(15):
            return await self.reader.read() == b""


@pytest.fixture
async def warm(house):
    body = house.cluster.apply(function())
    await house.agent(body)
    await house.idle(body)
    return house


@pytest.fixture
async def connect(warm):
    clients = []

    async def begin() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", warm.gateway.ports["public"])))
        return clients[-1]

    yield begin
    for client in clients:
        client.writer.close()


async def test_a_connection_carries_many_requests(connect):
    """Kept alive, each answered with a Date."""
    client = await connect()
    for number in range(5):
        client.writer.write(post(b"%d" % number))
        status, headers, body = await client.answer()
        assert (status, body) == (200, b"%d" % number)
        assert headers[b"date"].endswith(b"GMT")


async def test_pipelined_requests_are_answered_in_order(connect):
    """Also when the first takes longest, and when errors are among them."""
    client = await connect()
    client.writer.write(
        post(b'{"do":"sleep","seconds":0.05,"n":1}') + post(b"{", path=b"/") + post(b"2") + post(b"nope") + post(b"3")
    )
    answers = [await client.answer() for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 404, 200, 400, 200]
    assert [answers[index][2] for index in (2, 4)] == [b"2", b"3"]


async def test_a_flood_of_pipelined_requests_is_read_no_faster_than_answered(connect):
    """Two hundred at once, all answered."""
    client = await connect()
    client.writer.write(b"".join(post(b"%d" % number) for number in range(200)))
    assert [int((await client.answer())[2]) for _ in range(200)] == list(range(200))


async def test_a_request_may_come_byte_by_byte(connect):
    """However it is cut."""
    client = await connect()
    for byte in post(b'{"a":1}'):
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.answer())[2] == b'{"a":1}'


async def test_chunked_requests_are_whole_events(connect):
    """As some SDKs and proxies send them."""
    client = await connect()
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % PATH
    client.writer.write(head + encode_chunk(b'{"a"') + encode_chunk(b":1}") + b"0\r\n\r\n")
    assert (await client.answer())[2] == b'{"a":1}'


@pytest.mark.parametrize(("extra", "version"), [(b"Connection: close\r\n", b"1.1"), (b"", b"1.0")])
async def test_a_client_that_wants_to_close_is_answered_and_closed(connect, extra, version):
    """HTTP/1.0 closes unless it says otherwise."""
    client = await connect()
    client.writer.write(post(b"1", extra, version))
    status, _, body = await client.answer()
    assert (status, body) == (200, b"1")
    assert await client.closed()


async def test_head_has_no_body(connect):
    """Its length is told, its bytes are not sent; the next answer is read where it begins."""
    client = await connect()
    client.writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    client.writer.write(post(b"1"))
    assert (await client.answer())[2] == b"1"


@pytest.mark.parametrize(
    ("attack", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" % PATH, 413),
    ],
)
async def test_what_is_no_http_gets_one_typed_answer(connect, attack, status):
    """Then the connection is over; nothing after it is believed."""
    client = await connect()
    client.writer.write(attack + post(b"1"))
    answered, headers, body = await client.answer()
    assert answered == status
    assert headers[b"x-amzn-errortype"]
    assert json.loads(body)["message"]
    assert await client.closed()


async def test_chunks_without_end_are_cut_off(connect):
    """Nobody reads for ever what it will not take."""
    client = await connect()
    client.writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % PATH)
    chunk = encode_chunk(b"x" * 1_000_000)

    async def send() -> None:
        while True:
            client.writer.write(chunk)
            await client.writer.drain()

    sending = asyncio.create_task(send())
    assert (await client.answer())[0] == 413
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_a_client_that_reads_slowly_gets_everything(connect):
    """Six megabytes back, three times over one connection."""
    client = await connect()
    body = b'"' + b"x" * 6_000_000 + b'"'
    client.writer.write(post(body) * 3)
    for _ in range(3):
        await asyncio.sleep(0.05)
        assert (await client.answer())[2] == body


async def test_a_body_that_does_not_come_is_given_up(monkeypatch, connect):
    """Nobody waits for ever for the rest."""
    monkeypatch.setattr(bodies, "STALLED_SECONDS", 0.05)
    client = await connect()
    client.writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin" % PATH)
    assert (await client.answer())[0] == 408
    assert await client.closed()


async def test_a_client_that_expects_it_is_told_to_continue(connect):
    """curl waits a second for it before it sends a large body."""
    client = await connect()
    client.writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n" % PATH)
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.writer.write(b"7")
    assert (await client.answer())[2] == b"7"


async def test_a_compressed_body_is_taken_as_it_is(connect):
    """Lambda does not unpack; what is packed small can be large."""
    client = await connect()
    client.writer.write(post(gzip.compress(b"{}"), b"Content-Encoding: gzip\r\n"))
    assert (await client.answer())[0] == 400


async def test_a_client_that_hangs_up_abandons_its_request():
    """Whoever works for it is told, once."""
    abandoned = []
    server = HttpServer(lambda request, respond: lambda: abandoned.append(request.body), lambda: False)
    await server.start("127.0.0.1", 0)
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    client.writer.write(post(b"1") + post(b"2"))
    await asyncio.sleep(0.05)
    client.writer.close()
    async with asyncio.timeout(5):
        while not abandoned:
            await asyncio.sleep(0.01)
    assert abandoned == [b"1"]
    await server.stop(0)

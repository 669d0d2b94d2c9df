"""The internal door of gateways."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from lambent.adapters import gateways
from lambent.adapters.gateways import GatewayClient, Invocation, Retirement
from lambent.model.errors import Unavailable


class Gateway:
    """Answers as told."""

    def __init__(self):
        self.tokens = []
        self.chunks = []
        self.hang = False
        self.status = 200
        self.answer = {"retired": ["a/p"], "busy": ["a/q"]}
        self.function_error = ""

    async def demand(self, request):
        self.tokens.append(request.headers["Authorization"])
        if self.status != 200:
            return web.Response(status=self.status)
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in self.chunks:
            await response.write(chunk)
            await asyncio.sleep(0.01)
        if self.hang:
            await asyncio.sleep(1)
        return response

    async def retire(self, request):
        self.asked = await request.json()
        return web.json_response(self.answer, status=self.status)

    async def invoke(self, request):
        self.asked = (request.headers["Lambent-Target"], await request.read())
        headers = {"X-Amz-Function-Error": self.function_error} if self.function_error else {}
        response = web.StreamResponse(status=self.status, headers=headers)
        await response.prepare(request)
        for chunk in self.chunks:
            await response.write(chunk)
        if self.hang:
            request.transport.close()
        return response


@pytest.fixture
async def gateway():
    fake = Gateway()
    app = web.Application()
    app.add_routes([web.get("/v1/demand", fake.demand), web.post("/v1/retire", fake.retire)])
    app.add_routes([web.post("/v1/invoke", fake.invoke)])
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    fake.url = str(server.make_url("")).rstrip("/")
    yield fake
    await server.close()


@pytest.fixture
async def client(tmp_path):
    token = tmp_path / "token"
    token.write_text("one\n")
    async with aiohttp.ClientSession() as session:
        made = GatewayClient(session, str(token))
        made.token = token
        yield made


async def lines(client, gateway, silence=5):
    return [line async for line in client.demand(gateway.url, silence)]


async def test_lines_come_whole_however_they_are_cut(gateway, client):
    """Chunks are not lines; the first empty one says that the stream is open."""
    gateway.chunks = [b'{"a"', b":1}\n{", b'"b":2}\n\n']
    assert await lines(client, gateway) == [b"", b'{"a":1}', b'{"b":2}', b""]


async def test_the_token_is_read_again_each_time(gateway, client):
    """The kubelet rotates it."""
    await lines(client, gateway)
    client.token.write_text("two\n")
    await lines(client, gateway)
    assert gateway.tokens == ["Bearer one", "Bearer two"]


async def test_a_silent_stream_ends(gateway, client):
    """Whoever listens dials again."""
    gateway.hang = True
    async with asyncio.timeout(0.8):
        assert await lines(client, gateway, silence=0.1) == [b""]


@pytest.mark.parametrize("status", [401, 404, 503])
async def test_another_answer_is_unavailable(gateway, client, status):
    """A gateway that refuses us is no gateway we can use now."""
    gateway.status = status
    with pytest.raises(Unavailable, match=str(status)):
        await lines(client, gateway)
    with pytest.raises(Unavailable, match=str(status)):
        await client.retire(gateway.url, ["a/p"])


async def test_retiring_tells_what_is_given_up_and_what_is_busy(gateway, client):
    """Named as the demand names them."""
    assert await client.retire(gateway.url, ["a/p", "a/q"]) == Retirement(frozenset({"a/p"}), frozenset({"a/q"}))
    assert gateway.asked == {"pods": ["a/p", "a/q"]}


async def test_nonsense_is_unavailable(gateway, client):
    """Nothing is known of the environments then."""
    gateway.answer = {"retired": 5}
    with pytest.raises(Unavailable):
        await client.retire(gateway.url, [])


ANSWERS = {
    "a result": (200, ""),
    "a function error": (200, "Unhandled"),
    "a throttle": (429, ""),
    "no environment": (503, ""),
}


@pytest.mark.parametrize(("status", "error"), ANSWERS.values(), ids=ANSWERS)
async def test_whatever_an_invocation_is_answered_with_is_an_answer(gateway, client, status, error):
    """Whoever invokes decides what it means."""
    gateway.status, gateway.function_error, gateway.chunks = status, error, [b'"he', b'llo"']
    answer = await client.invoke(gateway.url, "a/f:live", b"{}")
    assert answer == Invocation(status, error, b'"hello"')
    assert gateway.asked == ("a/f:live", b"{}")


async def test_of_a_long_answer_the_beginning_is_kept(gateway, client):
    gateway.chunks = [b"x" * 50_000] * 40
    answer = await client.invoke(gateway.url, "a/f:live", b"{}")
    assert answer.body == b"x" * gateways.ANSWER_BYTES_KEPT


async def test_an_answer_that_breaks_off_is_none(gateway, client):
    gateway.chunks, gateway.hang = [b"half"], True
    with pytest.raises(Unavailable):
        await client.invoke(gateway.url, "a/f:live", b"{}")


async def test_a_missing_token_is_unavailable(gateway, client):
    """It is projected in a moment."""
    client.token.unlink()
    with pytest.raises(Unavailable, match="token"):
        await client.retire(gateway.url, [])


async def test_no_gateway_is_unavailable(client):
    """A refused connection."""
    with pytest.raises(Unavailable):
        await client.retire("http://127.0.0.1:9", [])
    with pytest.raises(Unavailable):
        await client.invoke("http://127.0.0.1:9", "a/f:live", b"{}")

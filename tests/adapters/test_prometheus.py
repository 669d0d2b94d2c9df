"""The client of Prometheus, where a server misbehaves; what a real one answers is in tests/contracts/prometheus."""

import asyncio
import contextlib
import json
import math
import ssl

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.authorities import Authority, pem

from lambent.adapters import prometheus
from lambent.adapters.prometheus import PrometheusClient, PrometheusSettings
from lambent.model.errors import Unavailable


class Server:
    """Answers as told."""

    def __init__(self):
        self.seen = []
        self.status = 200
        self.body = answer("vector", [{"metric": {}, "value": [1.5, "7"]}])
        self.headers = {}
        self.post = True
        self.hangs = False

    async def query(self, request):
        form = dict(await request.post()) if request.method == "POST" else dict(request.query)
        self.seen.append((request.method, request.path, request.headers.get("Authorization"), form))
        if self.hangs:
            await asyncio.sleep(30)
        if request.method == "POST" and not self.post:
            return web.Response(status=405)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


def answer(kind, result):
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


@contextlib.asynccontextmanager
async def serving(tls=None):
    """A server; `tls` is the context of an encrypted one."""
    fake = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.query)
    test_server = TestServer(app)
    await test_server.start_server(shutdown_timeout=0.1, ssl=tls)
    fake.url = str(test_server.make_url("/prefix"))
    yield fake
    await test_server.close()


@pytest.fixture
async def server():
    async with serving() as fake:
        yield fake


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def client(server, session):
    return PrometheusClient(session, PrometheusSettings(server.url))


async def test_the_query_is_posted_with_a_limit_of_time(server, client):
    assert await client.ask("sum(up)") == 7
    assert server.seen == [("POST", "/prefix/api/v1/query", None, {"query": "sum(up)", "timeout": "5s"})]


async def test_where_nothing_may_be_posted_it_is_asked_by_get(server, client):
    """Proxies that let only reading methods through."""
    server.post = False
    assert await client.ask("sum(up)") == 7
    assert [seen[0] for seen in server.seen] == ["POST", "GET"]
    assert server.seen[1][3] == {"query": "sum(up)", "timeout": "5s"}


NUMBERS = {
    "a scalar": (answer("scalar", [1, "2.5"]), 2.5),
    "a vector of one": (answer("vector", [{"metric": {}, "value": [1, "1e3"]}]), 1000.0),
    "nothing": (answer("vector", []), None),
    "infinity": (answer("scalar", [1, "+Inf"]), math.inf),
    "minus infinity": (answer("scalar", [1, "-Inf"]), -math.inf),
}


@pytest.mark.parametrize(("body", "number"), NUMBERS.values(), ids=NUMBERS)
async def test_one_number_is_the_answer(server, client, body, number):
    server.body = body
    assert await client.ask("x") == number


async def test_not_a_number_is_told_as_such(server, client):
    server.body = answer("scalar", [1, "NaN"])
    assert math.isnan(await client.ask("x"))


REFUSED = {
    "two series": (200, answer("vector", [{"value": [1, "1"]}, {"value": [1, "2"]}]), "2 series .* sum"),
    "a matrix": (200, answer("matrix", []), "a matrix, an alarm needs one number"),
    "a text": (200, answer("string", [1, "x"]), "a string, an alarm needs one number"),
    "a histogram": (200, answer("vector", [{"metric": {}, "histogram": [1, {}]}]), "no number"),
    "a number that is none": (200, answer("scalar", [1, "seven"]), "no number"),
    "a scalar without a value": (200, answer("scalar", []), "no number"),
    "an error": (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', "bad_data: parse error"),
    "too much work": (422, b'{"status":"error","errorType":"execution","error":"too many samples"}', "too many"),
    "a proxy's words": (502, b"<html>Bad Gateway</html>", "answered 502, and not as a Prometheus"),
    "a login page": (200, b"<html>Who are you?</html>", "answered 200, and not as a Prometheus"),
    "another server's JSON": (200, b'["hello"]', "not as a Prometheus"),
    "JSON without data": (200, b'{"status":"success"}', "a None"),
    "nothing at all": (200, b"", "not as a Prometheus"),
    "brackets without end": (200, b"[" * 100_000, "not as a Prometheus"),
}


@pytest.mark.parametrize(("status", "body", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_number_is_told_in_words(server, client, status, body, words):
    """They end up in the status of an alias."""
    server.status, server.body = status, body
    with pytest.raises(Unavailable, match=words):
        await client.ask("x")


async def test_an_endless_answer_is_not_read_to_its_end(server, client, monkeypatch):
    monkeypatch.setattr(prometheus, "ANSWER_BYTES_MAX", 1000)
    server.body = b" " * 100_000
    with pytest.raises(Unavailable, match="over 1000 bytes"):
        await client.ask("x")


async def test_a_server_that_hangs_is_not_waited_for(server, session):
    server.hangs = True
    client = PrometheusClient(session, PrometheusSettings(server.url), seconds=0.05)
    with pytest.raises(Unavailable, match=r"no answer within 0\.05 s"):
        await client.ask("x")


async def test_nobody_there_is_told(session):
    client = PrometheusClient(session, PrometheusSettings("http://127.0.0.1:9"))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        await client.ask("x")


async def test_the_token_is_read_anew_each_time_and_goes_nowhere_else(server, session, tmp_path):
    """Tokens are rotated; a redirect may lead anywhere."""
    token = tmp_path / "token"
    client = PrometheusClient(session, PrometheusSettings(server.url, str(token)))
    with pytest.raises(Unavailable, match="token"):
        await client.ask("x")
    for text in ("one\n", "two"):
        token.write_text(text)
        await client.ask("x")
    assert [seen[2] for seen in server.seen] == ["Bearer one", "Bearer two"]
    server.status, server.headers = 302, {"Location": "/elsewhere"}
    server.body = b""
    with pytest.raises(Unavailable, match="answered 302"):
        await client.ask("x")
    assert len(server.seen) == 3


async def test_the_authorities_it_is_told_of_are_the_only_ones_and_may_change(session, tmp_path):
    """Read anew when the file changes; without it, without a certificate in it or signed by others: told."""
    authority, bundle = Authority(), tmp_path / "ca.crt"
    pair = tmp_path / "server.pem"
    pair.write_bytes(b"".join(authority.pair("127.0.0.1")))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair)
    async with serving(tls) as server:
        client = PrometheusClient(session, PrometheusSettings(server.url, ca_file=str(bundle)))
        with pytest.raises(Unavailable, match="authorities for Prometheus cannot be read"):
            await client.ask("x")
        bundle.write_text("nothing of the kind")
        with pytest.raises(Unavailable, match="authorities for Prometheus cannot be read"):
            await client.ask("x")
        for trusted, trust in ((Authority(), False), (authority, True), (Authority(), False)):
            fresh = tmp_path / "fresh"
            fresh.write_bytes(pem(trusted.certificate))
            fresh.rename(bundle)
            if trust:
                assert await client.ask("x") == 7
            else:
                with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                    await client.ask("x")
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await PrometheusClient(session, PrometheusSettings(server.url)).ask("x")
    assert len(server.seen) == 1

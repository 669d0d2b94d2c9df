"""What a guarded session never does, against a trap that counts who comes.

The payloads are of three kinds: notations of addresses, answers of a name server, redirects. Each is tried for every
address that must not be reached; every one of these addresses would end at the trap, if it was dialled.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from tests.contracts.sources.servers import certificate, serving

from lambent.adapters.outbound.guarding import REDIRECTS_MAX, GuardedResolver, guarded_connector, guarded_session
from lambent.adapters.sources.buckets import BucketObject
from lambent.adapters.sources.fetcher import Fetcher
from lambent.adapters.sources.fetching import Bounds
from lambent.adapters.sources.web import WebAddress
from lambent.model.addresses import AddressPolicy, parse_networks
from lambent.model.errors import AddressRefused, FetchFailed

PUBLIC = "127.0.0.9"
"""Stands for a public address: the only one that these tests allow. The redirecting server is there."""
POLICY = AddressPolicy(
    allowed=parse_networks([f"{PUBLIC}/32"]), denied=parse_networks(["34.118.224.0/20", "35.190.0.0/16"])
)
FORBIDDEN = {
    "loopback": "127.0.0.1",
    "loopback, another": "127.1.2.3",
    "metadata": "169.254.169.254",
    "metadata of containers": "169.254.170.2",
    "pod": "10.244.0.7",
    "service": "10.96.0.1",
    "private b": "172.16.5.4",
    "private c": "192.168.0.1",
    "node by CGNAT": "100.64.0.10",
    "this host": "0.0.0.0",
    "denied by the administrator": "34.118.224.1",
    "pod with a public address": "35.190.1.1",
}


def decimal(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def v6(prefix: int, address: str, shift: int = 0) -> str:
    return f"[{ipaddress.IPv6Address(prefix | decimal(address) << shift)}]"


def notations(address: str) -> list[str]:
    """Hosts of URLs that some library somewhere takes for this address."""
    a, b, c, d = address.split(".")
    return [
        address,
        f"{address}.",
        str(decimal(address)),
        hex(decimal(address)),
        f"0{decimal(address):o}",
        ".".join(hex(int(part)) for part in (a, b, c, d)),
        ".".join(f"0{int(part):o}" for part in (a, b, c, d)),
        f"{a}.{b}.{int(c) * 256 + int(d)}",
        f"{a}.{int(b) * 65536 + int(c) * 256 + int(d)}",
        f"{a}.{b}.{c}.0x{int(d):x}",
        f"0x{int(a):x}.{b}.{c}.{d}",
        ".".join(f"{int(part):03d}" for part in (a, b, c, d)),
        v6(0xFFFF << 32, address),
        f"[::ffff:{address}]",
        v6(0, address),
        v6(0x64FF9B << 96, address),
        v6(0x2002 << 112, address, 80),
        v6(0x20010000 << 96, str(ipaddress.IPv4Address(decimal(address) ^ 0xFFFFFFFF))),
        "".join(chr(ord("①") + int(digit) - 1) if digit not in ".0" else digit for digit in address),
        address.replace(".", "。"),
        address.replace("1", "%31"),
    ]


class Names(AbstractResolver):
    """A name server that says what it is told, one answer after the other."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if not answers:
            return await aiohttp.ThreadedResolver().resolve(host, port, family)
        current = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {"hostname": host, "host": each, "port": port, "family": family, "proto": 0, "flags": 0} for each in current
        ]

    async def close(self) -> None:
        pass


@dataclass
class Trap:
    """A server on every address of this machine, and a witness of everything that this process dials."""

    port: int = 0
    came: int = 0
    dialled: list[str] = field(default_factory=list)

    async def count(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncaught")
        await writer.drain()
        writer.close()


_witnesses: list[Trap] = []


def _witness(event: str, arguments: tuple[Any, ...]) -> None:
    """Python tells of every connect, before it happens; such a hook stays for the life of the process."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        for trap in _witnesses:
            trap.dialled.append(arguments[1][0])


@pytest.fixture(scope="session", autouse=True)
def _watched() -> None:
    sys.addaudithook(_witness)


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    made = Trap()
    everywhere = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    async with await asyncio.start_server(made.count, sock=everywhere):
        made.port = everywhere.getsockname()[1]
        _witnesses.append(made)
        yield made
        _witnesses.remove(made)


async def attempt(session: aiohttp.ClientSession, url: str) -> str:
    """How a fetch of this address ends: the trouble, or what came."""
    fetcher = Fetcher(session, session, Bounds(total_s=3, connect_s=1, idle_s=1))
    try:
        async with fetcher.fetch(WebAddress(url)) as came:
            return bytes(came.spool.view()).decode()
    except FetchFailed as failed:
        return failed.trouble.value


def redirecting(location: str) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    return answer


def payloads(port: int) -> list[tuple[str, list[list[str]] | None]]:
    """Addresses to try, with the answers of the name server for `name.test` where they matter."""
    made: list[tuple[str, list[list[str]] | None]] = []
    for address in FORBIDDEN.values():
        made += [(f"http://{host}:{port}/x.zip", None) for host in notations(address)]
        userinfo = (f"user@{address}", f"{PUBLIC}@{address}", f"public.test%40x:y@{address}", f"{PUBLIC}:80@{address}")
        made += [(f"http://{tricky}:{port}/", None) for tricky in userinfo]
        made += [
            (f"http://name.test:{port}/", [[address]]),
            (f"https://name.test:{port}/", [[address]]),
            (f"http://name.test.:{port}/", [[address]]),
            (f"http://name.test:{port}/", [[f"::ffff:{address}"]]),
            # a name with a public address too: only that may be tried
            (f"http://name.test:{port}/", [[PUBLIC, address]]),
            (f"http://name.test:{port}/", [[address, PUBLIC]]),
            # rebinding: another answer for whoever asks again
            (f"http://name.test:{port}/", [[PUBLIC], [address]]),
        ]
    made += [
        (f"http://{host}:{port}/", None)
        for host in ("localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "ip6-localhost")
    ]
    return made


async def test_the_trap_is_one(trap: Trap) -> None:
    """A session without a guard falls into it."""
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
        trap.came, trap.dialled[:] = 0, []
        async with aiohttp.ClientSession() as session:
            assert await attempt(session, f"http://{host}:{trap.port}/") == "caught"
        assert (trap.came, bool(trap.dialled)) == (1, True)


async def test_no_payload_reaches_what_is_forbidden(trap: Trap) -> None:
    """S4 of goals.md, notations and names: nothing but the public address is ever dialled."""
    tried, outcomes = 0, Counter[str]()
    for url, answers in payloads(trap.port):
        names = Names({"name.test": list(answers or []), "name.test.": list(answers or [])})
        async with guarded_session(POLICY, connector=guarded_connector(POLICY, names)) as session:
            outcomes[await attempt(session, url)] += 1
            tried += 1
    assert tried >= 300
    assert set(trap.dialled) == {PUBLIC}
    assert trap.came == outcomes["caught"] == 3 * len(FORBIDDEN)  # names that have the public address, too
    assert outcomes.keys() <= {"refused", "malformed", "redirected", "unreachable", "distrusted", "caught"}
    assert outcomes["refused"] >= 200


async def test_no_redirect_reaches_what_is_forbidden(trap: Trap) -> None:
    """S4 of goals.md, the same behind a server that may be asked."""
    async with serving(host=PUBLIC) as server:
        tried = 0
        for url, answers in payloads(trap.port):
            server.handler = redirecting(url)
            names = Names({"name.test": list(answers or []), "name.test.": list(answers or [])})
            async with guarded_session(POLICY, connector=guarded_connector(POLICY, names)) as session:
                await attempt(session, f"{server.url}/start")
                tried += 1
        assert tried >= 300
        assert len(server.requests) == tried
    assert set(trap.dialled) == {PUBLIC}


async def test_no_bucket_of_a_payload_is_asked(trap: Trap) -> None:
    """`code.s3Endpoint` is dialled by the same rules, and S3's redirects are not followed at all."""
    async with serving(host=PUBLIC) as server:
        server.handler = redirecting(f"http://127.0.0.1:{trap.port}/")
        async with guarded_session(POLICY) as guarded, aiohttp.ClientSession() as trusting:
            fetcher = Fetcher(guarded, trusting, Bounds(total_s=3, connect_s=1, idle_s=1))
            endpoints = [url.rsplit("/", 1)[0] for url, answers in payloads(trap.port) if answers is None]
            for endpoint in (server.url, *endpoints):
                with pytest.raises(FetchFailed):
                    async with fetcher.fetch(BucketObject("code", "a.zip", endpoint=endpoint)):
                        pass
        assert len(server.requests) == 1
        assert len(endpoints) > 200
    assert (set(trap.dialled), trap.came) == ({PUBLIC}, 0)


async def test_a_name_is_asked_once_for_each_connection(trap: Trap) -> None:
    """What was judged is what is dialled: a second answer is never heard."""
    names = Names({"name.test": [[PUBLIC], ["127.0.0.1"]]})
    async with guarded_session(POLICY, connector=guarded_connector(POLICY, names)) as session:
        assert await attempt(session, f"http://name.test:{trap.port}/") == "caught"
        assert names.asked == ["name.test"]
        assert await attempt(session, f"http://name.test:{trap.port}/") == "refused"
    assert trap.dialled == [PUBLIC]


async def test_the_socket_is_the_last_to_judge(trap: Trap) -> None:
    """Even if a resolver let everything pass, no socket would be made for it."""
    names = Names({"name.test": [["127.0.0.1"]]})
    connector = guarded_connector(POLICY, names)
    connector._resolver = names
    async with guarded_session(POLICY, connector=connector) as session:
        assert await attempt(session, f"http://name.test:{trap.port}/") == "refused"
    assert trap.dialled == []


async def test_no_proxy_of_the_environment_is_used(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be dialled instead, and could reach anything."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
    async with serving(host=PUBLIC) as server, guarded_session(POLICY) as session:
        server.files["/a"] = b"mine"
        assert await attempt(session, f"{server.url}/a") == "mine"
    assert set(trap.dialled) == {PUBLIC}
    with pytest.raises(ValueError, match="takes no trust_env"):
        guarded_session(POLICY, trust_env=True)


class TestRedirects:
    async def test_five_are_followed_and_a_sixth_is_not(self) -> None:
        """Each counts, wherever it leads."""
        for hops, outcome in ((REDIRECTS_MAX, "here"), (REDIRECTS_MAX + 1, "refused")):
            async with serving(host=PUBLIC) as server, guarded_session(POLICY) as session:

                async def hop(request: web.Request, last: int = hops) -> web.Response:
                    number = int(request.path.strip("/"))
                    if number == last:
                        return web.Response(text="here")
                    return web.Response(status=307, headers={"Location": f"/{number + 1}"})

                server.handler = hop
                assert await attempt(session, f"{server.url}/0") == outcome
                assert len(server.requests) == REDIRECTS_MAX + 1

    async def test_from_https_to_http_is_none(self, tmp_path: Path) -> None:
        """What follows would be readable, and writable, for everybody on the way."""
        policy = AddressPolicy(allowed=parse_networks(["127.0.0.0/8", "::1"]))
        trusting = ssl.create_default_context()
        async with serving() as plain, serving(tls=certificate(tmp_path)) as server:
            trusting.load_verify_locations(tmp_path / "cert.pem")
            plain.files["/a"] = b"open"
            server.handler = redirecting(f"{plain.url}/a")
            connector = guarded_connector(policy, ssl=trusting)
            async with guarded_session(policy, connector=connector) as session:
                assert await attempt(session, f"{server.url}/") == "refused"
            assert (len(server.requests), plain.requests) == (1, [])

    async def test_takes_no_password_to_another_origin(self) -> None:
        """Nor a cookie, which nobody keeps."""
        async with serving(host=PUBLIC) as first, serving(host=PUBLIC) as second, guarded_session(POLICY) as session:

            async def to_second(_: web.Request) -> web.Response:
                headers = {"Location": f"{second.url}/a", "Set-Cookie": "session=1; Path=/"}
                return web.Response(status=302, headers=headers)

            first.handler, second.files["/a"] = to_second, b"x"
            async with session.get(f"{first.url}/", headers={"Authorization": "Bearer canary"}) as response:
                assert await response.read() == b"x"
            assert first.requests[0].headers["Authorization"] == "Bearer canary"
            assert not {"Authorization", "Cookie"} & second.requests[0].headers.keys()

    @pytest.mark.parametrize(
        "location", ["ftp://127.0.0.1/a", "file:///etc/passwd", "http://", "//", "http://[::1", ""]
    )
    async def test_to_what_is_no_address_end_there(self, location: str) -> None:
        """Whatever stands in the Location."""
        async with serving(host=PUBLIC) as server, guarded_session(POLICY) as session:
            server.handler = redirecting(location)
            assert await attempt(session, f"{server.url}/") in ("redirected", "malformed", "refused")


async def test_a_name_with_refused_addresses_only_is_refused_by_the_resolver() -> None:
    """And one with others is dialled there; one with none is told as the resolver tells it."""
    resolver = GuardedResolver(POLICY, Names({"both": [["127.0.0.1", PUBLIC]], "none": [["::1", "10.0.0.1"]]}))
    assert [answer["host"] for answer in await resolver.resolve("both")] == [PUBLIC]
    with pytest.raises(AddressRefused, match="a loopback address"):
        await resolver.resolve("none")

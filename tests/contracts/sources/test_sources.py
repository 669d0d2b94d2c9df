"""What every source of code promises."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.contracts.sources.conftest import CANARY, LIMIT, Source
from tests.contracts.sources.servers import Server, certificate, serving

from lambent.adapters.outbound.guarding import guarded_session
from lambent.adapters.sources.fetcher import Fetcher
from lambent.adapters.sources.fetching import Bounds
from lambent.model.addresses import AddressPolicy
from lambent.model.errors import FetchFailed, Unavailable
from lambent.model.troubles import Trouble

Named = Callable[[str, str], Source]
CONTENT = bytes(range(256)) * 3000


async def failure(fetcher: Fetcher, source: Source) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        async with fetcher.fetch(source):
            pass
    said = f"{caught.value} {caught.value!r} {source!r}"
    assert CANARY not in said
    assert len(str(caught.value)) < 600
    return caught.value


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, bytes(LIMIT)], ids=["empty", "a byte", "pieces", "the limit"])
async def test_what_is_there_comes_whole_with_its_digest(
    named: Named, server: Server, fetcher: Fetcher, content: bytes
) -> None:
    """Whatever its size, up to the very limit; as memory and as a file, again and again."""
    server.files["/code/a.zip"] = content
    async with fetcher.fetch(named(server.url, "a.zip")) as came:
        assert bytes(came.spool.view()) == content
        for _ in range(2):
            with came.spool.reader() as reader:
                assert reader.read() == content
        assert (came.spool.size, came.spool.sha256_hex) == (len(content), hashlib.sha256(content).hexdigest())
        assert came.media_type == "application/zip"


async def test_it_is_asked_for_as_it_is(named: Named, server: Server, fetcher: Fetcher) -> None:
    """No compression is asked for: the digest is of what was stored, not of what some server made of it."""
    server.files["/code/a.zip"] = CONTENT
    async with fetcher.fetch(named(server.url, "a.zip")):
        [request] = server.requests
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.method == "GET"


async def test_nothing_is_left_behind(named: Named, server: Server, fetcher: Fetcher, folder: Path) -> None:
    """Neither a file in the folder, not even meanwhile, nor an open one."""
    server.files["/code/a.zip"] = CONTENT
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a.zip", "missing.zip"):
        for _ in range(10):
            try:
                async with fetcher.fetch(named(server.url, name)) as came:
                    assert came.spool.size
                    assert not any(folder.iterdir())
            except FetchFailed:
                pass
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the connection that is kept


def answering(status: int, **headers: str):  # type: ignore[no-untyped-def]
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="no", headers=headers)

    return answer


@pytest.mark.parametrize(
    ("status", "trouble"),
    {
        400: Trouble.REJECTED,
        401: Trouble.DENIED,
        403: Trouble.DENIED,
        404: Trouble.MISSING,
        405: Trouble.REJECTED,
        408: Trouble.UNREACHABLE,
        410: Trouble.MISSING,
        429: Trouble.UNREACHABLE,
        500: Trouble.UNREACHABLE,
        503: Trouble.UNREACHABLE,
        204: Trouble.REDIRECTED,
        206: Trouble.REDIRECTED,
        304: Trouble.REDIRECTED,
    }.items(),
)
async def test_an_answer_that_is_not_200_is_named(
    named: Named, server: Server, fetcher: Fetcher, status: int, trouble: Trouble
) -> None:
    """A part (206) is no package either."""
    server.handler = answering(status)
    said = await failure(fetcher, named(server.url, "a.zip"))
    assert said.trouble == trouble
    assert str(status) in str(said) or "S3 Error Code" in str(said)


async def test_too_many_bytes_are_not_read_when_they_are_announced(
    named: Named, server: Server, fetcher: Fetcher
) -> None:
    """One more than the limit is too many."""
    server.files["/code/a.zip"] = bytes(LIMIT + 1)
    said = await failure(fetcher, named(server.url, "a.zip"))
    assert (said.trouble, str(LIMIT) in str(said)) == (Trouble.TOO_LARGE, True)


async def test_a_body_without_end_is_read_up_to_the_limit(named: Named, server: Server, fetcher: Fetcher) -> None:
    """And what lies in buffers on the way."""
    server.handler = server.endless
    assert (await failure(fetcher, named(server.url, "a.zip"))).trouble == Trouble.TOO_LARGE
    await asyncio.sleep(0.1)
    assert server.sent < LIMIT + 16 * 1024 * 1024


@pytest.mark.parametrize("how", ["stalling", "dripping", "silent"])
async def test_a_server_that_takes_its_time_is_left(named: Named, server: Server, fetcher: Fetcher, how: str) -> None:
    """Silence has its bound, and so has everything together."""
    server.handler = getattr(server, how)
    assert (await failure(fetcher, named(server.url, "a.zip"))).trouble == Trouble.SLOW


async def test_an_answer_cut_short_is_no_package(named: Named, server: Server, fetcher: Fetcher) -> None:
    """It is asked for again later."""
    server.handler = server.cut
    assert (await failure(fetcher, named(server.url, "a.zip"))).trouble == Trouble.UNREACHABLE


async def test_compression_on_the_way_is_refused(named: Named, server: Server, fetcher: Fetcher) -> None:
    """What came would have another digest and, unpacked, no bound."""
    server.handler = answering(200, **{"Content-Encoding": "gzip"})
    assert (await failure(fetcher, named(server.url, "a.zip"))).trouble == Trouble.ENCODED


async def test_nobody_there_is_told(named: Named, fetcher: Fetcher) -> None:
    """A closed port, a name that nobody has."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    said = await failure(fetcher, named(f"http://127.0.0.1:{port}", "a.zip"))
    assert (said.trouble, "refused" in str(said)) == (Trouble.UNREACHABLE, True)
    said = await failure(fetcher, named("http://no-such-name.invalid", "a.zip"))
    assert (said.trouble, "cannot be resolved" in str(said)) == (Trouble.UNREACHABLE, True)


async def test_what_is_no_http_is_told(named: Named, fetcher: Fetcher) -> None:
    """A banner of another protocol is an answer that nobody understands."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        said = await failure(fetcher, named(f"http://127.0.0.1:{port}", "a.zip"))
    assert said.trouble == Trouble.UNREACHABLE


async def test_a_server_that_cannot_prove_who_it_is_gets_no_request(
    named: Named, fetcher: Fetcher, tmp_path: Path
) -> None:
    """Its certificate is not one that we trust."""
    async with serving(tls=certificate(tmp_path)) as server:
        said = await failure(fetcher, named(server.url, "a.zip"))
        assert (said.trouble, server.requests) == (Trouble.DISTRUSTED, [])
        assert "certificate" in str(said) or "self-signed" in str(said) or "self signed" in str(said)


async def test_a_refused_address_is_not_dialled(named: Named, server: Server, folder: Path) -> None:
    """Nor is its name; the words say which rule, not which address."""
    async with guarded_session(AddressPolicy()) as guarded, aiohttp.ClientSession() as trusting:
        fetcher = Fetcher(guarded, trusting, Bounds(folder=str(folder)))
        for host in ("127.0.0.1", "localhost"):
            said = await failure(fetcher, named(f"http://{host}:{server.port}", "a.zip"))
            assert (said.trouble, "a loopback address" in str(said)) == (Trouble.REFUSED, True)
    assert server.requests == []


async def test_without_room_it_is_tried_again_later(named: Named, server: Server) -> None:
    """A full disk is our trouble, not the function's."""
    server.files["/code/a.zip"] = CONTENT
    async with guarded_session(AddressPolicy()) as guarded, aiohttp.ClientSession() as trusting:
        fetcher = Fetcher(trusting, guarded, Bounds())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))
            with pytest.raises(Unavailable, match="No space left"):
                async with fetcher.fetch(named(server.url, "a.zip")):
                    pass

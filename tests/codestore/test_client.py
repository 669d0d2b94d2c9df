"""The client of the code store, against the real door and against servers that misbehave."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from lambent.adapters.code.client import CodeStoreClient
from lambent.codestore import uploading
from lambent.model.errors import InvalidCode, Unavailable

from .conftest import NOW, Store

CONTENT = bytes(range(256)) * 9000


async def test_what_was_put_is_there_and_can_be_got(store: Store) -> None:
    assert not await store.client.has(store.signed("HEAD", CONTENT))
    await store.client.put(store.signed("PUT", CONTENT), CONTENT)
    assert await store.client.has(store.signed("HEAD", CONTENT))
    assert await store.client.get(store.signed("GET", CONTENT), len(CONTENT)) == CONTENT


async def test_putting_what_is_there_is_fine_however_large_it_is(store: Store) -> None:
    """The store answers before the body has come."""
    content = bytes(20 * 1024 * 1024)
    for _ in range(3):
        await store.client.put(store.signed("PUT", content), content)


async def test_more_than_the_limit_is_not_read(store: Store) -> None:
    await store.keep(CONTENT)
    with pytest.raises(InvalidCode, match=f"more than {len(CONTENT) - 1}"):
        await store.client.get(store.signed("GET", CONTENT), len(CONTENT) - 1)


async def test_what_the_store_will_never_take_is_invalid_code(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidCode, match="SHA-256 of the body"):
        await store.client.put(store.signed("PUT", CONTENT), b"other")
    monkeypatch.setattr(uploading, "BLOB_BYTES_MAX", 10)
    with pytest.raises(InvalidCode, match="at most 10 bytes"):
        await store.client.put(store.signed("PUT", CONTENT), CONTENT)


async def test_a_blob_that_is_not_there_is_unavailable(store: Store) -> None:
    """Whoever put it there knows that it must be; the next attempt may find it."""
    with pytest.raises(Unavailable, match="answered 404: no blob"):
        await store.client.get(store.signed("GET", CONTENT), 10)


async def test_a_refused_signature_is_unavailable_and_not_repeated_in_words(store: Store) -> None:
    expired = store.signed("GET", CONTENT, expires=NOW - 1)
    for asking in (store.client.get(expired, 10), store.client.put(expired, b""), store.client.has(expired)):
        with pytest.raises(Unavailable, match="answered 403") as caught:
            await asking
        assert "sig" not in str(caught.value).replace("signature", "")


async def test_a_full_store_is_unavailable_and_says_that_it_is_full(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match="is full: no room on the volume: No space left"):
        await store.client.put(store.signed("PUT", CONTENT), CONTENT)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def answering() -> AsyncIterator[Callable[[bytes], Awaitable[CodeStoreClient]]]:
    """A client of a server that reads the head of each request, says these bytes and hangs up."""
    servers: list[asyncio.Server] = []
    async with aiohttp.ClientSession() as session:

        async def start(said: bytes) -> CodeStoreClient:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(said)
                writer.close()

            servers.append(await asyncio.start_server(serve, "127.0.0.1", 0))
            return CodeStoreClient(f"http://127.0.0.1:{servers[0].sockets[0].getsockname()[1]}/", session)

        yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("said", "why"),
    {
        "nothing": (b"", "no answer"),
        "noise": (b"\x00\xff\r\n\r\n", "no answer"),
        "an error without words": (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "answered 500: Oops"),
        "an error page": (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", "answered 502: Bad Gateway"),
        "a list for an error": (b"HTTP/1.1 503 S\r\nContent-Length: 2\r\n\r\n[]", "answered 503: S"),
        "a redirect": (
            b"HTTP/1.1 302 F\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "answered 302",
        ),
        "half a blob": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "no answer"),
    }.values(),
)
async def test_a_store_that_misbehaves_is_unavailable(
    answering: Callable[[bytes], Awaitable[CodeStoreClient]], said: bytes, why: str
) -> None:
    client = await answering(said)
    with pytest.raises(Unavailable, match=why) as caught:
        await client.get("/v1/blobs/sha256/0?exp=1&sig=secret", 100)
    assert "secret" not in str(caught.value)


async def test_an_endless_answer_is_cut_at_the_limit(
    answering: Callable[[bytes], Awaitable[CodeStoreClient]],
) -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + bytes(1000) + b"\r\n"
    client = await answering(endless)
    with pytest.raises(InvalidCode, match="more than 100 bytes"):
        await client.get("/x", 100)


async def test_a_store_that_is_not_there_is_unavailable() -> None:
    async with aiohttp.ClientSession() as session:
        client = CodeStoreClient("http://127.0.0.1:1", session)
        for asking in (client.get("/x", 1), client.put("/x", b""), client.has("/x")):
            with pytest.raises(Unavailable, match=r"no answer from .*Connection refused"):
                await asking

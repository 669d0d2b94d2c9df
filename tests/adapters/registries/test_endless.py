"""What a client does with servers that never end, or are no servers of HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.adapters.registries.conftest import Desk

from lambent.adapters.registries import client as client_module
from lambent.adapters.registries import fetching
from lambent.adapters.registries.client import RegistryClient
from lambent.model.errors import InvalidImage, Unavailable

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw(talk: Talk) -> AsyncIterator[str]:
    """A server of bytes: `host:port`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _endless_manifest(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def _announced_manifest(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    await writer.drain()


async def _endless_error(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def _long_header(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + b"a" * 5_000_000 + b"\r\n\r\n")
    await writer.drain()


async def _many_headers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 401 No\r\n")
    for number in range(5000):
        writer.write(b"WWW-Authenticate: Basic realm=%d%s\r\n" % (number, b"a" * 1000))
        await writer.drain()
    writer.write(b"Content-Length: 0\r\n\r\n")
    await writer.drain()


async def _no_http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01\x00" * 100 + b"\r\n\r\n")
    await writer.drain()


async def _hangs_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()


@pytest.mark.parametrize(
    ("talk", "error", "message"),
    [
        (_endless_manifest, InvalidImage, "answers with more than 1048576 bytes"),
        (_announced_manifest, InvalidImage, "answers with more than 1048576 bytes"),
        (_endless_error, Unavailable, "answered 500"),
        (_long_header, Unavailable, "no answer from"),
        (_many_headers, Unavailable, "no answer from|does not have permission"),
        (_no_http, Unavailable, "no answer from"),
        (_hangs_up, Unavailable, "no answer from"),
    ],
)
async def test_a_server_without_measure_is_left(desk: Desk, talk: Talk, error: type[Exception], message: str) -> None:
    """Nothing that it sends is read to its end."""
    async with raw(talk) as place:
        client = RegistryClient(desk.session, frozenset({place}))
        with pytest.raises(error, match=message):
            await client.resolve(f"{place}/team/app", "x86_64")


async def _silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _drops(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("talk", [_silence, _drops], ids=["silent", "drop by drop"])
@pytest.mark.parametrize("bound", ["exchange", "resolve"])
async def test_a_slow_server_is_left(desk: Desk, talk: Talk, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so long for an answer, however busy it looks, and so long for all answers."""
    if bound == "exchange":
        monkeypatch.setattr(fetching, "_TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    else:
        monkeypatch.setattr(client_module, "RESOLVE_SECONDS_MAX", 0.3)
    async with raw(talk) as place:
        client = RegistryClient(desk.session, frozenset({place}))
        with pytest.raises(Unavailable, match="did not answer in time"):
            await client.resolve(f"{place}/team/app", "x86_64")

"""Whoever reaches the port can neither hold it, nor fill memory, nor get past the signature."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource

import pytest

from lambent.codestore import uploading
from lambent.codestore.listening import LINE_BYTES_MAX
from lambent.wire.signed_urls import blob_path

from .conftest import CONNECTIONS_MAX, HEAD_SECONDS, Store, digest_of, eventually

CONTENT = bytes(range(256)) * 3000
PATH = blob_path(digest_of(CONTENT))


async def said(store: Store, *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything the door answers until it hangs up; the client only ever waits."""
    reader, writer = await asyncio.open_connection("127.0.0.1", store.port)
    try:
        for part in parts:
            with contextlib.suppress(ConnectionError):
                writer.write(part)
                await writer.drain()
            await asyncio.sleep(pause)
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""
    finally:
        writer.close()


async def served(store: Store) -> None:
    """Others are served meanwhile."""
    assert not await store.client.has(store.signed("HEAD", b"never"))


class TestHeld:
    """Connections that say nothing, or little, are closed; the others do not notice."""

    async def test_a_silent_connection_is_closed(self, store: Store) -> None:
        waiting = asyncio.create_task(said(store))
        await served(store)
        assert await waiting == b""

    async def test_a_head_that_comes_byte_by_byte_is_given_up(self, store: Store) -> None:
        head = f"GET {store.signed('GET', CONTENT)} HTTP/1.1\r\nX-Slow: ".encode()
        async with asyncio.timeout(HEAD_SECONDS * 20):
            assert await said(store, head, *(b"x" for _ in range(40)), pause=HEAD_SECONDS / 10) == b""
        await served(store)

    async def test_an_idle_connection_is_closed_after_its_answer(self, store: Store) -> None:
        answer = await said(store, f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403 ")

    async def test_a_body_that_drips_is_given_up_in_the_end(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each byte comes in time, and yet no upload lasts for ever."""
        monkeypatch.setattr(uploading, "UPLOAD_SECONDS", 0.3)
        head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        answer = await said(store, head.encode(), *(b"x" for _ in range(12)), pause=0.05)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert store.growing() == []
        assert store.blobs_on_disk() == {}

    async def test_a_reader_that_reads_nothing_holds_no_file_open(self, store: Store) -> None:
        content = os.urandom(30_000_000)  # more than the kernel's buffers take
        await store.keep(content)
        before = len(os.listdir("/proc/self/fd"))
        reader, writer = await asyncio.open_connection("127.0.0.1", store.port, limit=1000)
        writer.write(f"GET {store.signed('GET', content)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await eventually(lambda: len(os.listdir("/proc/self/fd")) >= before + 3)  # two sockets and the blob
        await served(store)
        await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before + 1)  # ours
        writer.close()
        del reader

    async def test_more_connections_than_there_may_be_are_closed_at_once(self, store: Store) -> None:
        held = [await asyncio.open_connection("127.0.0.1", store.port) for _ in range(CONNECTIONS_MAX)]
        await eventually(lambda: True)
        reader, writer = await asyncio.open_connection("127.0.0.1", store.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        held[0][1].close()
        for _ in range(200):  # and there is room again when one goes
            with contextlib.suppress(Exception):
                await served(store)
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("nobody is served any more")
        for _, writer in held:
            writer.close()

    async def test_clients_that_vanish_in_the_middle_leave_nothing(self, store: Store) -> None:
        head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", store.port)
            writer.write(head.encode() + CONTENT[:1000])
            await writer.drain()
            writer.transport.abort()
        await eventually(lambda: not store.growing())
        await store.keep(CONTENT)
        assert store.blobs_on_disk() == {digest_of(CONTENT): CONTENT}


class TestHead:
    """A head that is no head is answered and its connection closed."""

    @pytest.mark.parametrize(
        "head",
        {
            "a line without end": b"GET /" + b"a" * 10 * LINE_BYTES_MAX,
            "an endless field": b"GET / HTTP/1.1\r\nX: " + b"a" * 10 * LINE_BYTES_MAX,
            "an endless name": b"GET / HTTP/1.1\r\n" + b"a" * 10 * LINE_BYTES_MAX,
            "100,000 fields": b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(100_000)) + b"\r\n",
            "bytes": os.urandom(2000) + b"\r\n\r\n",
            "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
            "no method": b" / HTTP/1.1\r\n\r\n",
            "no version": b"GET /\r\n\r\n",
            "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "a folded field": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
            "a space before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            "a NUL": b"GET / HTTP/1.1\r\nHost: x\x00y\r\n\r\n",
        }.values(),
    )
    async def test_is_refused(self, store: Store, head: bytes) -> None:
        answer = await said(store, head)
        assert answer == b"" or answer.split(b" ")[1] in (b"400", b"403", b"404", b"414", b"431")
        assert answer.count(b"HTTP/1.") <= 1
        assert b"aaaa" not in answer
        await served(store)

    async def test_costs_no_memory(self, store: Store) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        flood = b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000_000
        for _ in range(5):
            await said(store, flood)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB; the flood itself is 20 MB


def smuggled(store: Store) -> bytes:
    """A request that must never be carried out: it stands in the body of another."""
    return f"PUT {store.signed('PUT', b'smuggled')} HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nsmuggled".encode()


SMUGGLING = {
    "both lengths": b"Content-Length: %(all)d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way round": b"Transfer-Encoding: chunked\r\nContent-Length: %(none)d\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: %(all)d\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, %(all)d\r\n\r\n",
    "a signed length": b"Content-Length: +%(all)d\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\n\r\n",
    "no encoding that we know": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an encoding in disguise": b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %(all)d\r\n\r\n",
    "a chunk that is longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "an endless chunk": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framing", SMUGGLING.values(), ids=SMUGGLING.keys())
async def test_no_request_hides_in_the_body_of_another(store: Store, framing: bytes) -> None:
    """What cannot be framed for certain is refused with its connection: nothing behind it is a request."""
    inner = smuggled(store)
    head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\n".encode()
    answer = await said(store, head + framing % {b"all": len(inner), b"none": 5} + inner)
    assert answer.split(b" ")[1] == b"400"
    assert b"sig=" not in answer
    assert store.blobs_on_disk() == {}
    assert answer.count(b"HTTP/1.") == 1
    await served(store)


PATHS = [
    "/v1/blobs/sha256/../../../etc/passwd",
    "/v1/blobs/sha256/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "//v1/blobs/sha256/{digest}",
    "/v1//blobs/sha256/{digest}",
    "/v1/blobs/sha256//{digest}",
    "/v1/blobs/sha256/{digest}/",
    "/v1/blobs/sha256/{digest}%00",
    "/v1/blobs/sha256/{digest}%2f..",
    "/v1/blobs/sha256/{digest};x",
    "/V1/BLOBS/SHA256/{digest}",
    "/v1/blobs/../blobs/sha256/x",
    "/../../etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "*",
    "/\\..\\..\\etc\\passwd",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_no_spelling_of_a_path_leads_anywhere(store: Store, path: str, method: str) -> None:
    """Also not with the query that another spelling was signed with."""
    await store.keep(CONTENT)
    store.grow_old(CONTENT)
    signed = store.signed_deletion(CONTENT, 0) if method == "DELETE" else store.signed(method, CONTENT)
    target = f"{path.format(digest=digest_of(CONTENT))}?{signed.partition('?')[2]}"
    answer = await said(store, f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"400", b"403", b"404", b"405")
    assert CONTENT[:100] not in answer
    assert store.blobs_on_disk() == {digest_of(CONTENT): CONTENT}


async def test_a_pipeline_of_requests_is_answered_in_order_and_bounded(store: Store) -> None:
    request = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    last = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    answer = await said(store, request * 500 + last)
    assert answer.count(b"HTTP/1.1 403 ") == 501


async def test_a_large_body_of_a_refused_request_is_not_read(store: Store) -> None:
    head = f"PUT {PATH}?exp=1&sig=0 HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n".encode()
    answer = await said(store, head)
    assert answer.startswith(b"HTTP/1.1 403 ")

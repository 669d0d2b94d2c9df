"""The code store's door, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import json
import os

import aiohttp
import pytest

from lambent.codestore import uploading
from lambent.wire.signed_urls import blob_path, sign_path

from .conftest import KEY, NOW, Store, digest_of, eventually

CONTENT = bytes(range(256)) * 3000
PATH = blob_path(digest_of(CONTENT))


def error_of(body: bytes) -> str:
    fields = json.loads(body)
    assert set(fields) == {"errorType", "errorMessage"}
    assert fields["errorMessage"]
    return str(fields["errorType"])


class TestPut:
    async def test_of_a_new_blob_is_created_and_of_a_known_one_ok(self, store: Store) -> None:
        path = store.signed("PUT", CONTENT)
        for status in (201, 200):
            response, body = await store.ask("PUT", path, data=CONTENT)
            assert (response.status, body) == (status, b"")
            assert response.headers["ETag"] == f'"{digest_of(CONTENT)}"'
        assert store.blobs_on_disk() == {digest_of(CONTENT): CONTENT}

    async def test_may_be_chunked_and_may_be_empty(self, store: Store) -> None:
        async def slices():  # type: ignore[no-untyped-def]
            for start in range(0, len(CONTENT), 50_000):
                yield CONTENT[start : start + 50_000]

        response, _ = await store.ask("PUT", store.signed("PUT", CONTENT), data=slices())
        assert response.status == 201
        response, _ = await store.ask("PUT", store.signed("PUT", b""), data=b"")
        assert response.status == 201
        assert store.blobs_on_disk() == {digest_of(CONTENT): CONTENT, digest_of(b""): b""}

    async def test_of_other_bytes_is_refused_and_keeps_nothing(self, store: Store) -> None:
        response, body = await store.ask("PUT", store.signed("PUT", CONTENT), data=CONTENT[:-1] + b"!")
        assert (response.status, error_of(body)) == (400, "WrongDigest")
        assert store.blobs_on_disk() == {}
        assert store.growing() == []

    async def test_of_too_many_announced_bytes_is_refused_unread(self, store: Store) -> None:
        length = uploading.BLOB_BYTES_MAX + 1
        head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", store.port)
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()

    async def test_of_too_many_unannounced_bytes_is_refused_midway(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploading, "BLOB_BYTES_MAX", 100_000)

        async def endless():  # type: ignore[no-untyped-def]
            while True:
                yield bytes(10_000)
                await asyncio.sleep(0)

        try:
            response, body = await store.ask("PUT", store.signed("PUT", CONTENT), data=endless())
            assert (response.status, error_of(body)) == (413, "TooLarge")
        except OSError:
            pass  # the server hung up on a client that would not stop
        assert store.counted("PUT", 413) == 1
        assert store.growing() == []

    async def test_of_the_largest_blob_is_taken(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uploading, "BLOB_BYTES_MAX", len(CONTENT))
        response, _ = await store.ask("PUT", store.signed("PUT", CONTENT), data=CONTENT)
        assert response.status == 201
        response, _ = await store.ask("PUT", store.signed("PUT", CONTENT + b"x"), data=CONTENT + b"x")
        assert response.status == 413

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_that_ends_early_keeps_nothing(self, store: Store, chunked: bool) -> None:
        """Also when the truncated body is all of another blob."""
        head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\n"
        if chunked:
            request = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n"
        else:
            request = f"{head}Content-Length: {len(CONTENT) + 1}\r\n\r\n".encode() + CONTENT
        await store.raw(request, end=True)
        await eventually(lambda: store.counted("PUT", 400) or store.counted("PUT", 499))
        assert store.counted("PUT", 500) is None
        assert store.blobs_on_disk() == {}
        assert store.growing() == []

    async def test_that_is_slow_is_served_and_holds_up_nobody(self, store: Store) -> None:
        _, writer = connection = await asyncio.open_connection("127.0.0.1", store.port)
        head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        writer.write(head.encode() + CONTENT[:1])
        await eventually(store.growing)
        for position in range(1, 6):
            writer.write(CONTENT[position : position + 1])
            await store.keep(b"%d" % position)
            assert await store.client.has(store.signed("HEAD", b"%d" % position))
        writer.write(CONTENT[6:])
        assert (await connection[0].readline()).startswith(b"HTTP/1.1 201 ")
        writer.close()
        assert store.blobs_on_disk()[digest_of(CONTENT)] == CONTENT

    async def test_that_brings_nothing_any_more_is_ended(self, store: Store) -> None:
        head = f"PUT {store.signed('PUT', CONTENT)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", store.port)
        writer.write(head.encode() + CONTENT[:1000])
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert store.growing() == []

    async def test_simultaneous_of_one_blob_creates_it_once(self, store: Store) -> None:
        path = store.signed("PUT", CONTENT)
        answers = await asyncio.gather(*(store.ask("PUT", path, data=CONTENT) for _ in range(10)))
        assert sorted(response.status for response, _ in answers) == [200] * 9 + [201]
        assert store.blobs_on_disk() == {digest_of(CONTENT): CONTENT}
        assert store.growing() == []

    @pytest.mark.parametrize(
        ("number", "status", "error_type"),
        [(errno.ENOSPC, 507, "StoreFull"), (errno.EIO, 503, "Unavailable")],
        ids=["full", "broken"],
    )
    async def test_on_a_volume_that_cannot_be_written_says_so_and_reads_go_on(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, number: int, status: int, error_type: str
    ) -> None:
        await store.keep(b"before")

        def fail(_: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fail)
        response, body = await store.ask("PUT", store.signed("PUT", CONTENT), data=CONTENT)
        assert (response.status, error_of(body)) == (status, error_type)
        assert store.growing() == []
        assert await store.client.get(store.signed("GET", b"before"), 10) == b"before"


class TestGet:
    async def test_gives_the_blob_for_ever(self, store: Store) -> None:
        await store.keep(CONTENT)
        response, body = await store.ask("GET", store.signed("GET", CONTENT))
        assert (response.status, body) == (200, CONTENT)
        assert response.headers["ETag"] == f'"{digest_of(CONTENT)}"'
        assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert response.headers["Content-Length"] == str(len(CONTENT))
        assert response.headers["X-Content-Type-Options"] == "nosniff"

    async def test_of_an_empty_blob_gives_nothing(self, store: Store) -> None:
        await store.keep(b"")
        response, body = await store.ask("GET", store.signed("GET", b""))
        assert (response.status, body, response.headers["Content-Length"]) == (200, b"", "0")

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_of_what_is_not_there_is_not_found(self, store: Store, method: str) -> None:
        response, body = await store.ask(method, store.signed(method, b"never"))
        assert response.status == 404
        assert method == "HEAD" or error_of(body) == "NotFound"

    async def test_answers_head_without_the_blob(self, store: Store) -> None:
        await store.keep(CONTENT)
        for method in ("HEAD", "GET"):  # who may read it may ask for its size
            response, body = await store.ask("HEAD", store.signed(method, CONTENT))
            assert (response.status, body, response.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))

    @pytest.mark.parametrize(
        ("asked", "status", "expected", "said"),
        [
            ("bytes=0-9", 206, CONTENT[:10], f"bytes 0-9/{len(CONTENT)}"),
            ("bytes=700000-", 206, CONTENT[700000:], f"bytes 700000-{len(CONTENT) - 1}/{len(CONTENT)}"),
            ("bytes=-5", 206, CONTENT[-5:], f"bytes {len(CONTENT) - 5}-{len(CONTENT) - 1}/{len(CONTENT)}"),
            ("bytes=5-99999999", 206, CONTENT[5:], f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"),
            (f"bytes={len(CONTENT)}-", 416, None, f"bytes */{len(CONTENT)}"),
            ("bytes=0-1,5-6", 200, CONTENT, None),
            ("bytes=9-1", 200, CONTENT, None),
            ("lines=1-2", 200, CONTENT, None),
            ("bytes=", 200, CONTENT, None),
        ],
    )
    async def test_gives_the_range_that_was_asked_for(
        self, store: Store, asked: str, status: int, expected: bytes | None, said: str | None
    ) -> None:
        await store.keep(CONTENT)
        response, body = await store.ask("GET", store.signed("GET", CONTENT), headers={"Range": asked})
        assert (response.status, response.headers.get("Content-Range")) == (status, said)
        assert body == expected if expected is not None else error_of(body) == "RangeNotSatisfiable"

    async def test_gives_all_when_the_range_was_meant_for_another_blob(self, store: Store) -> None:
        await store.keep(CONTENT)
        for etag, status in ((digest_of(CONTENT), 206), (digest_of(b"other"), 200)):
            headers = {"Range": "bytes=0-1", "If-Range": f'"{etag}"'}
            response, _ = await store.ask("GET", store.signed("GET", CONTENT), headers=headers)
            assert response.status == status

    async def test_gives_nothing_to_who_has_it(self, store: Store) -> None:
        await store.keep(CONTENT)
        for known in (f'"{digest_of(CONTENT)}"', "*", f'"a", W/"{digest_of(CONTENT)}"'):
            response, body = await store.ask("GET", store.signed("GET", CONTENT), headers={"If-None-Match": known})
            assert (response.status, body) == (304, b"")

    async def test_breaks_off_instead_of_ending_a_blob_that_is_cut_on_disk(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.keep(CONTENT)
        pread = os.pread
        monkeypatch.setattr(os, "pread", lambda file, size, start: pread(file, size, start) if start == 0 else b"")
        with pytest.raises(aiohttp.ClientError):
            await store.ask("GET", store.signed("GET", CONTENT))


REFUSED = {
    "no signature": (blob_path(digest_of(CONTENT)), "GET"),
    "no expiry": (f"{PATH}?sig=00", "GET"),
    "another key": (sign_path(b"x" * 32, "GET", PATH, NOW + 60), "GET"),
    "another blob": (
        sign_path(KEY, "GET", blob_path(digest_of(b"x")), NOW + 60).replace(digest_of(b"x"), digest_of(CONTENT)),
        "GET",
    ),
    "signed to read, written": (sign_path(KEY, "GET", PATH, NOW + 60), "PUT"),
    "signed to ask, written": (sign_path(KEY, "HEAD", PATH, NOW + 60), "PUT"),
    "signed to ask, read": (sign_path(KEY, "HEAD", PATH, NOW + 60), "GET"),
    "signed to write, read": (sign_path(KEY, "PUT", PATH, NOW + 60), "GET"),
    "signed to write, asked": (sign_path(KEY, "PUT", PATH, NOW + 60), "HEAD"),
    "expired": (sign_path(KEY, "GET", PATH, NOW - 1), "GET"),
    "expiry moved": (sign_path(KEY, "GET", PATH, NOW - 1).replace(f"exp={NOW - 1}", f"exp={NOW + 60}"), "GET"),
    "expiry is no number": (sign_path(KEY, "GET", PATH, NOW + 60).replace("exp=", "exp=%2B"), "GET"),
    "expiry far too long": (f"{PATH}?exp={'9' * 5000}&sig=00", "GET"),
    "signature cut": (sign_path(KEY, "GET", PATH, NOW + 60)[:-1], "GET"),
    "signature in capitals": (
        sign_path(KEY, "GET", PATH, NOW + 60)
        .upper()
        .replace(PATH.upper(), PATH)
        .replace("EXP", "exp")
        .replace("SIG", "sig"),
        "GET",
    ),
    "signature is no ASCII": (f"{PATH}?exp={NOW + 60}&sig=%C3%9F", "GET"),
    "signature is no UTF-8": (f"{PATH}?exp={NOW + 60}&sig=%ff%ed%a0%80", "GET"),
}


class TestSignature:
    @pytest.mark.parametrize(("path", "method"), REFUSED.values(), ids=REFUSED.keys())
    @pytest.mark.parametrize("there", [True, False])
    async def test_that_does_not_hold_is_refused_whether_or_not_the_blob_is_there(
        self, store: Store, path: str, method: str, there: bool
    ) -> None:
        if there:
            await store.keep(CONTENT)
        response, body = await store.ask(method, path, data=b"y" if method == "PUT" else None)
        assert response.status == 403
        assert method == "HEAD" or error_of(body) == "AccessDenied"
        assert store.blobs_on_disk() == ({digest_of(CONTENT): CONTENT} if there else {})

    async def test_of_raw_bytes_is_refused(self, store: Store) -> None:
        answer = await store.raw(
            b"GET %b?exp=%d&sig=\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (PATH.encode(), NOW + 9)
        )
        assert answer.split(b" ")[1] in (b"400", b"403")

    async def test_holds_until_its_last_second(self, store: Store) -> None:
        await store.keep(CONTENT)
        path = store.signed("GET", CONTENT, expires=NOW + 60)
        store.now = NOW + 60
        assert (await store.ask("GET", path))[0].status == 200
        store.now = NOW + 60.5
        assert (await store.ask("GET", path))[0].status == 403

    async def test_that_runs_out_during_a_transfer_does_not_end_it(self, store: Store) -> None:
        await store.keep(CONTENT)
        async with store.session.get(store.url + store.signed("GET", CONTENT)) as response:
            store.now = NOW + 3600
            assert await response.read() == CONTENT


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/blobs/sha256/", 404),
        ("GET", "/v1/blobs/sha256/abc", 404),
        ("GET", f"/v1/blobs/sha256/{'A' * 64}", 404),
        ("GET", f"/v1/blobs/sha256/{'0' * 64}/x", 404),
        ("GET", "/v1/blobs/sha256/..%2f..%2fetc%2fpasswd", 404),
        ("DELETE", "/v1/blobs", 405),
        ("GET", "/v1/blobs/", 404),
        ("POST", PATH, 405),
        ("PATCH", PATH, 405),
    ],
)
async def test_what_is_no_route_is_a_typed_error(store: Store, method: str, path: str, status: int) -> None:
    response, body = await store.ask(method, path)
    assert response.status == status
    assert error_of(body) == {404: "NotFound", 405: "MethodNotAllowed"}[status]
    assert (response.headers.get("Allow") is not None) == (status == 405)


async def test_every_answer_is_counted_and_no_caller_makes_labels(store: Store) -> None:
    await store.keep(CONTENT)
    await store.ask("GET", store.signed("GET", CONTENT))
    await store.ask("GET", PATH)
    for method in ("PATCH", "PROPFIND"):
        await store.ask(method, PATH)
    assert store.counted("PUT", 201) == 1
    assert store.counted("GET", 200) == 1
    assert store.counted("GET", 403) == 1
    assert store.counted("other", 405) == 2
    assert store.registry.get_sample_value("lambent_codestore_blobs") == 1
    assert store.registry.get_sample_value("lambent_codestore_bytes") == len(CONTENT)


async def test_a_bug_is_answered_without_its_details(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def bug(*_: object) -> None:
        raise RuntimeError("the secret detail")

    monkeypatch.setattr(type(store.door.blobs), "stat", bug)
    path = store.signed("HEAD", CONTENT)
    assert (await store.ask("HEAD", path))[0].status == 500
    assert "the secret detail" in caplog.text
    assert "sig=" not in caplog.text

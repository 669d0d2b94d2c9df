"""What is true of the S3 backend beyond the contract: its failures, its leftovers, deleters that die.

The server is a real one in a process of its own; before it stands a door that fails or dies when it is told to.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import aiohttp
import pytest
from aiohttp import web
from tests.contracts.code.s3_servers import (
    CREDENTIALS,
    Call,
    Doorman,
    always,
    doorman,
    failure,
    make_bucket,
    s3_client,
    s3_server,
    session,
)

from lambent.adapters.code import s3 as s3_module
from lambent.adapters.code import s3_calls
from lambent.adapters.code.blobs import StoreFull, TooYoung, WrongDigest
from lambent.adapters.code.client import CodeStoreClient
from lambent.adapters.code.s3 import S3Blobs
from lambent.adapters.code.s3_calls import Bucket
from lambent.model.errors import Unavailable

from .processes import signed, signed_deletion, signed_listing, start

SMALL = b"code " * 1000
LARGE = bytes(range(256)) * 21_000  # two parts


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for position in range(0, len(content), 1_000_000):
        yield content[position : position + 1_000_000]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with (
        mock.patch.dict(os.environ, CREDENTIALS),
        mock.patch.object(s3_calls, "AioSession", session),
        s3_server() as endpoint,
    ):
        yield endpoint


@dataclass
class Room:
    """A bucket, its door, and two backends: one through the door, one past it."""

    bucket: str
    door: Doorman
    blobs: S3Blobs
    other: S3Blobs

    async def read(self, content: bytes) -> bytes | None:
        async with self.other.open(digest_of(content)) as opened:
            if opened is None:
                return None
            return b"".join([piece async for piece in opened.read(0, opened.blob.size)])

    async def keys(self) -> list[str]:
        async with s3_client(self.door.upstream) as client:
            listed = await client.list_objects_v2(Bucket=self.bucket)
            return [found["Key"] for found in listed.get("Contents", ())]

    async def uploads(self) -> int:
        async with s3_client(self.door.upstream) as client:
            return len((await client.list_multipart_uploads(Bucket=self.bucket)).get("Uploads", ()))


@pytest.fixture
async def room(server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(s3_calls, "_ATTEMPTS", 1)
    name = f"code-{secrets.token_hex(6)}"
    await make_bucket(server, name)
    async with (
        doorman(server) as door,
        S3Blobs.connect(Bucket(name, "p/", door.url)) as blobs,
        S3Blobs.connect(Bucket(name, "p/", server)) as other,
    ):
        yield Room(name, door, blobs, other)


Doing = Callable[[S3Blobs], Awaitable[object]]


async def _open(blobs: S3Blobs) -> None:
    async with blobs.open(digest_of(SMALL)):
        pass


async def _list(blobs: S3Blobs) -> None:
    _ = [blob async for blob in blobs.list()]


DOING: dict[str, Doing] = {
    "put": lambda blobs: blobs.put(digest_of(SMALL), pieces(SMALL)),
    "open": _open,
    "list": _list,
    "delete": lambda blobs: blobs.delete(digest_of(SMALL)),
    "probe": lambda blobs: blobs.probe(),
    "tidy": lambda blobs: blobs.tidy(),
}


class TestFailures:
    @pytest.mark.parametrize("doing", DOING.values(), ids=DOING.keys())
    @pytest.mark.parametrize(
        ("status", "code", "said"),
        [
            (404, "NoSuchBucket", "does not exist"),
            (403, "AccessDenied", "refuses these credentials: "),
            (403, "InvalidAccessKeyId", "refuses these credentials: "),
            (403, "SignatureDoesNotMatch", "refuses these credentials: "),
            (403, "RequestTimeTooSkewed", "clock|credentials"),
            (301, "PermanentRedirect", "in another region"),
            (503, "SlowDown", "asks for fewer requests: "),
            (500, "InternalError", "answered 500: "),
        ],
    )
    async def test_are_told_in_clear_words_and_without_secrets(
        self, room: Room, doing: Doing, status: int, code: str, said: str
    ) -> None:
        def refusing(call: Call) -> Awaitable[web.StreamResponse | None]:
            return always(lambda: failure(status, code))(call)

        room.door.before = refusing
        if code == "NoSuchBucket" and room.door:
            # a HEAD says 404 and no more: the next call, which has a body, says which of the two is missing
            async def but_heads(call: Call) -> web.StreamResponse | None:
                return failure(404 if call.method == "HEAD" else status, code)

            room.door.before = but_heads
        with pytest.raises(Unavailable, match=said) as caught:
            await doing(room.blobs)
        assert not isinstance(caught.value, StoreFull)
        assert room.bucket in str(caught.value)
        for secret in CREDENTIALS.values():
            assert secret not in str(caught.value)

    @pytest.mark.parametrize(("status", "code"), [(507, "XMinioStorageFull"), (403, "QuotaExceeded")])
    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["one", "parts"])
    async def test_of_room_are_a_full_store_that_can_be_read_and_emptied(
        self, room: Room, status: int, code: str, content: bytes
    ) -> None:
        await room.other.put(digest_of(b"before"), pieces(b"before"))

        async def full(call: Call) -> web.StreamResponse | None:
            return failure(status, code) if call.method in ("PUT", "POST") else None

        room.door.before = full
        with pytest.raises(StoreFull, match=f"no room in the bucket {room.bucket} .*: {code}"):
            await room.blobs.put(digest_of(content), pieces(content))
        assert await room.read(b"before") == b"before"
        assert await room.uploads() == 0
        assert await room.blobs.delete(digest_of(b"before")) is True
        assert await room.keys() == []

    @pytest.mark.parametrize("doing", DOING.values(), ids=DOING.keys())
    async def test_of_the_way_there_are_told(self, doing: Doing, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_calls, "_ATTEMPTS", 1)
        async with S3Blobs.connect(Bucket("bucket", "", "http://127.0.0.1:1")) as blobs:
            with pytest.raises(Unavailable, match=r"no answer from http://127\.0\.0\.1:1"):
                await doing(blobs)

    @pytest.mark.parametrize("doing", DOING.values(), ids=DOING.keys())
    async def test_to_answer_are_told_in_time(self, doing: Doing, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_calls, "_ATTEMPTS", 1)
        monkeypatch.setattr(s3_calls, "_READ_SECONDS", 0.2)
        monkeypatch.setattr(s3_calls, "_CALL_SECONDS", 1.0)

        async def silent(_: Call) -> web.StreamResponse | None:
            await asyncio.sleep(30)
            return None

        async with doorman(server) as door, S3Blobs.connect(Bucket("bucket", "", door.url)) as blobs:
            door.before = silent
            with pytest.raises(Unavailable, match="did not answer in time"):
                await doing(blobs)

    async def test_that_pass_are_not_noticed(self, server: str) -> None:
        """S3 asks for patience as a matter of course."""
        name = f"code-{secrets.token_hex(6)}"
        await make_bucket(server, name)
        async with doorman(server) as door, S3Blobs.connect(Bucket(name, "", door.url)) as blobs:
            refused = 0

            async def once(_: Call) -> web.StreamResponse | None:
                nonlocal refused
                refused += 1
                return failure(503, "SlowDown") if refused % 2 else None

            door.before = once
            assert await blobs.put(digest_of(SMALL), pieces(SMALL)) is True
            assert refused > 2

    async def test_in_the_middle_of_a_blob_are_no_end_of_it(self, room: Room) -> None:
        await room.other.put(digest_of(LARGE), pieces(LARGE))
        async with room.other.open(digest_of(LARGE)) as opened:
            assert opened is not None
            reading = opened.read(0, len(LARGE))
            await anext(reading)
            opened.body.raw_stream.connection.transport.abort()
            with pytest.raises(Unavailable):
                _ = [piece async for piece in reading]

    async def test_of_a_server_without_conditional_writes_are_none(self, room: Room) -> None:
        """Ceph of some years ago: then the blob is written without the condition."""
        asked = 0

        async def once(call: Call) -> web.StreamResponse | None:
            nonlocal asked
            if call.method == "PUT" and "sha256" in call.path:
                asked += 1
                return failure(501, "NotImplemented") if asked == 1 else None
            return None

        room.door.before = once
        assert await room.blobs.put(digest_of(SMALL), pieces(SMALL)) is True
        assert await room.read(SMALL) == SMALL


class TestLeftovers:
    async def test_there_are_none_of_an_upload_that_fails(self, room: Room) -> None:
        with pytest.raises(WrongDigest):
            await room.blobs.put(digest_of(SMALL), pieces(LARGE))
        room.door.before = always(lambda: failure(500, "InternalError"), "partNumber=2")
        with pytest.raises(Unavailable):
            await room.blobs.put(digest_of(LARGE), pieces(LARGE))
        assert await room.uploads() == 0
        assert await room.keys() == []

    async def test_of_killed_processes_are_swept_when_nobody_can_still_be_at_them(
        self, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with s3_client(room.door.upstream) as client:
            for key in (f"p/sha256/{digest_of(LARGE)}", "others/mine"):
                await client.create_multipart_upload(Bucket=room.bucket, Key=key)
            await client.put_object(Bucket=room.bucket, Key=f"p/collecting/{digest_of(SMALL)}/1", Body=b"")
            await client.put_object(Bucket=room.bucket, Key="others/mine", Body=b"")
        await room.blobs.tidy()
        assert len(await room.keys()) == 2
        monkeypatch.setattr(s3_module, "ABANDONED_SECONDS", -1.0)
        await room.blobs.tidy()
        assert (await room.uploads(), await room.keys()) == (1, ["others/mine"])

    async def test_of_living_processes_are_not_swept(self, room: Room) -> None:
        """The listing is made up: the server of these tests says of every upload that it began in 2010."""
        uploads = "".join(
            f"<Upload><Key>p/sha256/{name}</Key><UploadId>{name}</UploadId><Initiated>{began}</Initiated></Upload>"
            for name, began in (("old", "2026-01-01T10:00:00Z"), ("young", "2026-01-01T11:59:00Z"))
        )
        listing = f"<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>"

        async def listed(call: Call) -> web.StreamResponse | None:
            if call.method != "GET" or "uploads" not in call.query:
                return None
            headers = {"Date": "Thu, 01 Jan 2026 12:00:00 GMT"}
            return web.Response(text=listing, content_type="application/xml", headers=headers)

        room.door.before = listed
        await room.blobs.tidy()
        assert [call.query for call in room.door.calls if call.method == "DELETE"] == ["uploadId=old"]

    async def test_in_the_bucket_that_are_no_blobs_are_not_listed(self, room: Room) -> None:
        await room.blobs.put(digest_of(SMALL), pieces(SMALL))
        async with s3_client(room.door.upstream) as client:
            for key in ("p/sha256/notes.txt", "p/sha256/", f"sha256/{digest_of(LARGE)}", f"p/{digest_of(LARGE)}"):
                await client.put_object(Bucket=room.bucket, Key=key, Body=b"x")
        assert [blob.digest async for blob in room.blobs.list()] == [digest_of(SMALL)]


class TestKilled:
    """The process dies at its n-th request, before or after the server carried it out, for every n."""

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(("content", "steps"), [(SMALL, 3), (LARGE, 6)], ids=["one", "parts"])
    async def test_while_putting_it_leaves_all_or_nothing(
        self, room: Room, monkeypatch: pytest.MonkeyPatch, when: str, content: bytes, steps: int
    ) -> None:
        for number in range(1, steps + 1):
            assert not await self._die(room, when, number, DOING_WITH["put"](content))
            await self._check_recovered(room, content)
        assert await self._die(room, when, steps + 1, DOING_WITH["put"](content))  # so it did die at every step
        assert await room.read(content) == content

    async def _die(self, room: Room, when: str, fatal: int, doing: Doing) -> bool:
        """Whether it lived. Of what it says on its way out nothing is heard."""
        seen = 0

        async def before(_: Call) -> web.StreamResponse | None:
            nonlocal seen
            seen += 1
            return failure(500, "Dead") if seen > fatal or (seen == fatal and when == "before") else None

        async def after(_: Call) -> web.StreamResponse | None:
            return failure(500, "Dead") if seen >= fatal else None

        room.door.before, room.door.after = before, after
        try:
            await doing(room.blobs)
        except Unavailable:
            return False
        return True

    async def _check_recovered(self, room: Room, content: bytes) -> None:
        assert await room.read(content) in (None, content)
        with mock.patch.object(s3_module, "NOTE_SECONDS", -1.0), mock.patch.object(s3_module, "ABANDONED_SECONDS", -1):
            await room.other.put(digest_of(content), pieces(content))
            assert await room.read(content) == content
            await room.other.delete(digest_of(content))
            await room.other.tidy()
        assert (await room.keys(), await room.uploads()) == ([], 0)

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_while_deleting_it_delays_puts_of_that_blob_and_loses_none(
        self, room: Room, monkeypatch: pytest.MonkeyPatch, when: str
    ) -> None:
        for number in range(1, 4):
            await room.other.put(digest_of(SMALL), pieces(SMALL))
            assert not await self._die(room, when, number, DOING_WITH["delete"](SMALL))
            await self._check_recovered(room, SMALL)
        await room.other.put(digest_of(SMALL), pieces(SMALL))
        assert await self._die(room, when, 4, DOING_WITH["delete"](SMALL))  # the note is left: it is swept
        await self._check_recovered(room, SMALL)


DOING_WITH: dict[str, Callable[[bytes], Doing]] = {
    "put": lambda content: lambda blobs: blobs.put(digest_of(content), pieces(content)),
    "delete": lambda content: lambda blobs: blobs.delete(digest_of(content)),
}


class TestDeleters:
    """Between a deleter's look and its deletion a put may come: one of the two sees the other."""

    @pytest.mark.parametrize("number", range(1, 5))
    async def test_a_put_at_any_step_of_a_deletion_never_says_that_is_there_what_is_not(
        self, room: Room, number: int
    ) -> None:
        """A whole put between two requests of the deleter, which found the blob old."""
        await room.other.put(digest_of(SMALL), pieces(SMALL))
        await asyncio.sleep(2.1)
        seen, putting = 0, list[asyncio.Task[bool]]()

        async def put_now(_: Call) -> web.StreamResponse | None:
            nonlocal seen
            seen += 1
            if seen == number:
                putting.append(asyncio.create_task(room.other.put(digest_of(SMALL), pieces(SMALL))))
                await asyncio.wait(putting, timeout=1.0)
            return None

        room.door.before = put_now
        try:
            deleted = await room.blobs.delete(digest_of(SMALL), 2)
        except TooYoung:
            deleted = False
        (task,) = putting
        try:
            await task
        except Unavailable as error:
            assert "being deleted just now" in str(error)
            assert deleted
        else:
            assert await room.read(SMALL) == SMALL
        await room.other.put(digest_of(SMALL), pieces(SMALL))
        assert await room.read(SMALL) == SMALL
        assert len(await room.keys()) == 1  # no note stays

    async def test_a_deletion_without_an_answer_keeps_its_note_and_puts_wait_for_it(
        self, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may still be carried out."""
        monkeypatch.setattr(s3_module, "_PATIENCE_SECONDS", 0.3)
        await room.other.put(digest_of(SMALL), pieces(SMALL))

        async def lost(call: Call) -> web.StreamResponse | None:
            return failure(500, "InternalError") if call.method == "DELETE" else None

        room.door.before = lost
        with pytest.raises(Unavailable):
            await room.blobs.delete(digest_of(SMALL))
        assert len(await room.keys()) == 2
        with pytest.raises(Unavailable, match="being deleted just now: put it again"):
            await room.other.put(digest_of(SMALL), pieces(SMALL))
        monkeypatch.setattr(s3_module, "NOTE_SECONDS", 0.0)
        assert await room.other.put(digest_of(SMALL), pieces(SMALL)) is False


def environment(server: str, bucket: str) -> dict[str, str]:
    return {
        "LAMBENT_CODESTORE_BACKEND": "s3",
        "LAMBENT_CODESTORE_S3_BUCKET": bucket,
        "LAMBENT_CODESTORE_S3_ENDPOINT": server,
        **CREDENTIALS,
    }


class TestProcess:
    async def test_two_code_stores_share_a_bucket_and_none_of_it_is_lost_with_one(
        self, room: Room, tmp_path: Path
    ) -> None:
        stores = [await start(tmp_path, environment(room.door.upstream, room.bucket)) for _ in range(2)]
        try:
            async with aiohttp.ClientSession() as session:
                one, two = (CodeStoreClient(store.url, session) for store in stores)
                await one.put(signed("PUT", LARGE), LARGE)
                assert await two.get(signed("GET", LARGE), len(LARGE)) == LARGE
                await stores[0].kill()
                assert await two.get(signed("GET", LARGE), len(LARGE)) == LARGE
                response = await session.get(stores[1].url + signed("GET", LARGE), headers={"Range": "bytes=5-9"})
                assert (response.status, await response.read()) == (206, LARGE[5:10])
                assert [blob.size async for blob in two.list(signed_listing())] == [len(LARGE)]
                assert await two.delete(signed_deletion(LARGE, 3600)) is False
                assert await two.delete(signed_deletion(LARGE, 0)) is True
                assert not await two.has(signed("HEAD", LARGE))
        finally:
            for store in stores:
                await store.kill()
        said = json.dumps([store.log for store in stores])
        assert all(secret not in said for secret in CREDENTIALS.values())

    async def test_a_bucket_that_is_not_there_yet_makes_it_unready_and_not_end(
        self, server: str, tmp_path: Path
    ) -> None:
        name = f"late-{secrets.token_hex(6)}"
        store = await start(tmp_path, environment(server, name))
        try:
            async with aiohttp.ClientSession() as session:
                body = ""
                while "does not exist" not in body:
                    async with session.get(f"{store.metrics_url}/readyz") as response:
                        assert response.status == 503
                        body = await response.text()
                    await asyncio.sleep(0.02)
                assert body == f"the bucket {name} at {server} does not exist\n"
                response = await session.put(store.url + signed("PUT", SMALL), data=SMALL)
                assert (response.status, (await response.json())["errorType"]) == (503, "Unavailable")
        finally:
            await store.kill()

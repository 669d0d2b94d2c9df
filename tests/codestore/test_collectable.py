"""What a collector asks of the door: a list, and deletions that take only what is old."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from lambent.adapters.code.blobs import Blob
from lambent.codestore import serving
from lambent.model.errors import Unavailable
from lambent.wire.signed_urls import LISTING_PATH, blob_path, sign_path

from .conftest import KEY, NOW, Store, digest_of

CONTENTS = [b"%d" % number for number in range(7)]


class TestList:
    @pytest.mark.parametrize("at_once", [1, 3, 7, 500])
    async def test_names_every_blob_with_size_and_age(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, at_once: int
    ) -> None:
        monkeypatch.setattr(serving, "LISTED_AT_ONCE", at_once)
        for content in CONTENTS:
            await store.keep(content)
        store.grow_old(CONTENTS[3], 5000)
        listed = {blob.digest: blob async for blob in store.client.list(store.signed_listing())}
        assert set(listed.values()) == {Blob(digest_of(content), len(content)) for content in CONTENTS}
        old = listed.pop(digest_of(CONTENTS[3]))
        assert old.age >= 5000
        assert all(0 <= blob.age < 1000 for blob in listed.values())

    async def test_is_a_json_object_a_line(self, store: Store) -> None:
        await store.keep(b"code")
        response, body = await store.ask("GET", store.signed_listing())
        assert (response.status, response.headers["Content-Type"]) == (200, "application/x-ndjson")
        assert response.headers["Cache-Control"] == "no-store"
        (line,) = body.splitlines()
        assert body.endswith(b"\n")
        fields = json.loads(line)
        assert fields.pop("ageSeconds") >= 0
        assert fields == {"digest": digest_of(b"code"), "size": 4}

    async def test_of_nothing_is_empty(self, store: Store) -> None:
        assert [blob async for blob in store.client.list(store.signed_listing())] == []

    async def test_that_breaks_off_is_no_list(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise a collector would take what it did not see for gone."""

        async def breaking(_: object) -> AsyncIterator[Blob]:
            for content in CONTENTS:
                yield Blob(digest_of(content), 1)
            raise Unavailable("the volume failed")

        monkeypatch.setattr(type(store.door.blobs), "list", breaking)
        for at_once in (1, 500):
            monkeypatch.setattr(serving, "LISTED_AT_ONCE", at_once)
            with pytest.raises(Unavailable):
                _ = [blob async for blob in store.client.list(store.signed_listing())]

    @pytest.mark.parametrize(
        "path",
        {
            "no signature": LISTING_PATH,
            "expired": sign_path(KEY, "GET", LISTING_PATH, NOW - 1),
            "another key": sign_path(b"x" * 32, "GET", LISTING_PATH, NOW + 9),
            "signed to put": sign_path(KEY, "PUT", LISTING_PATH, NOW + 9),
            "a blob's signature": sign_path(KEY, "GET", blob_path("0" * 64), NOW + 9).replace(
                blob_path("0" * 64), LISTING_PATH
            ),
        }.values(),
    )
    async def test_without_a_signature_of_its_own_is_refused(self, store: Store, path: str) -> None:
        await store.keep(b"code")
        response, body = await store.ask("GET", path)
        assert response.status == 403
        assert digest_of(b"code").encode() not in body


class TestDelete:
    async def test_takes_what_is_old_enough(self, store: Store) -> None:
        await store.keep(b"code")
        store.grow_old(b"code")
        response, body = await store.ask("DELETE", store.signed_deletion(b"code", 3600))
        assert (response.status, body) == (204, b"")
        assert store.blobs_on_disk() == {}
        response, body = await store.ask("DELETE", store.signed_deletion(b"code", 3600))
        assert (response.status, json.loads(body)["errorType"]) == (404, "NotFound")
        assert store.counted("DELETE", 204) == 1

    async def test_keeps_what_is_young_and_what_was_put_again(self, store: Store) -> None:
        await store.keep(b"code")
        store.grow_old(b"code")
        await store.keep(b"code")
        response, body = await store.ask("DELETE", store.signed_deletion(b"code", 3600))
        assert (response.status, json.loads(body)["errorType"]) == (412, "PreconditionFailed")
        assert store.blobs_on_disk() == {digest_of(b"code"): b"code"}

    async def test_tells_the_client_whether_it_deleted(self, store: Store) -> None:
        await store.keep(b"code")
        assert await store.client.delete(store.signed_deletion(b"code", 3600)) is False
        store.grow_old(b"code")
        assert await store.client.delete(store.signed_deletion(b"code", 3600)) is True
        assert await store.client.delete(store.signed_deletion(b"code", 3600)) is False
        with pytest.raises(Unavailable, match="answered 403"):
            await store.client.delete(store.signed_deletion(b"code", 3600, expires=NOW - 1))

    @pytest.mark.parametrize(
        ("was", "said"),
        {
            "another age": ("olderThan=3600", "olderThan=0"),
            "no age": ("olderThan=3600&", ""),
            "an age that is none": ("olderThan=3600", "olderThan=-1"),
            "two ages": ("olderThan=3600", "olderThan=0&olderThan=3600"),
            "an endless age": ("olderThan=3600", f"olderThan={'9' * 5000}"),
            "another spelling": ("olderThan=3600", "olderThan=03600&x=1"),
        }.values(),
    )
    async def test_means_the_age_that_was_signed(self, store: Store, was: str, said: str) -> None:
        await store.keep(b"code")
        response, _ = await store.ask("DELETE", store.signed_deletion(b"code", 3600).replace(was, said))
        assert response.status in (403, 412)
        assert store.blobs_on_disk() == {digest_of(b"code"): b"code"}

    @pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
    async def test_is_not_what_was_signed_for_anything_else(self, store: Store, method: str) -> None:
        await store.keep(b"code")
        store.grow_old(b"code")
        path = sign_path(KEY, method, blob_path(digest_of(b"code")), NOW + 60)
        for asked in (path, path + "&olderThan=0", store.signed_deletion(b"other", 0)):
            target = asked.replace(digest_of(b"other"), digest_of(b"code"))
            assert (await store.ask("DELETE", target))[0].status == 403
        assert await store.client.has(store.signed("HEAD", b"code"))

    async def test_does_not_disturb_who_reads(self, store: Store) -> None:
        content = bytes(range(256)) * 40_000
        await store.keep(content)
        store.grow_old(content)
        async with store.session.get(store.url + store.signed("GET", content)) as response:
            await response.content.readexactly(10)
            assert await store.client.delete(store.signed_deletion(content, 3600))
            assert len(await response.read()) == len(content) - 10

    async def test_races_with_puts_and_what_was_acknowledged_is_there(self, store: Store) -> None:
        for _ in range(30):
            await store.keep(b"code")
            store.grow_old(b"code")
            await asyncio.gather(
                store.client.delete(store.signed_deletion(b"code", 3600)),
                store.keep(b"code"),
                store.client.delete(store.signed_deletion(b"code", 3600)),
                store.keep(b"code"),
            )
            assert store.blobs_on_disk() == {digest_of(b"code"): b"code"}

"""What every backend of the code store promises."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lambent.adapters.code.blobs import CHUNK_BYTES, Blob, TooYoung, WrongDigest
from lambent.model.errors import InvalidCode, Unavailable

CONTENT = bytes(range(256)) * 5000  # several pieces, and no multiple of their size
LARGE = CONTENT * 10  # several parts, where a backend knows parts


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(blobs: Any, digest: str, start: int = 0, stop: int | None = None) -> bytes | None:
    async with blobs.open(digest) as opened:
        if opened is None:
            return None
        stop = opened.blob.size if stop is None else stop
        return b"".join([piece async for piece in opened.read(start, stop)])


async def listed(blobs: Any) -> list[Blob]:
    return sorted([blob async for blob in blobs.list()], key=lambda blob: blob.digest)


@pytest.mark.parametrize(
    "content", [b"", b"x", CONTENT[:CHUNK_BYTES], CONTENT, LARGE], ids=["0", "1", "chunk", "many", "parts"]
)
async def test_what_was_put_can_be_read(blobs: Any, content: bytes) -> None:
    digest = digest_of(content)
    assert await blobs.put(digest, pieces(content)) is True
    assert await read(blobs, digest) == content
    assert await blobs.stat(digest) == Blob(digest, len(content))
    assert await listed(blobs) == [Blob(digest, len(content))]


async def test_what_was_not_put_is_not_there(blobs: Any) -> None:
    digest = digest_of(b"never")
    assert await read(blobs, digest) is None
    assert await blobs.stat(digest) is None
    assert await listed(blobs) == []
    assert await blobs.delete(digest) is False


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 5), (1, CHUNK_BYTES + 7), (len(CONTENT) - 3, len(CONTENT))])
async def test_any_part_can_be_read(blobs: Any, start: int, stop: int) -> None:
    await blobs.put(digest_of(CONTENT), pieces(CONTENT))
    assert await read(blobs, digest_of(CONTENT), start, stop) == CONTENT[start:stop]


async def test_a_second_put_says_so_and_reads_nothing(blobs: Any) -> None:
    await blobs.put(digest_of(CONTENT), pieces(CONTENT))

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    assert await blobs.put(digest_of(CONTENT), never()) is False
    assert await read(blobs, digest_of(CONTENT)) == CONTENT


async def test_of_simultaneous_puts_of_one_blob_exactly_one_creates_it(blobs: Any) -> None:
    created = await asyncio.gather(*(blobs.put(digest_of(CONTENT), pieces(CONTENT)) for _ in range(8)))
    assert sorted(created) == [False] * 7 + [True]
    assert await read(blobs, digest_of(CONTENT)) == CONTENT
    assert len(await listed(blobs)) == 1


@pytest.mark.parametrize(
    "content",
    [b"", CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"x", LARGE],
    ids=["empty", "short", "long", "flipped", "parts"],
)
async def test_other_bytes_than_announced_are_refused_and_not_kept(blobs: Any, content: bytes) -> None:
    with pytest.raises(WrongDigest) as caught:
        await blobs.put(digest_of(CONTENT), pieces(content))
    assert isinstance(caught.value, InvalidCode)
    assert digest_of(content) in str(caught.value)
    assert await read(blobs, digest_of(CONTENT)) is None
    assert await listed(blobs) == []
    assert await blobs.put(digest_of(CONTENT), pieces(CONTENT)) is True


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["many", "parts"])
async def test_a_put_that_breaks_off_leaves_nothing(blobs: Any, content: bytes) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield content[:-1]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put(digest_of(content), breaking())
    assert await read(blobs, digest_of(content)) is None
    assert await listed(blobs) == []


async def test_a_blob_that_is_coming_in_is_not_there_yet(blobs: Any) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield CONTENT
        arrived.set()
        await go_on.wait()

    putting = asyncio.create_task(blobs.put(digest_of(CONTENT), slowly()))
    await arrived.wait()
    assert await blobs.stat(digest_of(CONTENT)) is None
    assert await read(blobs, digest_of(CONTENT)) is None
    assert await listed(blobs) == []
    go_on.set()
    assert await putting is True
    assert await read(blobs, digest_of(CONTENT)) == CONTENT


async def test_a_put_cancelled_anywhere_leaves_all_or_nothing(blobs: Any) -> None:
    for turns in (*range(30), *range(30, 300, 20)):
        putting = asyncio.create_task(blobs.put(digest_of(CONTENT), pieces(CONTENT)))
        for _ in range(turns):
            await asyncio.sleep(0)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        assert await read(blobs, digest_of(CONTENT)) in (None, CONTENT)
        await blobs.delete(digest_of(CONTENT))
    for blob in await listed(blobs):  # a request that nobody waits for any more may still be carried out
        assert await read(blobs, blob.digest) == CONTENT


async def test_what_was_deleted_is_gone_and_can_come_again(blobs: Any) -> None:
    digest = digest_of(CONTENT)
    await blobs.put(digest, pieces(CONTENT))
    assert await blobs.delete(digest) is True
    assert await read(blobs, digest) is None
    assert await blobs.delete(digest) is False
    assert await blobs.put(digest, pieces(CONTENT)) is True


async def test_who_reads_a_blob_reads_on_when_it_is_deleted(blobs: Any) -> None:
    digest = digest_of(CONTENT)
    await blobs.put(digest, pieces(CONTENT))
    async with blobs.open(digest) as opened:
        reading = opened.read(0, len(CONTENT))
        first = await anext(reading)
        await blobs.delete(digest)
        assert first + b"".join([piece async for piece in reading]) == CONTENT


@pytest.mark.parametrize("digest", ["", "abc", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "ä" * 64])
async def test_what_is_no_digest_is_no_name(blobs: Any, digest: str) -> None:
    for doing in (blobs.stat, blobs.delete):
        with pytest.raises(ValueError, match="64 lower-case"):
            await doing(digest)
    with pytest.raises(ValueError, match="64 lower-case"):
        await blobs.put(digest, pieces(b""))


async def test_many_blobs_are_all_listed(blobs: Any) -> None:
    contents = [b"%d" % number for number in range(60)]
    await asyncio.gather(*(blobs.put(digest_of(content), pieces(content)) for content in contents))
    expected = sorted((Blob(digest_of(content), len(content)) for content in contents), key=lambda blob: blob.digest)
    assert await listed(blobs) == expected


async def test_a_backend_that_can_be_written_says_nothing(blobs: Any) -> None:
    await blobs.probe()
    assert await listed(blobs) == []


class TestAge:
    """How long ago somebody last said "keep this": what a collector goes by."""

    async def test_of_a_blob_begins_when_it_is_put(self, blobs: Any) -> None:
        digest = digest_of(CONTENT)
        await blobs.put(digest, pieces(CONTENT))
        await asyncio.sleep(2.1)  # S3 counts in seconds
        assert (await blobs.stat(digest)).age > 1
        assert (await listed(blobs))[0].age > 1
        async with blobs.open(digest) as opened:
            assert 1 < opened.blob.age < 3600

    async def test_begins_anew_with_every_put_and_with_nothing_else(self, blobs: Any) -> None:
        digest = digest_of(CONTENT)
        await blobs.put(digest, pieces(CONTENT))
        await asyncio.sleep(3.1)
        await read(blobs, digest)
        await blobs.probe()
        await blobs.tidy()
        old = (await blobs.stat(digest)).age
        assert old > 2
        assert await blobs.put(digest, pieces(b"")) is False
        assert (await blobs.stat(digest)).age < old - 1
        assert await read(blobs, digest) == CONTENT

    async def test_that_is_too_low_keeps_a_blob_from_being_deleted(self, blobs: Any) -> None:
        digest = digest_of(CONTENT)
        await blobs.put(digest, pieces(CONTENT))
        with pytest.raises(TooYoung, match="seconds ago"):
            await blobs.delete(digest, 3600)
        assert await read(blobs, digest) == CONTENT
        await asyncio.sleep(2.1)
        assert await blobs.delete(digest, 1) is True
        assert await blobs.delete(digest, 3600) is False

    async def test_decides_between_a_put_and_a_delete_that_come_at_once(self, blobs: Any) -> None:
        """Whatever a put said is there, is there: the delete either came before it or finds it young."""
        digest = digest_of(CONTENT)
        for _ in range(3):
            await blobs.put(digest, pieces(CONTENT))
            await asyncio.sleep(2.1)
            outcomes = await asyncio.gather(
                *(blobs.delete(digest, 2) for _ in range(3)),
                *(blobs.put(digest, pieces(CONTENT)) for _ in range(3)),
                return_exceptions=True,
            )
            assert all(isinstance(outcome, bool | TooYoung | Unavailable) for outcome in outcomes)
            if any(isinstance(outcome, bool) for outcome in outcomes[3:]):
                assert await read(blobs, digest) == CONTENT
            await blobs.delete(digest)

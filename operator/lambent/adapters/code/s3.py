"""Blobs in a bucket of S3, or of a server that speaks it, by their SHA-256: `<prefix>sha256/<digest>`.

Several code stores may share a bucket. Nothing is kept anywhere else, so each of them may come and go.

A put that finds its blob makes it young (a copy onto itself), a delete takes only what is old; S3 has no lock and no
deletion by age, so between a deleter's look and its deletion a put could come and be told that all is well. Therefore
a deleter first leaves a note of its own, `<prefix>collecting/<digest>/<random>`, then looks, deletes, and takes the
note away; a put first makes the blob young, then looks for notes, and waits for those that it finds to go. Whichever
of the two wrote first is seen by the other, because S3's reads and lists see every write that ended before them. A
note whose deletion was not answered stays, and counts for NOTE_SECONDS: no request is under way for that long.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lambent.model.errors import Unavailable

from .blobs import ABANDONED_SECONDS, CHUNK_BYTES, Blob, StoreFull, check_age, checked_digest, is_digest
from .s3_calls import Bucket, Calls, age_of, connected
from .s3_failures import failures_told
from .s3_uploading import Faster, upload

UPLOADS_MAX = 8
"""At a time: each holds a part in memory, and its copy while it is sent."""
NOTE_SECONDS = 120.0
_DELETE_SECONDS = 60.0
_PATIENCE_SECONDS, _LOOK_SECONDS = 10.0, 0.1


class OpenObject:
    """A blob being read. The first read continues the answer that opened it."""

    def __init__(self, calls: Calls, key: str, answer: dict[str, Any], blob: Blob) -> None:
        self._calls = calls
        self._key = key
        self.body: Any = answer["Body"]
        self.blob = blob

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Bytes `start` to before `stop`, in pieces."""
        if start >= stop:
            return
        if start or stop < self.blob.size or self.body.tell():
            self.body.close()
            span = f"bytes={start}-{stop - 1}"
            answer = await self._calls.unless_gone("get_object", Key=self._key, Range=span)
            if answer is None:
                raise Unavailable(f"blob {self.blob.digest} was deleted while it was read")
            self.body = answer["Body"]
        while start < stop:
            with failures_told(self._calls.bucket.name, self._calls.endpoint):
                piece: bytes = await self.body.read(min(CHUNK_BYTES, stop - start))
            if not piece:
                raise Unavailable(f"blob {self.blob.digest} has no byte {start}, of {self.blob.size}")
            start += len(piece)
            yield piece


class S3Blobs:
    """The backend."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._blobs = f"{calls.bucket.prefix}sha256/"
        self._notes = f"{calls.bucket.prefix}collecting/"
        self._uploads = asyncio.Semaphore(UPLOADS_MAX)

    @classmethod
    @asynccontextmanager
    async def connect(cls, bucket: Bucket) -> AsyncIterator[S3Blobs]:
        """The backend, for as long as the context lasts."""
        async with connected(bucket) as calls:
            yield cls(calls)

    async def put(self, digest: str, pieces: AsyncIterable[bytes]) -> bool:
        """Store a blob, or make the one that is there young again.

        False when it was there already (then nothing is read).

        Raises:
            WrongDigest: the pieces are not those of the digest.
            StoreFull: there is no room.
            Unavailable: S3 failed, or the blob was being deleted.
        """
        key = self._key(digest)
        created = not await self._renew(key)
        if created:
            try:
                async with self._uploads:
                    await upload(self._calls, key, digest, pieces)
            except Faster:
                created = False
                if not await self._renew(key):
                    raise _being_deleted(digest) from None
        await self._outlive_deleters(digest)
        return created

    @asynccontextmanager
    async def open(self, digest: str) -> AsyncIterator[OpenObject | None]:
        """The blob to read from, None when it is not there."""
        key = self._key(digest)
        answer = await self._calls.unless_gone("get_object", Key=key)
        if answer is None:
            yield None
            return
        blob = Blob(digest, answer["ContentLength"], age_of(answer["LastModified"], answer))
        opened = OpenObject(self._calls, key, answer, blob)
        try:
            yield opened
        finally:
            opened.body.close()

    async def stat(self, digest: str) -> Blob | None:
        """What is known of the blob, None when it is not there."""
        answer = await self._calls.unless_gone("head_object", Key=self._key(digest))
        if answer is None:
            return None
        return Blob(digest, answer["ContentLength"], age_of(answer["LastModified"], answer))

    async def list(self) -> AsyncIterator[Blob]:
        """Every blob; those that come or go meanwhile may be among them."""
        async for page in self._calls.pages("list_objects_v2", Prefix=self._blobs):
            for found in page.get("Contents", ()):
                digest = found["Key"].removeprefix(self._blobs)
                if is_digest(digest):
                    yield Blob(digest, found["Size"], age_of(found["LastModified"], page))

    async def delete(self, digest: str, older_than: float = 0.0) -> bool:
        """Remove a blob; False when it was not there.

        Raises:
            TooYoung: it was put less than `older_than` seconds ago.
            Unavailable: S3 failed; the blob may be gone or not.
        """
        key, note = self._key(digest), f"{self._notes}{digest}/{secrets.token_hex(8)}"
        with failures_told(self._calls.bucket.name, self._calls.endpoint):
            async with asyncio.timeout(_DELETE_SECONDS):
                noted = await self._leave(note)
                settled = True
                try:
                    blob = await self.stat(digest)
                    if blob is not None:
                        check_age(blob, older_than)
                        settled = False
                        await self._calls("delete_object", Key=key)
                        settled = True
                finally:
                    if noted and settled:
                        with contextlib.suppress(Unavailable):  # it counts for a while longer, then it is swept
                            await self._calls("delete_object", Key=note)
        return blob is not None

    async def probe(self) -> None:
        """Raise Unavailable unless the bucket answers."""
        await self._calls("list_objects_v2", Prefix=self._blobs, MaxKeys=1)

    async def tidy(self) -> None:
        """Sweep what killed processes left: parts of uploads and deleters' notes."""
        async for page in self._calls.pages("list_multipart_uploads", Prefix=self._blobs):
            for found in page.get("Uploads", ()):
                if age_of(found["Initiated"], page) > ABANDONED_SECONDS:
                    await self._calls.unless_gone(
                        "abort_multipart_upload", Key=found["Key"], UploadId=found["UploadId"]
                    )
        async for page in self._calls.pages("list_objects_v2", Prefix=self._notes):
            for found in page.get("Contents", ()):
                if age_of(found["LastModified"], page) > ABANDONED_SECONDS:
                    await self._calls("delete_object", Key=found["Key"])

    def _key(self, digest: str) -> str:
        return f"{self._blobs}{checked_digest(digest)}"

    async def _renew(self, key: str) -> bool:
        """Whether the blob is there; its age begins anew."""
        bucket = self._calls.bucket.name
        if await self._calls.unless_gone("head_object", Key=key) is None:
            return False  # asked first: a copy of nothing is an error that not all servers word alike
        copied = await self._calls.unless_gone(
            "copy_object", Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE"
        )
        return copied is not None

    async def _leave(self, note: str) -> bool:
        try:
            await self._calls("put_object", Key=note, Body=b"")
        except StoreFull:
            return False  # making room goes first; a put that could come in between finds no room either
        return True

    async def _outlive_deleters(self, digest: str) -> None:
        """Return when no deleter can still be about to delete what is young now."""
        waited_for = await self._deleters(digest)
        if not waited_for:
            return
        for _ in range(int(_PATIENCE_SECONDS / _LOOK_SECONDS)):
            await asyncio.sleep(_LOOK_SECONDS)
            if not waited_for & await self._deleters(digest):
                break
        else:
            raise _being_deleted(digest)
        if await self.stat(digest) is None:
            raise _being_deleted(digest)

    async def _deleters(self, digest: str) -> set[str]:
        answer = await self._calls("list_objects_v2", Prefix=f"{self._notes}{digest}/")
        notes = answer.get("Contents", ())
        return {note["Key"] for note in notes if age_of(note["LastModified"], answer) < NOTE_SECONDS}


def _being_deleted(digest: str) -> Unavailable:
    return Unavailable(f"blob {digest} is being deleted just now: put it again")

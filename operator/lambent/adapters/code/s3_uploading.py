"""A blob on its way into a bucket: in parts that nobody sees, which become the blob at once or never."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterable
from typing import Any

from lambent.model.errors import Unavailable

from .blobs import WrongDigest
from .s3_calls import Calls
from .s3_failures import Answered

PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes, and what one upload holds in memory."""


class Faster(Exception):
    """Another put of the same blob came first."""


class _Parts:
    """A multipart upload."""

    def __init__(self, calls: Calls, key: str) -> None:
        self._calls = calls
        self._key = key
        self._upload = ""
        self._parts: list[dict[str, Any]] = []

    @property
    def begun(self) -> bool:
        return bool(self._upload)

    async def add(self, part: bytes) -> None:
        if not self._upload:
            self._upload = (await self._calls("create_multipart_upload", Key=self._key))["UploadId"]
        number = len(self._parts) + 1
        answer = await self._calls("upload_part", Key=self._key, UploadId=self._upload, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    async def complete(self, **condition: str) -> None:
        parts = {"Parts": self._parts}
        await self._calls(
            "complete_multipart_upload", Key=self._key, UploadId=self._upload, MultipartUpload=parts, **condition
        )
        self._upload = ""

    async def abort(self) -> None:
        """What stays behind, when this cannot be said either, is swept after an hour."""
        if self._upload:
            with contextlib.suppress(Unavailable):
                await self._calls("abort_multipart_upload", Key=self._key, UploadId=self._upload)


async def upload(calls: Calls, key: str, digest: str, pieces: AsyncIterable[bytes]) -> None:
    """Store the pieces when they are those of the digest.

    Raises:
        WrongDigest: they are not.
        Faster: the blob is there meanwhile.
    """
    sha256, held, parts = hashlib.sha256(), bytearray(), _Parts(calls, key)
    try:
        async for piece in pieces:
            sha256.update(piece)
            held += piece
            while len(held) > PART_BYTES:
                await parts.add(bytes(held[:PART_BYTES]))
                del held[:PART_BYTES]
        if sha256.hexdigest() != digest:
            raise WrongDigest(f"the SHA-256 of the body is {sha256.hexdigest()}, not {digest}")
        if parts.begun:
            await parts.add(bytes(held))
            await _unless_faster(parts.complete)
        else:
            content = bytes(held)
            await _unless_faster(lambda **condition: calls("put_object", Key=key, Body=content, **condition))
    finally:
        await parts.abort()


async def _unless_faster(publish: Any) -> None:
    """Publish when nobody else has; a server that knows no conditions replaces a blob at most by its equal."""
    try:
        await publish(IfNoneMatch="*")
    except Answered as answered:
        if answered.code == "PreconditionFailed" or answered.status == 412:
            raise Faster from None
        if answered.code != "NotImplemented" and answered.status != 501:
            raise
        await publish()

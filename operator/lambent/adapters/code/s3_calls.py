"""One bucket and its client: how it is reached, and every call of S3 there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from .s3_failures import Answered, failures_told

_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 30, 3
_CALL_SECONDS = 90
"""For one call with all its attempts: the client's own time-outs are for one step each."""
_CONNECTIONS_MAX = 64
_GONE = frozenset({"NoSuchKey", "NoSuchUpload", "404"})
"""The last of a HEAD, which has no body that could say whether the object is missing or its bucket."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where blobs are kept."""

    name: str
    prefix: str = ""
    """Empty, or ends with a slash."""
    endpoint: str = ""
    """URL of an S3-compatible server; empty: AWS's own."""
    region: str = "us-east-1"


class Calls:
    """Calls of S3 about one bucket. Every failure is StoreFull, Answered or Unavailable."""

    def __init__(self, client: Any, bucket: Bucket) -> None:
        self._client = client
        self.bucket = bucket
        self.endpoint = bucket.endpoint or f"S3 in {bucket.region}"

    async def __call__(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one operation, named as the client names it."""
        with failures_told(self.bucket.name, self.endpoint):
            async with asyncio.timeout(_CALL_SECONDS):
                answer: dict[str, Any] = await getattr(self._client, operation)(Bucket=self.bucket.name, **parameters)
                return answer

    async def unless_gone(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """The same; None when the object (or the upload) is not there."""
        try:
            return await self(operation, **parameters)
        except Answered as answered:
            if answered.code in _GONE:
                return None
            raise

    async def pages(self, operation: str, **parameters: Any) -> AsyncIterator[dict[str, Any]]:
        """The pages of a listing."""
        pages = aiter(self._client.get_paginator(operation).paginate(Bucket=self.bucket.name, **parameters))
        while True:
            with failures_told(self.bucket.name, self.endpoint):
                async with asyncio.timeout(_CALL_SECONDS):
                    page = await anext(pages, None)
            if page is None:
                return
            yield page


@asynccontextmanager
async def connected(bucket: Bucket) -> AsyncIterator[Calls]:
    """A client for as long as the context lasts. Nothing is asked yet. Credentials: as AWS's SDKs find them."""
    config = AioConfig(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=_CONNECTIONS_MAX,
        # The server checks the SHA-256 of every part, which each of them can; newer checksums not all of them know.
        s3={"payload_signing_enabled": True, "addressing_style": "path" if bucket.endpoint else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    making = AioSession().create_client(
        "s3", region_name=bucket.region, endpoint_url=bucket.endpoint or None, config=config
    )
    async with making as client:
        client.meta.events.register_last("before-call.s3", _do_not_ask_first)
        yield Calls(client, bucket)


def _do_not_ask_first(params: dict[str, Any], **_: object) -> None:
    """No `Expect: 100-continue`: our HTTP client waits for the answer for ever, and not every server gives one."""
    params["headers"].pop("Expect", None)


def age_of(modified: datetime, answer: Mapping[str, Any]) -> float:
    """Seconds since then, by the clock of whoever stamped it: the answer's own date."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(said) if said else datetime.now(tz=modified.tzinfo)
    return max(0.0, (now - modified).total_seconds())

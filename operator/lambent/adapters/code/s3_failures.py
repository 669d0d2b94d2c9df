"""What S3 and the way to it say when they fail, as the house knows it. Never a credential, never a signed URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
from botocore import exceptions

from lambent.model.errors import Unavailable

from .blobs import StoreFull

_FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage"})
_SLOWER = frozenset({"SlowDown", "SlowDownRead", "SlowDownWrite", "TooManyRequests", "RequestLimitExceeded"})
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_TIMED_OUT = (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError, asyncio.TimeoutError)
_NO_CREDENTIALS = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)
_NO_ANSWER = (exceptions.BotoCoreError, exceptions.HTTPClientError, aiohttp.ClientError, OSError)


class Answered(Unavailable):
    """S3 answered with an error. Whoever asked may know better what `code` (or `status`) means than "try again"."""

    def __init__(self, message: str, code: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after)
        self.code = code
        self.status = status


@contextmanager
def failures_told(bucket: str, endpoint: str) -> Iterator[None]:
    """Failures of one call, as StoreFull, Answered or Unavailable; `endpoint` as people know it."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _answered(error.response, f"the bucket {bucket} at {endpoint}") from None
    except _TIMED_OUT:
        raise Unavailable(f"{endpoint} did not answer in time") from None
    except _NO_CREDENTIALS:
        raise Unavailable(f"there are no credentials for {endpoint}") from None
    except RecursionError:  # the SDK asks for the bucket's region, and follows the redirection of that question too
        raise Unavailable(f"the bucket {bucket} at {endpoint} is in another region, and nobody says in which") from None
    except _NO_ANSWER as error:  # their messages may hold URLs
        raise Unavailable(f"no answer from {endpoint}: {type(error).__name__}") from None


def _answered(response: Mapping[str, Any], place: str) -> Unavailable:
    metadata = response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code", "")) or str(status)
    if code in _FULL or status == 507:
        return StoreFull(f"no room in {place}: {code}")
    said = f"answered {status}: {code}"
    if code in _SLOWER or status in (429, 503):
        said = f"asks for fewer requests: {code}"
    elif code == "NoSuchBucket":
        said = "does not exist"
    elif code in _ELSEWHERE or status == 301:
        said = f"is in another region: {code}"
    elif code == "RequestTimeTooSkewed":
        said = "refuses requests because its clock and ours differ"
    elif status in (401, 403):
        said = f"refuses these credentials: {code}"
    return Answered(f"{place} {said}", code, status, _seconds(metadata))


def _seconds(metadata: Mapping[str, Any]) -> float | None:
    text = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
    return float(text) if text.isascii() and text.isdigit() else None

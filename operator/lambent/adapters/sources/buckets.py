"""`code.s3Bucket`: an archive in S3, or in a store that speaks its protocol.

One signed GET is all there is to say, so it is said here and sent like any other: the SDK's own client would look for
credentials in the environment and at the metadata service, follow redirects with them, and load megabytes of models.
The signature is botocore's.
"""

from __future__ import annotations

import html
import logging
import re
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp

from lambent.model.errors import FetchFailed
from lambent.model.troubles import Trouble

from .fetching import Request, status_words, trouble_of

logging.getLogger("botocore.auth").setLevel(logging.INFO)
"""At DEBUG it logs what it signs, session tokens included; they are no business of a log at any level."""

_ERROR_BYTES_MAX = 16 * 1024
_CODE, _MESSAGE = (
    re.compile(r"<Code>\s*([A-Za-z0-9._-]{1,80})\s*</Code>"),
    re.compile(r"<Message>([^<]{1,300})</Message>"),
)
_REGION, _NO_CREDENTIAL = re.compile(r"[a-z0-9-]{1,40}"), re.compile(r"[^!-~]")

_CODES = {
    "NoSuchKey": Trouble.MISSING,
    "NoSuchBucket": Trouble.MISSING,
    "NoSuchVersion": Trouble.MISSING,
    "SlowDown": Trouble.UNREACHABLE,
    "RequestTimeout": Trouble.UNREACHABLE,
    "RequestTimeTooSkewed": Trouble.UNREACHABLE,
    "InvalidObjectState": Trouble.DENIED,  # archived (Glacier): it can be restored
    "ExpiredToken": Trouble.DENIED,
    "InvalidToken": Trouble.DENIED,
}
"""S3's error codes where they say more than the status does."""
_STATUS_CODES = {403: ("AccessDenied", "Access Denied"), 404: ("NoSuchKey", "The specified key does not exist.")}
"""What a store means that sends no error document."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of an AWS account, or a store's own. They are in no representation."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BucketObject:
    """One object, and as whom it is asked for: anonymously without credentials."""

    bucket: str
    key: str
    version: str | None = None
    endpoint: str = ""
    """Empty: AWS's own for the region."""
    region: str = "us-east-1"
    trusted: bool = False
    """The endpoint is the administrator's word: its address is not judged."""
    credentials: Credentials | None = field(default=None, repr=False)

    def request(self) -> Request:
        """What to ask for. No redirect is followed: S3's lead to another region, where another signature is needed."""
        if not _REGION.fullmatch(self.region):
            raise FetchFailed(Trouble.MALFORMED, "AWS_REGION is no name of a region")
        url = f"{self._place()}/{quote(self.key, safe='/~')}"
        if self.version is not None:
            url += f"?versionId={quote(self.version, safe='~')}"
        return Request(url, self._signed(url), redirects=False, explain=_explain)

    def _place(self) -> str:
        """Path style at custom endpoints, whose wildcard names seldom exist; AWS wants the bucket in the name."""
        if self.endpoint:
            return f"{self.endpoint.rstrip('/')}/{self.bucket}"
        host = f"s3.{self.region}.amazonaws.com{'.cn' if self.region.startswith('cn-') else ''}"
        if "." in self.bucket or self.bucket != self.bucket.lower() or "_" in self.bucket:
            return f"https://{host}/{self.bucket}"  # no certificate covers it as a name
        return f"https://{self.bucket}.{host}"

    def _signed(self, url: str) -> dict[str, str]:
        if self.credentials is None:
            return {}
        given = (self.credentials.key_id, self.credentials.secret, self.credentials.token or "-")
        if not all(given) or any(map(_NO_CREDENTIAL.search, given)):
            raise FetchFailed(Trouble.DENIED, "the credentials are empty, or hold blanks or letters that none have")
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials as SigningCredentials

        who = SigningCredentials(self.credentials.key_id, self.credentials.secret, self.credentials.token)
        request = AWSRequest("GET", url)
        S3SigV4Auth(who, "s3", self.region).add_auth(request)
        return dict(request.headers.items())


class ElsewhereError(FetchFailed):
    """The bucket is in another region; `region` says which."""

    def __init__(self, region: str, message: str) -> None:
        super().__init__(Trouble.REJECTED, message)
        self.region = region


async def _explain(response: aiohttp.ClientResponse) -> FetchFailed:
    """Lambda's words for S3's answer."""
    body = (await response.content.read(_ERROR_BYTES_MAX)).decode(errors="replace")
    said_code, said_message = _CODE.search(body), _MESSAGE.search(body)
    code, message = _STATUS_CODES.get(response.status, (str(response.status), status_words(response.status)))
    code = said_code[1] if said_code else code
    message = " ".join(html.unescape(said_message[1]).split()) if said_message else message
    words = f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
    region = response.headers.get("x-amz-bucket-region", "")
    if response.status in (301, 307, 400) and _REGION.fullmatch(region):
        return ElsewhereError(region, words)
    return FetchFailed(_CODES.get(code, trouble_of(response.status)), words)

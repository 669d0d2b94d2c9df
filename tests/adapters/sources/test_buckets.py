"""Objects in S3 against a real server of its protocol, one that checks signatures."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import aiohttp
import pytest
from aiobotocore.session import AioSession
from aiohttp import web
from tests.contracts.code.s3_servers import s3_server
from tests.contracts.sources.servers import serving

from lambent.adapters.sources.buckets import BucketObject, Credentials
from lambent.adapters.sources.fetcher import Fetcher
from lambent.adapters.sources.fetching import Bounds
from lambent.model.errors import FetchFailed
from lambent.model.troubles import Trouble

KEYS = ("code.zip", "a/b c+d&e=f?.zip", "größe/ß.zip", "x//y~.zip", "100%.zip", "q'\"<>.zip")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield url


def client(endpoint: str, service: str = "s3"):  # type: ignore[no-untyped-def]
    return AioSession().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="setup",
        aws_secret_access_key="setup",
    )


@pytest.fixture
async def bucket(endpoint: str) -> AsyncIterator[BucketObject]:
    """An object in a versioned bucket: `new`, and `old` before it; asked for as somebody who may read it."""
    _post(f"{endpoint}/moto-api/reset", b"")
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    async with client(endpoint, "iam") as iam:
        await iam.create_user(UserName="reader")
        await iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
        key = (await iam.create_access_key(UserName="reader"))["AccessKey"]
    async with client(endpoint) as s3:
        await s3.create_bucket(Bucket="code")
        await s3.put_bucket_versioning(Bucket="code", VersioningConfiguration={"Status": "Enabled"})
        for name in KEYS:
            old = await s3.put_object(Bucket="code", Key=name, Body=b"old")
            await s3.put_object(Bucket="code", Key=name, Body=b"new")
    _post(f"{endpoint}/moto-api/reset-auth", b"0")  # from now on every request has to be signed, and by somebody
    try:
        credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        yield BucketObject("code", "code.zip", version=old["VersionId"], endpoint=endpoint, credentials=credentials)
    finally:
        _post(f"{endpoint}/moto-api/reset-auth", b"Infinity")


def _post(url: str, data: bytes) -> None:
    urllib.request.urlopen(
        urllib.request.Request(url, data, {"Content-Type": "text/plain"}, method="POST"), timeout=30
    ).close()


async def fetch(source: BucketObject) -> bytes:
    async with aiohttp.ClientSession() as session, Fetcher(session, session, Bounds()).fetch(source) as came:
        return bytes(came.spool.view())


async def failure(source: BucketObject) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await fetch(source)
    return caught.value


@pytest.mark.parametrize("key", KEYS)
async def test_an_object_comes_by_its_key(bucket: BucketObject, key: str) -> None:
    """Whatever letters it is made of: the store takes the signature, which covers them."""
    assert await fetch(replace(bucket, key=key, version=None)) == b"new"


async def test_a_version_comes_by_its_name(bucket: BucketObject) -> None:
    """And another one not at all."""
    last = replace(bucket, key=KEYS[-1])
    assert await fetch(last) == b"old"
    assert (await failure(replace(last, version="no-such-version"))).trouble in (Trouble.MISSING, Trouble.REJECTED)


MISSING = "Error occurred while GetObject. S3 Error Code: "


@pytest.mark.parametrize(
    ("change", "trouble", "words"),
    [
        (
            {"key": "other.zip"},
            Trouble.MISSING,
            f"{MISSING}NoSuchKey. S3 Error Message: The specified key does not exist.",
        ),
        (
            {"bucket": "other"},
            Trouble.MISSING,
            f"{MISSING}NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
        ({"credentials": None}, Trouble.DENIED, f"{MISSING}AccessDenied. S3 Error Message: Access Denied"),
        ({"credentials": Credentials("AKIAUNKNOWN", "canary")}, Trouble.DENIED, f"{MISSING}InvalidAccessKeyId."),
    ],
    ids=["no such key", "no such bucket", "anonymous", "unknown key"],
)
async def test_a_failure_is_told_in_lambdas_words(
    bucket: BucketObject, change: dict[str, object], trouble: Trouble, words: str
) -> None:
    """As `CreateFunction` words what S3 said."""
    said = await failure(replace(bucket, version=None, **change))  # type: ignore[arg-type]
    assert (said.trouble, str(said).startswith(words)) == (trouble, True), str(said)
    assert "canary" not in str(said)


async def test_a_wrong_secret_key_is_denied(bucket: BucketObject) -> None:
    """Its signature is another one; neither is told."""
    assert bucket.credentials is not None
    wrong = Credentials(bucket.credentials.key_id, "canary")
    said = await failure(replace(bucket, version=None, credentials=wrong))
    assert said.trouble == Trouble.DENIED
    assert "SignatureDoesNotMatch" in str(said)
    assert "canary" not in str(said)


async def test_the_environments_own_credentials_are_nobodys(
    bucket: BucketObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function without a Secret is nobody, whatever the controller could do."""
    assert bucket.credentials is not None
    monkeypatch.setitem(os.environ, "AWS_ACCESS_KEY_ID", bucket.credentials.key_id)
    monkeypatch.setitem(os.environ, "AWS_SECRET_ACCESS_KEY", bucket.credentials.secret)
    assert (await failure(replace(bucket, version=None, credentials=None))).trouble == Trouble.DENIED


@pytest.mark.parametrize("text", ["", "key\nid", "key id", "schlüssel", "key\r\nX-Evil: 1"])
async def test_credentials_that_are_none_are_not_sent(text: str) -> None:
    """Nor shown."""
    async with serving() as server:
        for given in (Credentials(text, "secret"), Credentials("id", text), Credentials("id", "x", text or "\0")):
            said = await failure(BucketObject("code", "a", endpoint=server.url, credentials=given))
            assert said.trouble == Trouble.DENIED
            assert not text or text not in str(said)
        assert server.requests == []


async def test_a_session_token_is_sent_and_signed() -> None:
    """Temporary credentials have three parts."""
    async with serving() as server:
        server.files["/code/a"] = b"x"
        await fetch(BucketObject("code", "a", endpoint=server.url, credentials=Credentials("id", "s", "token")))
        [request] = server.requests
        assert request.headers["X-Amz-Security-Token"] == "token"
        assert "x-amz-security-token" in request.headers["Authorization"]


async def test_a_bucket_in_another_region_is_asked_there() -> None:
    """S3 says which; once."""
    regions = []

    async def elsewhere(request: web.Request) -> web.Response:
        regions.append(request.headers["Authorization"].split("/")[2])
        if regions[-1] == "eu-west-1":
            return web.Response(body=b"here")
        return web.Response(status=301, headers={"x-amz-bucket-region": "eu-west-1"})

    async with serving(elsewhere) as server:
        source = BucketObject("code", "a", endpoint=server.url, credentials=Credentials("id", "s"))
        assert await fetch(source) == b"here"
        assert regions == ["us-east-1", "eu-west-1"]


@pytest.mark.parametrize("region", ["evil.example.com/", "a b", "", "x@y", "EU"])
async def test_a_region_that_is_none_makes_no_address(region: str) -> None:
    """It would become part of a host."""
    assert (await failure(BucketObject("code", "a", region=region))).trouble == Trouble.MALFORMED


ADDRESSES = {
    "https://code.s3.eu-west-1.amazonaws.com/a/b.zip": BucketObject("code", "a/b.zip", region="eu-west-1"),
    "https://code.s3.cn-north-1.amazonaws.com.cn/a": BucketObject("code", "a", region="cn-north-1"),
    "https://s3.us-east-1.amazonaws.com/co.de/a": BucketObject("co.de", "a"),
    "https://s3.us-east-1.amazonaws.com/Code/a": BucketObject("Code", "a"),
    "https://minio.example.com:9000/base/code/a%3F?versionId=1%2F2": BucketObject(
        "code", "a?", version="1/2", endpoint="https://minio.example.com:9000/base/"
    ),
}


@pytest.mark.parametrize(("url", "source"), ADDRESSES.items())
def test_the_bucket_stands_in_the_path_unless_aws_wants_it_in_the_name(url: str, source: BucketObject) -> None:
    """Path style at custom endpoints; nothing secret in an address."""
    request = source.request()
    assert (request.url, request.redirects) == (url, False)


def test_no_representation_shows_credentials() -> None:
    """They end up in logs."""
    source = BucketObject("code", "a", credentials=Credentials("canary", "canary", "canary"))
    assert "canary" not in f"{source!r} {source.credentials!r} {source.request()!r}"

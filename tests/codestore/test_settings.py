"""What the code store makes of its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.codestore.settings import InBucket, InDirectory, InvalidSettings, Settings
from lambent.model.limits import MIB


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "url-key").write_bytes(b"0123456789abcdef\n")
    return {"LAMBENT_CODESTORE_DIR": "/blobs", "LAMBENT_KEYS_DIR": str(tmp_path)}


def test_the_least_environment_means_the_defaults(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    assert settings == Settings(InDirectory(Path("/blobs")), b"0123456789abcdef", 4 * MIB, 8082, 9090, "INFO")


def test_every_variable_is_heard(environment: dict[str, str]) -> None:
    environment |= {"LAMBENT_CODESTORE_PORT": "1", "LAMBENT_METRICS_PORT": "0", "LAMBENT_LOG_LEVEL": "debug"}
    environment |= {"LAMBENT_CODESTORE_SCRUB_BYTES_PER_SECOND": "7", "LAMBENT_CODESTORE_BACKEND": "directory"}
    settings = Settings.from_environment(environment)
    assert (settings.port, settings.metrics_port, settings.log_level) == (1, 0, "DEBUG")
    assert settings.scrub_bytes_per_second == 7


S3 = {
    "LAMBENT_CODESTORE_BACKEND": "s3",
    "LAMBENT_CODESTORE_S3_BUCKET": "my-bucket.code",
    "AWS_ACCESS_KEY_ID": "canary-id",
    "AWS_SECRET_ACCESS_KEY": "canary-secret",
}


def test_a_bucket_needs_no_directory_and_is_not_scrubbed(environment: dict[str, str]) -> None:
    """S3 verifies what it keeps."""
    del environment["LAMBENT_CODESTORE_DIR"]
    settings = Settings.from_environment(environment | S3)
    assert settings.place == InBucket("my-bucket.code", "", "", "us-east-1")
    assert settings.scrub_bytes_per_second == 0
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("changed", "expected"),
    {
        "prefix": ({"LAMBENT_CODESTORE_S3_PREFIX": "/a/b/"}, InBucket("my-bucket.code", "a/b/")),
        "endpoint": (
            {"LAMBENT_CODESTORE_S3_ENDPOINT": "https://s3.example:9000/"},
            InBucket("my-bucket.code", endpoint="https://s3.example:9000"),
        ),
        "region": (
            {"LAMBENT_CODESTORE_S3_REGION": "eu-1", "AWS_REGION": "x"},
            InBucket("my-bucket.code", region="eu-1"),
        ),
        "region of AWS": ({"AWS_REGION": "eu-2"}, InBucket("my-bucket.code", region="eu-2")),
        "a service account's": (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"},
            InBucket("my-bucket.code"),
        ),
    }.values(),
)
def test_where_the_bucket_is_is_heard(environment: dict[str, str], changed: dict[str, str], expected: InBucket) -> None:
    assert Settings.from_environment(environment | S3 | changed).place == expected


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LAMBENT_CODESTORE_BACKEND", "gcs", "must be directory or s3, not 'gcs'"),
        ("LAMBENT_CODESTORE_S3_BUCKET", "", "LAMBENT_CODESTORE_S3_BUCKET is not set"),
        ("LAMBENT_CODESTORE_S3_BUCKET", "a/b", "LAMBENT_CODESTORE_S3_BUCKET is no name of a bucket"),
        ("LAMBENT_CODESTORE_S3_BUCKET", "Capital", "LAMBENT_CODESTORE_S3_BUCKET is no name of a bucket"),
        ("LAMBENT_CODESTORE_S3_PREFIX", "a/../b", "LAMBENT_CODESTORE_S3_PREFIX is no prefix"),
        ("LAMBENT_CODESTORE_S3_PREFIX", "a//b", "LAMBENT_CODESTORE_S3_PREFIX is no prefix"),
        ("LAMBENT_CODESTORE_S3_PREFIX", "ä", "LAMBENT_CODESTORE_S3_PREFIX is no prefix"),
        ("LAMBENT_CODESTORE_S3_ENDPOINT", "s3.example:9000", "LAMBENT_CODESTORE_S3_ENDPOINT is not http"),
        ("LAMBENT_CODESTORE_S3_ENDPOINT", "ftp://s3.example", "LAMBENT_CODESTORE_S3_ENDPOINT is not http"),
        ("LAMBENT_CODESTORE_S3_ENDPOINT", "http://h:port", "LAMBENT_CODESTORE_S3_ENDPOINT is not http"),
        ("LAMBENT_CODESTORE_S3_ENDPOINT", "http://u:canary@h", "LAMBENT_CODESTORE_S3_ENDPOINT is not http"),
        ("LAMBENT_CODESTORE_S3_ENDPOINT", "http://h/bucket", "LAMBENT_CODESTORE_S3_ENDPOINT is not http"),
        ("AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY is set without its other half"),
        ("AWS_SECRET_ACCESS_KEY", "", "AWS_ACCESS_KEY_ID is set without its other half"),
        ("LAMBENT_CODESTORE_SCRUB_BYTES_PER_SECOND", "fast", "SCRUB_BYTES_PER_SECOND is no whole number"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_named_without_secrets(
    environment: dict[str, str], name: str, value: str, said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said) as caught:
        Settings.from_environment(environment | S3 | {name: value})
    assert "canary" not in str(caught.value)


def test_a_bucket_without_any_credentials_is_refused(environment: dict[str, str]) -> None:
    bare = {name: value for name, value in S3.items() if not name.startswith("AWS_")}
    with pytest.raises(InvalidSettings, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"):
        Settings.from_environment(environment | bare)


def test_the_key_is_never_shown(environment: dict[str, str]) -> None:
    assert "0123456789abcdef" not in repr(Settings.from_environment(environment))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LAMBENT_CODESTORE_DIR", "", "LAMBENT_CODESTORE_DIR is not set"),
        ("LAMBENT_KEYS_DIR", "", "LAMBENT_KEYS_DIR is not set"),
        ("LAMBENT_KEYS_DIR", "/nowhere", "/nowhere/url-key cannot be read: No such file"),
        ("LAMBENT_CODESTORE_PORT", "-1", "LAMBENT_CODESTORE_PORT is no port"),
        ("LAMBENT_CODESTORE_PORT", "65536", "LAMBENT_CODESTORE_PORT is no port"),
        ("LAMBENT_METRICS_PORT", "http", "LAMBENT_METRICS_PORT is no port"),
        ("LAMBENT_LOG_LEVEL", "LOUD", "LAMBENT_LOG_LEVEL is no level"),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        Settings.from_environment(environment | {name: value})


def test_a_short_key_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "url-key").write_bytes(b"short" + b"\n" * 20)
    with pytest.raises(InvalidSettings, match="fewer than 16 bytes"):
        Settings.from_environment(environment)

"""What the code store is told by its environment, parsed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lambent.model.limits import MIB

URL_KEY_BYTES_MIN = 16
PORT, METRICS_PORT = 8082, 9090
SCRUB_BYTES_PER_SECOND = 4 * MIB
REGION = "us-east-1"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]{0,512}")
_CREDENTIALS = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
"""Where AWS's own SDKs find credentials in a pod when there are no keys."""


class InvalidSettings(Exception):
    """The process cannot start as it was told to; the message names the variable or file."""


@dataclass(frozen=True, slots=True)
class InDirectory:
    """LAMBENT_CODESTORE_BACKEND=directory, the default: blobs are files on a volume."""

    path: Path
    """LAMBENT_CODESTORE_DIR."""


@dataclass(frozen=True, slots=True)
class InBucket:
    """LAMBENT_CODESTORE_BACKEND=s3: blobs are objects, and several code stores may share them.

    Credentials are not parsed here: the SDK reads them, from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or from
    what the cluster puts into pods of a service account.
    """

    name: str
    """LAMBENT_CODESTORE_S3_BUCKET."""
    prefix: str = ""
    """LAMBENT_CODESTORE_S3_PREFIX; ends with a slash, which is added."""
    endpoint: str = ""
    """LAMBENT_CODESTORE_S3_ENDPOINT: URL of an S3-compatible server. Empty: AWS's own."""
    region: str = REGION
    """LAMBENT_CODESTORE_S3_REGION, else AWS_REGION."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one code store."""

    place: InDirectory | InBucket
    url_key: bytes = field(repr=False)
    """The file `url-key` in LAMBENT_KEYS_DIR: what URLs are signed with."""
    scrub_bytes_per_second: int
    """LAMBENT_CODESTORE_SCRUB_BYTES_PER_SECOND: how fast blobs are read to verify them; 0 never reads any. S3 verifies
    what it keeps and lets readers pay, so there the default is 0."""
    port: int = PORT
    """LAMBENT_CODESTORE_PORT."""
    metrics_port: int = METRICS_PORT
    """LAMBENT_METRICS_PORT."""
    log_level: str = "INFO"
    """LAMBENT_LOG_LEVEL."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Parse the variables and read the key. Raises InvalidSettings."""
        place = _place(environment)
        scrub = SCRUB_BYTES_PER_SECOND if isinstance(place, InDirectory) else 0
        return cls(
            place=place,
            url_key=_key(Path(_given(environment, "LAMBENT_KEYS_DIR")) / "url-key"),
            scrub_bytes_per_second=_whole(environment, "LAMBENT_CODESTORE_SCRUB_BYTES_PER_SECOND", scrub),
            port=_port(environment, "LAMBENT_CODESTORE_PORT", PORT),
            metrics_port=_port(environment, "LAMBENT_METRICS_PORT", METRICS_PORT),
            log_level=_level(environment),
        )


def _place(environment: Mapping[str, str]) -> InDirectory | InBucket:
    backend = environment.get("LAMBENT_CODESTORE_BACKEND") or "directory"
    match backend:
        case "directory":
            return InDirectory(Path(_given(environment, "LAMBENT_CODESTORE_DIR")))
        case "s3":
            return _bucket(environment)
        case _:
            raise InvalidSettings(f"LAMBENT_CODESTORE_BACKEND must be directory or s3, not {backend!r}")


def _bucket(environment: Mapping[str, str]) -> InBucket:
    name = _given(environment, "LAMBENT_CODESTORE_S3_BUCKET")
    if not _BUCKET.fullmatch(name):
        raise InvalidSettings(f"LAMBENT_CODESTORE_S3_BUCKET is no name of a bucket: {name!r}")
    prefix = environment.get("LAMBENT_CODESTORE_S3_PREFIX", "").strip("/")
    if not _PREFIX.fullmatch(prefix) or "//" in prefix or {".", ".."} & set(prefix.split("/")):
        raise InvalidSettings(f"LAMBENT_CODESTORE_S3_PREFIX is no prefix of keys: {prefix!r}")
    _check_credentials(environment)
    return InBucket(
        name=name,
        prefix=f"{prefix}/" if prefix else "",
        endpoint=_endpoint(environment.get("LAMBENT_CODESTORE_S3_ENDPOINT", "")),
        region=environment.get("LAMBENT_CODESTORE_S3_REGION") or environment.get("AWS_REGION") or REGION,
    )


def _endpoint(text: str) -> str:
    try:
        url = urlsplit(text)
        valid = url.scheme in ("http", "https") and url.hostname and url.port != 0 and url.path in ("", "/")
        extra = url.query or url.fragment or url.username or url.password
    except ValueError:
        valid, extra = False, ""
    if text and (not valid or extra):  # not repeated: people put credentials into URLs
        raise InvalidSettings("LAMBENT_CODESTORE_S3_ENDPOINT is not http(s)://<host>[:<port>]")
    return text.rstrip("/")


def _check_credentials(environment: Mapping[str, str]) -> None:
    keys = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if environment.get(name)]
    if len(keys) == 1:
        raise InvalidSettings(f"{keys[0]} is set without its other half: it takes an id and a secret")
    if not keys and not any(environment.get(name) for name in _CREDENTIALS):
        raise InvalidSettings(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and the service account brings no credentials"
        )


def _given(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise InvalidSettings(f"{name} is not set")
    return value


def _whole(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(2**48))):
        raise InvalidSettings(f"{name} is no whole number: {text!r}")
    return int(text)


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise InvalidSettings(f"{name} is no port: {text!r}")
    return int(text)


def _level(environment: Mapping[str, str]) -> str:
    level = (environment.get("LAMBENT_LOG_LEVEL") or "INFO").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise InvalidSettings(f"LAMBENT_LOG_LEVEL is no level: {level!r}")
    return level


def _key(file: Path) -> bytes:
    try:
        key = file.read_bytes().strip()  # an editor's newline, which nobody means; every process strips it
    except OSError as error:
        raise InvalidSettings(f"the key file {file} cannot be read: {error.strerror}") from error
    if len(key) < URL_KEY_BYTES_MIN:
        raise InvalidSettings(f"the key file {file} has fewer than {URL_KEY_BYTES_MIN} bytes")
    return key

"""Where zip archives come from: the sources of a deployment package or a layer, of which exactly one is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from . import limits
from .fields import Fields, KubernetesName
from .schemas import Rule

_ARCHIVE_SOURCES = ("zipFile", "url", "s3Bucket", "configMapRef", "artifactUri")
SOURCES = ("inline", *_ARCHIVE_SOURCES, "imageUri")
"""The fields of a function's code of which one is given."""


def source_rules(field: str, sources: tuple[str, ...], nothing: str, several: str) -> tuple[Rule, ...]:
    """What is refused of the object `field` that names one of `sources`; `nothing` and `several` in Lambda's words."""
    given = "[" + ", ".join(f"has(self.{source})" for source in sources) + "]"
    listed = f"{', '.join(sources[:-1])} and {sources[-1]}"
    return (
        Rule(f"{given}.exists(given, given)", nothing, reason="FieldValueRequired"),
        Rule(f"{given}.filter(given, given).size() <= 1", f"{several} Exactly one of {listed} may be given.".lstrip()),
        Rule(
            "has(self.s3Bucket) == has(self.s3Key)",
            "Please provide both S3Bucket and S3Key: s3Bucket and s3Key belong together.",
            reason="FieldValueRequired",
        ),
        Rule(
            "has(self.s3Bucket) || (!has(self.s3ObjectVersion) && !has(self.s3Endpoint) && "
            "!has(self.s3CredentialsSecretRef))",
            "s3ObjectVersion, s3Endpoint and s3CredentialsSecretRef need s3Bucket and s3Key",
        ),
        Rule(
            "!has(self.url) || has(self.sha256)",
            f"{field}.url needs {field}.sha256: what an address answers may change, "
            f"{'a function' if field == 'code' else 'a layer'}'s {field} may not",
            ".sha256",
            "FieldValueRequired",
        ),
        Rule(
            "!has(self.sha256) || has(self.url) || has(self.s3Bucket)",
            f"sha256 goes with url or s3Bucket; of other sources the {field} itself is at hand",
            ".sha256",
            "FieldValueForbidden",
        ),
    )


class ConfigMapCode(Fields):
    """Code that stands in a ConfigMap of the namespace."""

    name: Annotated[KubernetesName, Field(description="Name of the ConfigMap.")]
    key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            pattern=r"^[-._a-zA-Z0-9]+$",
            description="The only entry to take. In `binaryData` it is a zip archive; in `data` the source of a single "
            "handler file, as code.inline. Without it every entry becomes a file of that name.",
        ),
    ] = None


class SecretReference(Fields):
    """A Secret of the namespace."""

    name: Annotated[KubernetesName, Field(description="Name of the Secret.")]


class ArchiveSource(Fields):
    """Where a zip archive comes from, whatever it is for."""

    zip_file: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.ZIP_FILE_BASE64_CHARS_MAX,
            # Not format byte: the API server takes that for URL-safe base64. core/packaging says what is wrong.
            description="A zip archive, base64. Kubernetes objects hold about 1 MB; apply with "
            "`kubectl apply --server-side` when the archive is over 256 KiB.",
        ),
    ] = None
    url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2048,
            pattern=r"^https?://[^\s#@]+$",
            description="Address of a zip archive, http or https, fetched once by the controller; needs sha256. "
            "Neither it nor a redirect may lead to an address inside the cluster, unless the installation allows it.",
        ),
    ] = None
    sha256: Annotated[
        str | None,
        Field(
            min_length=64,
            max_length=64,
            pattern=r"^[0-9a-f]{64}$",
            description="SHA-256 of the archive, 64 hexadecimal digits as `sha256sum` prints them. Required with url, "
            "possible with s3Bucket.",
        ),
    ] = None
    s3_bucket: Annotated[
        str | None,
        Field(
            min_length=3,
            max_length=63,
            pattern=r"^[0-9A-Za-z.\-_]*[0-9A-Za-z\-_]$",
            description="Bucket of a zip archive in S3 or another store that speaks its protocol.",
        ),
    ] = None
    s3_key: Annotated[
        str | None, Field(min_length=1, max_length=1024, description="Key of the archive in the bucket.")
    ] = None
    s3_object_version: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1024,
            description="Version of the archive, in a versioned bucket. Without it the newest at the time of the "
            "change is taken; a later upload changes nothing, as in Lambda.",
        ),
    ] = None
    s3_endpoint: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2048,
            pattern=r"^https?://[^\s#@?]+$",
            description="Endpoint of the store. Default: the installation's (chart value codeSources.s3.endpoint), "
            "else AWS. Addresses inside the cluster only where the installation allows them.",
        ),
    ] = None
    s3_credentials_secret_ref: Annotated[
        SecretReference | None,
        Field(
            description="Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, perhaps AWS_SESSION_TOKEN "
            "and AWS_REGION. Without it the object is asked for anonymously."
        ),
    ] = None
    config_map_ref: Annotated[
        ConfigMapCode | None,
        Field(description="Code that stands in a ConfigMap of the namespace; a change of it is a change of the code."),
    ] = None
    artifact_uri: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1024,
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9./:_@-]*$",
            description="A zip archive kept as an OCI artifact: registry/repository:tag or @sha256:digest, with one "
            "layer of media type application/zip (as `oras push` makes it). A tag is resolved when the object is "
            "created or its specification changes. Credentials: imagePullSecrets (of a Function, in placement).",
        ),
    ] = None


class LayerContent(ArchiveSource):
    """Where the content of a layer comes from. Exactly one source."""

    rules = source_rules("content", _ARCHIVE_SOURCES, "Please provide a source for layer content.", "")


class Code(ArchiveSource):
    """Where the function's code comes from. Exactly one source."""

    rules = source_rules(
        "code",
        SOURCES,
        "Please provide a source for function code.",
        "Please do not provide other FunctionCode parameters when providing a ZipFile.",
    )
    inline: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=limits.INLINE_SOURCE_CHARS_MAX,
            description="Source of a single handler file, saved as index.py (Python) or index.js "
            "(Node.js); the handler is then "
            "index.<function>, as with CloudFormation's ZipFile property.",
        ),
    ] = None
    image_uri: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1024,
            pattern=r"^[a-zA-Z0-9][a-zA-Z0-9./:_@-]*$",
            description="A container image, with packageType Image: registry/repository:tag or @sha256:digest. A tag "
            "is resolved to its digest when the function is created or its specification changes, as in Lambda.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything in a specification that decides which code is obtained."""

    kind: Literal["Function", "Layer"]
    code: ArchiveSource
    runtime: str | None = None
    """It names the file of source without an archive; layers have none."""
    architecture: str = ""
    """It chooses among the images of a tag."""
    pull_secrets: tuple[str, ...] = ()
    """Where a registry is asked."""

    @property
    def field(self) -> str:
        """Where `code` stands, for messages."""
        return "code" if self.kind == "Function" else "content"

    @property
    def pull_secrets_field(self) -> str:
        """Where `pull_secrets` stand."""
        return "placement.imagePullSecrets" if self.kind == "Function" else "imagePullSecrets"

    @property
    def inline(self) -> str | None:
        """Source of a single file."""
        return self.code.inline if isinstance(self.code, Code) else None

    @property
    def image_uri(self) -> str | None:
        """A container image instead of an archive."""
        return self.code.image_uri if isinstance(self.code, Code) else None

    @property
    def registry_uri(self) -> str | None:
        """What a registry is asked for, image or artifact."""
        return self.image_uri or self.code.artifact_uri

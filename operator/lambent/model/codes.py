"""Where code comes from: the sources of a deployment package, of which a function names exactly one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from . import limits
from .fields import Fields, KubernetesName
from .schemas import Rule

SOURCES = ("inline", "zipFile", "url", "s3Bucket", "configMapRef", "artifactUri", "imageUri")
"""The fields of which one is given."""
_GIVEN = "[" + ", ".join(f"has(self.{source})" for source in SOURCES) + "]"
_LISTED = f"{', '.join(SOURCES[:-1])} and {SOURCES[-1]}"


class ConfigMapCode(Fields):
    """Code that stands in a ConfigMap of the function's namespace."""

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
    """A Secret of the function's namespace."""

    name: Annotated[KubernetesName, Field(description="Name of the Secret.")]


class Code(Fields):
    """Where the function's code comes from. Exactly one source."""

    rules = (
        Rule(
            f"{_GIVEN}.exists(given, given)",
            "Please provide a source for function code.",
            reason="FieldValueRequired",
        ),
        Rule(
            f"{_GIVEN}.filter(given, given).size() <= 1",
            "Please do not provide other FunctionCode parameters when providing a ZipFile. "
            f"Exactly one of {_LISTED} may be given.",
        ),
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
            "code.url needs code.sha256: what an address answers may change, a function's code may not",
            ".sha256",
            "FieldValueRequired",
        ),
        Rule(
            "!has(self.sha256) || has(self.url) || has(self.s3Bucket)",
            "sha256 goes with url or s3Bucket; of other sources the code itself is at hand",
            ".sha256",
            "FieldValueForbidden",
        ),
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
            "change is taken; a later upload does not change the function, as in Lambda.",
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
            "layer of media type application/zip (as `oras push` makes it). A tag is resolved when the function is "
            "created or its specification changes. Credentials: placement.imagePullSecrets.",
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

"""Manifests of images and indexes of manifests: OCI's, and Docker's (version 2, schema 2) that they come from.

An index stands for one image on many platforms. Environments run what was resolved, so one manifest is chosen here and
pinned by its own digest: a node does not choose again, and size and command are those of what it runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambent.model.errors import InvalidImage

from .documents import field_digest, field_list, field_object, field_size, field_text, read_object

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = f"{OCI_INDEX}, {DOCKER_LIST}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"

LAYERS_BYTES_MAX = 10 * 1024**3

_INDEXES, _MANIFESTS = {OCI_INDEX, DOCKER_LIST}, {OCI_MANIFEST, DOCKER_MANIFEST}
_CONFIGS = {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
_OCI_LAYERS = ("application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar")
_DOCKER_LAYERS = (
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
_LAYERS = {f"{layer}{packed}" for layer in _OCI_LAYERS for packed in ("", "+gzip", "+zstd")} | {
    f"{layer}{packed}" for layer in _DOCKER_LAYERS for packed in ("", ".gzip", ".zstd")
}
_PLATFORMS = {"x86_64": "amd64", "arm64": "arm64"}
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
"""As the container runtimes of nodes understand them, too."""
_NAME = re.compile(r"[a-zA-Z0-9._-]{0,32}")
_VARIANTS = {"amd64": ("", "v1", "v2", "v3", "v4"), "arm64": ("", "v8")}
"""From what every node of the architecture can run to what only newer ones can; others are not chosen."""
_ATTESTED = "vnd.docker.reference.type"
_SHOWN_PLATFORMS_MAX = 8


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where content is, and how much: its SHA-256 in hex digits and its bytes."""

    digest_hex: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image on one platform."""

    config: Descriptor
    layers_size: int


@dataclass(frozen=True, slots=True)
class Platform:
    """What a manifest of an index was made for, in Go's names."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@dataclass(frozen=True, slots=True)
class Index:
    """Manifests of one image, by platform, in their order."""

    manifests: tuple[tuple[Platform, Descriptor], ...]


def read_platform(fields: Mapping[str, Any]) -> Platform:
    """The platform that an entry of an index, or a configuration, names. Raises ValueError."""
    os, architecture, variant = (field_text(fields, name) for name in ("os", "architecture", "variant"))
    if not all(_NAME.fullmatch(name) for name in (os, architecture, variant)):
        raise ValueError("not a platform")
    return Platform(os, _ALIASES.get(architecture, architecture), variant)


def platform_of(architecture: str) -> Platform:
    """What an image has to be made for to run under Lambda's name of an architecture."""
    return Platform("linux", _PLATFORMS[architecture])


def not_supported(uri: str) -> InvalidImage:
    """Lambda's words for something that is no image to run."""
    return InvalidImage(f"The image manifest, config or layer media type for the source image {uri} is not supported.")


def wrong_platform(uri: str, found: str, architecture: str) -> InvalidImage:
    """The function could not run a single instruction of it."""
    return InvalidImage(
        f"Source image {uri} is made for {found}; the function's architecture {architecture} needs "
        f"{platform_of(architecture)}. Provide a valid source image."
    )


def parse_manifest(uri: str, document: bytes, content_type: str) -> Manifest | Index:
    """What a registry answered under /manifests/.

    Raises:
        InvalidImage: in Lambda's words, for what no environment can be made of.
    """
    try:
        fields = read_object(document)
        media_type = media_type_of(fields, content_type)
        if media_type in _INDEXES:
            return _index(fields)
        if media_type in _MANIFESTS:
            return _manifest(uri, fields)
    except ValueError:
        raise not_supported(uri) from None
    raise not_supported(uri)


def choose(uri: str, index: Index, architecture: str) -> Descriptor:
    """The manifest that every node of the architecture can run, the first of its kind."""
    wanted = platform_of(architecture)
    variants = _VARIANTS[wanted.architecture]
    fitting = [
        (variants.index(platform.variant), place, descriptor)
        for place, (platform, descriptor) in enumerate(index.manifests)
        if (platform.os, platform.architecture) == (wanted.os, wanted.architecture) and platform.variant in variants
    ]
    unsaid = [descriptor for platform, descriptor in index.manifests if not str(platform)]
    if not fitting and unsaid:
        return unsaid[0]  # its configuration will tell
    if not fitting:
        found = list(dict.fromkeys(str(platform) for platform, _ in index.manifests))
        shown = ", ".join(found[:_SHOWN_PLATFORMS_MAX]) + (", …" if len(found) > _SHOWN_PLATFORMS_MAX else "")
        raise wrong_platform(uri, shown or "no platform", architecture)
    return min(fitting, key=lambda one: one[:2])[2]


def media_type_of(fields: Mapping[str, Any], content_type: str) -> str:
    """What a document says of itself, else its header. ValueError where it could be read both ways (CVE-2021-41190)."""
    if fields.get("schemaVersion") != 2 or ("manifests" in fields and ("layers" in fields or "config" in fields)):
        raise ValueError("ambiguous, or of the first schema")
    said = field_text(fields, "mediaType") or content_type.partition(";")[0].strip().lower()
    if said in _INDEXES | _MANIFESTS:
        return said
    if "mediaType" in fields:
        raise ValueError("of another kind")
    return OCI_INDEX if "manifests" in fields else OCI_MANIFEST  # a server that says application/json


def _index(fields: Mapping[str, Any]) -> Index:
    manifests = []
    for entry in read_objects(field_list(fields, "manifests")):
        if _ATTESTED in field_object(entry, "annotations") or entry.get("artifactType"):
            continue
        if field_text(entry, "mediaType") not in _MANIFESTS:  # a nested index among others
            continue
        platform = read_platform(field_object(entry, "platform"))
        if platform.os != "unknown":
            manifests.append((platform, read_descriptor(entry)))
    return Index(tuple(manifests))


def _manifest(uri: str, fields: Mapping[str, Any]) -> Manifest:
    config, layers = field_object(fields, "config"), read_objects(field_list(fields, "layers"))
    if fields.get("artifactType") or field_text(config, "mediaType") not in _CONFIGS:
        raise ValueError("an artifact")
    if any(field_text(layer, "mediaType") not in _LAYERS for layer in layers):
        raise ValueError("a layer of another kind")
    size = sum(read_descriptor(layer).size for layer in layers)
    if size > LAYERS_BYTES_MAX:
        raise InvalidImage(
            f"Uncompressed container image size exceeds 10 GiB limit: the layers of {uri} have {size} bytes compressed."
        )
    return Manifest(read_descriptor(config), size)


def read_descriptor(fields: Mapping[str, Any]) -> Descriptor:
    """Where content is. Raises ValueError."""
    return Descriptor(field_digest(fields, "digest"), field_size(fields, "size"))


def read_objects(values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    """A list of nothing but objects. Raises ValueError."""
    if not all(isinstance(value, dict) for value in values):
        raise ValueError("not an object")
    return values

"""What container images are called, and what is known of one that a registry showed.

The grammar is that of Docker's and OCI's references, as the kubelet reads them; a name without a registry is Docker
Hub's. Registries are hosts by name or IPv4 address: the kinds' schema leaves no room for an IPv6 address in brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InvalidImage

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
NAME_CHARS_MAX = 255
"""Registry and repository together."""
_URI_CHARS_MAX = 1024

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::(?P<port>[0-9]{{1,5}}))?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """What somebody wrote to name an image, with what goes without saying filled in."""

    uri: str
    """As it was written."""
    registry: str
    """Host, with its port if one was written; lower case."""
    repository: str
    tag: str | None
    """None where a digest was written: then the digest says everything."""
    digest: str | None
    """`sha256:` and 64 hex digits."""

    @property
    def name(self) -> str:
        """`registry/repository`, as everybody reads it: a host of one word in capitals, else it were Docker Hub's."""
        registry = self.registry if _stands_for_itself(self.registry) else self.registry.upper()
        return f"{registry}/{self.repository}"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as its registry showed it: the manifest for one platform, and what its configuration says."""

    repository_uri: str
    """`registry/repository`."""
    digest_hex: str
    """SHA-256 of the platform's manifest: pulling `resolved_uri` runs what these facts are about."""
    size: int
    """Bytes of its layers as they are stored, compressed."""
    entry_point: tuple[str, ...]
    command: tuple[str, ...]
    """Entry point and command may both be empty: then only the function can say what to start."""
    working_directory: str
    """Absolute."""
    architecture: str
    """As Lambda calls it: x86_64 or arm64."""

    @property
    def resolved_uri(self) -> str:
        """`registry/repository@sha256:…`."""
        return f"{self.repository_uri}@sha256:{self.digest_hex}"


def parse_image_reference(uri: str) -> ImageReference:
    """The parts of an image's name.

    Raises:
        InvalidImage: in Lambda's words.
    """
    rest, at, digest = uri.partition("@")
    start = rest.rfind("/") + 1  # a colon before the last slash is a port's
    last, colon, tag = rest[start:].partition(":")
    registry, repository = _with_registry(rest[:start] + last)
    wrong = (
        len(uri) > _URI_CHARS_MAX
        or bool(at and not _DIGEST.fullmatch(digest))
        or bool(colon and not _TAG.fullmatch(tag))
        or not _is_registry(registry)
        or not _REPOSITORY.fullmatch(repository)
        or len(registry) + 1 + len(repository) > NAME_CHARS_MAX
        or bool(_IDENTIFIER.fullmatch(rest))  # an image's identifier on some machine is not a name
    )
    if wrong:
        raise InvalidImage(f"Source image {uri[:_URI_CHARS_MAX]} is not valid. Provide a valid source image.")
    if at:
        return ImageReference(uri, registry, repository, None, digest)
    return ImageReference(uri, registry, repository, tag or DEFAULT_TAG, None)


def _with_registry(name: str) -> tuple[str, str]:
    """Registry and repository. The first part is a registry where it cannot be a part of a Docker Hub name."""
    first, slash, rest = name.partition("/")
    if not slash or not _stands_for_itself(first):
        first, rest = DEFAULT_REGISTRY, name
    registry = first.lower()
    if registry == f"index.{DEFAULT_REGISTRY}":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    return registry, rest


def _stands_for_itself(first: str) -> bool:
    """Whether the first part of a name is a registry, whatever follows. A host of one word is one in capitals only."""
    return first == "localhost" or first != first.lower() or "." in first or ":" in first


def _is_registry(text: str) -> bool:
    match = _REGISTRY.fullmatch(text)
    return match is not None and (match["port"] is None or 0 < int(match["port"]) < 65536)

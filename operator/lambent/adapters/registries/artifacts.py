"""Zip archives kept as OCI artifacts: a manifest with one layer, which is the archive, as `oras push` makes it.

What the manifest's configuration is does not matter. The manifest is verified as an image's is, the archive by what the
manifest says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from lambent.adapters.sources.fetching import Fetched
from lambent.adapters.sources.spooling import Spool
from lambent.model import limits
from lambent.model.errors import InvalidImage

from .client import RegistryClient
from .documents import field_list, field_text, read_object
from .manifests import OCI_MANIFEST, Descriptor, media_type_of, read_descriptor, read_objects

ZIP = "application/zip"
_SHOWN_CHARS_MAX = 100


class ArtifactFetcher:
    """Fetches archives from whatever registries their names say; `folder` is for the temporary file."""

    def __init__(
        self, registries: RegistryClient, size_max: int = limits.FETCHED_BYTES_MAX, folder: str | None = None
    ) -> None:
        self._registries = registries
        self._size_max = size_max
        self._folder = folder

    @asynccontextmanager
    async def fetch(self, uri: str, credentials: Sequence[Mapping[str, Any]] = ()) -> AsyncIterator[Fetched]:
        """The archive that `uri` means now, as long as the context lasts.

        Raises:
            InvalidImage: only a person can help: the name, the manifest, an address that may not be dialled.
            Unavailable: it may be otherwise next time.
        """
        spool = Spool(self._size_max, self._folder)
        try:
            await self._registries.download(uri, credentials, self._choose, spool)
            yield Fetched(spool, ZIP)
        finally:
            spool.close()

    async def find(self, uri: str, credentials: Sequence[Mapping[str, Any]] = ()) -> str:
        """SHA-256 in hex of the archive that `uri` means now, which is not fetched. Raises as `fetch` does."""
        return (await self._registries.download(uri, credentials, self._choose, None)).digest_hex

    def _choose(self, uri: str, document: bytes, content_type: str) -> Descriptor:
        chosen = parse_artifact(uri, document, content_type)
        if chosen.size > self._size_max:
            raise InvalidImage(
                f"Artifact {uri} has {chosen.size} bytes, more than the {self._size_max} that a package may have."
            )
        return chosen


def parse_artifact(uri: str, document: bytes, content_type: str) -> Descriptor:
    """The archive that a manifest names.

    Raises:
        InvalidImage: it names none, or more.
    """
    try:
        fields = read_object(document)
        media_type = media_type_of(fields, content_type)
        layers = read_objects(field_list(fields, "layers"))
        found = [(field_text(layer, "mediaType"), read_descriptor(layer)) for layer in layers]
    except ValueError:
        raise InvalidImage(f"Artifact {uri} has a manifest that is none of an OCI artifact.") from None
    if media_type != OCI_MANIFEST:
        raise InvalidImage(f"Artifact {uri} is of the media type {media_type}; an artifact is {OCI_MANIFEST}.")
    if len(found) != 1 or found[0][0] != ZIP:
        kinds = ", ".join(kind[:_SHOWN_CHARS_MAX] or "no media type" for kind, _ in found[:4]) or "none"
        count = f"{len(found)} layers ({kinds})" if len(found) != 1 else f"a layer of the media type {kinds}"
        raise InvalidImage(
            f"Artifact {uri} has {count}; it takes exactly one layer of {ZIP}, as "
            f"`oras push {uri.partition('@')[0]} function.zip:{ZIP}` makes it."
        )
    return found[0][1]

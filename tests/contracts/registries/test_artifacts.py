"""What every registry's artifacts come out as: the archive, verified, and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.core.lying_archives import Entry, archive

from lambent.adapters.registries.artifacts import ZIP, ArtifactFetcher
from lambent.model.errors import InvalidImage, Unavailable

from .conftest import Room
from .image_content import INDEX, LAYER, MANIFEST, Document, Image, encoded, index_of, manifest_of

EMPTY = "application/vnd.oci.empty.v1+json"
CODE = archive(Entry(content=b"handler = print\n" * 9000))
"""Larger than one read."""


def artifact(*layers: bytes, kind: str = ZIP, **more: Any) -> Document:
    """As `oras push` makes it: an empty configuration, and what it is as artifactType."""
    return manifest_of((MANIFEST, EMPTY, kind), b"{}", layers, artifactType="application/vnd.example.code", **more)


async def fetched(room: Room, name: str, secrets: list[dict[str, Any]] | None = None, **bounds: int) -> bytes:
    credentials = room.secrets() if secrets is None else secrets
    async with ArtifactFetcher(room.client, **bounds).fetch(room.uri(name), credentials) as came:
        assert came.spool.sha256_hex == hashlib.sha256(bytes(came.spool.view())).hexdigest()
        return bytes(came.spool.view())


async def test_a_tag_and_a_digest_bring_the_archive(room: Room) -> None:
    """Byte for byte; the digest whatever became of the tag."""
    first = artifact(CODE)
    await room.push("team/code", "v1", first)
    assert await fetched(room, "team/code:v1") == CODE
    found = await ArtifactFetcher(room.client).find(room.uri("team/code:v1"), room.secrets())
    assert found == hashlib.sha256(CODE).hexdigest()
    other = archive(Entry(content=b"other"))
    await room.push("team/code", "v1", artifact(other))
    assert await fetched(room, "team/code:v1") == other
    assert await fetched(room, f"team/code@{first.digest}") == CODE


async def test_what_the_configuration_says_does_not_matter(room: Room) -> None:
    """Tools put there what they like, also an image's."""
    config = encoded({"architecture": "none", "os": "none"})
    kinds = (MANIFEST, "application/vnd.oci.image.config.v1+json", ZIP)
    await room.push("team/odd", "v1", manifest_of(kinds, config, (CODE,)))
    assert await fetched(room, "team/odd:v1") == CODE


REFUSED = {
    "an image": (
        Image().manifest(),
        f"has a layer of the media type {LAYER}; it takes exactly one layer of application/zip, as "
        "`oras push {name} function.zip:application/zip` makes it.",
    ),
    "two archives": (artifact(CODE, archive(Entry())), "has 2 layers (application/zip, application/zip); it takes"),
    "no archive": (artifact(), "has 0 layers (none); it takes exactly one layer of application/zip"),
    "a tar": (artifact(CODE, kind="application/x-tar"), "has a layer of the media type application/x-tar;"),
}


@pytest.mark.parametrize("row", REFUSED)
async def test_what_is_no_archive_is_refused_and_says_what_is_wanted(room: Room, row: str) -> None:
    """For good: only another push or another name can help."""
    document, words = REFUSED[row]
    repository = f"team/{row.replace(' ', '-')}"
    await room.push(repository, "v1", document)
    with pytest.raises(InvalidImage) as caught:
        await fetched(room, f"{repository}:v1")
    name = room.uri(f"{repository}:v1")
    assert str(caught.value).startswith(f"Artifact {name} {words.replace('{name}', name)}")


async def test_an_index_is_refused(room: Room) -> None:
    """An archive has no platform to choose by; a registry that is asked for a manifest only may have none to show."""
    await room.push("team/index", "v1", index_of(("linux/amd64", artifact(CODE))))
    with pytest.raises((InvalidImage, Unavailable)) as caught:
        await fetched(room, "team/index:v1")
    assert INDEX in str(caught.value) or "does not exist" in str(caught.value)


async def test_an_archive_that_is_too_large_is_refused_before_it_is_fetched(room: Room) -> None:
    """The manifest says how large it is."""
    await room.push("team/large", "v1", artifact(CODE))
    with pytest.raises(InvalidImage, match=f"has {len(CODE)} bytes, more than the 1000 that a package may have"):
        await fetched(room, "team/large:v1", size_max=1000)


@pytest.mark.parametrize("name", ["team/no-code:v1", "team/code-there:never"])
async def test_what_is_not_there_is_asked_for_again(room: Room, name: str) -> None:
    """It is often pushed after the Function was applied."""
    await room.push("team/code-there", "v1", artifact(CODE))
    with pytest.raises(Unavailable) as caught:
        await fetched(room, name)
    assert str(caught.value) == f"Artifact {room.uri(name)} does not exist. Provide a valid artifact."
    await room.push(*name.rsplit(":", 1), artifact(CODE))
    assert await fetched(room, name) == CODE


async def test_a_closed_registry_opens_with_the_right_credential_only(room: Room) -> None:
    """Each fitting one is tried; no message holds any."""
    await room.push("team/closed-code", "v1", artifact(CODE))
    if not room.closed:
        assert await fetched(room, "team/closed-code:v1", room.secrets("wrong")) == CODE
        return
    for secrets in ([], room.secrets("canary-1"), room.secrets("canary-1") + room.secrets("canary-2")):
        with pytest.raises(Unavailable, match="does not have permission to access the artifact") as caught:
            await fetched(room, "team/closed-code:v1", secrets)
        assert "canary" not in repr(caught.value)
    secrets = room.secrets("canary-1") + room.secrets()
    assert await fetched(room, "team/closed-code:v1", secrets) == CODE


@pytest.mark.parametrize("uri", ["registry.test/UPPER:v1", "registry/name:v1@sha256:short", ""])
async def test_what_is_no_name_is_refused(room: Room, uri: str) -> None:
    """Nobody is asked."""
    with pytest.raises(InvalidImage, match=r"is not valid\. Provide a valid artifact\."):
        async with ArtifactFetcher(room.client).fetch(uri):
            pass

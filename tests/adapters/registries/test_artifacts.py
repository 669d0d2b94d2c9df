"""What a registry should not do with an artifact, and what becomes of it."""

from __future__ import annotations

import pytest
from tests.contracts.registries.image_content import MANIFEST, digest_of, encoded, manifest_of
from tests.core.lying_archives import Entry, archive

from lambent.adapters.registries.artifacts import ZIP, ArtifactFetcher, parse_artifact
from lambent.model.errors import InvalidImage, Unavailable

from .conftest import REFUSED_HOST, Desk

CODE = archive(Entry())
MADE = manifest_of((MANIFEST, "application/vnd.oci.empty.v1+json", ZIP), b"{}", (CODE,))


async def fetch(desk: Desk, name: str = "team/app:code") -> bytes:
    async with ArtifactFetcher(desk.client).fetch(f"{desk.registry.place}/{name}") as came:
        return bytes(came.spool.view())


@pytest.fixture
async def pushed(desk: Desk) -> Desk:
    await desk.push(MADE, "team/app:code")
    return desk


LIES = {
    "other bytes": CODE[:-1] + b"x",
    "too few": CODE[:-5],
    "too many": CODE + b"x",
    "nothing": b"",
}


@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
async def test_bytes_that_the_manifest_does_not_name_are_not_believed(pushed: Desk, body: bytes) -> None:
    """Perhaps broken on the way: asked for again, never stored."""
    pushed.registry.answer(pushed.path("blobs", digest_of(CODE)), body)
    with pytest.raises(Unavailable, match=r"than (its|the) manifest names"):
        await fetch(pushed)


async def test_a_blob_may_lie_elsewhere_and_is_asked_for_there_without_credentials(pushed: Desk) -> None:
    """Registries redirect to their storage."""
    pushed.storage.answer("/there", CODE)
    pushed.registry.answer(
        pushed.path("blobs", digest_of(CODE)), status=307, Location=f"{pushed.storage.url}/there?sig=x"
    )
    assert await fetch(pushed) == CODE
    assert [one.authorization for one in pushed.storage.seen] == [""]


async def test_a_blob_elsewhere_may_not_be_where_nobody_may_be_led(pushed: Desk) -> None:
    """A tenant names a registry that names the metadata service."""
    pushed.insecure.add(f"{REFUSED_HOST}:80")
    pushed.client = pushed.another()
    pushed.registry.answer(pushed.path("blobs", digest_of(CODE)), status=307, Location=f"http://{REFUSED_HOST}/x")
    with pytest.raises(InvalidImage, match="cannot be asked"):
        await fetch(pushed)


async def test_a_blob_that_is_missing_is_asked_for_again(pushed: Desk) -> None:
    """The manifest was pushed first."""
    pushed.registry.answer(pushed.path("blobs", digest_of(CODE)), status=404)
    with pytest.raises(Unavailable) as caught:
        await fetch(pushed)
    assert f"is not complete: its registry has no {digest_of(CODE)}. Provide a valid artifact." in str(caught.value)


async def test_a_manifest_of_another_digest_is_not_believed(pushed: Desk) -> None:
    """By digest, only the bytes of that digest."""
    pushed.registry.answer(pushed.path("manifests", MADE.digest), MADE.content + b" ", Content_Type=MANIFEST)
    with pytest.raises(Unavailable, match="with bytes of another digest"):
        await fetch(pushed, f"team/app@{MADE.digest}")


BROKEN = {
    "no JSON": b"nothing",
    "a list": b"[]",
    "of the first schema": encoded({"schemaVersion": 1}),
    "layers that are none": encoded({"schemaVersion": 2, "layers": ["a"]}),
    "a layer without a digest": encoded({"schemaVersion": 2, "layers": [{"mediaType": ZIP, "size": 1}]}),
    "a layer without a size": encoded({"schemaVersion": 2, "layers": [{"mediaType": ZIP, "digest": digest_of(b"")}]}),
    "image and index at once": encoded({"schemaVersion": 2, "layers": [], "manifests": []}),
}


@pytest.mark.parametrize("document", BROKEN.values(), ids=BROKEN)
def test_what_is_no_manifest_is_refused(document: bytes) -> None:
    """One error, whatever is wrong."""
    with pytest.raises(InvalidImage, match=r"^Artifact r/a:1 has a manifest that is none of an OCI artifact\.$"):
        parse_artifact("r/a:1", document, MANIFEST)


def test_another_kind_of_manifest_is_named() -> None:
    """Docker's has no artifacts."""
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    document = encoded({"schemaVersion": 2, "mediaType": kind, "layers": []})
    with pytest.raises(InvalidImage, match=f"is of the media type {kind.replace('.', '[.]').replace('+', '[+]')}"):
        parse_artifact("r/a:1", document, kind)

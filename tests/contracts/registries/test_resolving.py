"""What every registry's images come out as."""

from __future__ import annotations

import asyncio

import pytest

from lambent.model.errors import InvalidImage, Unavailable
from lambent.model.images import ImageFacts

from .conftest import Room
from .image_content import DOCKER_LIST, Document, Image, encoded, index_of, layer

AMD = Image(layers=(layer("one"), layer("two, larger")))
ARM = Image({"Cmd": ["on-arm"]}, architecture="arm64")


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
async def test_a_tag_is_resolved_to_the_digest_of_its_manifest(room: Room, docker: bool) -> None:
    """With what the configuration says, and the bytes of the compressed layers."""
    image = Image({"Entrypoint": ["/a", "b c"], "Cmd": ["ü"], "WorkingDir": "/srv", "User": "root"}, docker=docker)
    manifest = image.manifest()
    await room.push("team/app", "v1", manifest)
    facts = await room.client.resolve(room.uri("team/app:v1"), "x86_64", room.secrets())
    assert facts == ImageFacts(
        repository_uri=room.uri("team/app"),
        digest_hex=manifest.hex,
        size=image.size,
        entry_point=("/a", "b c"),
        command=("ü",),
        working_directory="/srv",
        architecture="x86_64",
    )
    assert facts.resolved_uri == f"{room.uri('team/app')}@{manifest.digest}"


async def test_without_a_tag_it_is_latest(room: Room) -> None:
    """As everywhere."""
    await room.push("team/untagged", "latest", AMD.manifest())
    facts = await room.client.resolve(room.uri("team/untagged"), "x86_64", room.secrets())
    assert facts.digest_hex == AMD.manifest().hex


@pytest.mark.parametrize("tag", ["", ":moved"])
async def test_a_digest_says_what_is_meant_whatever_became_of_the_tag(room: Room, tag: str) -> None:
    """A tag beside it is not even looked at."""
    await room.push("team/moving", "moved", AMD.manifest())
    await room.push("team/moving", "moved", Image({"Cmd": ["newer"]}).manifest())
    uri = room.uri(f"team/moving{tag}@{AMD.manifest().digest}")
    assert (await room.client.resolve(uri, "x86_64", room.secrets())).digest_hex == AMD.manifest().hex


@pytest.mark.parametrize("kind", ["oci", "docker"])
@pytest.mark.parametrize(("architecture", "expected"), [("x86_64", AMD), ("arm64", ARM)])
async def test_of_an_index_the_manifest_for_the_architecture_is_pinned(
    room: Room, kind: str, architecture: str, expected: Image
) -> None:
    """Nodes run exactly what was resolved; attestations are no images."""
    attestation = ("", Image({"Cmd": ["nothing to run"]}).manifest())
    platforms = [("linux/arm64/v8", ARM.manifest()), ("linux/amd64", AMD.manifest())]
    index = index_of(*platforms, attestation) if kind == "oci" else index_of(*platforms, media_type=DOCKER_LIST)
    await room.push(f"team/many-{kind}", "v1", index)
    for reference in ("v1", index.digest):
        uri = room.uri(f"team/many-{kind}{'@' if ':' in reference else ':'}{reference}")
        facts = await room.client.resolve(uri, architecture, room.secrets())
        assert facts.digest_hex == expected.manifest().hex
        assert facts.command == tuple(expected.said["Cmd"])
        assert (await room.client.resolve(facts.resolved_uri, architecture, room.secrets())) == facts


async def test_an_index_without_the_architecture_is_refused_and_says_what_there_is(room: Room) -> None:
    """For good: another digest is another specification, and a new push of the tag is a new code update."""
    await room.push("team/arm-only", "v1", index_of(("linux/arm64", ARM.manifest())))
    uri = room.uri("team/arm-only:v1")
    with pytest.raises(InvalidImage) as caught:
        await room.client.resolve(uri, "x86_64", room.secrets())
    assert str(caught.value) == (
        f"Source image {uri} is made for linux/arm64; the function's architecture x86_64 needs linux/amd64. "
        "Provide a valid source image."
    )


async def test_a_single_image_for_another_architecture_is_refused(room: Room) -> None:
    """Its configuration says what it was made for."""
    await room.push("team/arm-single", "v1", ARM.manifest())
    with pytest.raises(InvalidImage, match="is made for linux/arm64; the function's architecture x86_64 needs"):
        await room.client.resolve(room.uri("team/arm-single:v1"), "x86_64", room.secrets())


@pytest.mark.parametrize("name", ["team/never:v1", "team/there:never"])
async def test_what_is_not_there_is_asked_for_again_in_lambdas_words(room: Room, name: str) -> None:
    """It is often pushed after the Function was applied."""
    await room.push("team/there", "v1", AMD.manifest())
    with pytest.raises(Unavailable) as caught:
        await room.client.resolve(room.uri(name), "x86_64", room.secrets())
    assert str(caught.value) == f"Source image {room.uri(name)} does not exist. Provide a valid source image."
    await room.push(*name.rsplit(":", 1), AMD.manifest())
    assert (await room.client.resolve(room.uri(name), "x86_64", room.secrets())).digest_hex == AMD.manifest().hex


async def test_a_closed_registry_opens_with_the_right_credential_only(room: Room) -> None:
    """Each fitting one is tried; no message holds any."""
    await room.push("team/closed", "v1", AMD.manifest())
    uri = room.uri("team/closed:v1")
    if not room.closed:
        assert await room.client.resolve(uri, "x86_64", room.secrets("wrong"))
        return
    for secrets, why in (
        ([], "no credential of the function's imagePullSecrets is for it"),
        (room.secrets("canary-1"), "a credential of the function's imagePullSecrets did not open it"),
        (room.secrets("canary-1") + room.secrets("canary-2"), "2 credentials of the function's imagePullSecrets did"),
    ):
        with pytest.raises(Unavailable, match="does not have permission to access the source image") as caught:
            await room.client.resolve(uri, "x86_64", secrets)
        assert why in str(caught.value)
        assert "canary" not in repr(caught.value)
    assert await room.client.resolve(uri, "x86_64", room.secrets("canary-1") + room.secrets())


async def test_an_artifact_that_is_no_image_is_refused(room: Room) -> None:
    """A Helm chart lies in registries, too."""
    config = encoded({"name": "chart"})
    helm = "application/vnd.cncf.helm"
    fields = {
        "schemaVersion": 2,
        "mediaType": AMD.manifest().media_type,
        "config": {"mediaType": f"{helm}.config.v1+json", "digest": Document("", config).digest, "size": len(config)},
        "layers": [],
    }
    await room.push("team/chart", "v1", Document(AMD.manifest().media_type, encoded(fields), (config,)))
    uri = room.uri("team/chart:v1")
    with pytest.raises(InvalidImage) as caught:
        await room.client.resolve(uri, "x86_64", room.secrets())
    assert str(caught.value) == (
        f"The image manifest, config or layer media type for the source image {uri} is not supported."
    )


async def test_many_images_are_resolved_at_once(room: Room) -> None:
    """More than have a turn at a time."""
    images = [Image({"Cmd": [str(number)]}) for number in range(20)]
    for number, image in enumerate(images):
        await room.push("team/many", str(number), image.manifest())
    found = await asyncio.gather(
        *(room.client.resolve(room.uri(f"team/many:{number}"), "x86_64", room.secrets()) for number in range(20))
    )
    assert [facts.command for facts in found] == [(str(number),) for number in range(20)]

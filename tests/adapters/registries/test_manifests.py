"""Manifests, indexes and configurations, as they are and as they should not be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.registries.image_content import (
    CONFIG,
    DOCKER,
    INDEX,
    LAYER,
    MANIFEST,
    OCI,
    Document,
    Image,
    digest_of,
    encoded,
    index_of,
)

from lambent.adapters.registries import manifests
from lambent.adapters.registries.configs import ImageStart, parse_config
from lambent.adapters.registries.manifests import Index, Manifest, choose, parse_manifest
from lambent.model.errors import InvalidImage
from lambent.model.function_statuses import ImageStatus

URI = "registry.example/app:v1"
NOT_SUPPORTED = f"The image manifest, config or layer media type for the source image {URI} is not supported."
DIGEST = digest_of(b"")


def manifest(**changed: object) -> bytes:
    fields = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": DIGEST, "size": 10},
        "layers": [
            {"mediaType": LAYER, "digest": DIGEST, "size": 5},
            {"mediaType": LAYER, "digest": DIGEST, "size": 6},
        ],
    }
    return encoded({name: value for name, value in (fields | changed).items() if value is not None})


def layers(media_type: str, size: object = 5) -> list[dict]:
    return [{"mediaType": media_type, "digest": DIGEST, "size": size}]


@pytest.mark.parametrize(
    ("document", "content_type", "size"),
    [
        (manifest(), MANIFEST, 11),
        (manifest(), "text/plain", 11),
        (manifest(mediaType=None), MANIFEST, 11),
        (manifest(mediaType=None), f"{MANIFEST}; charset=utf-8", 11),
        (manifest(mediaType=None), "application/json", 11),
        (manifest(layers=[]), MANIFEST, 0),
        (manifest(layers=layers(f"{OCI}.layer.v1.tar+zstd")), MANIFEST, 5),
        (manifest(layers=layers(f"{OCI}.layer.v1.tar")), MANIFEST, 5),
        (manifest(layers=layers(f"{DOCKER}.image.rootfs.diff.tar.gzip")), MANIFEST, 5),
        (manifest(layers=layers(LAYER, 10 * 1024**3)), MANIFEST, 10 * 1024**3),
    ],
)
def test_an_image_is_its_configuration_and_the_bytes_of_its_layers(document, content_type, size):
    """Whatever of the media types a server leaves out."""
    found = parse_manifest(URI, document, content_type)
    assert isinstance(found, Manifest)
    assert (found.layers_size, found.config.size) == (size, 10)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"{}",
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"schemaVersion": ' + b"9" * 5000 + b"}",
        encoded({"schemaVersion": 1, "name": "app", "fsLayers": [], "history": []}),
        manifest(schemaVersion=1),
        manifest(schemaVersion="2"),
        manifest(mediaType=f"{DOCKER}.distribution.manifest.v1+prettyjws"),
        manifest(mediaType=7),
        manifest(artifactType="application/x"),
        manifest(config={"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": DIGEST, "size": 1}),
        manifest(config={"mediaType": f"{OCI}.empty.v1+json", "digest": DIGEST, "size": 2}),
        manifest(config=None),
        manifest(config=[]),
        manifest(config={"mediaType": CONFIG, "digest": "sha256:x", "size": 1}),
        manifest(config={"mediaType": CONFIG, "digest": digest_of(b"").replace("sha256", "sha512"), "size": 1}),
        manifest(layers="x"),
        manifest(layers=[1]),
        manifest(layers=layers(f"{OCI}.layer.v1.tar+gzip+encrypted")),
        manifest(layers=layers(LAYER, -1)),
        manifest(layers=layers(LAYER, True)),
        manifest(layers=layers(LAYER, 1.5)),
        manifest(layers=layers(LAYER, 2**63)),
        manifest(manifests=[]),
        manifest(mediaType=INDEX, manifests=[]),
    ],
    ids=range(30),
)
def test_what_is_no_image_is_refused_in_lambdas_words(document):
    """Also what could be read as two things (CVE-2021-41190)."""
    with pytest.raises(InvalidImage) as caught:
        parse_manifest(URI, document, MANIFEST)
    assert str(caught.value) == NOT_SUPPORTED


def test_more_than_ten_gibibytes_of_layers_are_refused():
    """Compressed is what a manifest knows, and what is too much compressed is too much unpacked."""
    with pytest.raises(InvalidImage, match="Uncompressed container image size exceeds 10 GiB limit") as caught:
        parse_manifest(URI, manifest(layers=layers(LAYER, 10 * 1024**3) + layers(LAYER, 1)), MANIFEST)
    assert "10737418241 bytes compressed" in str(caught.value)


def document(name: str) -> Document:
    return Image({"Cmd": [name]}).manifest()


@pytest.mark.parametrize(
    ("platforms", "architecture", "expected"),
    [
        (["linux/arm64", "linux/amd64"], "x86_64", 1),
        (["linux/amd64", "linux/amd64"], "x86_64", 0),
        (["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"], "x86_64", 2),
        (["linux/amd64/v3", "linux/amd64/v2"], "x86_64", 1),
        (["windows/amd64", "linux/amd64"], "x86_64", 1),
        (["linux/arm/v7", "linux/arm64/v8"], "arm64", 1),
        (["linux/arm64/v9", "linux/arm64/v8"], "arm64", 1),
        (["linux/x86_64"], "x86_64", 0),
        (["linux/aarch64"], "arm64", 0),
    ],
)
def test_the_manifest_that_every_node_can_run_is_chosen(platforms, architecture, expected):
    """The least demanding variant, the first of its kind."""
    documents = [document(str(place)) for place in range(len(platforms))]
    index = parse_manifest(URI, index_of(*zip(platforms, documents, strict=True)).content, INDEX)
    assert isinstance(index, Index)
    assert choose(URI, index, architecture).digest_hex == documents[expected].hex


def test_an_attestation_is_not_chosen_nor_named():
    """BuildKit puts one beside every image."""
    index = parse_manifest(URI, index_of(("", document("proof"))).content, INDEX)
    with pytest.raises(InvalidImage, match="is made for no platform; "):
        choose(URI, index, "x86_64")


@pytest.mark.parametrize(
    "mark",
    [
        {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        {"artifactType": "application/vnd.example.signature"},
        {"mediaType": INDEX},
    ],
    ids=["attestation", "artifact", "index"],
)
def test_what_is_marked_as_something_else_is_no_image_whatever_its_platform(mark):
    """Some tools repeat the platform of the image that they speak about."""
    fields = json.loads(index_of(("linux/amd64", document("proof")), ("linux/amd64", document("image"))).content)
    fields["manifests"][0] |= mark
    index = parse_manifest(URI, encoded(fields), INDEX)
    assert isinstance(index, Index)
    assert choose(URI, index, "x86_64").digest_hex == document("image").hex


def test_a_manifest_without_a_platform_is_taken_where_no_other_fits():
    """Its configuration says what it was made for."""
    fields = json.loads(index_of(("linux/amd64", document("x"))).content)
    del fields["manifests"][0]["platform"]
    assert choose(URI, parse_manifest(URI, encoded(fields), INDEX), "arm64").digest_hex == document("x").hex


def test_an_index_in_an_index_is_not_looked_into():
    """No tool makes one, and none may make us walk."""
    nested = index_of(("linux/amd64", index_of(("linux/amd64", document("x")))))
    with pytest.raises(InvalidImage, match="is made for no platform"):
        choose(URI, parse_manifest(URI, nested.content, INDEX), "x86_64")


def test_a_message_names_at_most_a_few_platforms():
    """It stands in a status."""
    index = parse_manifest(URI, index_of(*((f"os{number}/x", document("x")) for number in range(500))).content, INDEX)
    with pytest.raises(InvalidImage) as caught:
        choose(URI, index, "x86_64")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ImageStart((), (), "/")),
        (None, ImageStart((), (), "/")),
        ({"Entrypoint": None, "Cmd": None, "WorkingDir": ""}, ImageStart((), (), "/")),
        ({"Entrypoint": ["/a"], "WorkingDir": "/x"}, ImageStart(("/a",), (), "/x")),
        ({"Cmd": ["a", ""], "User": "0:0"}, ImageStart((), ("a", ""), "/")),
    ],
)
def test_a_configuration_says_what_is_started_and_where(said, expected):
    """Neither ENTRYPOINT nor CMD is the caller's business; the user counts for nothing."""
    assert parse_config(URI, encoded({"os": "linux", "architecture": "amd64", "config": said}), "x86_64") == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"config": []}, NOT_SUPPORTED),
        ({"config": {"Cmd": "text"}}, NOT_SUPPORTED),
        ({"config": {"Cmd": [1]}}, NOT_SUPPORTED),
        ({"config": {"Cmd": ["a\0b"]}}, NOT_SUPPORTED),
        ({"config": {"Cmd": ["\ud800"]}}, NOT_SUPPORTED),
        ({"config": {"WorkingDir": 1}}, NOT_SUPPORTED),
        ({"os": "lin\nux"}, NOT_SUPPORTED),
        ({"os": "windows"}, "is made for windows/amd64; the function's architecture x86_64 needs linux/amd64"),
        ({"architecture": "arm64"}, "is made for linux/arm64; "),
        ({"os": "", "architecture": ""}, "is made for no platform; "),
        ({"config": {"WorkingDir": "srv"}}, "WORKDIR of the source image .* is not an absolute path"),
        ({"config": {"WorkingDir": "/" + "x" * 4096}}, "WORKDIR of the source image .* is not an absolute path"),
        ({"config": {"Cmd": ["x" * 4097]}}, "ENTRYPOINT and CMD of the source image .* are too long: at most 1500 arg"),
        ({"config": {"Cmd": ["x"] * 1000, "Entrypoint": ["x"] * 501}}, "are too long: at most 1500 arguments"),
        ({"config": {"Cmd": ["x" * 4096] * 17}}, "are too long: .* 65536 bytes together"),
    ],
)
def test_a_configuration_that_no_environment_can_be_made_of_is_refused(fields, message):
    """Before any node pulls a byte."""
    with pytest.raises(InvalidImage, match=message):
        parse_config(URI, encoded({"os": "linux", "architecture": "amd64", **fields}), "x86_64")


@pytest.mark.parametrize("start", [["x" * 4096] * 15, ["x"] * 1500], ids=["long", "many"])
def test_whatever_passes_fits_into_a_status(start):
    """A status that the API server refused would be tried for ever."""
    found = parse_config(URI, encoded({"os": "linux", "architecture": "amd64", "config": {"Cmd": start}}), "x86_64")
    ImageStatus(resolved_uri="x", command=list(found.command), working_directory=found.working_directory)


WORDS = ["schemaVersion", "mediaType", "manifests", "layers", "config", "digest", "size", "platform", "os", "Cmd"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from([2, MANIFEST, INDEX, DIGEST]),
)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), inner, max_size=8),
    ),
    max_leaves=30,
)


@given(ANYTHING, st.sampled_from([MANIFEST, INDEX, "", "application/json"]))
def test_no_manifest_makes_it_fail(value, content_type):
    """It is an image or refused."""
    for content in (
        encoded(value),
        encoded({"schemaVersion": 2, "layers": value}),
        encoded({"schemaVersion": 2, "manifests": value}),
    ):
        try:
            found = parse_manifest(URI, content, content_type)
            if isinstance(found, Index):
                choose(URI, found, "x86_64")
        except InvalidImage:
            pass


@given(st.one_of(st.binary(), ANYTHING.map(encoded)), ANYTHING)
def test_no_configuration_makes_it_fail(content, value):
    """It is one or refused."""
    for one in (content, encoded({"os": "linux", "architecture": "amd64", "config": value})):
        try:
            parse_config(URI, one, "x86_64")
        except InvalidImage:
            pass


def test_every_type_that_is_asked_for_can_be_read():
    """The Accept header promises no more."""
    assert set(manifests.ACCEPT.split(", ")) == {INDEX, MANIFEST, manifests.DOCKER_LIST, manifests.DOCKER_MANIFEST}

"""How images are called."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lambent.model.errors import InvalidImage
from lambent.model.images import ImageReference, parse_image_reference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("uri", "registry", "repository", "tag", "digest"),
    [
        ("alpine", "docker.io", "library/alpine", "latest", None),
        ("alpine:3", "docker.io", "library/alpine", "3", None),
        ("team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/alpine", "docker.io", "library/alpine", "latest", None),
        ("index.docker.io/team/app", "docker.io", "team/app", "latest", None),
        ("Docker.IO/alpine", "docker.io", "library/alpine", "latest", None),
        ("localhost/app", "localhost", "app", "latest", None),
        ("localhost:5000/app:v1", "localhost:5000", "app", "v1", None),
        ("REGISTRY.example/a/b/c", "registry.example", "a/b/c", "latest", None),
        ("Team/app", "team", "app", "latest", None),
        ("10.0.0.1:5000/a", "10.0.0.1:5000", "a", "latest", None),
        ("registry.example:443/a__b/c-.d".replace("-.", "--"), "registry.example:443", "a__b/c--d", "latest", None),
        ("a.b/c:Tag_1.-x", "a.b", "c", "Tag_1.-x", None),
        (f"a.b/c@{DIGEST}", "a.b", "c", None, DIGEST),
        (f"a.b:1/c:v1@{DIGEST}", "a.b:1", "c", None, DIGEST),
        ("a.b/c:" + "t" * 128, "a.b", "c", "t" * 128, None),
        ("a.b/" + "c" * 251, "a.b", "c" * 251, "latest", None),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "app",
            "v1",
            None,
        ),
    ],
)
def test_what_goes_without_saying_is_filled_in(uri, registry, repository, tag, digest):
    """Docker Hub, its library, the tag latest; a digest makes the tag beside it meaningless."""
    assert parse_image_reference(uri) == ImageReference(uri, registry, repository, tag, digest)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        ":",
        "@",
        "/",
        "a.b/",
        "a.b//c",
        "/app",
        "a.b/App",
        "a.b/app:",
        "a.b/app:-x",
        "a.b/app:" + "t" * 129,
        "a.b/app@",
        "a.b/app@sha256:abc",
        f"a.b/app@sha512:{HEX}{HEX}",
        f"a.b/app@{DIGEST}@{DIGEST}",
        f"a.b/app@{DIGEST.upper()}",
        HEX,
        "a.b/-app",
        "a.b/app-",
        "a.b/a___b",
        "a.b/a..b",
        "a.b:/app",
        "a.b:0/app",
        "a.b:65536/app",
        "a.b:x/app",
        "a..b/app",
        "-a.b/app",
        "a_b.c/app",
        "user:word@a.b/app",
        "https://a.b/app",
        "[::1]:5000/app",
        "a.b/app v",
        "a.b/äpp",
        "a.b/../v2",
        "a.b/" + "c" * 252,
        "a" * 64 + ".b/c",
    ],
)
def test_anything_else_is_refused_in_lambdas_words(uri):
    """The message names it."""
    with pytest.raises(InvalidImage) as caught:
        parse_image_reference(uri)
    assert str(caught.value) == f"Source image {uri} is not valid. Provide a valid source image."


@given(st.one_of(st.text(), st.text("aB1./:@-_", max_size=2000), st.from_regex(r"[a-z.:/@-]{0,300}")))
@example("A/0")
def test_any_text_is_a_reference_or_refused(text):
    """And a reference, written out in full, is itself."""
    try:
        parsed = parse_image_reference(text)
    except InvalidImage:
        return
    full = f"{parsed.name}@{parsed.digest}" if parsed.digest else f"{parsed.name}:{parsed.tag}"
    again = parse_image_reference(full)
    assert (again.registry, again.repository, again.tag, again.digest) == (
        parsed.registry,
        parsed.repository,
        parsed.tag,
        parsed.digest,
    )


@pytest.mark.parametrize("text", ["a" * 10**6, "a-" * 10**6, "a/" * 10**6, "-" * 10**6, "a." * 10**6, "a:" * 10**6])
def test_a_megabyte_is_refused_as_fast_as_it_is_read(text):
    """Nothing in the grammar can be read in two ways; pytest's time limit would show if it could."""
    with pytest.raises(InvalidImage):
        parse_image_reference(text)

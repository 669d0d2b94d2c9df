"""Which entries of pull secrets are for an image: the kubelet's rules."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.adapters.registries.credentials import Credential, matching
from lambent.model.images import parse_image_reference


def entry(name: str) -> dict[str, str]:
    return {"username": name, "password": f"{name}-word"}


def names(uri: str, *documents: dict) -> list[str]:
    return [one.username for one in matching(parse_image_reference(uri), documents)]


@pytest.mark.parametrize(
    ("place", "uri", "fits"),
    [
        ("registry.example", "registry.example/app", True),
        ("Registry.Example", "registry.example/app", True),
        ("https://registry.example", "registry.example/app", True),
        ("http://registry.example/", "registry.example/app", True),
        ("https://registry.example/v1/", "registry.example/app", True),
        ("https://registry.example/v2/", "registry.example/app", True),
        ("registry.example/team", "registry.example/team/app", True),
        ("registry.example/team", "registry.example/teams/app", True),  # a prefix of characters, as the kubelet has it
        ("registry.example/team/", "registry.example/teams/app", False),
        ("registry.example/team", "registry.example/other/app", False),
        ("registry.example", "registry.example:5000/app", False),
        ("registry.example:5000", "registry.example:5000/app", True),
        ("registry.example:5000", "registry.example/app", False),
        ("*.example", "registry.example/app", True),
        ("*.example", "a.registry.example/app", False),
        ("*.*.example", "a.registry.example/app", True),
        ("registry-*.example/team", "registry-1.example/team/app", True),
        ("registry-?.example", "registry-1.example/app", True),
        ("registry-?.example", "registry-12.example/app", False),
        ("registry-[12].example", "registry-2.example/app", True),
        ("registry-[^1].example", "registry-2.example/app", True),
        ("*", "registry.example/app", False),
        ("registry.example", "evil-registry.example/app", False),
        ("registry.example", "registry.example.evil/app", False),
        ("https://index.docker.io/v1/", "alpine", True),
        ("index.docker.io", "docker.io/team/app", True),
        ("docker.io", "alpine", True),
        ("docker.io/library", "alpine", True),
        ("registry-1.docker.io", "alpine", False),
        ("https://index.docker.io/v1/", "registry.example/app", False),
        ("https://[", "registry.example/app", False),
        ("", "registry.example/app", False),
    ],
)
def test_an_entry_fits_where_the_kubelet_would_use_it(place, uri, fits):
    """Host, port, path; a pattern stands for one label of the host."""
    assert names(uri, {"auths": {place: entry("robot")}}) == (["robot"] if fits else [])


def test_the_most_specific_entry_is_tried_first_then_the_earlier_secret():
    """And none twice."""
    first = {"auths": {"registry.example": entry("host"), "registry.example/team": entry("team")}}
    second = {"auths": {"registry.example": entry("later"), "https://registry.example/": entry("host")}}
    assert names("registry.example/team/app", first, second) == ["team", "host", "later"]


def test_docker_hubs_old_name_counts_only_where_nothing_else_fits():
    """As for the kubelet."""
    both = {"auths": {"https://index.docker.io/v1/": entry("old"), "docker.io": entry("new")}}
    assert names("alpine", both) == ["new"]


def test_the_older_format_has_the_entries_at_the_top():
    """`kubernetes.io/dockercfg`."""
    assert names("registry.example/app", {"registry.example": entry("robot")}) == ["robot"]


def test_auth_is_a_user_and_a_password_and_wins_over_both():
    """Base64 of `user:password`; a password may have colons."""
    packed = base64.b64encode(b"robot:a:b").decode()
    found = matching(
        parse_image_reference("registry.example/app"), [{"auths": {"registry.example": {"auth": packed, **entry("x")}}}]
    )
    assert found == (Credential("robot", "a:b"),)
    assert found[0].basic() == "Basic " + base64.b64encode(b"robot:a:b").decode()


def test_an_identity_token_is_taken_over():
    """As `docker login` leaves it for some registries."""
    document = {"auths": {"registry.example": {"identitytoken": "canary"}}}
    assert matching(parse_image_reference("registry.example/app"), [document]) == (Credential(identity_token="canary"),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "%%%"},
        {"auth": base64.b64encode(b"no colon").decode()},
        {"auth": base64.b64encode(b"\xff:x").decode()},
        {"auth": 1},
        {"username": ["x"]},
        {},
        {"username": None},
        None,
        "text",
    ],
)
def test_an_entry_that_cannot_be_read_is_left_out_alone(wrong):
    """The others are none the worse for it."""
    document = {"auths": {"registry.example/team": wrong, "registry.example": entry("robot")}}
    assert names("registry.example/team/app", document) == ["robot"]


@pytest.mark.parametrize("document", [{}, {"auths": None}, {"auths": []}, {"auths": "x"}, {"credsStore": "desktop"}])
def test_a_document_without_entries_names_nobody(document):
    """Also one that only points to a program on somebody's machine."""
    assert names("registry.example/app", document) == []


def test_no_text_of_a_credential_holds_it():
    """It may stand in a traceback."""
    assert "canary" not in repr(Credential("canary-user", "canary-word", "canary-token"))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=20), inner, max_size=4)),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(st.one_of(st.text(max_size=20), st.just("auths")), JSON, max_size=4), max_size=3))
def test_no_document_makes_it_fail(documents):
    """Secrets are written by people."""
    matching(parse_image_reference("registry.example/team/app"), documents)

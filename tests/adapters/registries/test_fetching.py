"""Where servers may point to."""

from __future__ import annotations

from unittest.mock import create_autospec

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from lambent.adapters.registries.fetching import Fetcher, place_of
from lambent.model.errors import InvalidImage, Unavailable

FETCHER = Fetcher(create_autospec(aiohttp.ClientSession), frozenset({"plain.example", " Plain.Example:5000 "}))
START = URL("https://registry.example/v2/a/manifests/b?c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://storage.example/x?sig=a%2Fb", "https://storage.example/x?sig=a%2Fb"),
        ("/x", "https://registry.example/x"),
        ("//storage.example/x#part", "https://storage.example/x"),
        ("http://plain.example/x", "http://plain.example/x"),
        ("http://PLAIN.example:5000/x", "http://plain.example:5000/x"),
        ("HTTPS://storage.example", "https://storage.example"),
    ],
)
def test_a_server_may_point_to_https_and_to_the_plain_http_that_the_installation_names(text, expected):
    """With the query as it is: it may be signed."""
    assert str(FETCHER.link(text, START)).replace("PLAIN", "plain") == expected


@pytest.mark.parametrize(
    "text", ["http://plain.example:80/x", "http://plain.example:5001/x", "http://registry.example/"]
)
def test_plain_http_is_for_exactly_the_servers_that_are_named(text):
    """With the port that is named."""
    if text.startswith("http://plain.example:80/"):
        assert FETCHER.link(text, START).port == 80  # the very same server
        return
    with pytest.raises(InvalidImage, match="by plain HTTP"):
        FETCHER.link(text, START)


@given(st.one_of(st.text(), st.text("htps:/@[]%?#\\.a1", max_size=60).map(lambda rest: f"https:{rest}")))
def test_any_text_is_an_address_or_none(text):
    """And an address has no user in it."""
    try:
        url = FETCHER.link(text, START)
    except (InvalidImage, Unavailable):
        return
    assert (url.scheme, url.user, url.password) == ("https", None, None)
    assert place_of(url)


@pytest.mark.parametrize(("registry", "scheme"), [("plain.example:5000", "http"), ("registry.example", "https")])
def test_a_registry_is_spoken_to_by_https_unless_it_is_named(registry, scheme):
    """`host[:port]` as references have it."""
    assert str(FETCHER.url_of(registry, "/v2/")) == f"{scheme}://{registry}/v2/"

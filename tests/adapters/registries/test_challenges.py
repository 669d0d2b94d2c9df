"""The `WWW-Authenticate` of registries, as they are and as they should not be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.adapters.registries.challenges import Challenge, parse_challenges

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="a registry"', [("basic", {"realm": "a registry"})]),
        (
            'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "registry.example",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ('bearer  REALM = "x" , Service=y', [("bearer", {"realm": "x", "service": "y"})]),
        (r'Basic realm="say \"a, b\\"', [("basic", {"realm": 'say "a, b\\'})]),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Negotiate YWJj==, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        (
            'Basic realm="x", Bearer realm="y",scope=z',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "scope": "z"})],
        ),
        ('Bearer realm="first",realm="second"', [("bearer", {"realm": "first"})]),
        ('Bearer realm="x",,error="y"', [("bearer", {"realm": "x", "error": "y"})]),
        ('Bearer realm="unfinished', [("bearer", {}), ("realm", {})]),
        ("", []),
        ('"nothing"', []),
    ],
)
def test_challenges_are_read_with_their_parameters(header, expected):
    """Quoted or not, several in one line, names in any case."""
    assert parse_challenges([header]) == tuple(Challenge(*one) for one in expected)


def test_several_lines_are_one_list():
    """As RFC 9110 has it for lists."""
    assert [one.scheme for one in parse_challenges(["Basic realm=x", "Bearer realm=y"])] == ["basic", "bearer"]


@given(st.dictionaries(TOKENS, st.text(max_size=40), min_size=1, max_size=5), st.booleans())
def test_what_is_written_is_read_again(parameters, twice):
    """Whatever text a parameter holds."""
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    header = "Bearer " + ",".join(f'{name}="{value}"' for name, value in escaped.items())
    found = parse_challenges([f"{header}, {header}" if twice else header])
    assert found == (Challenge("bearer", parameters),) * (2 if twice else 1)


@given(st.lists(st.one_of(st.text(), st.text('Bearer a="\\,= \t', max_size=300))))
def test_no_header_makes_it_fail(headers):
    """What cannot be read is not there."""
    parse_challenges(headers)


@pytest.mark.parametrize("text", ["a ", "a,", "a=", 'a="', "a=b,", '\\"', "a b ", "=" * 2, " \t", "a=b "])
def test_much_text_is_read_as_fast_as_it_comes(text):
    """pytest's time limit would show a quadratic reading."""
    parse_challenges([f"Bearer {text * 50_000}"])
    parse_challenges([text * 50_000])

"""For how long an answer about somebody counts, and whose answers are kept."""

from __future__ import annotations

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.core.access import Decision, Kept, Standing, outlives, standing, stated_end, unanswered

AT = 1_000_000.0


def granted(**more) -> Decision[str]:
    return Decision("somebody", granted=True, at=AT, **more)


DENIED = Decision("somebody", granted=False, at=AT)

STANDINGS = {
    "a new grant is used": (granted(), 0, Standing.USE),
    "it is used for three quarters of its minute": (granted(), 44.9, Standing.USE),
    "then it is asked about beside": (granted(), 45, Standing.RENEW),
    "until its minute is over": (granted(), 59.9, Standing.RENEW),
    "then nobody goes on without an answer": (granted(), 60, Standing.ASK),
    "unless the API server was silent already": (granted(tried=AT + 50), 60, Standing.RENEW),
    "it is not asked again at once": (granted(tried=AT + 60), 64.9, Standing.USE),
    "but soon": (granted(tried=AT + 60), 65, Standing.RENEW),
    "for a quarter of an hour": (granted(tried=AT + 899), 899.9, Standing.USE),
    "and no longer": (granted(tried=AT + 899), 900, Standing.ASK),
    "a silence before the grant is over": (granted(tried=AT - 1), 60, Standing.ASK),
    "a token that ended is asked about": (granted(ends=AT + 10), 10, Standing.ASK),
    "also while the API server is silent": (granted(ends=AT + 70, tried=AT + 69), 70, Standing.ASK),
    "a denial counts": (DENIED, 4.9, Standing.USE),
    "for seconds": (DENIED, 5, Standing.ASK),
    "a clock that was set back makes nothing younger": (granted(), -1, Standing.ASK),
    "nor denials": (DENIED, -1, Standing.ASK),
}


@pytest.mark.parametrize(("decision", "age", "expected"), STANDINGS.values(), ids=STANDINGS.keys())
def test_what_a_decision_is_worth(decision, age, expected):
    """R5: 60 s; 15 minutes while nobody can be asked."""
    assert standing(decision, AT + age) is expected


@pytest.mark.parametrize(
    ("decision", "age", "expected"),
    [
        (granted(), 61, True),
        (granted(), 899, True),
        (granted(), 900, False),
        (granted(), -1, False),
        (granted(ends=AT + 100), 99, True),
        (granted(ends=AT + 100), 100, False),
        (DENIED, 1, False),
    ],
)
def test_only_grants_outlive_the_api_servers_silence(decision, age, expected):
    """And none beyond the token's own end."""
    assert outlives(decision, AT + age) is expected


def test_silence_changes_nothing_but_when_it_was_noticed():
    """The grant's age goes on counting from the answer."""
    assert unanswered(granted(), AT + 50) == granted(tried=AT + 50)


def token(claims) -> bytes:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return b"e30." + body + b".c2ln"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (token({"exp": 1234}), 1234.0),
        (token({"exp": 1234.5, "iat": 1}), 1234.5),
        (token({"exp": "soon"}), math.inf),
        (token({"exp": math.nan}), math.inf),
        (token({"exp": -math.inf}), math.inf),
        (token({"exp": 10**400}), math.inf),
        (token([]), math.inf),
        (token({}), math.inf),
        (b"opaque", math.inf),
        (b"a.b.c", math.inf),
        (b"a.%%%.c", math.inf),
        (b"..", math.inf),
        (b"a." + base64.urlsafe_b64encode(b"[" * 5000) + b".c", math.inf),
    ],
)
def test_a_tokens_own_end_is_read_where_there_is_one(text, expected):
    """Whatever else it is: no end, no error."""
    assert stated_end(text) == expected


@given(st.binary(max_size=60))
def test_no_token_breaks_the_reader(text):
    """They come from whoever reaches the port."""
    stated_end(b"e30." + base64.urlsafe_b64encode(text) + b".x")
    stated_end(text)


def test_who_holds_most_gives_up_his_oldest():
    """A thousand tokens of one user cost the others nothing."""
    kept: Kept[str, str] = Kept(10)
    kept.put("good", granted(), "good")
    for number in range(1000):
        kept.put(f"hostile-{number}", granted(), "hostile")
    assert len(kept) == 10
    assert kept.get("good") is not None
    assert kept.get("hostile-999") is not None
    assert kept.get("hostile-0") is None


def test_what_is_asked_about_again_is_young_again():
    """The order is that of the last answer."""
    kept: Kept[str, str] = Kept(2)
    kept.put("a", granted(), "user")
    kept.put("b", granted(), "user")
    kept.put("a", granted(), "user")
    kept.put("c", granted(), "user")
    assert [kept.get(key) is not None for key in "abc"] == [True, False, True]


def test_a_dropped_decision_leaves_nothing_behind():
    """Also not its holder."""
    kept: Kept[str, str] = Kept(2)
    kept.put("a", granted(), "user")
    kept.drop("a")
    kept.drop("a")
    assert len(kept) == 0
    assert kept._holders == {}

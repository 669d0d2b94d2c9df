"""TokenReview."""

import pytest

from lambent.adapters.kube.tokens import identify, review
from lambent.model.errors import Refused, Unavailable
from lambent.model.identities import Identity

AUDIENCE = "lambent-internal"
TOKENS = {
    "ours, for us": ("good", "system:serviceaccount:a:b"),
    "ours, for another audience": ("other", None),
    "from an authenticator without audiences": ("plain", None),
    "nobody's": ("junk", None),
}


@pytest.mark.parametrize("row", TOKENS.values(), ids=TOKENS.keys())
async def test_a_token_means_its_user_only_for_its_audience(api, row):
    """Everything else means nobody."""
    name = "system:serviceaccount:a:b"
    api.users = {"good": (name, [AUDIENCE]), "other": (name, ["elsewhere"]), "plain": (name, None)}
    assert await review(api.client, row[0], AUDIENCE) == row[1]


async def test_an_api_server_that_is_away_neither_admits_nor_refuses(api):
    """The caller decides what to do with that."""
    api.fail("POST", "tokenreviews", status=503)
    with pytest.raises(Unavailable):
        await review(api.client, "good", AUDIENCE)


async def test_missing_rights_are_told(api):
    """A gateway that may not ask is misconfigured."""
    api.fail("POST", "tokenreviews", status=403, reason="Forbidden")
    with pytest.raises(Refused):
        await review(api.client, "good", AUDIENCE)


USER = {"username": "u", "groups": ["g", "h"], "uid": "7", "extra": {"example.org/a": ["1", "2"]}}
IDENTITY = Identity("u", ("g", "h"), "7", {"example.org/a": ["1", "2"]})


@pytest.mark.parametrize(
    ("user", "audiences", "ours", "expected"),
    [
        (USER, ["https://api"], (), IDENTITY),
        (USER, None, (), IDENTITY),
        (USER, ["b"], ("a", "b"), IDENTITY),
        (USER, ["c"], ("a", "b"), None),
        (USER, None, ("a",), None),
        ({"username": "u"}, None, (), Identity("u")),
        ({"username": "u", "groups": None, "extra": {"a": None}}, None, (), Identity("u", extra={"a": []})),
        ({"username": ""}, None, (), None),
    ],
)
async def test_an_identity_is_everything_that_the_api_server_says_of_a_user(api, user, audiences, ours, expected):
    """For one of our audiences, or for the API server's own when we name none."""
    api.users = {"good": (user, audiences)}
    assert await identify(api.client, "good", ours) == expected


@pytest.mark.parametrize(
    ("user", "namespace"),
    [
        ("system:serviceaccount:team:alice", "team"),
        ("system:serviceaccount:team", None),
        ("system:serviceaccount::alice", None),
        ("system:serviceaccount:team:", None),
        ("alice", None),
        ("team:alice", None),
        ("", None),
    ],
)
def test_service_accounts_live_in_namespaces(user, namespace):
    """Nobody else does."""
    assert Identity(user).namespace == namespace

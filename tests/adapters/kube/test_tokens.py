"""TokenReview."""

import pytest

from lambent.adapters.kube.tokens import review
from lambent.model.errors import Refused, Unavailable

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

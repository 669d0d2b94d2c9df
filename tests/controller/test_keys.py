"""The installation's keys."""

import base64

import pytest

from lambent.controller.keys import ensure_keys
from lambent.model.errors import Refused

PATH = "/api/v1/namespaces/lambent/secrets"


async def test_they_are_made_once(api):
    """A second start, or a second replica, finds the same."""
    first = await ensure_keys(api.client, "lambent", "keys")
    assert await ensure_keys(api.client, "lambent", "keys") == first
    assert len(first.agent) == len(first.url) == 64
    assert first.agent != first.url
    assert len(api.writes(PATH)) == 1


async def test_what_is_there_is_never_overwritten(api):
    """A key of your own stays; only what is missing is made."""
    mine = base64.b64encode(b"mine\n").decode()
    api.add(PATH, {"metadata": {"name": "keys"}, "data": {"agent-key": mine}})
    keys = await ensure_keys(api.client, "lambent", "keys")
    assert keys.agent == b"mine"
    assert api.objects[f"{PATH}/keys"]["data"]["agent-key"] == mine
    assert len(keys.url) == 64


@pytest.mark.parametrize("path", ["/secrets", "/secrets/keys"])
async def test_of_two_replicas_the_faster_wins(api, path):
    """Both use what is there then."""
    theirs = base64.b64encode(b"theirs").decode()
    both = {"agent-key": theirs, "url-key": theirs}
    if path == "/secrets":
        api.fail("GET", "/secrets/keys", status=404, reason="NotFound")
        api.add(PATH, {"metadata": {"name": "keys"}, "data": both})
    else:
        api.add(PATH, {"metadata": {"name": "keys"}, "data": {"agent-key": theirs}})
        api.fail("PATCH", path, status=409, reason="Conflict")
        api.objects[f"{PATH}/keys"]["data"] = {"agent-key": theirs}
        original = api._failure

        def faster(method, where):
            failure = original(method, where)
            if failure:
                api.objects[f"{PATH}/keys"]["data"] = both
            return failure

        api._failure = faster
    assert (await ensure_keys(api.client, "lambent", "keys")).url == b"theirs"


async def test_missing_rights_end_the_process(api):
    """Nothing works without the keys."""
    api.fail("GET", "/secrets", status=403, reason="Forbidden")
    with pytest.raises(Refused):
        await ensure_keys(api.client, "lambent", "keys")

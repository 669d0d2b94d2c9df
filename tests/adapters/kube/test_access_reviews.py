"""SubjectAccessReview."""

import pytest

from lambent.adapters.kube.access_reviews import Action, allowed
from lambent.adapters.kube.resources import FUNCTIONS
from lambent.model.errors import Refused, Unavailable
from lambent.model.identities import Identity

INVOKE = Action("invoke", FUNCTIONS, "team", "hello")
ALICE = Identity("alice", ("g",), "7", {"a": ["b"]})


async def test_everything_about_the_user_and_the_object_is_asked(api):
    """Any of it may decide."""
    await allowed(api.client, ALICE, INVOKE)
    attributes = {
        "verb": "invoke",
        "group": "lambent.dev",
        "resource": "functions",
        "name": "hello",
        "namespace": "team",
    }
    assert api.asked == [
        {"resourceAttributes": attributes, "user": "alice", "groups": ["g"], "uid": "7", "extra": {"a": ["b"]}}
    ]


async def test_an_empty_namespace_means_every_one(api):
    """As for the API server."""
    await allowed(api.client, Identity("alice"), Action("invoke", FUNCTIONS, "", "hello"))
    assert "namespace" not in api.asked[0]["resourceAttributes"]
    assert api.asked[0].keys() == {"resourceAttributes", "user"}


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"allowed": True}, True),
        ({"allowed": False}, False),
        ({"allowed": False, "denied": True}, False),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": "yes"}, False),
        ({}, False),
        (None, False),
    ],
)
async def test_only_allowed_is_allowed(api, says, expected):
    """An authorizer that had no opinion leaves it at no."""
    api.says = says
    assert await allowed(api.client, ALICE, INVOKE) is expected


@pytest.mark.parametrize(("status", "kind"), [(503, Unavailable), (403, Refused)])
async def test_no_answer_is_neither_yes_nor_no(api, status, kind):
    """The caller decides what to do with that."""
    api.fail("POST", "subjectaccessreviews", status=status, reason="Forbidden")
    with pytest.raises(kind):
        await allowed(api.client, ALICE, INVOKE)

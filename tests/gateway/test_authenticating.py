"""Who may use the internal door, and for how long an answer of the API server counts."""

from __future__ import annotations

import pytest

from lambent.gateway.authenticating import Authenticator, Tokens, Verdict
from lambent.model.errors import Refused, Unavailable
from lambent.model.identities import Identity

CONTROLLER = "system:serviceaccount:lambent:controller"


class Server:
    """What TokenReview would say, how often it was asked, and what time it is."""

    def __init__(self) -> None:
        self.users = {"good": CONTROLLER, "other": "system:serviceaccount:default:default"}
        self.asked, self.now, self.failure = 0, 1000.0, None

    async def identify(self, token: str) -> Identity | None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return Identity(self.users[token]) if token in self.users else None


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def authenticator(server):
    return authenticator_of(server)


def authenticator_of(server, user=CONTROLLER):
    counted = []
    authenticator = Authenticator(Tokens(server.identify, lambda: server.now, counted.append), user, counted.append)
    authenticator.counted = counted
    return authenticator


async def test_a_grant_is_kept_for_a_minute(server, authenticator):
    """Then it is asked again."""
    for _ in range(3):
        assert await authenticator.check("Bearer good") is Verdict.GRANTED
    assert server.asked == 1
    server.now += 61
    server.users.clear()
    assert await authenticator.check("Bearer good") is Verdict.UNAUTHENTICATED


async def test_a_denial_is_kept_for_five_seconds(server, authenticator):
    """A new role binding or token helps soon; a flood of bad tokens does not reach the API server."""
    for _ in range(3):
        assert await authenticator.check("Bearer junk") is Verdict.UNAUTHENTICATED
    assert server.asked == 1
    server.now += 6
    await authenticator.check("Bearer junk")
    assert server.asked == 2


@pytest.mark.parametrize("failure", [Unavailable("down"), Refused("Forbidden", "no RBAC", 403)])
async def test_while_nobody_can_be_asked_a_kept_grant_lives_on(server, authenticator, failure):
    """For fifteen minutes; a new identity is told to try again."""
    assert await authenticator.check("Bearer good") is Verdict.GRANTED
    server.failure = failure
    server.now += 899
    assert await authenticator.check("Bearer good") is Verdict.GRANTED
    assert await authenticator.check("Bearer other") is Verdict.UNKNOWN
    server.now += 2
    assert await authenticator.check("Bearer good") is Verdict.UNKNOWN


async def test_without_a_configured_user_nobody_is_granted(server):
    """An empty setting must not match an empty name."""
    server.users["empty"] = ""
    authenticator = authenticator_of(server, "")
    assert await authenticator.check("Bearer empty") is Verdict.FORBIDDEN
    assert await authenticator.check("Bearer good") is Verdict.FORBIDDEN


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "good", "Basic good"])
async def test_what_is_no_bearer_token_is_not_even_asked_about(server, authenticator, header):
    """401 for nothing."""
    assert await authenticator.check(header) is Verdict.UNAUTHENTICATED
    assert server.asked == 0

"""Tokens: from whom, for what, how long, and to whom credentials are shown."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from tests.adapters.registries.conftest import APP, REFUSED_HOST, Desk

from lambent.model.errors import InvalidImage, Unavailable

USER = {"username": "robot", "password": "secret"}


@pytest.fixture
async def closed(desk: Desk) -> Desk:
    desk.registry.scheme = "Bearer"
    return desk


async def test_a_token_is_asked_for_with_the_credential_once_and_carried_from_then_on(closed: Desk) -> None:
    """One refusal, one token, two answers; the token server sees service and scope, and the password in no URL."""
    assert (await closed.resolve(pull_secrets=closed.secrets())).digest_hex == APP.manifest().hex
    first, token, again, config = closed.registry.seen
    assert (first.authorization, again.path) == ("", first.path)
    assert token.authorization.startswith("Basic ")
    assert parse_qs(urlsplit(token.path).query) == {"service": ["fake"], "scope": ["repository:team/app:pull"]}
    assert again.authorization == config.authorization != token.authorization
    assert again.authorization.startswith("Bearer ")


async def test_a_token_is_kept_until_it_expires(closed: Desk) -> None:
    """Of one registry, repository and credential."""
    for _ in range(3):
        await closed.resolve(pull_secrets=closed.secrets())
    assert len(closed.registry.asked("/token")) == 1
    closed.now += closed.registry.token_seconds
    await closed.resolve(pull_secrets=closed.secrets())
    assert len(closed.registry.asked("/token")) == 2


async def test_a_token_that_is_refused_before_its_time_is_replaced(closed: Desk) -> None:
    """The token server may have changed its keys."""
    await closed.resolve(pull_secrets=closed.secrets())
    closed.registry.tokens.clear()
    await closed.resolve(pull_secrets=closed.secrets())
    assert len(closed.registry.asked("/token")) == 2


async def test_a_token_opens_nothing_for_who_has_no_credential(closed: Desk) -> None:
    """What one function's secret opened is closed to another's."""
    await closed.resolve(pull_secrets=closed.secrets())
    for secrets in ([], closed.secrets(username="robot", password="guessed")):
        with pytest.raises(Unavailable, match="does not have permission"):
            await closed.resolve(pull_secrets=secrets)


async def test_nobody_in_particular_gets_a_token_of_a_public_registry(closed: Desk) -> None:
    """Docker Hub wants one for everything."""
    closed.registry.anonymous = True
    assert await closed.resolve()
    assert [one.authorization for one in closed.registry.asked("/token")] == [""]


async def test_an_identity_token_is_posted_for_a_token(closed: Desk) -> None:
    """OAuth 2's refresh; it stands in no URL."""
    closed.registry.identity_tokens = {"canary"}
    assert await closed.resolve(pull_secrets=closed.secrets(identitytoken="canary"))
    (asked,) = closed.registry.asked("/token")
    assert parse_qs(asked.form) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary"],
        "client_id": ["lambent"],
        "service": ["fake"],
        "scope": ["repository:team/app:pull"],
    }
    assert (asked.path, asked.authorization) == ("/token", "")


async def test_a_posted_identity_token_follows_no_redirect(closed: Desk) -> None:
    """It would be shown to whom the redirect names."""
    closed.registry.answer("/token", status=307, Location=f"{closed.storage.url}/token")
    with pytest.raises(Unavailable, match=r"the token server .* answered 307"):
        await closed.resolve(pull_secrets=closed.secrets(identitytoken="canary"))
    assert closed.storage.seen == []


async def test_another_servers_token_server_is_shown_the_credential(closed: Desk) -> None:
    """As every client does: the registry that the credential is for says who checks it."""
    closed.registry.realm = f"{closed.storage.url}/token"
    closed.storage.tokens = closed.registry.tokens
    assert await closed.resolve(pull_secrets=closed.secrets())
    assert [one.authorization[:6] for one in closed.storage.seen] == ["Basic "]


@pytest.mark.parametrize(
    ("realm", "error", "message"),
    [
        (
            f"http://{REFUSED_HOST}:1/token",
            InvalidImage,
            "cannot be asked: it leads to an address that this installation",
        ),
        (
            f"https://{REFUSED_HOST}/token",
            InvalidImage,
            "cannot be asked: it leads to an address that this installation",
        ),
        ("http://127.0.0.1:1/token", InvalidImage, "points to 127.0.0.1:1 by plain HTTP"),
        ("https://user:word@127.0.0.1/token", Unavailable, "points to what is no address"),
        ("file:///etc/passwd", Unavailable, "points to what is no address"),
        ("https://", Unavailable, "points to what is no address"),
        ("http://[", Unavailable, "points to what is no address"),
    ],
)
async def test_a_token_server_is_asked_only_where_anything_may_be_asked(
    closed: Desk, realm: str, error: type[Exception], message: str
) -> None:
    """No credential goes anywhere else, and nothing is dialled."""
    closed.registry.realm = realm
    closed.insecure.add(f"{REFUSED_HOST}:1")
    closed.client = closed.another()
    with pytest.raises(error, match=message) as caught:
        await closed.resolve(pull_secrets=closed.secrets())
    assert "secret" not in str(caught.value).replace("imagePullSecrets", "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "without a token"),
        (b"{}", "without a token"),
        (b'{"token": 7}', "without a token"),
        (b'{"token": ""}', "without a token"),
        (b'{"token": "a\\r\\nX-Evil: 1"}', "without a token"),
        (b'{"token": "' + b"a" * 20_000 + b'"}', "without a token"),
        (b"[" * 60_000, "without a token"),
    ],
)
async def test_a_token_server_that_gives_no_token_is_asked_again_later(closed: Desk, body: bytes, message: str) -> None:
    """Nothing of what it said instead is used or shown."""
    closed.registry.answer("/token", body)
    with pytest.raises(Unavailable, match=message):
        await closed.resolve()


async def test_a_token_server_may_be_busy(closed: Desk) -> None:
    """And say for how long."""
    closed.registry.answer("/token", status=503, Retry_After="7")
    with pytest.raises(Unavailable, match=r"the token server .* answered 503") as caught:
        await closed.resolve()
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("expires", ["1e400", "-5", "0", '"soon"', "null", "true", "9" * 400, "NaN"])
async def test_any_lifetime_of_a_token_is_a_lifetime(closed: Desk, expires: str) -> None:
    """Or the answer is none; nothing else happens."""
    closed.registry.tokens.add("known")

    async def token(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=f'{{"token": "known", "expires_in": {expires}}}'.encode())

    closed.registry.answers["/token"] = token
    try:
        await closed.resolve()
    except Unavailable as error:
        assert "without a token" in str(error)


@pytest.mark.parametrize("header", ["", "Negotiate", "Bearer", 'Bearer service="x"', "Basic realm=x"])
async def test_who_asks_for_nothing_that_we_have_lets_nobody_in(desk: Desk, header: str) -> None:
    """Without a credential, or without a token server."""
    desk.registry.answer(desk.path("manifests", "v1"), status=401, WWW_Authenticate=header)
    with pytest.raises(Unavailable, match=r"does not have permission|does not say where to get it"):
        await desk.resolve()


async def test_no_more_tokens_are_kept_than_a_thousand(closed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that expired go first, then the oldest."""
    monkeypatch.setattr("lambent.adapters.registries.authorizing.TOKENS_MAX", 2)
    closed.registry.anonymous = True
    for name in ("a", "b", "c"):
        await closed.push(APP.manifest(), f"team/{name}:v1")
        await closed.resolve(f"{closed.registry.place}/team/{name}:v1")
    assert len(closed.client._authorizations._known) == 2

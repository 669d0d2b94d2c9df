"""`helm test` passes when a function was made, answered and was removed, and says why when not."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.adapters.kube.fake_api import FakeApi

from lambent.model.errors import Refused, Unavailable
from lambent.selftesting.proving import Disproved, Proof
from lambent.selftesting.settings import Settings

FUNCTIONS = "/apis/lambent.dev/v1alpha1/namespaces/apps/functions"
READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}


class Installation:
    """The fake API server whose functions are Ready at once, and a gateway that answers as it is told."""

    def __init__(self, api):
        self.api = api
        self.said = []
        self.condition = READY
        self.answers = []
        self.open = False
        self.body = {"hello": "Lambent", "function": "lambent-selftest"}
        self.away = False

    async def start(self):
        stored = self.api._store

        def judged(path, body, kind):
            if "/functions/" in path and self.condition:
                body["status"] = {"conditions": [self.condition]}
            return stored(path, body, kind)

        self.api._store = judged
        application = web.Application()
        application.router.add_post("/2015-03-31/functions/lambent-selftest/invocations", self.invoke)
        self.server = TestServer(application)
        await self.server.start_server()

    async def invoke(self, request):
        if not self.open and request.headers.get("Authorization") != "Bearer mine":
            return web.json_response({"Message": "who are you?"}, status=403)
        if self.answers:
            return web.json_response({"Message": "not yet"}, status=self.answers.pop(0))
        assert await request.json() == {"name": "Lambent"}
        return web.json_response(self.body)

    async def prove(self, *, token="mine", closed=True, seconds=5.0):
        url = "http://127.0.0.1:1" if self.away else str(self.server.make_url("")).rstrip("/")
        settings = Settings("apps", "lambent-selftest", "python3.11", url, "", closed, seconds)
        async with aiohttp.ClientSession() as session:
            await Proof(self.api.client, session, settings, token, self.said.append, pause=0.01).give()


@pytest.fixture
async def installation():
    api = await FakeApi().start()
    made = Installation(api)
    await made.start()
    yield made
    await made.server.close()
    await api.stop()


async def test_an_installation_that_works_passes(installation):
    """Made, Ready, closed to strangers, answered, removed."""
    await installation.prove()
    assert installation.said[0] == "Function apps/lambent-selftest made (python3.11)."
    assert "A caller without a token is refused (403)." in installation.said
    assert any(line.startswith("It answered {'hello': 'Lambent'") for line in installation.said)
    assert installation.api.under(FUNCTIONS) == []


async def test_what_its_predecessor_left_is_no_reason_to_fail(installation):
    """A test that was killed left its function."""
    installation.api.add(FUNCTIONS, {"metadata": {"name": "lambent-selftest"}})
    await installation.prove()
    assert installation.api.under(FUNCTIONS) == []


@pytest.mark.parametrize("status", [403, 404, 409, 503])
async def test_rights_and_routes_may_take_a_moment(installation, status):
    """RBAC and watches are not instant."""
    installation.answers = [status, status]
    await installation.prove()


async def test_a_function_that_does_not_become_ready_is_told_with_its_reason(installation):
    """The condition is what a person needs, and the function goes all the same."""
    installation.condition = {
        "type": "Ready",
        "status": "False",
        "reason": "ImageUnavailable",
        "message": "no such image",
    }
    with pytest.raises(Disproved, match="ImageUnavailable: no such image"):
        await installation.prove(seconds=0.2)
    assert installation.api.under(FUNCTIONS) == []


async def test_a_controller_that_does_not_run_is_suspected(installation):
    """No condition at all."""
    installation.condition = None
    with pytest.raises(Disproved, match="does the controller run"):
        await installation.prove(seconds=0.2)


async def test_a_door_that_lets_strangers_in_fails(installation):
    """Unless it was meant to be open."""
    installation.open = True
    with pytest.raises(Disproved, match="without a token was answered 200"):
        await installation.prove()
    await installation.prove(closed=False)


async def test_a_refused_caller_fails_in_the_end(installation):
    """With what the gateway said."""
    with pytest.raises(Disproved, match=r"answered 403: .*who are you"):
        await installation.prove(token="another", seconds=0.2)


async def test_a_wrong_answer_fails(installation):
    """The handler's own words are compared."""
    installation.body = {"errorMessage": "boom"}
    with pytest.raises(Disproved, match="boom"):
        await installation.prove()


async def test_a_gateway_that_is_away_fails(installation):
    """With its address."""
    installation.away = True
    with pytest.raises(Unavailable, match=r"the gateway http://127\.0\.0\.1:1"):
        await installation.prove(closed=False)
    assert installation.api.under(FUNCTIONS) == []


async def test_an_api_server_that_refuses_the_function_says_why(installation):
    """Admission's words are passed on."""
    installation.api.fail("POST", "/functions", status=403, reason="Forbidden", message="quota")
    with pytest.raises(Refused, match="quota"):
        await installation.prove()


def test_settings_are_read_from_the_environment():
    """As the chart writes them; what is missing is named."""
    given = {
        "LAMBENT_DEFAULT_NAMESPACE": "apps",
        "LAMBENT_SELFTEST_FUNCTION": "x-selftest",
        "LAMBENT_SELFTEST_RUNTIME": "python3.11",
        "LAMBENT_SELFTEST_URL": "http://gateway:8080",
        "LAMBENT_SELFTEST_TOKEN_FILE": "/token",
        "LAMBENT_AUTH_MODE": "none",
    }
    assert Settings.from_environment(given).closed is False
    assert Settings.from_environment({**given, "LAMBENT_AUTH_MODE": "kubernetes"}).closed is True
    for name in given:
        with pytest.raises(ValueError, match=name):
            Settings.from_environment({**given, name: ""})

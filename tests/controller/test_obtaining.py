"""Code from every source: what is fetched, what is refused, what waits, and what nobody gets to see."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from aiohttp import web
from tests.adapters.kube.fake_api import FakeApi
from tests.controller.supplies import CANARIES, DIGEST, IMAGE, ZIP, Surroundings, function, problem, surroundings

from lambent.adapters.kube.resources import FUNCTIONS
from lambent.controller.suppliers import FETCHES_MAX, FETCHES_PER_NAMESPACE_MAX
from lambent.core import code_texts, packaging
from lambent.core.readiness import Problem, ResolvedImage, StoredCode
from lambent.core.references import Reference
from lambent.model.conditions import Reason
from lambent.model.errors import AddressRefused, InvalidImage, Unavailable


@pytest.fixture
async def here(api: FakeApi) -> AsyncIterator[Surroundings]:
    async with surroundings(api) as made:
        yield made


class TestAnAddress:
    async def test_is_fetched_verified_judged_and_stored(self, here: Surroundings) -> None:
        """Byte for byte; its digest is what Lambda reports."""
        wanted = function({"url": here.at(), "sha256": DIGEST})
        found = await here.shelf.obtain(wanted, {})
        expected = packaging.from_archive(memoryview(ZIP))
        assert isinstance(found, StoredCode)
        assert (found.sha256_hex, found.sha256_base64, found.size) == (DIGEST, expected.sha256_base64, len(ZIP))
        assert found.source
        assert here.store.blobs == {DIGEST: ZIP}
        assert here.shelf.lookup(wanted, {}) == found
        assert here.metric("url", "success") == 1

    async def test_is_fetched_although_the_store_has_what_it_should_hold(self, here: Surroundings) -> None:
        """Who knows the digest of another tenant's code has not thereby got the code."""
        here.store.blobs[DIGEST] = ZIP
        found = await problem(here, {"url": f"{here.server.url}/none.zip", "sha256": DIGEST})
        assert found.reason == Reason.CODE_UNAVAILABLE

    @pytest.mark.parametrize(
        ("content", "sha256", "words"),
        [
            (ZIP, "0" * 64, f"code.url: what came has the SHA-256 {DIGEST}, not sha256 {'0' * 64}"),
            (b"no zip", hashlib.sha256(b"no zip").hexdigest(), "Could not unzip uploaded file."),
            (b"", hashlib.sha256(b"").hexdigest(), "Uploaded file must be a non-empty zip"),
        ],
        ids=["another digest", "no archive", "nothing"],
    )
    async def test_that_holds_something_else_is_final(
        self, here: Surroundings, content: bytes, sha256: str, words: str
    ) -> None:
        """Only another specification helps, so nothing is fetched again."""
        code = {"url": here.at(content=content), "sha256": sha256}
        found = await problem(here, code)
        assert (found.reason, found.message.startswith(words)) == (Reason.INVALID_CODE, True), found.message
        assert here.shelf.lookup(function(code), {}) == found
        assert here.store.blobs == {}

    async def test_of_a_web_page_is_told_to_be_one(self, here: Surroundings) -> None:
        """A login page, mostly."""

        async def page(_: web.Request) -> web.Response:
            return web.Response(text="<html>", content_type="text/html")

        here.server.handler = page
        found = await problem(here, {"url": f"{here.server.url}/", "sha256": DIGEST})
        assert found.message.endswith("(it is a web page)")

    async def test_that_may_not_be_reached_is_final(self, here: Surroundings) -> None:
        """The words name the rule."""
        found = await problem(here, {"url": "http://169.254.169.254/latest", "sha256": DIGEST})
        assert found.reason == Reason.INVALID_CODE
        assert "code.url: 169.254.169.254: it leads to a link-local address" in found.message

    async def test_of_many_functions_is_fetched_once_at_a_time(self, here: Surroundings) -> None:
        """A hundred Functions of one chart are one download."""
        gate = asyncio.Event()

        async def slow(_: web.Request) -> web.Response:
            await gate.wait()
            return web.Response(body=ZIP)

        here.server.handler = slow
        code = {"url": f"{here.server.url}/code.zip", "sha256": DIGEST}
        all_of_them = [asyncio.create_task(here.shelf.obtain(function(code, uid=str(n)), {})) for n in range(100)]
        await asyncio.sleep(0.1)
        gate.set()
        found = await asyncio.gather(*all_of_them)
        assert {each.sha256_hex for each in found if isinstance(each, StoredCode)} == {DIGEST}
        assert len(here.server.requests) == 1

    async def test_is_one_of_few_at_once_and_of_fewer_in_a_namespace(self, here: Surroundings) -> None:
        """One tenant's slow server is nobody else's wait."""
        gate, open_now, most = asyncio.Event(), 0, 0

        async def slow(_: web.Request) -> web.Response:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            await gate.wait()
            open_now -= 1
            return web.Response(body=ZIP)

        here.server.handler = slow

        def begin(namespace: str, count: int) -> list[Any]:
            made = [
                function(
                    {"url": f"{here.server.url}/{namespace}/{n}", "sha256": DIGEST},
                    f"{namespace}{n}",
                    namespace=namespace,
                )
                for n in range(count)
            ]
            return [asyncio.create_task(here.shelf.obtain(each, {})) for each in made]

        async def settle_at(count: int) -> None:
            async with asyncio.timeout(60):
                while open_now < count:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # one more would come now
            assert open_now == count

        tasks = begin("greedy", 10)
        await settle_at(FETCHES_PER_NAMESPACE_MAX)
        for namespace in ("b", "c", "d"):
            tasks += begin(namespace, 1)
        await settle_at(FETCHES_MAX)
        gate.set()
        assert all(isinstance(each, StoredCode) for each in await asyncio.gather(*tasks))
        assert most == FETCHES_MAX


class TestABucket:
    CODE: ClassVar = {"s3Bucket": "code", "s3Key": "a.zip"}

    async def test_is_asked_with_the_secret_of_the_namespace(self, here: Surroundings) -> None:
        """In the region that stands there; at the installation's endpoint when the function names none."""
        here.at("/code/a.zip")
        here.secret(
            "s3",
            AWS_ACCESS_KEY_ID=CANARIES[0] + "\n",
            AWS_SECRET_ACCESS_KEY=CANARIES[1],
            AWS_SESSION_TOKEN=CANARIES[2],
            AWS_REGION="eu-west-1",
        )
        found = await here.shelf.obtain(function(self.CODE | {"s3CredentialsSecretRef": {"name": "s3"}}), {})
        assert isinstance(found, StoredCode)
        [request] = here.server.requests
        assert f"Credential={CANARIES[0]}/" in request.headers["Authorization"]
        assert "/eu-west-1/s3/" in request.headers["Authorization"]
        assert here.metric("s3", "success") == 1

    async def test_is_asked_anonymously_without_one(self, here: Surroundings) -> None:
        """Never as the controller."""
        here.at("/code/a.zip")
        assert isinstance(await here.shelf.obtain(function(self.CODE), {}), StoredCode)
        assert "Authorization" not in here.server.requests[0].headers

    async def test_at_an_endpoint_of_the_function_is_judged_like_any_address(self, here: Surroundings) -> None:
        """Only the administrator's own may be anywhere."""
        found = await problem(here, self.CODE | {"s3Endpoint": "http://10.0.0.1"})
        assert (found.reason, "a private address" in found.message) == (Reason.INVALID_CODE, True)
        assert found.message.startswith("Error occurred while GetObject. 10.0.0.1: ")

    async def test_without_the_object_is_tried_again(self, here: Surroundings) -> None:
        """In Lambda's words; it is often uploaded after the Function was applied."""
        found = await problem(here, self.CODE)
        words = "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
        assert found == Problem(Reason.CODE_UNAVAILABLE, words)
        here.at("/code/a.zip")
        here.now += 3
        assert isinstance(await here.shelf.obtain(function(self.CODE), {}), StoredCode)

    async def test_with_a_digest_is_verified(self, here: Surroundings) -> None:
        """When the function says which."""
        here.at("/code/a.zip")
        assert isinstance(await here.shelf.obtain(function(self.CODE | {"sha256": DIGEST}), {}), StoredCode)
        found = await problem(here, self.CODE | {"sha256": "0" * 64}, uid="2")
        assert found.reason == Reason.INVALID_CODE

    @pytest.mark.parametrize(
        "values", [{}, {"AWS_ACCESS_KEY_ID": "x"}, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": ""}]
    )
    async def test_waits_for_what_its_secret_lacks(self, here: Surroundings, values: dict[str, str]) -> None:
        """The key is named, never a value."""
        here.secret("s3", **values)
        found = await problem(here, self.CODE | {"s3CredentialsSecretRef": {"name": "s3"}})
        assert found.reason == Reason.REFERENCE_NOT_FOUND
        assert "AWS_SECRET_ACCESS_KEY in Secret s3" in found.message

    async def test_is_asked_again_at_once_when_its_secret_changed(self, here: Surroundings) -> None:
        """Whoever corrects credentials does not wait for a back-off."""

        async def guarded(request: web.Request) -> web.Response:
            good = "Credential=good/" in request.headers.get("Authorization", "")
            return web.Response(body=ZIP) if good else web.Response(status=403)

        here.server.handler = guarded
        here.secret("s3", AWS_ACCESS_KEY_ID="bad", AWS_SECRET_ACCESS_KEY="x")
        wanted, secret = function(self.CODE | {"s3CredentialsSecretRef": {"name": "s3"}}), Reference("Secret", "s3")
        first = await here.shelf.obtain(wanted, {secret: "1"})
        assert isinstance(first, Problem)
        assert first.reason == Reason.CODE_UNAVAILABLE
        here.secret("s3", AWS_ACCESS_KEY_ID="good", AWS_SECRET_ACCESS_KEY="x")
        assert await here.shelf.obtain(wanted, {secret: "1"}) == first  # nobody has seen the change yet
        found = await here.shelf.obtain(wanted, {secret: "2"})
        assert isinstance(found, StoredCode)
        assert here.shelf.lookup(wanted, {secret: "3"}) == found  # other credentials are no other code


class TestAConfigMap:
    SOURCE = "def handler(event, context): return event\n"

    async def test_is_a_folder_or_one_of_its_entries(self, here: Surroundings) -> None:
        """A source, an archive, or all of them."""
        here.config_map("code", data={"index.py": self.SOURCE}, binaryData={"c.zip": base64.b64encode(ZIP).decode()})
        keys = ({}, {"key": "index.py"}, {"key": "c.zip"})
        found = [
            await here.shelf.obtain(function({"configMapRef": {"name": "code", **key}}, uid=str(number)), {})
            for number, key in enumerate(keys)
        ]
        digests = {each.sha256_hex for each in found if isinstance(each, StoredCode)}
        assert len(digests) == 3
        assert DIGEST in digests
        assert here.metric("config_map", "success") == 3

    async def test_that_changed_is_read_again(self, here: Surroundings) -> None:
        """A change of it is a change of the code; the same version is not asked for twice."""
        here.config_map("code", data={"index.py": self.SOURCE})
        wanted, held = function({"configMapRef": {"name": "code"}}), Reference("ConfigMap", "code")
        first = await here.shelf.obtain(wanted, {held: "1"})
        assert here.shelf.lookup(wanted, {held: "1"}) == first
        assert here.shelf.lookup(wanted, {held: "2"}) is None
        here.config_map("code", data={"index.py": "other = 1"})
        second = await here.shelf.obtain(wanted, {held: "2"})
        assert isinstance(first, StoredCode)
        assert isinstance(second, StoredCode)
        assert first.sha256_hex != second.sha256_hex

    async def test_that_is_not_there_is_waited_for(self, here: Surroundings) -> None:
        """And picked up when it appears, also one without the key."""
        wanted, held = function({"configMapRef": {"name": "code", "key": "index.py"}}), Reference("ConfigMap", "code")
        missing = await here.shelf.obtain(wanted, {})
        words = "code.configMapRef refers to what does not exist: "
        assert missing == Problem(Reason.REFERENCE_NOT_FOUND, f"{words}ConfigMap code")
        assert here.shelf.lookup(wanted, {}) == missing
        here.config_map("code", data={"other": "x"})
        assert here.shelf.lookup(wanted, {held: "1"}) is None
        incomplete = await here.shelf.obtain(wanted, {held: "1"})
        assert incomplete == Problem(Reason.REFERENCE_NOT_FOUND, f"{words}key index.py of ConfigMap code")
        here.config_map("code", data={"index.py": self.SOURCE})
        assert isinstance(await here.shelf.obtain(wanted, {held: "2"}), StoredCode)

    async def test_that_cannot_be_read_just_now_is_tried_again(self, here: Surroundings) -> None:
        """The API server is away, or refuses."""
        for status, reason in ((500, "InternalError"), (403, "Forbidden")):
            here.api.fail("GET", "/configmaps/", status=status, reason=reason, message=CANARIES[1])
            found = await problem(here, {"configMapRef": {"name": "code"}}, uid=str(status))
            assert found.reason == Reason.CODE_UNAVAILABLE


class TestAnImage:
    CODE: ClassVar = {"imageUri": "registry/image:tag"}

    async def test_is_resolved_with_the_pull_secrets_of_the_namespace(self, here: Surroundings) -> None:
        """For the function's architecture; the document of each Secret, in their order."""
        document = {"auths": {"registry": {"username": "u", "password": CANARIES[3]}}}
        here.secret("pull", "kubernetes.io/dockerconfigjson", **{".dockerconfigjson": json.dumps(document)})
        here.secret("old", "kubernetes.io/dockercfg", **{".dockercfg": json.dumps(document["auths"])})
        wanted = function(self.CODE, architectures=["arm64"], placement={"imagePullSecrets": ["pull", "old"]})
        found = await here.shelf.obtain(wanted, {})
        assert isinstance(found, ResolvedImage)
        assert (found.resolved_uri, bool(found.source)) == (IMAGE.resolved_uri, True)
        assert here.registry.asked == [("registry/image:tag", "arm64", [document, document["auths"]])]
        assert here.store.calls == []
        assert here.metric("image", "success") == 1

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [
            (InvalidImage("no such image"), Reason.INVALID_IMAGE),
            (AddressRefused("it leads to a loopback address"), Reason.INVALID_IMAGE),
            (Unavailable("the registry is away"), Reason.IMAGE_UNAVAILABLE),
        ],
    )
    async def test_that_cannot_be_resolved_says_whose_turn_it_is(
        self, here: Surroundings, failure: Exception, reason: Reason
    ) -> None:
        """A person's, or ours again."""
        here.registry.failure = failure
        assert await problem(here, self.CODE) == Problem(reason, str(failure))

    @pytest.mark.parametrize(
        ("kind", "values", "words"),
        [
            (None, {}, "refers to what does not exist: Secret pull"),
            ("Opaque", {}, "is not of the type kubernetes.io/dockerconfigjson"),
            ("kubernetes.io/dockerconfigjson", {}, "holds no JSON object under .dockerconfigjson"),
            ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": f'["{CANARIES[3]}'}, "holds no JSON object"),
        ],
    )
    async def test_waits_for_a_secret_that_is_one(
        self, here: Surroundings, kind: str | None, values: dict[str, str], words: str
    ) -> None:
        """Nothing is asked of the registry before."""
        if kind:
            here.secret("pull", kind, **values)
        found = await problem(here, self.CODE, placement={"imagePullSecrets": ["pull"]})
        assert (found.reason, words in found.message) == (Reason.REFERENCE_NOT_FOUND, True), found.message
        assert here.registry.asked == []


async def test_code_that_the_controller_does_not_hold_is_asked_for(here: Surroundings) -> None:
    """It keeps digests in place of long texts; what it packages is the text, and of no other specification."""
    inline = {"inline": "x = 1\n" * 500}
    whole = function(inline)
    body = {"apiVersion": "lambent.dev/v1alpha1", "kind": "Function", "metadata": {"name": "f1"}}
    here.api.add(FUNCTIONS.collection("a"), body | {"spec": whole.spec.model_dump(by_alias=True, exclude_none=True)})
    held = whole.model_copy(update={"spec": code_texts.leave_out(whole.spec)})
    assert held.spec.code != whole.spec.code
    found = await here.shelf.obtain(held, {})
    assert isinstance(found, StoredCode)
    assert found.sha256_hex == packaging.package(whole.spec.code, "python3.11").sha256_hex
    other = function({"inline": "y = 1\n" * 500}, uid="2").spec
    outdated = function(inline, uid="1", generation=2).model_copy(update={"spec": code_texts.leave_out(other)})
    changed = await here.shelf.obtain(outdated, {})
    assert changed == Problem(Reason.CODE_UNAVAILABLE, "the Function has changed meanwhile")


async def test_no_value_of_a_secret_is_logged(here: Surroundings, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, at whatever level."""
    caplog.set_level(logging.DEBUG)
    here.secret("s3", AWS_ACCESS_KEY_ID=CANARIES[0], AWS_SECRET_ACCESS_KEY=CANARIES[1], AWS_SESSION_TOKEN=CANARIES[2])
    statuses = iter((200, 403, 404, 500, 301, 400))

    async def answer(request: web.Request) -> web.Response:
        said = f"<Error><Code>Sorry</Code><Message>no</Message><Token>{request.headers}</Token></Error>"
        return web.Response(status=next(statuses), text=said)

    here.server.handler = answer
    code = {"s3Bucket": "code", "s3Key": "a.zip", "s3CredentialsSecretRef": {"name": "s3"}}
    for number in range(6):
        await problem(here, code, uid=str(number))
    assert not any(canary in caplog.text for canary in CANARIES)

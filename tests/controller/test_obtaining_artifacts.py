"""Archives from registries and the content of layers, on their way into the code store."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from tests.adapters.kube.fake_api import FakeApi
from tests.controller.supplies import (
    CANARIES,
    DIGEST,
    ZIP,
    Surroundings,
    function,
    layer,
    problem,
    stored_status,
    surroundings,
)
from tests.core.lying_archives import Entry, archive

from lambent.adapters.kube.resources import LAYERS
from lambent.core import code_texts
from lambent.core.readiness import Problem, StoredCode
from lambent.model.conditions import Reason

URI = "registry/team/code:v1"
OTHER = archive(Entry(content=b"other"))


@pytest.fixture
async def here(api: FakeApi) -> AsyncIterator[Surroundings]:
    async with surroundings(api) as made:
        yield made


class TestAnArtifact:
    CODE: ClassVar = {"artifactUri": URI}

    async def test_is_fetched_judged_and_stored(self, here: Surroundings) -> None:
        """With the pull secrets of the namespace; what its files have unzipped is known from then on."""
        document = {"auths": {"registry": {"username": "u", "password": CANARIES[3]}}}
        here.secret("pull", "kubernetes.io/dockerconfigjson", **{".dockerconfigjson": json.dumps(document)})
        here.artifacts.archives[URI] = ZIP
        found = await here.shelf.obtain(function(self.CODE, placement={"imagePullSecrets": ["pull"]}), {})
        assert isinstance(found, StoredCode)
        assert (found.sha256_hex, found.size, found.unzipped) == (DIGEST, len(ZIP), len(Entry().content))
        assert here.artifacts.asked == [(URI, [document])]
        assert here.store.blobs == {DIGEST: ZIP}
        assert here.metric("artifact", "success") == 1

    async def test_that_is_not_there_is_tried_again(self, here: Surroundings) -> None:
        """It is often pushed after the Function was applied."""
        words = f"Artifact {URI} does not exist. Provide a valid artifact."
        assert await problem(here, self.CODE) == Problem(Reason.CODE_UNAVAILABLE, words)
        here.artifacts.archives[URI] = ZIP
        here.now += 3
        assert isinstance(await here.shelf.obtain(function(self.CODE), {}), StoredCode)

    async def test_that_is_no_archive_is_refused(self, here: Surroundings) -> None:
        """Whatever its media type says."""
        here.artifacts.archives[URI] = b"no zip"
        found = await problem(here, self.CODE)
        assert (found.reason, "Could not unzip uploaded file." in found.message) == (Reason.INVALID_CODE, True)

    async def test_by_tag_is_fetched_anew_with_a_change_and_never_in_between(self, here: Surroundings) -> None:
        """As Lambda resolves an image's tag: at create and update."""
        here.artifacts.archives[URI] = ZIP
        first = await here.shelf.obtain(function(self.CODE), {})
        assert isinstance(first, StoredCode)
        here.artifacts.archives[URI] = OTHER
        assert here.shelf.lookup(function(self.CODE), {}) == first
        here.restart()
        assert here.shelf.lookup(function(self.CODE, status=stored_status(first)), {}) == first
        assert here.shelf.lookup(function(self.CODE, generation=2, status=stored_status(first)), {}) is None
        second = await here.shelf.obtain(function(self.CODE, generation=2), {})
        assert isinstance(second, StoredCode)
        assert second.sha256_hex != first.sha256_hex

    async def test_by_a_tag_that_has_not_moved_is_not_fetched_again(self, here: Surroundings) -> None:
        """A change of memory asks the registry for the manifest; what the store has lost is fetched."""
        here.artifacts.archives[URI] = ZIP
        first = await here.shelf.obtain(function(self.CODE), {})
        assert isinstance(first, StoredCode)
        again = await here.shelf.obtain(function(self.CODE, generation=2, status=stored_status(first)), {})
        assert isinstance(again, StoredCode)
        assert (again.sha256_hex, again.unzipped) == (first.sha256_hex, first.unzipped)
        assert again.source != first.source
        assert len(here.artifacts.asked) == 1
        here.store.blobs.clear()
        await here.shelf.obtain(function(self.CODE, generation=3, status=stored_status(first)), {})
        assert len(here.artifacts.asked) == 2
        assert here.store.blobs == {DIGEST: ZIP}

    async def test_by_digest_is_fetched_once(self, here: Surroundings) -> None:
        """It says what it is once and for all."""
        code = {"artifactUri": f"registry/team/code@sha256:{'0' * 64}"}
        here.artifacts.archives[code["artifactUri"]] = ZIP
        found = await here.shelf.obtain(function(code), {})
        assert here.shelf.lookup(function(code, generation=2), {}) == found


class TestTheContentOfALayer:
    SOURCES: ClassVar[dict[str, dict[str, Any]]] = {
        "zipFile": {"zipFile": base64.b64encode(ZIP).decode()},
        "url": {"sha256": DIGEST},
        "bucket": {"s3Bucket": "code", "s3Key": "a.zip"},
        "ConfigMap": {"configMapRef": {"name": "held", "key": "a.zip"}},
        "artifact": {"artifactUri": URI},
    }

    @pytest.mark.parametrize("content", SOURCES.values(), ids=SOURCES)
    async def test_comes_from_where_code_comes_from(self, here: Surroundings, content: dict[str, Any]) -> None:
        """Each of them."""
        here.config_map("held", binaryData={"a.zip": base64.b64encode(ZIP).decode()})
        here.artifacts.archives[URI] = ZIP
        url = here.at("/code/a.zip")
        whole = content | ({"url": url} if "sha256" in content else {})
        found = await here.shelf.obtain(layer(whole), {})
        assert isinstance(found, StoredCode)
        assert (found.sha256_hex, bool(found.source)) == (DIGEST, True)
        assert here.store.blobs == {DIGEST: ZIP}

    async def test_of_a_whole_config_map_is_a_folder(self, here: Surroundings) -> None:
        """Files in /opt itself, where bootstrap is a program."""
        here.config_map("held", data={"bootstrap": "#!/bin/sh"})
        found = await here.shelf.obtain(layer({"configMapRef": {"name": "held"}}), {})
        assert isinstance(found, StoredCode)
        assert found.unzipped == len("#!/bin/sh")

    FAILURES: ClassVar[dict[str, tuple[dict[str, Any], Reason, str]]] = {
        "a source of one file": (
            {"configMapRef": {"name": "held", "key": "index.py"}},
            Reason.INVALID_CODE,
            "key index.py of the ConfigMap is one file of source, which a layer takes not; give a zip archive in "
            "binaryData, or the whole ConfigMap",
        ),
        "an absent ConfigMap": (
            {"configMapRef": {"name": "none"}},
            Reason.REFERENCE_NOT_FOUND,
            "content.configMapRef refers to what does not exist: ConfigMap none",
        ),
        "an absent Secret": (
            {"s3Bucket": "code", "s3Key": "a.zip", "s3CredentialsSecretRef": {"name": "none"}},
            Reason.REFERENCE_NOT_FOUND,
            "content.s3CredentialsSecretRef refers to what does not exist: Secret none",
        ),
        "no base64": ({"zipFile": "?"}, Reason.INVALID_CODE, "content.zipFile is not base64"),
        "another digest": (
            {"url": "", "sha256": "0" * 64},
            Reason.INVALID_CODE,
            "content.url: what came has the SHA-256 ",
        ),
    }

    @pytest.mark.parametrize(("content", "reason", "words"), FAILURES.values(), ids=FAILURES)
    async def test_that_cannot_be_had_is_said_in_the_layers_own_fields(
        self, here: Surroundings, content: dict[str, Any], reason: Reason, words: str
    ) -> None:
        """`content`, not `code`."""
        here.config_map("held", data={"index.py": "x = 1"})
        if "url" in content:
            content = content | {"url": here.at()}
        found = await here.shelf.obtain(layer(content), {})
        assert isinstance(found, Problem)
        assert (found.reason, words in found.message) == (reason, True), found.message

    async def test_waits_for_its_own_pull_secrets(self, here: Surroundings) -> None:
        """A layer has no placement."""
        found = await here.shelf.obtain(layer({"artifactUri": URI}, imagePullSecrets=["none"]), {})
        words = "imagePullSecrets refers to what does not exist: Secret none"
        assert found == Problem(Reason.REFERENCE_NOT_FOUND, words)
        assert here.artifacts.asked == []

    async def test_that_the_controller_does_not_hold_is_asked_for(self, here: Surroundings) -> None:
        """It keeps digests in place of long texts."""
        content = {"zipFile": base64.b64encode(archive(Entry(content=bytes(2000)))).decode()}
        whole = layer(content)
        body = {"metadata": {"name": "l1"}, "spec": {"content": content}}
        here.api.add(LAYERS.collection("a"), body)
        held = whole.model_copy(update={"spec": code_texts.leave_out(whole.spec)})
        assert held.spec.content != whole.spec.content
        found = await here.shelf.obtain(held, {})
        assert isinstance(found, StoredCode)
        assert found.unzipped == 2000

    async def test_is_believed_from_its_status_after_a_restart(self, here: Surroundings) -> None:
        """Nothing is fetched again."""
        here.artifacts.archives[URI] = ZIP
        found = await here.shelf.obtain(layer({"artifactUri": URI}), {})
        assert isinstance(found, StoredCode)
        here.restart()
        assert here.shelf.lookup(layer({"artifactUri": URI}, status=stored_status(found)), {}) == found


async def test_one_address_is_fetched_once_for_a_function_and_a_layer(here: Surroundings) -> None:
    """Each is told of a failure in its own words."""
    content = {"url": here.at(content=b"no zip"), "sha256": "0" * 64}
    mine = await here.shelf.obtain(function(content), {})
    theirs = await here.shelf.obtain(layer(content, uid="2"), {})
    assert isinstance(mine, Problem)
    assert isinstance(theirs, Problem)
    assert (mine.message[:10], theirs.message[:13]) == ("code.url: ", "content.url: ")

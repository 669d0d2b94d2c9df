"""What the shelf remembers, believes, looks after, and how it goes on while others are slow."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from aiohttp import web
from tests.adapters.kube.fake_api import FakeApi
from tests.controller.supplies import DIGEST, ZIP, Surroundings, function, problem, stored_status, surroundings
from tests.core.lying_archives import Entry, archive

from lambent.controller import storing
from lambent.controller.storing import CodeShelf
from lambent.core.readiness import Problem, StoredCode
from lambent.model.conditions import Reason


@pytest.fixture
async def here(api: FakeApi) -> AsyncIterator[Surroundings]:
    async with surroundings(api) as made:
        yield made


class TestTheShelf:
    INLINE: ClassVar = {"inline": "def handler(e, c): return e"}

    async def test_believes_the_status_after_a_restart(self, here: Surroundings) -> None:
        """Nothing is fetched, packaged or asked."""
        codes: list[dict[str, Any]] = [
            self.INLINE,
            {"url": here.at(), "sha256": DIGEST},
            {"s3Bucket": "none", "s3Key": "gone"},
        ]
        here.at("/none/gone")
        first = [await here.shelf.obtain(function(code, uid=str(n)), {}) for n, code in enumerate(codes)]
        here.server.files.clear()
        here.server.requests.clear()
        here.store.calls.clear()
        here.restart()
        for number, (code, before) in enumerate(zip(codes, first, strict=True)):
            assert isinstance(before, StoredCode)
            again = function(code, uid=str(number), status=stored_status(before))
            assert here.shelf.lookup(again, {}) == before
        assert (here.server.requests, here.store.calls) == ([], [])
        assert here.shelf.referenced() == {each.sha256_hex for each in first if isinstance(each, StoredCode)}

    async def test_asks_the_store_later_and_not_for_all_at_once(self, here: Surroundings) -> None:
        """Spread over the whole period; at once for environments that start."""
        before = await here.shelf.obtain(function(self.INLINE), {})
        assert isinstance(before, StoredCode)
        here.restart()
        waits = []
        for number in range(1000):
            each = function(self.INLINE, uid=f"uid-{number}", status=stored_status(before))
            here.shelf.lookup(each, {})
            assert here.shelf.recheck_in(each, starting=True) == 0.0
            wait = here.shelf.recheck_in(each, starting=False)
            assert wait is not None
            waits.append(wait)
        thirds = [sum(low <= wait / 750 < low + 1 / 3 for wait in waits) for low in (0, 1 / 3, 2 / 3)]
        assert min(thirds) > 200
        assert all(0 <= wait <= 750 for wait in waits)

    async def test_keeps_what_it_found_while_only_other_fields_change(self, here: Surroundings) -> None:
        """More memory fetches nothing, and neither does a problem that stays."""
        code = {"url": here.at(), "sha256": DIGEST}
        found = await here.shelf.obtain(function(code), {})
        assert here.shelf.lookup(function(code, generation=2, memorySize=512), {}) == found
        assert here.shelf.lookup(function(code | {"sha256": "0" * 64}, generation=3), {}) is None
        wrong = await problem(here, code | {"sha256": "0" * 64}, generation=3)
        assert here.shelf.lookup(function(code | {"sha256": "0" * 64}, generation=4, memorySize=512), {}) == wrong

    async def test_fetches_again_what_the_store_lost(self, here: Surroundings) -> None:
        """Also when it knew of it only by the status."""
        code = {"url": here.at(), "sha256": DIGEST}
        before = await here.shelf.obtain(function(code), {})
        assert isinstance(before, StoredCode)
        here.store.blobs.clear()
        here.restart()
        again = function(code, status=stored_status(before))
        here.shelf.lookup(again, {})
        await here.shelf.recheck(again)
        assert here.store.blobs == {DIGEST: ZIP}
        assert here.shelf.recheck_in(again, starting=True) > 0  # type: ignore[operator]

    async def test_takes_the_newer_object_when_the_first_is_lost(
        self, here: Surroundings, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Lambda would keep the first; here the function gets what there is, and somebody is told."""
        code = {"s3Bucket": "code", "s3Key": "a.zip"}
        here.at("/code/a.zip")
        here.restart(patient=False)
        wanted = function(code)
        await here.shelf.obtain(wanted, {})
        newer = archive(Entry(b"new.py"))
        here.at("/code/a.zip", newer)
        await here.shelf.recheck(wanted)
        assert len(here.server.requests) == 1, "a newer object is no reason to fetch"
        here.store.blobs.clear()
        await here.shelf.recheck(wanted)
        found = here.shelf.lookup(wanted, {})
        assert isinstance(found, StoredCode)
        assert found.sha256_hex == hashlib.sha256(newer).hexdigest()
        assert here.nudged == ["1"]
        assert "holds other code by now" in caplog.text

    async def test_does_not_ask_somebody_elses_server_at_every_turn(self, here: Surroundings) -> None:
        """Twice as long each time; at once for another specification."""
        code = {"url": f"{here.server.url}/none.zip", "sha256": DIGEST}
        asked = []
        for _ in range(400):
            await problem(here, code)
            asked.append(len(here.server.requests))
            here.now += 1
        assert asked[-1] == 9  # after 0, 2, 6, 14, 30, 62, 126, 246 and 366 seconds
        await problem(here, code | {"url": f"{here.server.url}/other.zip"}, generation=2)
        assert len(here.server.requests) == asked[-1] + 1

    async def test_lets_a_slow_source_hold_up_nobody(self, here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        """The reconciliation goes on; the Function is nudged when its code is there."""
        monkeypatch.setattr(storing, "PATIENCE_SECONDS", 0.05)
        gate = asyncio.Event()

        async def slow(_: web.Request) -> web.Response:
            await gate.wait()
            return web.Response(body=ZIP)

        here.server.handler = slow
        here.restart(patient=False)
        wanted = function({"url": f"{here.server.url}/code.zip", "sha256": DIGEST})
        assert await here.shelf.obtain(wanted, {}) == storing.FETCHING
        assert await here.shelf.obtain(wanted, {}) == storing.FETCHING
        assert (here.nudged, here.shelf.lookup(wanted, {})) == ([], None)
        gate.set()
        while not here.nudged:
            await asyncio.sleep(0.01)
        assert isinstance(here.shelf.lookup(wanted, {}), StoredCode)
        assert (here.nudged, len(here.server.requests)) == (["1"], 1)

    async def test_remembers_what_comes_in_the_very_moment_that_patience_ends(
        self, here: Surroundings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was answered is what is looked up, whichever of the two the event loop tells first."""
        here.restart(patient=False)
        for number in range(200):
            monkeypatch.setattr(storing, "PATIENCE_SECONDS", number / 100_000)
            wanted = function(self.INLINE, uid=str(number))
            found = await here.shelf.obtain(wanted, {})
            assert found == storing.FETCHING or here.shelf.lookup(wanted, {}) == found

    async def test_gives_up_what_is_no_longer_wanted(self, here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another specification, or no Function any more: what was begun for it is nobody's outcome."""
        monkeypatch.setattr(storing, "PATIENCE_SECONDS", 0.05)
        here.server.handler = here.server.silent
        here.restart(patient=False)
        slow = function({"url": f"{here.server.url}/slow.zip", "sha256": DIGEST})
        assert await here.shelf.obtain(slow, {}) == storing.FETCHING
        monkeypatch.setattr(storing, "PATIENCE_SECONDS", 60)
        changed = await here.shelf.obtain(function(self.INLINE, generation=2), {})
        assert isinstance(changed, StoredCode)
        assert here.shelf.lookup(function(self.INLINE, generation=2), {}) == changed
        here.shelf.forget("1")
        assert here.shelf.referenced() == frozenset()

    async def test_says_which_digests_are_on_their_way(self, here: Surroundings) -> None:
        """So that a collector leaves them alone before any status names them."""
        here.store.held = asyncio.Event()
        task = asyncio.create_task(here.shelf.obtain(function({"url": here.at(), "sha256": DIGEST}), {}))
        while "put" not in here.store.calls:
            await asyncio.sleep(0.01)
        assert (here.shelf.busy(), here.shelf.referenced()) == ({DIGEST}, frozenset())
        here.store.held.set()
        await task
        assert (here.shelf.busy(), here.shelf.referenced()) == (frozenset(), {DIGEST})

    async def test_keeps_a_function_whose_store_is_away(self, here: Surroundings) -> None:
        """What its status says to be stored is; what was never stored is not."""
        found = await here.shelf.obtain(function(self.INLINE), {})
        assert isinstance(found, StoredCode)
        here.restart()
        here.store.away = True
        status = stored_status(found) | {"codeSource": "older"}
        assert await here.shelf.obtain(function(self.INLINE, status=status), {}) == found
        assert (await problem(here, self.INLINE, uid="2")).reason == Reason.CODE_STORE_UNAVAILABLE

    async def test_without_suppliers_has_only_what_stands_in_the_specification(self, here: Surroundings) -> None:
        """Nothing is dialled by accident."""
        shelf = CodeShelf(here.store, b"key")
        found = await shelf.obtain(function({"url": here.at(), "sha256": DIGEST}), {})
        assert isinstance(found, Problem)
        assert here.server.requests == []
        assert isinstance(await shelf.obtain(function(self.INLINE), {}), StoredCode)

"""Random histories of one function's versions, with requests that fail and controllers that die in between.

The judge knows only what the API server stored, in its order.
"""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.adapters.kube.fake_api import FakeApi
from tests.controller.rooms import FUNCTION_PATH, VERSIONS_PATH, Room
from tests.controller.version_rooms import drop, judge, numbers

from lambent.model.errors import Unavailable

HAPPENINGS = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from([128, 256])),
    st.tuples(st.just("version"), st.none()),
    st.tuples(st.just("delete version"), st.integers(0, 3)),
    st.tuples(st.just("make the function again"), st.booleans()),
    st.tuples(st.just("publish"), st.booleans()),
    st.tuples(st.just("restart"), st.none()),
)
REQUESTS = (
    ("POST", "/configmaps"),
    ("PATCH", "/configmaps"),
    ("POST", "/versions"),
    ("PATCH", "/status"),
    ("PATCH", "/versions/"),
    ("GET", "/functions/f"),
    ("GET", "/versions/"),
)
FAILURES = st.none() | st.tuples(st.sampled_from(REQUESTS), st.booleans())
STEPS = st.tuples(HAPPENINGS, FAILURES, st.booleans())
"""What happens, which request fails then (before or after it was done), and whether the watch shows what came of it
before the next try."""


class History:
    """A room in which anything may happen."""

    def __init__(self, room, publish):
        self.room = room
        self.made = 0
        room.function(publish=publish)

    async def step(self, happening, failure, seen):
        self.happen(*happening)
        if failure is not None:
            (method, path), after = failure
            self.room.api.fail(method, path, after=after)
        await self.work()
        if self.room.asked and not seen:
            await self.work(blind=True)

    def happen(self, kind, value):
        room = self.room
        if kind == "edit":
            room.edit(memorySize=value)
        elif kind == "publish":
            room.edit(publish=value)
        elif kind == "version":
            self.made += 1
            room.version(f"v{self.made}")
        elif kind == "delete version":
            there = sorted(body["metadata"]["name"] for body in room.api.under("/versions"))
            if there:
                drop(room, f"{VERSIONS_PATH}/{there[value % len(there)]}")
        elif kind == "make the function again":
            spec = room.api.objects[f"{FUNCTION_PATH}/f"]["spec"]
            if value:
                drop(room, f"{FUNCTION_PATH}/f")
            else:  # the garbage collector is late
                room.api.remove(f"{FUNCTION_PATH}/f")
            room.function(**spec)
        elif kind == "restart":
            room.restart()

    async def work(self, *, blind=False):
        """One round of the loop; what fails is tried again in a later one."""
        room = self.room
        try:
            if not blind:
                await room.sweeper.sweep()
                for uid in dict.fromkeys([*room.nudged, *room.store.uids(), *room.store.versions.uids()]):
                    await room._kind(uid).reconcile(uid)
            await room.publish()
        except Unavailable:
            room.asked["a/f"] = None
        await room.reconciler.settle()
        await room.versions.settle()

    async def calm(self):
        self.room.api.failures.clear()
        await self.room.settle()


async def live(publish, steps):
    api = await FakeApi().start()
    try:
        history = History(Room(api), publish)
        for step in steps:
            await history.step(*step)
        await history.calm()
        judge(api.history)
        function = api.objects[f"{FUNCTION_PATH}/f"]
        assert None not in numbers(history.room).values()
        mine = {
            int(body["status"]["version"]): body["status"]["snapshot"]["revision"]
            for body in api.under("/versions")
            if body["status"]["functionUid"] == function["metadata"]["uid"]
        }
        newest = max(mine, default=None)
        assert function["status"].get("latestVersion") == (str(newest) if newest else None)
        if function["spec"]["publish"]:
            assert mine[newest] == function["status"]["revision"]
        before = len(api.writes())
        history.room.restart()
        await history.calm()
        assert len(api.writes()) == before
    finally:
        await api.stop()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(STEPS, max_size=10))
def test_no_number_is_given_twice_and_none_without_a_difference(publish, steps):
    asyncio.run(live(publish, steps))

"""NetworkPolicies of namespaces, from what is seen to what is written; a failure is induced for every request."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.adapters.kube.test_observing import FAST
from tests.controller.rooms import FUNCTION_PATH

from lambent.adapters.kube.resources import NETWORK_POLICIES
from lambent.controller import policing
from lambent.controller.policing import PolicyKeeper
from lambent.core.policies import Release, environments_policy

RELEASE = Release("prod", "lambent-system", 9000)
PATH = NETWORK_POLICIES.item("a", RELEASE.policy_name)
COLLECTION = NETWORK_POLICIES.collection("a")


@asynccontextmanager
async def keeping(room):
    """The policies of the room's cluster, kept."""
    keeper = PolicyKeeper(room.api.client, room.store, RELEASE, (), FAST)
    task = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(policing, "AGAIN_SECONDS", 0.05)


def written(room):
    return room.api.writes("/networkpolicies")


async def test_a_namespace_has_its_policy_from_the_first_function_to_the_last(room):
    """And while nothing changes, nothing is written."""
    async with keeping(room):
        room.function("f")
        room.function("g")
        await room.sweeper.sweep()
        await until(lambda: PATH in room.api.objects)
        assert room.api.objects[PATH]["spec"] == environments_policy("a", RELEASE)["spec"]
        await asyncio.sleep(0.3)
        await room.sweeper.sweep()
        await asyncio.sleep(0.3)
        assert len(written(room)) == 1
        room.api.remove(f"{FUNCTION_PATH}/f")
        await room.sweeper.sweep()
        await asyncio.sleep(0.2)
        assert PATH in room.api.objects
        room.api.remove(f"{FUNCTION_PATH}/g")
        await room.sweeper.sweep()
        await until(lambda: PATH not in room.api.objects)


async def test_a_restart_writes_nothing(room):
    """What is there and as it should be is left alone."""
    room.function()
    room.api.add(COLLECTION, environments_policy("a", RELEASE))
    await room.sweeper.sweep()
    async with keeping(room):
        await asyncio.sleep(0.5)
    assert written(room) == []


async def test_what_somebody_changed_or_deleted_is_written_again(room):
    """The second line of defence does not go quietly."""
    room.function()
    await room.sweeper.sweep()
    wanted = environments_policy("a", RELEASE)["spec"]
    async with keeping(room):
        await until(lambda: PATH in room.api.objects)
        room.api.change(PATH, lambda body: body["spec"].update(ingress=[{}]))
        await until(lambda: room.api.objects[PATH]["spec"] == wanted)
        room.api.remove(PATH)
        await until(lambda: PATH in room.api.objects)


async def test_a_policy_that_is_not_ours_is_not_adopted(room, caplog):
    """It is said once, with what to do; when it is gone, ours is written."""
    room.function()
    room.api.add(COLLECTION, {"metadata": {"name": RELEASE.policy_name, "labels": {}}, "spec": {"podSelector": {}}})
    await room.sweeper.sweep()
    async with keeping(room) as keeper:
        await until(lambda: "not this release's" in caplog.text)
        await keeper.adjust()
        assert caplog.text.count("not this release's") == 1
        assert written(room) == []
        room.api.remove(PATH)
        await keeper.adjust()
        assert room.api.objects[PATH]["metadata"]["name"] == RELEASE.policy_name


FAILURES = {
    "the look at what is there": {"method": "GET", "path": PATH, "status": 500},
    "the write": {"method": "PATCH", "path": PATH, "status": 503},
    "a right that is missing": {"method": "PATCH", "path": PATH, "status": 403, "reason": "Forbidden", "times": 3},
    "the list": {"method": "GET", "path": "/networkpolicies", "status": 403, "reason": "Forbidden", "times": 3},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_what_fails_is_tried_again(room, failure):
    """Whatever it was."""
    room.function()
    await room.sweeper.sweep()
    async with keeping(room):
        room.api.objects.pop(PATH, None)
        room.api.fail(**failure)
        room.store.moved.set()
        await until(lambda: PATH in room.api.objects)


async def test_a_delete_that_fails_is_tried_again(room):
    """And one that was done by somebody else is done."""
    uid = room.function()
    await room.sweeper.sweep()
    async with keeping(room):
        await until(lambda: PATH in room.api.objects)
        room.api.fail("DELETE", PATH, status=500, times=2)
        room.store.drop_function(uid)
        await until(lambda: PATH not in room.api.objects)

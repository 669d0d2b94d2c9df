"""List, then watch, for ever."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from lambent.adapters.kube.observing import Changed, Deleted, Listed, Pace, observe
from lambent.adapters.kube.resources import PODS

COLLECTION = PODS.collection("a")
FAST = Pace(first_wait=0.02, longest_wait=0.05, page=2, watch=60, dice=lambda: 0.0)


@asynccontextmanager
async def observing(api, pace=FAST, selector=""):
    """A queue of what an observer says."""
    said = asyncio.Queue()

    async def listen():
        async for seen in observe(api.client, PODS, namespace="a", selector=selector, pace=pace):
            said.put_nowait(seen)

    task = asyncio.create_task(listen())
    try:
        yield lambda: asyncio.wait_for(said.get(), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(bodies):
    return sorted(body["metadata"]["name"] for body in bodies)


def pod(name, **labels):
    return {"metadata": {"name": name, "labels": labels}}


async def test_everything_is_listed_in_pages_and_then_changes_follow(api):
    """Listed, Changed, Deleted, as plain dicts."""
    for name in "vwxyz":
        api.add(COLLECTION, pod(name))
    async with observing(api) as said:
        assert names((await said()).objects) == list("vwxyz")
        api.add(COLLECTION, pod("new"))
        assert names([(await said()).object]) == ["new"]
        api.change(f"{COLLECTION}/new", lambda body: body.update(spec={}))
        assert isinstance(await said(), Changed)
        api.remove(f"{COLLECTION}/new")
        gone = await said()
        assert isinstance(gone, Deleted)
        assert names([gone.object]) == ["new"]


async def test_a_selector_holds_for_list_and_watch(api):
    """Only what is asked for."""
    api.add(COLLECTION, pod("other"))
    async with observing(api, selector="app=x") as said:
        assert (await said()).objects == []
        api.add(COLLECTION, pod("other2"))
        api.add(COLLECTION, pod("mine", app="x"))
        assert names([(await said()).object]) == ["mine"]


async def test_a_lost_history_brings_a_new_list(api):
    """410: what happened in between is in the list."""
    pace = Pace(first_wait=0.02, longest_wait=0.05, watch=1, dice=lambda: 0.0)
    async with observing(api, pace) as said:
        assert (await said()).objects == []
        api.bookmarks = False
        api.mute = True
        api.oldest = api.version + 50
        api.version += 100
        api.objects[f"{COLLECTION}/late"] = {"metadata": {"name": "late", "resourceVersion": str(api.version)}}
        seen = await said()
        assert isinstance(seen, Listed)
        assert names(seen.objects) == ["late"]


async def test_a_silent_watch_is_given_up_and_taken_up_again(api):
    """No bookmark for too long: the connection is dead, whatever TCP thinks."""
    api.mute = True
    pace = Pace(silence=0.1, first_wait=0.02, longest_wait=0.05, dice=lambda: 0.0)
    async with observing(api, pace) as said:
        await said()
        await asyncio.sleep(0.5)
        assert [path for method, path in api.requests].count(COLLECTION) >= 3
        api.add(COLLECTION, pod("late"))
        assert names([(await said()).object]) == ["late"]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_errors_are_waited_out(api, status):
    """An observer never ends."""
    api.fail("GET", "/pods", status=status, times=3)
    async with observing(api) as said:
        assert isinstance(await said(), Listed)


async def test_nothing_is_missed_over_many_interruptions(api):
    """A consumer's dictionary ends up equal to the collection."""
    known = {}
    pace = Pace(silence=0.05, first_wait=0.005, longest_wait=0.01, watch=1, dice=lambda: 0.5)

    async def consume():
        async for seen in observe(api.client, PODS, namespace="a", pace=pace):
            match seen:
                case Listed(objects):
                    known.clear()
                    known.update({body["metadata"]["name"]: body for body in objects})
                case Changed(body):
                    known[body["metadata"]["name"]] = body
                case Deleted(body):
                    known.pop(body["metadata"]["name"], None)

    task = asyncio.create_task(consume())
    api.mute = True
    for number in range(60):
        api.add(COLLECTION, pod(f"p{number}"))
        if number % 3 == 0:
            api.remove(f"{COLLECTION}/p{number}")
        if number % 10 == 0:
            api.fail("GET", "/pods", status=500, times=2)
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        while names(known.values()) != names(api.under("/pods")):
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

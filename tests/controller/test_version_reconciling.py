"""One Version, from what is seen to what is written: publishing, numbers and duplicates."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.rooms import FUNCTION_PATH, VERSIONS_PATH
from tests.controller.version_rooms import NUMBERS, conditions, drop, events, judge, message, numbers, status

from lambent.controller.queueing import WorkQueue
from lambent.model.errors import Unavailable


async def test_a_version_is_published_once_and_then_nothing_is_written_any_more(room):
    """Number, snapshot, owner and labels; then silence, also after a restart."""
    function = room.function(description="of the function", timeout=7)
    await room.work(function)
    uid = room.version()
    await room.settle()
    made = room.api.objects[f"{VERSIONS_PATH}/v"]
    shown = made["status"]
    assert (shown["version"], shown["functionUid"]) == ("1", function)
    assert shown["functionArn"] == f"{room.status()['functionArn']}:1"
    assert {key: shown["snapshot"][key] for key in ("timeout", "description", "codeSha256", "revision")} == {
        "timeout": 7,
        "description": "of the function",
        "codeSha256": room.status()["codeSha256"],
        "revision": room.status()["revision"],
    }
    assert "code" not in shown["snapshot"]
    assert made["metadata"]["ownerReferences"][0]["uid"] == function
    assert made["metadata"]["labels"] == {"lambent.dev/function-uid": function, "lambent.dev/version": "1"}
    assert conditions(room) == {
        "Ready": ("True", "Available"),
        "EnvironmentsHealthy": ("True", "Healthy"),
        "Active": ("False", "ScaledToZero"),
    }
    assert room.status()["latestVersion"] == "1"
    assert events(room) == ["Available", "VersionPublished"]
    before = len(room.api.writes())
    for _ in range(5):
        room.clock.now += 60
        await room.settle()
    room.restart()
    await room.settle()
    assert len(room.api.writes()) == before
    assert room.store.owner((function, "1")) == uid


async def test_publishing_costs_one_write_each_of_number_owner_and_status(room):
    """When the function is there already."""
    uid = room.function()
    await room.work(uid)
    version = room.version()
    before = len(room.api.writes())
    await room.work(version)
    writes = [(method, path.rsplit("/", 2)[-2:]) for method, path in room.api.writes()[before:]]
    assert [method for method, path in writes if path[-1] != "events"] == ["POST", "PATCH", "PATCH"]


# --- what is waited for ---------------------------------------------------------------------------------------------


async def test_a_version_waits_for_its_function_and_is_told_when_it_is_there(room):
    """Applied in whatever order; GitOps sees it progress."""
    room.namespace()
    uid = room.version()
    await room.settle()
    assert conditions(room) == {"Ready": ("False", "FunctionNotFound"), "Reconciling": ("True", "Progressing")}
    assert message(room).startswith("Function not found: arn:aws:lambda:eu-test-1:")
    before = len(room.api.writes())
    await room.settle()
    assert len(room.api.writes()) == before
    function = room.function()
    await room.sweeper.sweep()
    assert uid in room.nudged
    await room.work(uid)
    assert conditions(room)["Ready"] == ("False", "FunctionNotReady")
    room.nudged.clear()
    await room.work(function)
    assert uid in room.nudged
    await room.settle()
    assert status(room)["version"] == "1"
    assert conditions(room)["Ready"] == ("True", "Available")
    assert "Reconciling" not in conditions(room)


async def test_what_was_applied_before_the_version_counts_however_late_the_watch_is(room):
    """The Function is read from the API server first; its new state is waited for."""
    uid = room.function()
    await room.work(uid)
    version = room.version()
    await room.sweeper.sweep()
    room.edit(memorySize=512)  # nobody has seen it
    await room.versions.reconcile(version)
    await room.publish()
    assert conditions(room)["Ready"] == ("False", "FunctionNotReady")
    assert "generation 2" in message(room)
    await room.settle()
    assert status(room)["snapshot"]["memorySize"] == 512


async def test_broken_code_is_not_published(room):
    """What the function runs is not what its specification says."""
    uid = room.function()
    await room.work(uid)
    room.edit(code={"zipFile": "bm8gemlw"})
    await room.work(uid)
    room.version()
    await room.settle()
    assert conditions(room)["Ready"] == ("False", "FunctionNotReady")
    assert "InvalidCode" in message(room)
    assert NUMBERS not in room.api.objects
    room.edit(code={"inline": "def handler(e, c): return 2"})
    await room.settle()
    assert status(room)["version"] == "1"


PRECONDITIONS = {
    "other code": (
        {"codeSha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
        "CodeSHA256 (47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=) is different from current CodeSHA256 in $LATEST "
        "({codeSha256}). Please try again with the CodeSHA256 in $LATEST.",
    ),
    "another revision": (
        {"revisionId": "0011223344556677"},
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
        "the latest Revision Id",
    ),
}


@pytest.mark.parametrize(("spec", "words"), PRECONDITIONS.values(), ids=PRECONDITIONS)
async def test_a_precondition_that_does_not_hold_is_told_in_lambdas_words(room, spec, words):
    """A person has to do something about it."""
    room.function()
    room.version(**spec)
    await room.settle()
    assert conditions(room) == {"Ready": ("False", "PreconditionFailed"), "Stalled": ("True", "PreconditionFailed")}
    assert message(room) == words.format(**room.status())
    assert "version" not in status(room)
    assert NUMBERS not in room.api.objects


async def test_preconditions_that_hold_publish_and_those_that_come_to_hold_do_so_then(room):
    """The version was applied before the function's change."""
    uid = room.function()
    await room.work(uid)
    first = room.status()
    room.version("now", codeSha256=first["codeSha256"], revisionId=first["revision"])
    room.edit(memorySize=256)
    await room.work(uid)
    later = room.status()["revision"]
    room.edit(memorySize=128)
    await room.work(uid)
    assert room.status()["revision"] == first["revision"]
    room.version("later", revisionId=later)
    await room.settle()
    assert conditions(room, "later")["Ready"] == ("False", "PreconditionFailed")
    gets = len([path for method, path in room.api.requests if method == "GET" and path == f"{FUNCTION_PATH}/f"])
    room.edit(timeout=9)
    await room.settle()
    assert len([1 for method, path in room.api.requests if (method, path) == ("GET", f"{FUNCTION_PATH}/f")]) == gets
    room.edit(timeout=3, memorySize=256)
    await room.settle()
    assert numbers(room) == {"now": "1", "later": "2"}
    assert status(room, "later")["snapshot"]["revision"] == later


async def test_an_object_of_another_shape_is_told_and_harms_nobody(room):
    """A stored object from before a rule."""
    room.function()
    room.version("bad", codeSha256=7)
    room.version()
    await room.settle()
    assert conditions(room, "bad")["Stalled"] == ("True", "InvalidSpec")
    assert numbers(room) == {"bad": None, "v": "1"}


# --- numbers --------------------------------------------------------------------------------------------------------


async def test_a_second_object_of_unchanged_code_has_the_same_number(room):
    """And a copy of the snapshot, and says so; a description alone is no difference."""
    room.function(description="one")
    room.version("first")
    await room.settle()
    room.edit(description="two")
    await room.settle()
    room.version("second", description="three")
    await room.settle()
    assert numbers(room) == {"first": "1", "second": "1"}
    assert status(room, "second")["snapshot"] == status(room, "first")["snapshot"]
    assert conditions(room, "second") == {"Ready": ("True", "Available"), "Duplicate": ("True", "Unchanged")}
    assert "first" in message(room, "second", "Duplicate")
    assert "Duplicate" not in conditions(room, "first")
    assert events(room).count("Unchanged") == events(room).count("VersionPublished") == 1
    assert room.api.objects[NUMBERS]["data"] == {"function.f": "1"}


async def test_each_change_is_another_version_and_none_changes_an_older_one(room):
    """Also one that was there before: only the newest is compared."""
    room.function()
    for number, memory in enumerate((128, 256, 128), 1):
        room.edit(memorySize=memory)
        room.version(f"v{number}")
        await room.settle()
    assert numbers(room) == {"v1": "1", "v2": "2", "v3": "3"}
    assert [status(room, f"v{number}")["snapshot"]["memorySize"] for number in (1, 2, 3)] == [128, 256, 128]


async def test_a_function_that_is_made_again_goes_on_with_the_next_number(room):
    """Deleting it takes its versions along; numbers are never given twice."""
    room.function()
    room.version("one")
    await room.settle()
    drop(room, f"{FUNCTION_PATH}/f")
    await room.settle()
    assert numbers(room) == {}
    room.function()
    room.version("two")
    await room.settle()
    assert numbers(room) == {"two": "2"}


async def test_versions_of_a_namesake_that_is_gone_are_no_versions_of_this_function(room):
    """The garbage collector is late: equal code is not the same function."""
    room.function()
    room.version("one")
    await room.settle()
    room.api.remove(f"{FUNCTION_PATH}/f")
    room.function()
    room.version("two")
    await room.settle()
    assert numbers(room) == {"one": "1", "two": "2"}
    assert "Duplicate" not in conditions(room, "two")


async def test_numbers_are_above_what_there_is_when_the_counter_was_lost(room):
    """Somebody deleted the ConfigMap."""
    room.function()
    room.version("one")
    await room.settle()
    room.api.remove(NUMBERS)
    room.edit(timeout=9)
    room.version("two")
    await room.settle()
    assert numbers(room) == {"one": "1", "two": "2"}


async def test_two_objects_of_one_function_at_once_get_one_number(room):
    """However many workers there are, and whatever else is published meanwhile."""
    versions = []
    for name in ("f", "g"):
        await room.work(room.function(name))
        versions += [room.version(f"{name}-{number}", of=name) for number in range(8)]
    await room.sweeper.sweep()
    queue = WorkQueue(8)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queue.run(room.publisher.work))
        for uid in versions:
            await room.versions.reconcile(uid)
            for key in room.asked:
                queue.add(key)
        while None in numbers(room).values():
            await asyncio.sleep(0.01)
        task.cancel()
    assert set(numbers(room).values()) == {"1"}
    assert room.api.objects[NUMBERS]["data"] == {"function.f": "1", "function.g": "1"}
    room.asked.clear()
    await room.settle()
    assert sum("Duplicate" not in conditions(room, name) for name in numbers(room)) == 2


async def test_whoever_waits_to_be_published_holds_up_no_worker(room):
    """A Version is handed on: a thousand of one function leave the workers to environments."""
    uid = room.version()
    await room.work(room.function())
    await room.sweeper.sweep()
    requests = len(room.api.requests)
    assert await room.versions.reconcile(uid) is None
    assert len(room.api.requests) == requests
    assert room.asked == {"a/f": None}


FAILURES = {
    "reading the function": ("GET", "/functions/f"),
    "the number": ("POST", "/configmaps"),
    "the owner": ("PATCH", "/versions/v"),
    "the status": ("PATCH", "/versions/v/status"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before it was done", "after it was done"])
@pytest.mark.parametrize(("method", "path"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("restarted", [False, True], ids=["the same controller", "the next controller"])
async def test_after_a_broken_request_it_is_published_once(room, method, path, after, restarted):
    """A number may be left out, none is used twice, and equal versions have one."""
    uid = room.function()
    await room.work(uid)
    room.version("v")
    room.version("w")
    room.api.fail(method, path, after=after)
    await room.sweeper.sweep()
    with pytest.raises(Unavailable):
        await room.publisher.work("a/f")
    if restarted:
        room.restart()
        await room.sweeper.sweep()
    await room.publisher.work("a/f")  # before the watch tells what came of the first
    await room.settle()
    assert len(set(numbers(room).values())) == 1
    assert int(status(room)["version"]) <= 2
    judge(room.api.history)


async def test_a_refusal_is_told_and_tried_again_later(room):
    """A quota of ConfigMaps, say."""
    uid = room.function()
    await room.work(uid)
    version = room.version()
    room.api.fail("POST", "/configmaps", status=403, reason="Forbidden", message="exceeded quota")
    assert await room.work(version) == 60.0
    assert conditions(room)["Ready"] == ("False", "PublishingFailed")
    before = len(room.api.writes())
    assert await room.work(version) == 60.0
    assert len(room.api.writes()) == before
    room.version("another")
    await room.settle()
    assert numbers(room) == {"v": None, "another": "1"}
    room.clock.now += 61
    await room.work(version)
    assert conditions(room)["Ready"] == ("True", "Available")


async def test_a_version_that_was_made_anew_meanwhile_gets_nothing_of_the_old_one(room):
    """Uids decide, not names."""
    uid = room.function()
    await room.work(uid)
    old = room.version()
    await room.sweeper.sweep()
    room.api.remove(f"{VERSIONS_PATH}/v")
    room.version()
    await room.versions.reconcile(old)
    await room.publish()
    made = room.api.objects[f"{VERSIONS_PATH}/v"]
    assert "ownerReferences" not in made["metadata"]
    assert "status" not in made

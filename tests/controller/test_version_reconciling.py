"""One Version, from what is seen to what is written: publishing, duplicates, environments, its end."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.rooms import FUNCTION_PATH, VERSIONS_PATH
from tests.controller.test_references import SECRET_PATH, refers, secret, watching
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


# --- environments ---------------------------------------------------------------------------------------------------


async def published(room, **spec):
    """A function with version 1, and uids of both."""
    function = room.function(**spec)
    await room.work(function)
    version = room.version()
    await room.settle()
    return function, version


def owners(room):
    return sorted(
        (pod["metadata"]["labels"]["lambent.dev/version"], pod["metadata"]["ownerReferences"][0]["kind"])
        for pod in room.pods()
    )


async def test_environments_of_a_version_and_of_latest_scale_independently(room):
    """Each is asked for, and let go, by its own key."""
    function, version = await published(room)
    room.nudged.clear()
    room.demand(function, waiting=2, version="v")
    assert room.nudged == [version]
    await room.work(version)
    await room.work(function)
    assert owners(room) == [("1", "Version")] * 2
    room.demand(function, waiting=1)
    await room.work(version)
    await room.work(function)
    assert owners(room) == [("1", "Version")] * 2 + [("latest", "Function")]
    room.kubelet()
    room.clock.now += 11  # it is sampled
    await room.settle()
    assert (status(room)["environments"], room.status()["environments"]) == (2, 1)
    assert conditions(room)["Active"] == ("True", "EnvironmentsRunning")
    names = [pod["metadata"]["name"] for pod in room.pods() if pod["metadata"]["name"].startswith("v-")]
    room.demand(function, version="v", idle=[(name, 400) for name in names])
    room.demand(function, in_flight=1)
    await room.work(version)
    await room.work(function)
    assert owners(room) == [("latest", "Function")]


async def test_a_version_goes_on_as_it_is_when_its_function_changes_or_breaks(room):
    """Immutable: the old memory, the old variables."""
    function, version = await published(room, memorySize=512)
    before = status(room)
    room.edit(memorySize=128, code={"zipFile": "bm8gemlw"})
    await room.settle()
    assert room.conditions()["Ready"][0] == "False"
    assert status(room) == before
    room.demand(function, waiting=1, version="v")
    await room.work(version)
    [pod] = room.pods()
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "576Mi"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == version


async def test_a_version_whose_function_lost_its_shape_runs_on(room):
    """Only its end is the end of its versions."""
    function, version = await published(room)
    room.edit(memorySize="much")
    await room.settle()
    assert conditions(room)["Ready"] == ("True", "Available")
    room.demand(function, waiting=1, version="v")
    await room.work(version)
    assert len(room.pods()) == 1


async def test_a_version_whose_runtime_is_not_installed_any_more_says_so_and_stays(room):
    """The snapshot is what it was."""
    await published(room)

    def older(body):
        body["status"]["snapshot"]["runtime"] = "python3.9"

    room.api.change(f"{VERSIONS_PATH}/v", older)
    await room.settle()
    assert conditions(room)["Ready"] == ("False", "RuntimeNotInstalled")
    assert conditions(room)["Stalled"] == ("True", "RuntimeNotInstalled")
    assert status(room)["version"] == "1"


async def test_a_function_with_a_thousand_versions_costs_latest_nothing(room):
    """What is heard of a version is the version's, and the other way round."""
    function, version = await published(room)
    room.nudged.clear()
    room.demand(function, waiting=1, version="v")
    room.demand(function, waiting=1, version="v")
    assert set(room.nudged) == {version}
    room.nudged.clear()
    room.demand(function, waiting=1)
    assert room.nudged == [function]
    await room.work(version)
    await room.work(function)
    room.nudged.clear()
    room.kubelet()
    await room.sweeper.sweep()
    assert set(room.nudged) == {function, version}
    await room.work(function)
    room.nudged.clear()
    await room.work(version)  # writes its status
    assert function not in room.nudged


async def test_a_deleted_version_takes_its_environments_along_at_once(room):
    """And nobody else's."""
    function, version = await published(room)
    room.demand(function, waiting=1, version="v")
    room.demand(function, waiting=1)
    await room.settle()
    room.api.remove(f"{VERSIONS_PATH}/v")
    await room.settle()
    await room.work(version)
    assert owners(room) == [("latest", "Function")]
    assert "latestVersion" not in room.status()


async def test_a_deleted_function_takes_the_environments_of_its_versions_along_at_once(room):
    """Without waiting for the garbage collector; and no version makes another one."""
    function, version = await published(room)
    room.demand(function, waiting=1, version="v")
    room.demand(function, waiting=1)
    await room.settle()
    assert len(room.pods()) == 2
    before = status(room)
    room.api.remove(f"{FUNCTION_PATH}/f")
    await room.work(function)
    assert room.pods() == []
    await room.work(version, rounds=2)
    assert room.pods() == []
    assert status(room) == before  # who is about to go is not written to


async def test_when_the_holder_of_a_number_goes_the_next_object_holds_it(room):
    """With environments of its own, and what aliases refer to is written on it."""
    function, version = await published(room)
    second = room.version("w")
    room.alias(functionVersion="1")
    await room.settle()
    assert status(room)["referencedBy"] == ["live"]
    assert "referencedBy" not in status(room, "w")
    room.demand(function, waiting=1, version="v")
    await room.settle()
    [pod] = room.pods()
    assert pod["metadata"]["ownerReferences"][0]["uid"] == version
    drop(room, f"{VERSIONS_PATH}/v")
    await room.settle()
    [pod] = room.pods()
    assert pod["metadata"]["ownerReferences"][0]["uid"] == second
    assert conditions(room, "w")["Active"] == ("False", "ScaledToZero")
    assert "Duplicate" not in conditions(room, "w")
    assert status(room, "w")["referencedBy"] == ["live"]


async def test_aliases_that_refer_to_a_version_stand_in_its_status(room):
    """As long as they do."""
    await published(room)
    for name in ("next", "live"):
        room.alias(name, functionVersion="1")
    await room.settle()
    assert status(room)["referencedBy"] == ["live", "next"]
    room.api.remove("/apis/lambent.dev/v1alpha1/namespaces/a/aliases/f.live")
    await room.settle()
    assert status(room)["referencedBy"] == ["next"]


async def test_an_owner_reference_that_was_taken_away_is_written_again(room):
    """Else the version would outlive its function."""
    function, _ = await published(room)

    def strip(body):
        del body["metadata"]["ownerReferences"], body["metadata"]["labels"]

    room.api.change(f"{VERSIONS_PATH}/v", strip)
    await room.settle()
    metadata = room.api.objects[f"{VERSIONS_PATH}/v"]["metadata"]
    assert metadata["ownerReferences"][0]["uid"] == function
    assert metadata["labels"]["lambent.dev/version"] == "1"


async def test_a_version_that_nobody_takes_along_says_that_its_function_is_gone(room):
    """Somebody took its owner away, and nobody was there to write it again."""
    await published(room)
    room.api.remove(f"{FUNCTION_PATH}/f")
    room.api.change(f"{VERSIONS_PATH}/v", lambda body: body["metadata"].pop("ownerReferences"))
    room.restart()
    await room.settle()
    assert conditions(room)["Stalled"] == ("True", "FunctionNotFound")


async def test_a_changed_secret_brings_new_environments_of_a_version(room):
    """The snapshot names it; what stands in it is Kubernetes' matter, as for $LATEST."""
    room.function(**refers())
    room.version()
    async with watching(room):
        await room.settle()
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while room.status().get("conditions") is None:
                await asyncio.sleep(0.02)
                await room.settle()
        assert room.conditions()["Ready"] == ("False", "ReferenceNotFound")
        room.api.add(SECRET_PATH, secret())
        async with asyncio.timeout(10):
            while status(room).get("podRevision") is None:
                await asyncio.sleep(0.02)
                await room.settle()
        before = status(room)
        room.api.change(f"{SECRET_PATH}/s", lambda body: body.update(data={"k": "bmV3"}))
        async with asyncio.timeout(10):
            while status(room)["podRevision"] == before["podRevision"]:
                await asyncio.sleep(0.02)
                await room.settle()
        assert status(room)["snapshot"] == before["snapshot"]
        room.api.remove(f"{SECRET_PATH}/s")
        async with asyncio.timeout(10):
            while conditions(room)["Ready"] != ("False", "ReferenceNotFound"):
                await asyncio.sleep(0.02)
                await room.settle()

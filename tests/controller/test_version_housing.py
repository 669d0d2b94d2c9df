"""Environments of one Version, and what else is true of it once it is published: who holds it, who refers to it."""

from __future__ import annotations

import asyncio

from tests.controller.rooms import FUNCTION_PATH, VERSIONS_PATH
from tests.controller.test_references import SECRET_PATH, refers, secret, watching
from tests.controller.version_rooms import conditions, drop, status


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

"""Secrets and ConfigMaps that Functions refer to: what is watched, what is known, what it means for a Function."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.adapters.kube.test_observing import FAST
from tests.controller.rooms import FUNCTION_PATH

from lambent.adapters.kube.observing import Pace
from lambent.adapters.kube.resources import CLAIMS_METADATA, SECRETS
from lambent.controller.reference_watches import NAMESPACES_MAX, Manner, ReferenceWatches
from lambent.core.references import Reference

QUICK = Manner(everywhere=True, pace=FAST, refused_wait=0.05)
SECRET_PATH = SECRETS.collection("a")


def refers(*, kind="secretKeyRef", name="s"):
    return {"environment": {"valueFrom": [{"name": "KEY", kind: {"name": name, "key": "k"}}]}}


def secret(name="s"):
    return {"metadata": {"name": name}, "data": {"k": "Y2FuYXJ5LXZhbHVl"}}


@asynccontextmanager
async def watching(room, manner=QUICK):
    """The room's references, watched."""
    watches = ReferenceWatches(room.api.client, room.references, manner)
    task = asyncio.create_task(watches.run())
    try:
        yield watches
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(room, uid, wanted):
    """Work on the Function as it is nudged, until its Ready condition is the wanted one."""
    async with asyncio.timeout(10):
        await room.work(uid)
        while room.status().get("conditions") is None or room.conditions()["Ready"] != wanted:
            room.nudged.clear()
            await asyncio.sleep(0.02)
            if uid in room.nudged:
                await room.work(uid)


def asked(room, what="/secrets"):
    return [path for method, path in room.api.requests if what in path]


async def test_a_function_without_references_has_nothing_watched(room):
    """Ten thousand of them cost nothing."""
    uid = room.function()
    async with watching(room) as watches:
        await until(room, uid, ("True", "Available"))
        assert watches.scopes() == set()
        assert asked(room, "/secrets") + asked(room, "/configmaps") == []


async def test_nothing_is_decided_before_what_is_referred_to_was_looked_up(room):
    """Else a restarted controller would say of every Secret that it does not exist."""
    uid = room.function(**refers())
    await room.work(uid, rounds=3)
    assert room.status() == {}
    assert room.pods() == []


async def test_a_missing_secret_waits_and_is_picked_up_when_it_appears(room):
    """And when it goes, that is said again; the last environments' revision stays."""
    uid = room.function(**refers())
    async with watching(room):
        await until(room, uid, ("False", "ReferenceNotFound"))
        assert "Stalled" not in room.conditions()
        room.api.add(SECRET_PATH, secret())
        await until(room, uid, ("True", "Available"))
        revision = room.status()["podRevision"]
        room.api.remove(f"{SECRET_PATH}/s")
        await until(room, uid, ("False", "ReferenceNotFound"))
        assert room.status()["podRevision"] == revision


@pytest.mark.parametrize("row", [("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")], ids=str)
async def test_a_changed_object_brings_new_environments(room, row):
    """The revision of the publish stays, the one of environments changes."""
    kind, plural = row
    room.namespace()
    path = f"/api/v1/namespaces/a/{plural}"
    room.api.add(path, secret())
    uid = room.function(**refers(kind=kind))
    async with watching(room):
        await until(room, uid, ("True", "Available"))
        before = room.status()
        room.nudged.clear()
        room.api.change(f"{path}/s", lambda body: body.update(data={"k": "bmV3"}))
        async with asyncio.timeout(5):
            while uid not in room.nudged:
                await asyncio.sleep(0.02)
        await room.work(uid)
        assert room.status()["podRevision"] != before["podRevision"]
        assert room.status()["revision"] == before["revision"]


CLAIMS_PATH = CLAIMS_METADATA.collection("a")
MOUNTS = {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/a"}]}


async def test_a_missing_claim_waits_and_is_picked_up_when_it_appears(room):
    """In Lambda's words; a claim that changes meanwhile (it is bound, say) changes no environment."""
    room.namespace()
    uid = room.function(**MOUNTS)
    async with watching(room):
        await until(room, uid, ("False", "EFSMountFailure"))
        claim = room.api.add(CLAIMS_PATH, {"metadata": {"name": "data"}})
        await until(room, uid, ("True", "Available"))
        before = room.status()["podRevision"]
        version = claim["metadata"]["resourceVersion"]
        room.api.change(f"{CLAIMS_PATH}/data", lambda body: body.update(status={"phase": "Bound"}))
        async with asyncio.timeout(5):
            while room.references.versions(room.store.function(uid)) == {
                Reference("PersistentVolumeClaim", "data"): version
            }:
                await asyncio.sleep(0.01)
        await room.work(uid)
        assert room.status()["podRevision"] == before


async def test_a_restart_with_references_writes_nothing(room):
    """What exists is looked up before anything is said."""
    room.namespace()
    room.api.add(SECRET_PATH, secret())
    uid = room.function(**refers())
    async with watching(room):
        await until(room, uid, ("True", "Available"))
    before = room.api.writes("/namespaces/a/")
    room.restart()
    async with watching(room):
        await room.work(uid)
        async with asyncio.timeout(5):
            while room.references.unseen(room.store.function(uid)):
                await asyncio.sleep(0.02)
        await room.work(uid, rounds=3)
    assert room.api.writes("/namespaces/a/") == before


async def test_no_value_is_ever_asked_for(room):
    """Neither by list nor by watch: what the board holds are names and versions."""
    room.namespace()
    room.api.add(SECRET_PATH, secret())
    uid = room.function(**refers())
    async with watching(room):
        await until(room, uid, ("True", "Available"))
    accepted = [accept for path, accept in room.api.accepted if "/secrets" in path]
    assert len(accepted) >= 2
    assert all("as=PartialObjectMetadata" in accept and not accept.endswith("application/json") for accept in accepted)
    assert "Y2FuYXJ5" not in repr(vars(room.references))


async def test_a_missing_right_is_said_and_taken_up_when_it_is_given(room):
    """Ready says who lacks what; nothing crashes, and others are worked on."""
    other = room.function("other")
    room.api.fail("GET", "/secrets", status=403, reason="Forbidden", message="may not list secrets", times=20)
    uid = room.function(**refers())
    async with watching(room):
        await until(room, uid, ("False", "ReferenceNotFound"))
        [ready] = [each for each in room.status()["conditions"] if each["type"] == "Ready"]
        assert "lacks the right" in ready["message"]
        assert "may not list secrets" in ready["message"]
        await room.work(other)
        assert room.conditions("other")["Ready"] == ("True", "Available")
        room.api.add(SECRET_PATH, secret())
        room.api.failures.clear()
        await until(room, uid, ("True", "Available"))


async def test_a_namespace_is_watched_only_while_somebody_refers(room):
    """The last reference goes, and the watch with it."""
    uid = room.function(**refers())
    async with watching(room) as watches:
        await until(room, uid, ("False", "ReferenceNotFound"))
        assert watches.scopes() == {("Secret", "a")}
        room.api.change(f"{FUNCTION_PATH}/f", forget_references)
        await until(room, uid, ("True", "Available"))
        async with asyncio.timeout(5):
            while watches.scopes():
                await asyncio.sleep(0.02)


def forget_references(body):
    del body["spec"]["environment"]
    body["metadata"]["generation"] += 1


async def test_many_namespaces_share_one_watch(room):
    """A watch is a connection; where only some namespaces may be watched there is one for each."""
    wide, narrow = QUICK, Manner(everywhere=False, pace=FAST)
    for manner, expected in ((wide, {("Secret", None)}), (narrow, None)):
        room.restart()
        for number in range(NAMESPACES_MAX + 1):
            room.references._remember(f"uid-{number}", frozenset({(f"n{number}", Reference("Secret", "s"))}))
        async with watching(room, manner) as watches:
            await asyncio.sleep(0.1)
            assert len(watches.scopes()) == (1 if expected else NAMESPACES_MAX + 1)
            assert expected is None or watches.scopes() == expected


async def test_a_watch_that_breaks_for_no_known_reason_is_begun_again(room):
    """An object that cannot be read ends nobody's watch for good."""
    room.namespace()
    room.api.add(SECRET_PATH, secret("odd"))
    uid = room.function(**refers())
    del room.api.objects[f"{SECRET_PATH}/odd"]["metadata"]["namespace"]
    async with watching(room, Manner(everywhere=True, pace=Pace(first_wait=0.01), broken_wait=0.05)):
        await room.work(uid)
        await asyncio.sleep(0.3)
        room.api.objects.pop(f"{SECRET_PATH}/odd")
        room.api.add(SECRET_PATH, secret())
        await until(room, uid, ("True", "Available"))

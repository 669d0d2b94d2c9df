"""What `spec.publish` publishes by itself, what retention lets go, and what of both is left after a failure."""

from __future__ import annotations

import base64

import pytest
from tests.controller.rooms import ALIAS_PATH, FUNCTION_PATH, VERSIONS_PATH
from tests.controller.version_rooms import NUMBERS, conditions, drop, events, judge, numbers, status

from lambent.controller.needing import CodeNeeds
from lambent.model.errors import Unavailable

OTHER_CODE = {"inline": "def handler(e, c): return 2"}


async def changed(room, times=1, start=1):
    """Publish so many changes of the function."""
    for number in range(start, start + times):
        room.edit(timeout=10 + number)
        await room.settle()


async def test_every_change_is_published_with_the_next_number(room):
    """Code or configuration; named after the Function, owned by it, and told of."""
    function = room.function(publish=True, description="mine")
    await room.settle()
    assert numbers(room) == {"f.1": "1"}
    made = room.api.objects[f"{VERSIONS_PATH}/f.1"]
    assert made["spec"] == {"functionName": "f"}
    assert made["metadata"]["labels"]["lambent.dev/published-by"] == "function"
    assert made["metadata"]["ownerReferences"][0]["uid"] == function
    assert made["status"]["snapshot"]["description"] == "mine"
    assert conditions(room, "f.1")["Ready"] == ("True", "Available")
    assert room.status()["latestVersion"] == "1"
    [event] = [event for event in room.api.under("/events") if event["reason"] == "VersionPublished"]
    assert (event["regarding"]["kind"], event["note"]) == ("Function", f"published {made['status']['functionArn']}")
    room.edit(code=OTHER_CODE)
    await room.settle()
    room.edit(memorySize=256)
    await room.settle()
    assert numbers(room) == {"f.1": "1", "f.2": "2", "f.3": "3"}
    assert room.status()["latestVersion"] == "3"
    assert room.metrics.versions._value.get() == 3


async def test_a_description_alone_publishes_nothing_and_a_restart_writes_nothing(room):
    """Nor does a generation without a difference."""
    room.function(publish=True)
    await room.settle()
    room.edit(description="new")
    await room.settle()
    room.edit(tags={"a": "b"})
    await room.settle()
    assert numbers(room) == {"f.1": "1"}
    before = len(room.api.writes())
    room.restart()
    await room.settle()
    assert len(room.api.writes()) == before


async def test_publishing_costs_one_write_each_of_number_object_and_status(room):
    """And one of the Function's latestVersion."""
    uid = room.function()
    await room.work(uid)
    room.edit(publish=True)
    before = len(room.api.writes())
    await room.settle()
    writes = [(method, path.rsplit("/", 1)[-1]) for method, path in room.api.writes()[before:]]
    assert sorted(write for write in writes if write[1] != "events") == [
        ("PATCH", "status"),  # of the generation
        ("PATCH", "status"),  # of the version
        ("PATCH", "status"),  # latestVersion
        ("POST", "configmaps"),
        ("POST", "versions"),
    ]


async def test_code_that_fails_is_not_published(room):
    """Neither at first nor later; mended code is."""
    room.function(publish=True, code={"zipFile": "bm8gemlw"})
    await room.settle()
    assert numbers(room) == {}
    room.edit(code=OTHER_CODE)
    await room.settle()
    assert numbers(room) == {"f.1": "1"}
    room.edit(code={"zipFile": "bm8gemlw"})
    await room.settle()
    room.edit(runtime="python9", code={"inline": "x = 1"})
    await room.settle()
    assert numbers(room) == {"f.1": "1"}


async def test_what_a_person_published_is_not_published_again(room):
    """Both ways of publishing share the numbers."""
    uid = room.function()
    await room.work(uid)
    room.version("mine")
    await room.settle()
    room.edit(publish=True)
    await room.settle()
    assert numbers(room) == {"mine": "1"}
    await changed(room)
    assert numbers(room) == {"mine": "1", "f.2": "2"}


async def test_a_name_that_somebody_has_is_passed_over(room):
    """With its number, which nobody gets then."""
    room.namespace()
    room.version("f.1", of="other")
    room.function(publish=True)
    await room.settle()
    assert numbers(room) == {"f.1": None, "f.2": "2"}


async def test_of_two_objects_with_one_function_name_the_older_publishes(room):
    """The other one is no function."""
    room.function("first", functionName="F", publish=True)
    room.function("second", functionName="F", publish=True, timeout=9)
    await room.settle()
    assert numbers(room) == {"first.1": "1"}


async def test_an_object_that_never_got_its_number_is_made_again(room):
    """Whoever made it died before."""
    room.function(publish=True)
    room.version("f.7", labels={"lambent.dev/published-by": "function"})
    await room.settle()
    assert numbers(room) == {"f.1": "1"}


FAILURES = {
    "reading the function": ("GET", "/functions/f"),
    "the number": ("POST", "/configmaps"),
    "the object": ("POST", "/versions"),
    "the status": ("PATCH", "/versions/f.1/status"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before it was done", "after it was done"])
@pytest.mark.parametrize(("method", "path"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("restarted", [False, True], ids=["the same controller", "the next controller"])
async def test_after_a_broken_request_there_is_one_version(room, method, path, after, restarted):
    """A number may be left out."""
    uid = room.function()
    await room.work(uid)
    room.edit(publish=True)
    room.api.fail(method, path, after=after)
    with pytest.raises(Unavailable):
        await room.work(uid)
    if restarted:
        room.restart()
    else:
        await room.publisher.work("a/f")  # before the watch tells what came of it
    await room.settle()
    assert len(numbers(room)) == 1
    assert next(iter(numbers(room).values())) in ("1", "2")
    judge(room.api.history)


async def test_a_refusal_is_told_and_tried_again_later(room):
    """A quota; $LATEST is none the worse for it."""
    uid = room.function(publish=True)
    room.api.fail("POST", "/versions", status=403, reason="Forbidden", message="exceeded quota")
    assert await room.work(uid) == 60.0
    assert room.conditions()["Ready"] == ("True", "Available")
    assert "PublishingFailed" in events(room)
    await room.settle()
    assert room.api.objects[NUMBERS]["data"] == {"function.f": "1"}  # a try costs a number: not at each event
    room.clock.now += 61
    await room.settle()
    assert numbers(room) == {"f.2": "2"}


async def test_environments_of_what_was_published_belong_to_the_version(room):
    """As of any other."""
    uid = room.function(publish=True)
    await room.settle()
    room.demand(uid, waiting=1, version="f.1")
    await room.settle()
    [pod] = room.pods()
    owner = pod["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("Version", "f.1")
    assert pod["metadata"]["name"].startswith("f.1-")
    assert pod["metadata"]["annotations"]["lambent.dev/function-name"] == "f"


# --- retention ------------------------------------------------------------------------------------------------------

KEEP_TWO = {"versionRetention": {"keepLast": 2}}


async def test_retention_keeps_the_newest_and_what_aliases_refer_to(room):
    """What was referred to goes when nobody does so any more, and its status says so."""
    uid = room.function(publish=True)
    await room.settle()
    await changed(room, 4)
    room.alias("live", functionVersion="2")
    room.edit(**KEEP_TWO)
    await room.settle()
    assert numbers(room) == {"f.2": "2", "f.4": "4", "f.5": "5"}
    assert [event["regarding"]["kind"] for event in room.api.under("/events") if event["reason"] == "VersionDeleted"]
    assert room.metrics.versions_deleted._value.get() == 2
    assert status(room, "f.2")["referencedBy"] == ["live"]
    room.api.remove(f"{ALIAS_PATH}/f.live")
    await room.sweeper.sweep()
    uids = {body["metadata"]["name"]: body["metadata"]["uid"] for body in room.api.under("/versions")}
    deletions = len([1 for method, _ in room.api.requests if method == "DELETE"])
    await room.reconciler.reconcile(uid)
    await room.publish()
    assert len([1 for method, _ in room.api.requests if method == "DELETE"]) == deletions  # admission would refuse it
    room.nudged.clear()
    await room.versions.reconcile(uids["f.2"])
    assert uid in room.nudged
    await room.settle()
    assert numbers(room) == {"f.4": "4", "f.5": "5"}
    assert room.api.objects[NUMBERS]["data"] == {"function.f": "5"}


async def test_retention_keeps_what_people_wrote(room):
    """Their own objects stay; what the command line made goes."""
    uid = room.function(**KEEP_TWO)
    await room.work(uid)
    for number, labels in enumerate((None, {"lambent.dev/published-by": "cli"}, None, None), 1):
        room.edit(timeout=20 + number)
        room.version(f"v{number}", labels=labels)
        await room.settle()
    assert numbers(room) == {"v1": "1", "v3": "3", "v4": "4"}


async def test_retention_keeps_both_sides_of_a_rollout_and_what_an_alias_names(room):
    """By number or by object, in force or not yet."""
    room.function(publish=True)
    await room.settle()
    await changed(room, 5)
    room.alias("live", latestPublished=True)
    routing = {"functionVersion": "1", "additionalVersionWeights": {"2": 0.5}}
    room.api.change(f"{ALIAS_PATH}/f.live", lambda body: body.update(status={"routing": routing, "targetVersion": "6"}))
    room.alias("named", versionRef={"name": "f.3"})
    room.edit(versionRetention={"keepLast": 1})
    await room.settle()
    assert set(numbers(room)) == {"f.1", "f.2", "f.3", "f.6"}


async def test_an_alias_that_comes_in_between_keeps_its_version(room):
    """It is looked for right before each deletion."""
    uid = room.function(publish=True)
    await room.settle()
    await changed(room, 3)
    room.edit(versionRetention={"keepLast": 1})
    await room.sweeper.sweep()
    original = room.tools.client.request

    async def request(method, path, **rest):
        answer = await original(method, path, **rest)
        if method == "DELETE" and path.endswith("/f.1"):
            room.alias("live", functionVersion="2")
            await room.sweeper.sweep()
        return answer

    room.tools.client.request = request
    await room.reconciler.reconcile(uid)
    await room.publish()
    assert set(numbers(room)) == {"f.2", "f.4"}


async def test_a_version_that_the_admission_policy_keeps_stays(room):
    """An alias that the controller has not seen yet; others go all the same, and it is tried again later."""
    room.function(publish=True)
    await room.settle()
    await changed(room, 2)
    words = "Unable to delete version because the following aliases reference it: [live]"
    room.api.fail("DELETE", "/versions/f.1", status=403, reason="Forbidden", message=words, times=99)
    room.edit(versionRetention={"keepLast": 1})
    await room.settle()
    assert set(numbers(room)) == {"f.1", "f.3"}
    assert await room.publisher.work("a/f") == 60.0
    room.api.failures.clear()
    assert await room.publisher.work("a/f") == 60.0
    room.clock.now += 61
    assert await room.publisher.work("a/f") is None
    assert set(numbers(room)) == {"f.3"}


async def test_versions_of_a_namesake_that_is_gone_are_not_counted(room):
    """They go with their own function."""
    room.function(publish=True)
    await room.settle()
    await changed(room, 2)
    room.api.remove(f"{FUNCTION_PATH}/f")
    room.function(publish=True, **KEEP_TWO)
    await room.settle()
    assert set(numbers(room)) == {"f.1", "f.2", "f.3", "f.4"}


# --- code -----------------------------------------------------------------------------------------------------------


async def test_code_and_layers_of_a_version_are_kept_as_long_as_it_is_there(room):
    """Whatever became of the function's code and of the layer."""
    layer = room.layer()
    await room.work(layer)
    room.function(publish=True, layers=["libs:1"])

    def judged(uid):
        return any(kind.has_judged(uid) for kind in (room.reconciler, room.versions, room.layers))

    await room.settle()
    snapshot = status(room, "f.1")["snapshot"]
    digests = {
        base64.b64decode(text).hex() for text in (snapshot["codeSha256"], snapshot["layersInUse"][0]["codeSha256"])
    }
    room.edit(layers=[], code=OTHER_CODE)
    drop(room, "/apis/lambent.dev/v1alpha1/namespaces/a/layers/libs")
    await room.settle()
    room.restart()
    needs = CodeNeeds(room.store, room.shelf, judged, room.clock)
    await room.sweeper.sweep()
    for uid in room.store.uids():
        await room.reconciler.reconcile(uid)
    assert not needs.complete()
    await room.settle()
    assert needs.complete()
    assert digests <= needs.referenced()
    room.api.remove(f"{VERSIONS_PATH}/f.1")
    await room.settle()
    room.clock.now += 60
    assert not digests & needs.referenced()

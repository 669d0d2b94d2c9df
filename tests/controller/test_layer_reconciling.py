"""One Layer, from what is seen to what is written; and functions that use its versions."""

from __future__ import annotations

import base64

import pytest
from tests.controller.rooms import FUNCTION_PATH, LAYER_PATH, VERSION_PATH
from tests.core.lying_archives import Entry, archive

from lambent.adapters.kube.resources import CONFIG_MAPS
from lambent.controller.needing import CodeNeeds
from lambent.model.errors import Unavailable

NUMBERS = f"{CONFIG_MAPS.collection('a')}/lambent-numbers"
OTHER_ZIP = base64.b64encode(archive(Entry(b"python/helper.py", b"x = 2"))).decode()


def status(room, name="libs"):
    return room.api.objects[f"{LAYER_PATH}/{name}"].get("status") or {}


def conditions(room, name="libs"):
    return {each["type"]: (each["status"], each["reason"]) for each in status(room, name)["conditions"]}


def versions(room):
    return sorted(body["metadata"]["name"] for body in room.api.under("/layerversions"))


def number(room, key="layer.libs"):
    return room.api.objects[NUMBERS]["data"][key]


def arn(room, number, name="libs"):
    return f"{status(room, name)['layerArn']}:{number}"


def drop(room, path):
    """What the garbage collector does with what a Layer owns comes with it."""
    uid = room.api.remove(path)["metadata"]["uid"]
    for where, body in list(room.api.objects.items()):
        if any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or []):
            room.api.remove(where)


async def test_a_layer_is_published_once_and_then_nothing_is_written_any_more(room):
    """Content, number, version, status; then silence."""
    uid = room.layer()
    await room.work(uid)
    assert (versions(room), number(room)) == (["libs.1"], "1")
    assert conditions(room) == {"Ready": ("True", "Available"), "ContentStored": ("True", "Stored")}
    assert status(room)["latestVersion"] == 1
    made = room.api.objects[f"{VERSION_PATH}/libs.1"]
    assert made["spec"]["layerVersionArn"] == arn(room, 1)
    assert made["metadata"]["ownerReferences"][0]["uid"] == uid
    assert [event["reason"] for event in room.api.under("/events")] == ["LayerVersionPublished"]
    before = len(room.api.writes())
    for _ in range(20):
        room.clock.now += 60
        await room.work(uid)
    room.restart()
    await room.work(uid, rounds=3)
    assert len(room.api.writes()) == before
    assert room.codestore.calls.count("put") == 1


async def test_each_change_is_another_version_and_none_changes_an_older_one(room):
    """Content and metadata; the same again is none."""
    uid = room.layer()
    await room.work(uid)
    first = room.api.objects[f"{VERSION_PATH}/libs.1"]["spec"]
    room.edit("libs", LAYER_PATH, description="with words")
    await room.work(uid)
    room.edit("libs", LAYER_PATH, content={"zipFile": OTHER_ZIP})
    await room.work(uid)
    room.edit("libs", LAYER_PATH, content={"zipFile": OTHER_ZIP})  # a generation without a difference
    await room.work(uid)
    assert versions(room) == ["libs.1", "libs.2", "libs.3"]
    assert room.api.objects[f"{VERSION_PATH}/libs.1"]["spec"] == first
    assert status(room)["observedGeneration"] == 4


async def test_a_specification_that_overtook_our_own_write_is_looked_at(room):
    """The answer shows it first, and its event is old news then."""
    uid = room.layer()
    await room.sweeper.sweep()
    room.edit("libs", LAYER_PATH, description="with words")
    room.nudged.clear()
    await room.layers.reconcile(uid)
    assert status(room)["observedGeneration"] == 1
    assert uid in room.nudged


async def test_numbers_are_not_given_twice_when_a_layer_is_made_again(room):
    """Lambda's rule; the counter is the namespace's."""
    uid = room.layer()
    await room.work(uid)
    drop(room, f"{LAYER_PATH}/libs")
    await room.work(uid)
    assert versions(room) == []
    again = room.layer()
    await room.work(again)
    assert (versions(room), number(room)) == (["libs.2"], "2")


async def test_numbers_are_above_what_there_is_when_the_counter_was_lost(room):
    """Somebody deleted the ConfigMap."""
    uid = room.layer()
    await room.work(uid)
    room.api.remove(NUMBERS)
    room.edit("libs", LAYER_PATH, description="new")
    await room.work(uid)
    assert (versions(room), number(room)) == (["libs.1", "libs.2"], "2")


async def test_layers_count_for_themselves(room):
    """One key for each name; what else stands in the ConfigMap stays."""
    room.namespace()
    room.api.add(CONFIG_MAPS.collection("a"), {"metadata": {"name": "lambent-numbers"}, "data": {"function.f": "7"}})
    for name in ("one", "two"):
        await room.work(room.layer(name))
    assert room.api.objects[NUMBERS]["data"] == {"function.f": "7", "layer.one": "1", "layer.two": "1"}


async def test_a_write_that_was_overtaken_is_done_again(room):
    """Two controllers never give the same number: the slower one reads again."""
    uid = room.layer()
    room.api.fail("POST", "/configmaps", status=409, reason="AlreadyExists")
    await room.work(uid)
    room.api.fail("PATCH", "/configmaps/lambent-numbers", status=409, reason="Conflict", times=3)
    room.edit("libs", LAYER_PATH, description="new")
    await room.work(uid)
    assert versions(room) == ["libs.1", "libs.2"]


FAILURES = {
    "the number": ("POST", "/configmaps"),
    "the version": ("POST", "/layerversions"),
    "the status": ("PATCH", "/layers/libs/status"),
}


@pytest.mark.parametrize(("method", "path"), FAILURES.values(), ids=FAILURES)
async def test_after_a_broken_write_there_is_one_version(room, method, path):
    """Whatever was done before is found; a number may be left out, none is used twice."""
    uid = room.layer()
    room.api.fail(method, path)
    with pytest.raises(Unavailable):
        await room.work(uid)
    room.restart()
    await room.work(uid)
    assert len(versions(room)) == 1
    assert status(room)["latestVersion"] == int(versions(room)[0].rpartition(".")[2])


async def test_a_lost_answer_makes_no_second_version(room):
    """The API server made it and the connection broke."""
    uid = room.layer()
    room.api.fail("POST", "/layerversions", after=True)
    with pytest.raises(Unavailable):
        await room.work(uid)
    await room.work(uid)
    assert versions(room) == ["libs.1"]
    assert conditions(room)["Ready"] == ("True", "Available")


async def test_a_refused_version_is_told_and_tried_again_later(room):
    """A quota, say."""
    uid = room.layer()
    room.api.fail("POST", "/layerversions", status=403, reason="Forbidden", message="exceeded quota")
    assert await room.work(uid) == 60.0
    assert conditions(room)["Ready"] == ("False", "PublishingFailed")
    await room.work(uid)
    assert conditions(room)["Ready"] == ("True", "Available")


async def test_a_counter_that_is_none_is_told(room):
    """It is not guessed at: numbers might be given twice."""
    room.namespace()
    room.api.add(CONFIG_MAPS.collection("a"), {"metadata": {"name": "lambent-numbers"}, "data": {"layer.libs": "x"}})
    await room.work(room.layer())
    assert conditions(room)["Ready"] == ("False", "PublishingFailed")
    assert "layer.libs is 'x'" in status(room)["conditions"][0]["message"]
    assert versions(room) == []


async def test_content_that_cannot_be_unpacked_stalls_the_layer(room):
    """In the words that code has."""
    uid = room.layer(content={"zipFile": base64.b64encode(b"no zip").decode()})
    await room.work(uid)
    assert conditions(room) == {
        "Ready": ("False", "InvalidCode"),
        "Stalled": ("True", "InvalidCode"),
        "ContentStored": ("False", "InvalidCode"),
    }
    assert "Could not unzip uploaded file." in status(room)["conditions"][0]["message"]
    assert versions(room) == []


async def test_a_store_that_is_away_is_waited_for(room):
    """The version before stays the newest."""
    uid = room.layer()
    room.codestore.away = True
    with pytest.raises(Unavailable):
        await room.work(uid)
    assert conditions(room)["Ready"] == ("False", "CodeStoreUnavailable")
    room.codestore.away = False
    await room.work(uid)
    assert versions(room) == ["libs.1"]


async def test_of_two_objects_with_one_layer_name_the_older_publishes(room):
    """When it goes, the other one does."""
    first = room.layer("first", layerName="Libs")
    second = room.layer("second", layerName="Libs")
    await room.work(first)
    await room.work(second)
    assert conditions(room, "second")["Stalled"] == ("True", "DuplicateLayerName")
    assert versions(room) == ["first.1"]
    room.nudged.clear()
    drop(room, f"{LAYER_PATH}/first")
    await room.sweeper.sweep()
    assert second in room.nudged
    await room.work(second)
    assert versions(room) == ["second.2"]
    assert conditions(room, "second")["Ready"] == ("True", "Available")


async def test_an_object_of_another_shape_is_told_and_harms_nobody(room):
    """A stored object from before a rule."""
    bad = room.layer("bad", compatibleRuntimes="python3.11")
    await room.work(bad)
    assert conditions(room, "bad")["Stalled"] == ("True", "InvalidSpec")
    await room.work(room.layer())
    assert versions(room) == ["libs.1"]


# --- functions ------------------------------------------------------------------------------------------------------


async def test_a_function_gets_the_version_that_it_names(room):
    """ARN, digest and size in its status; another one is another revision."""
    layer = room.layer()
    await room.work(layer)
    plain, uid = room.function("plain"), room.function(layers=["libs:1"])
    await room.work(plain)
    await room.work(uid)
    made = room.api.objects[f"{VERSION_PATH}/libs.1"]["spec"]
    assert room.status()["layers"] == [
        {"arn": arn(room, 1), **{key: made[key] for key in ("codeSha256", "codeSize", "codeUnzippedSize")}}
    ]
    assert room.status()["revision"] != room.status("plain")["revision"]
    assert room.conditions()["Ready"] == ("True", "Available")
    assert "layers" not in room.status("plain")


async def test_a_function_waits_for_a_version_and_is_told_when_it_is_there(room):
    """Applied in whatever order."""
    uid = room.function(layers=["libs:1"])
    await room.work(uid)
    assert room.conditions()["Ready"] == ("False", "ReferenceNotFound")
    assert "Stalled" not in room.conditions()
    [message] = {each["message"] for each in room.status()["conditions"] if each["type"] == "Ready"}
    assert (
        message == f"Layer version {room.status()['functionArn'].split(':function:')[0]}:layer:libs:1 does not exist."
    )
    room.nudged.clear()
    await room.work(room.layer())
    assert uid in room.nudged
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")


async def test_a_deleted_version_breaks_nobody_who_uses_it(room):
    """Also after a restart, and also when the whole layer is gone; another function cannot get it."""
    layer = room.layer()
    await room.work(layer)
    uid = room.function(layers=["libs:1"])
    await room.work(uid)
    before = room.status()
    drop(room, f"{LAYER_PATH}/libs")
    room.restart()
    await room.work(uid, rounds=2)
    assert room.status() == before
    room.edit(memorySize=256)
    await room.work(uid)
    assert room.status()["layers"] == before["layers"]
    late = room.function("late", layers=["libs:1"])
    await room.work(late)
    assert room.conditions("late")["Ready"] == ("False", "ReferenceNotFound")


async def test_layers_of_a_function_are_kept_in_the_code_store(room):
    """By versions, and by functions where versions are gone."""
    layer = room.layer()
    await room.work(layer)
    uid = room.function(layers=["libs:1"])
    needs = CodeNeeds(
        room.store, room.shelf, lambda one: room.reconciler.has_judged(one) or room.layers.has_judged(one), room.clock
    )
    await room.sweeper.sweep()
    assert not needs.complete()
    await room.work(uid)
    assert needs.complete()
    kept = base64.b64decode(status(room)["codeSha256"]).hex()
    assert kept in needs.referenced()
    drop(room, f"{LAYER_PATH}/libs")
    await room.work(layer)
    room.clock.now += 60
    assert kept in needs.referenced()
    room.api.remove(f"{FUNCTION_PATH}/f")
    await room.work(uid)
    room.clock.now += 60
    assert kept not in needs.referenced()


async def test_what_a_function_may_not_name_stalls_it(room):
    """Two versions of one layer; the previous configuration goes on."""
    layer = room.layer()
    await room.work(layer)
    uid = room.function(layers=["libs:1", "libs:2"])
    await room.work(uid)
    assert room.conditions()["Stalled"] == ("True", "InvalidSpec")


async def test_an_incompatible_layer_is_an_event_and_nothing_else(room):
    """Once."""
    await room.work(room.layer(compatibleRuntimes=["nodejs22.x"]))
    uid = room.function(layers=["libs:1"])
    await room.work(uid, rounds=3)
    assert room.conditions()["Ready"] == ("True", "Available")
    events = [event for event in room.api.under("/events") if event["reason"] == "LayerIncompatible"]
    assert [event["type"] for event in events] == ["Warning"]
    assert "does not name as compatible the runtime python3.11" in events[0]["note"]


async def test_code_and_layers_over_the_limit_stall_the_function(room):
    """What a version says of itself is believed: it was counted when it was published."""
    await room.work(room.layer())

    def grow(body):
        body["spec"]["codeUnzippedSize"] = 262_144_000

    room.api.change(f"{VERSION_PATH}/libs.1", grow)
    uid = room.function(layers=["libs:1"])
    await room.work(uid)
    assert room.conditions()["Stalled"] == ("True", "InvalidCode")
    [message] = {each["message"] for each in room.status()["conditions"] if each["type"] == "Ready"}
    assert message.startswith("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes.")


async def test_long_content_that_was_stored_is_not_held(room):
    """As the code of functions."""
    content = base64.b64encode(archive(Entry(b"data", bytes(4000)))).decode()
    uid = room.layer(content={"zipFile": content})
    await room.work(uid)
    assert len(room.store.layers.layer(uid).spec.content.zip_file) < 100

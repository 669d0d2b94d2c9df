"""One Version, from what is seen to what is written: publishing, duplicates, environments, its end."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.rooms import FUNCTION_PATH, VERSIONS_PATH

from lambent.adapters.kube.resources import CONFIG_MAPS
from lambent.model.errors import Unavailable

NUMBERS = f"{CONFIG_MAPS.collection('a')}/lambent-numbers"


def status(room, name="v"):
    return room.api.objects[f"{VERSIONS_PATH}/{name}"].get("status") or {}


def conditions(room, name="v"):
    return {each["type"]: (each["status"], each["reason"]) for each in status(room, name)["conditions"]}


def message(room, name="v", kind="Ready"):
    return next(each["message"] for each in status(room, name)["conditions"] if each["type"] == kind)


def numbers(room):
    return {
        body["metadata"]["name"]: (body.get("status") or {}).get("version") for body in room.api.under("/versions")
    }


def events(room):
    return [event["reason"] for event in room.api.under("/events")]


def drop(room, path):
    """What the garbage collector does with what an object owns comes with it."""
    uid = room.api.remove(path)["metadata"]["uid"]
    for where, body in list(room.api.objects.items()):
        if any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or []):
            if where in room.api.objects:
                drop(room, where)


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

"""What tests of versions ask a room, and a judge of what the API server stored in it."""

from __future__ import annotations

from tests.controller.rooms import VERSIONS_PATH

from lambent.adapters.kube.resources import CONFIG_MAPS

NUMBERS = f"{CONFIG_MAPS.collection('a')}/lambent-numbers"


def status(room, name="v"):
    return room.api.objects[f"{VERSIONS_PATH}/{name}"].get("status") or {}


def conditions(room, name="v"):
    return {each["type"]: (each["status"], each["reason"]) for each in status(room, name)["conditions"]}


def message(room, name="v", kind="Ready"):
    return next(each["message"] for each in status(room, name)["conditions"] if each["type"] == kind)


def numbers(room):
    return {body["metadata"]["name"]: (body.get("status") or {}).get("version") for body in room.api.under("/versions")}


def events(room):
    return [event["reason"] for event in room.api.under("/events")]


def drop(room, path):
    """What the garbage collector does with what an object owns comes with it."""
    uid = room.api.remove(path)["metadata"]["uid"]
    for where, body in list(room.api.objects.items()):
        if any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or []):
            if where in room.api.objects:
                drop(room, where)


def judge(history):
    """Replay what the API server stored: no number twice, none without a difference."""
    there, highest, meaning = {}, 0, {}
    for _, event, path, body in history:
        if "/versions/" not in path:
            continue
        uid = body["metadata"]["uid"]
        if event == "DELETED":
            there.pop(uid, None)
            continue
        status = body.get("status") or {}
        if "version" not in status:
            continue
        number = int(status["version"])
        mine = (status["functionUid"], status["snapshot"])
        if uid in there:
            assert there[uid] == (number, *mine), "a version changed"
            continue
        rivals = [one for one in there.values() if one[1] == mine[0]]
        newest = max(rivals, key=lambda one: one[0], default=None)
        if number in meaning:
            assert meaning[number] == mine, "one number is two versions"
            assert newest is not None, "an old number was given again"
            assert newest[0] == number, "an old number was given again"
        else:
            assert number > highest, "numbers go up"
            assert newest is None or newest[2]["revision"] != mine[1]["revision"], "nothing had changed"
            highest, meaning[number] = number, mine
        there[uid] = (number, *mine)

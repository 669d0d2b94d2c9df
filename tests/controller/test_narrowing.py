"""Environments that start with more CPU than they are entitled to, until they have finished their init."""

from dataclasses import replace

import pytest
from tests.controller.rooms import POD_PATH

from lambent.controller.process import _workload
from lambent.core.workload import WorkloadSettings

GENEROUS = WorkloadSettings(door_port=9000, start_cpu_millicores=1000)


@pytest.fixture
async def uid(room):
    """A function of 128 MB with one environment that runs and is being claimed."""
    generous(room)
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    await room.work(uid)
    room.kubelet()
    room.demand(uid, waiting=1, starting=1)
    await room.work(uid)
    return uid


def generous(room):
    room.tools = replace(room.tools, workload=GENEROUS)
    room.reconciler._tools = room.tools


def limit(room):
    [pod] = room.pods()
    return pod["spec"]["containers"][0]["resources"]["limits"]["cpu"]


def idle(room, uid):
    room.demand(uid, idle=[(room.pods()[0]["metadata"]["name"], 0)])


def counted(room, action):
    return room.metrics.pods.labels(action)._value.get()


def resizes(room):
    return len(room.api.writes("/resize"))


async def test_a_small_function_starts_with_more_cpu_and_is_narrowed_once(room, uid):
    """After its claim and not before, and then never again."""
    assert (limit(room), resizes(room)) == ("1000m", 0)
    idle(room, uid)
    await room.work(uid)
    assert limit(room) == "72m"
    for _ in range(20):
        room.clock.now += 200
        idle(room, uid)
        await room.work(uid)
        await room.reconciler.reconcile(uid)
    assert resizes(room) == 1
    assert counted(room, "narrowed") == 1


async def test_nothing_is_narrowed_twice_because_an_event_is_late(room, uid):
    """What we wrote is known before the watch tells."""
    for _ in range(5):
        room.clock.now += 100
        idle(room, uid)
        await room.reconciler.reconcile(uid)
        await room.reconciler.settle()
    assert resizes(room) == 1


async def test_an_environment_that_is_never_idle_is_narrowed_too(room, uid):
    """It is in use, so it was claimed."""
    room.clock.now += 1
    room.demand(uid, in_flight=1)
    await room.work(uid)
    assert limit(room) == "72m"


async def test_a_restarted_controller_narrows_what_it_finds(room, uid):
    """The pod itself says what it is entitled to; what was narrowed is left alone."""
    room.restart()
    await room.work(uid)
    assert resizes(room) == 0
    idle(room, uid)
    await room.work(uid)
    assert limit(room) == "72m"
    room.restart()
    idle(room, uid)
    await room.work(uid, rounds=3)
    assert resizes(room) == 1


REFUSALS = {
    "a right is missing": (403, "Forbidden", "pods is forbidden"),
    "no such subresource": (404, "NotFound", "the server could not find the requested resource"),
    "the QoS class would change": (422, "Invalid", "Pod QOS Class may not change as a result of resizing"),
    "the API server is away": (503, "ServiceUnavailable", "away"),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_is_counted_remembered_and_changes_nothing_else(room, uid, row, caplog):
    """The environment keeps running, the function stays ready, and the API server is left alone for a minute."""
    status, reason, message = row
    room.api.fail("PATCH", "/resize", status=status, reason=reason, message=message, times=1000)
    idle(room, uid)
    for _ in range(10):
        await room.work(uid)
    assert resizes(room) == 1
    assert counted(room, "narrowing_refused") == 1
    assert message in caplog.text
    assert limit(room) == "1000m"
    assert room.conditions()["Ready"] == ("True", "Available")
    room.clock.now += 61
    idle(room, uid)
    await room.work(uid, rounds=5)
    assert resizes(room) == 2
    room.api.failures.clear()
    room.clock.now += 121
    idle(room, uid)
    await room.work(uid, rounds=5)
    assert (resizes(room), limit(room)) == (3, "72m")


async def test_a_pod_that_is_gone_is_fine(room, uid):
    """No refusal, and nothing to try again."""
    name = room.pods()[0]["metadata"]["name"]
    idle(room, uid)
    room.api.remove(f"{POD_PATH}/{name}")
    room.api.fail("PATCH", "/resize", status=404, reason="NotFound", message=f'pods "{name}" not found')
    await room.reconciler.reconcile(uid)
    await room.reconciler.settle()
    assert resizes(room) == 1
    assert counted(room, "narrowing_refused") == 0
    assert room.store.pods((uid, "latest")) == ()


async def test_a_node_that_refuses_is_counted_and_told_once(room, uid, caplog):
    """The kubelet says so in the pod's conditions; the environment keeps running."""
    idle(room, uid)
    await room.work(uid)
    name = room.pods()[0]["metadata"]["name"]
    stuck = {"type": "PodResizePending", "status": "True", "reason": "Infeasible", "message": "static CPU manager"}
    room.api.change(f"{POD_PATH}/{name}", lambda body: body["status"].update(conditions=[stuck]))
    await room.work(uid, rounds=5)
    assert counted(room, "narrowing_refused") == 1
    assert caplog.text.count("static CPU manager") == 1
    assert (len(room.pods()), resizes(room)) == (1, 1)


NO_ROOM = {
    "a quota": ("exceeded quota: q, requested: limits.cpu=1, used: limits.cpu=0, limited: limits.cpu=500m", 2),
    "a LimitRange": ("maximum cpu usage per Container is 500m, but limit is 1", 2),
    "a quota of something else": ("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1", 1),
}


@pytest.mark.parametrize("row", NO_ROOM.values(), ids=NO_ROOM.keys())
async def test_generosity_is_never_the_reason_why_there_is_no_environment(room, row):
    """A namespace without room for the start takes the pod with its plain share, at once."""
    message, tries = row
    generous(room)
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    room.api.fail("POST", "/pods", status=403, reason="Forbidden", message=message)
    await room.work(uid)
    assert len(room.api.writes("/pods")) == tries
    assert [pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] for pod in room.pods()] == ["72m"] * (tries - 1)


async def test_a_namespace_without_any_room_is_refused_as_ever(room):
    """The second refusal is the answer."""
    generous(room)
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    room.api.fail("POST", "/pods", status=403, reason="Forbidden", message="exceeded quota: q, limits.cpu", times=9)
    await room.work(uid, rounds=2)
    assert room.conditions()["Ready"] == ("False", "QuotaExceeded")
    assert len(room.api.writes("/pods")) == 2


async def test_a_cluster_that_cannot_resize_gives_no_more_than_it_could_take_back(api, caplog):
    """Found out once, at start, and said."""
    assert await _workload(GENEROUS, api.client) == GENEROUS
    api.subresources = ["pods", "pods/status"]
    assert await _workload(GENEROUS, api.client) == replace(GENEROUS, start_cpu_millicores=0)
    assert "cannot resize" in caplog.text
    asked = len(api.requests)
    plain = WorkloadSettings(door_port=9000)
    assert await _workload(plain, api.client) == plain
    assert len(api.requests) == asked

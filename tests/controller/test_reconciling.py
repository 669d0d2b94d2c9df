"""One Function, from what is seen to what is written; a failure is induced for every write."""

import asyncio
import base64

import pytest
from tests.controller.rooms import FUNCTION_PATH, POD_PATH

from lambent.model.environments import EnvironmentPod
from lambent.model.errors import Refused, Unavailable
from lambent.wire.agent_tokens import agent_token, token_digest


def writes(room):
    return room.api.writes("/namespaces/a/")


async def test_a_function_becomes_ready_and_then_nothing_is_written_any_more(room):
    """Code first, then the status; a quiet system writes nothing, however often it is looked at."""
    uid = room.function()
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")
    assert list(room.codestore.blobs) == [f"/v1/blobs/sha256/{base64.b64decode(room.status()['codeSha256']).hex()}"]
    assert [event["reason"] for event in room.api.under("/events")] == ["Available"]
    before = len(writes(room))
    for _ in range(50):
        room.clock.now += 60
        await room.work(uid)
    assert len(writes(room)) == before
    assert room.codestore.calls.count("put") == 1


async def test_a_specification_that_overtook_our_own_write_is_looked_at(room):
    """The answer shows it first, and its event is old news then."""
    uid = room.function()
    await room.sweeper.sweep()
    room.edit(memorySize=512)
    room.nudged.clear()
    await room.reconciler.reconcile(uid)
    await room.reconciler.settle()
    assert room.status()["observedGeneration"] == 1
    assert uid in room.nudged
    await room.reconciler.reconcile(uid)
    assert room.status()["observedGeneration"] == 2


async def test_a_restarted_controller_writes_nothing(room):
    """State is rebuilt from the API server, and code that is there is not stored again."""
    uid = room.function()
    await room.work(uid)
    before = len(writes(room))
    room.restart()
    await room.work(uid, rounds=3)
    assert len(writes(room)) == before
    assert room.codestore.calls.count("put") == 1


async def test_requests_get_environments_that_gateways_can_open(room):
    """A pod's token is known to whoever has the cluster's key; the pod holds its hash."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=3)
    await room.work(uid)
    assert len(room.pods()) == 3
    body = room.pods()[0]
    pod = EnvironmentPod.from_kubernetes(body)
    token = agent_token(b"agent key", "a", pod.name, pod.nonce)
    assert body["spec"]["containers"][0]["env"][0]["value"] == token_digest(token)
    assert pod.key.pod_revision == room.status()["podRevision"]


async def test_nothing_is_created_twice_because_an_event_is_late(room):
    """What we created is known before the watch tells."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=3)
    for _ in range(10):
        await room.reconciler.reconcile(uid)  # without seeing anything new
    assert len(room.pods()) == 3


async def test_a_status_is_not_written_twice_because_its_event_is_late(room):
    """What we wrote is known before the watch tells."""
    uid = room.function()
    await room.work(uid)
    for _ in range(3):
        room.clock.now += 60
        await room.reconciler.reconcile(uid)
    assert len(room.api.writes("/status")) == 1


async def test_a_lost_answer_creates_nothing_twice(room):
    """The API server created the pod and the connection broke: the same name is asked for again."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    room.api.fail("POST", "/pods", status=504, after=True)
    await room.work(uid)
    await room.reconciler.reconcile(uid)
    assert len(room.pods()) == 1


async def test_idle_environments_are_retired_and_then_deleted(room):
    """The gateway says first; what it calls busy stays."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=2)
    await room.work(uid)
    room.kubelet()
    names = [body["metadata"]["name"] for body in room.pods()]
    room.demand(uid, idle=[(name, 400) for name in names])
    room.gateways.busy = {f"a/{names[0]}"}
    await room.work(uid)
    assert room.gateways.asked == [[f"a/{name}" for name in names]]
    assert [body["metadata"]["name"] for body in room.pods()] == [names[0]]


async def test_nobody_waits_for_a_gateway_that_drains_environments(room):
    """A request gets its environment while others are being given up, and they are asked for once."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    await room.work(uid)
    room.kubelet()
    old = room.pods()[0]["metadata"]["name"]
    room.gateways.slow = asyncio.Event()
    room.demand(uid, idle=[(old, 400)])
    await room.sweeper.sweep()
    for _ in range(3):
        await room.reconciler.reconcile(uid)
    room.demand(uid, waiting=2, in_flight=1)
    await room.reconciler.reconcile(uid)
    assert len(room.pods()) == 3
    room.gateways.slow.set()
    await room.reconciler.settle()
    assert room.gateways.asked == [[f"a/{old}"]]


async def test_what_a_gateway_cannot_be_asked_about_stays(room):
    """No answer is no permission."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    await room.work(uid)
    room.kubelet()
    room.demand(uid, idle=[(room.pods()[0]["metadata"]["name"], 400)])
    room.gateways.away = True
    assert await room.work(uid) == 5.0  # asked again then
    assert len(room.pods()) == 1
    room.gateways.away = False
    await room.work(uid)
    assert room.pods() == []


async def test_a_deleted_function_takes_its_environments_along_at_once(room):
    """Without waiting for the garbage collector."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=2)
    await room.work(uid)
    room.api.remove(f"{FUNCTION_PATH}/f")
    await room.work(uid)
    assert room.pods() == []
    assert all(body["metadata"].get("deletionTimestamp") for body in room.api.under("/pods"))


async def test_a_changed_function_gets_a_new_revision_and_new_environments(room):
    """The old ones go as soon as they are idle."""
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    await room.work(uid)
    room.kubelet()
    old = room.pods()[0]["metadata"]["name"]
    room.demand(uid, idle=[(old, 5)])
    first = room.status()["podRevision"]
    room.edit(memorySize=256)
    await room.work(uid, rounds=2)
    assert room.status()["podRevision"] != first
    assert room.pods() == []
    assert room.codestore.calls.count("put") == 1  # the code is the same


async def test_a_malformed_object_gets_a_status_and_stops_nobody(room):
    """The others are none the worse for it."""
    bad, good = room.function("bad", timeout="soon"), room.function("good")
    await room.work(bad)
    await room.work(good)
    assert room.conditions("bad") == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert room.conditions("good")["Ready"] == ("True", "Available")
    before = len(writes(room))
    await room.work(bad, rounds=3)
    assert len(writes(room)) == before


STALLED = {
    "an image where images are not offered": (
        {"packageType": "Image", "code": {"imageUri": "registry/a:1"}},
        "InvalidImage",
    ),
    "an image package without an image": ({"packageType": "Image"}, "InvalidSpec"),
    "a runtime that is not installed": ({"runtime": "python3.12"}, "RuntimeNotInstalled"),
    "broken code": ({"code": {"zipFile": base64.b64encode(b"no zip").decode()}}, "InvalidCode"),
}


@pytest.mark.parametrize("row", STALLED.values(), ids=STALLED.keys())
async def test_what_can_never_work_is_stalled(room, row):
    """Ready says why, and a correction is taken up."""
    spec, reason = row
    uid = room.function(**spec)
    await room.work(uid)
    assert room.conditions()["Stalled"] == ("True", reason)
    assert room.conditions()["Ready"] == ("False", reason)
    room.edit(runtime="python3.11", packageType="Zip", code={"inline": "x = 1"})
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")
    assert "Stalled" not in room.conditions()


async def test_of_two_objects_with_one_function_name_the_older_wins(room):
    """And the younger takes over when the older goes."""
    older, younger = room.function("first", functionName="Same"), room.function("second", functionName="Same")
    await room.work(older)
    await room.work(younger)
    assert room.conditions("first")["Ready"] == ("True", "Available")
    assert room.conditions("second")["Stalled"] == ("True", "DuplicateFunctionName")
    room.api.remove(f"{FUNCTION_PATH}/first")
    await room.sweeper.sweep()
    assert younger in room.nudged
    await room.work(younger)
    assert room.conditions("second")["Ready"] == ("True", "Available")


# --- failures, one for every write ----------------------------------------------------------------------------------


async def test_a_code_store_that_is_away_is_said_and_tried_again(room):
    """Reconciling, not stalled; the queue comes back."""
    uid = room.function()
    room.codestore.away = True
    with pytest.raises(Unavailable):
        await room.work(uid)
    assert room.conditions()["Ready"] == ("False", "CodeStoreUnavailable")
    assert room.conditions()["Reconciling"] == ("True", "Progressing")
    room.codestore.away = False
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")
    assert "Reconciling" not in room.conditions()


async def test_a_code_store_that_is_away_takes_nothing_from_a_function_that_was_ready(room):
    """A restarted controller believes the status until it can ask."""
    uid = room.function()
    await room.work(uid)
    room.restart()
    room.codestore.away = True
    room.demand(uid, waiting=1)
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")
    assert len(room.pods()) == 1


async def test_code_that_the_store_lost_is_stored_again(room):
    """Asked for from time to time, and soon when environments are made."""
    uid = room.function()
    await room.work(uid)
    room.codestore.blobs.clear()
    room.clock.now += 31
    await room.work(uid)
    assert room.codestore.blobs == {}
    room.demand(uid, waiting=1)
    await room.work(uid)
    assert len(room.codestore.blobs) == 1


REFUSALS = {
    "a quota": ("exceeded quota: q", {}, "QuotaExceeded"),
    "no such role": (
        'error looking up service account a/r: service account "r" not found',
        {"role": "r"},
        "RoleNotFound",
    ),
    "admission": ('violates PodSecurity "restricted"', {}, "PodRefused"),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_pod_is_said_at_once_and_tried_again_later(room, row):
    """In the status and as an Event, and not in a loop."""
    message, spec, reason = row
    uid = room.function(**spec)
    await room.work(uid)
    room.demand(uid, waiting=5)
    room.api.fail("POST", "/pods", status=403, reason="Forbidden", message=message, times=1000)
    for _ in range(10):
        await room.work(uid)
    assert room.conditions()["Ready"] == ("False", reason)
    assert room.conditions()["EnvironmentsHealthy"] == ("False", reason)
    assert len(room.api.writes("/pods")) == 5  # the first batch, and no second try yet
    room.api.failures.clear()
    room.clock.now += 2
    room.demand(uid, waiting=5)
    await room.work(uid)
    assert len(room.pods()) == 1  # one, to see whether it works now
    await room.work(uid)
    assert len(room.pods()) == 5  # and as it does, the others
    room.kubelet()
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")


UNAVAILABLE = {
    "creating a pod": ("POST", "/pods", lambda room, uid: room.demand(uid, waiting=1)),
    "writing a status": ("PATCH", "/status", lambda room, uid: room.edit(timeout=9)),
}


@pytest.mark.parametrize("row", UNAVAILABLE.values(), ids=UNAVAILABLE.keys())
async def test_an_api_server_that_is_away_is_tried_again(room, row):
    """The error reaches the queue, which backs off; the next round does what was missing."""
    method, path, change = row
    uid = room.function()
    await room.work(uid)
    change(room, uid)
    room.api.fail(method, path, status=503, times=9)
    with pytest.raises(Unavailable):
        await room.work(uid)
    room.api.failures.clear()
    await room.work(uid, rounds=2)
    assert room.status()["observedGeneration"] == room.api.objects[f"{FUNCTION_PATH}/f"]["metadata"]["generation"]
    assert len(room.pods()) == (1 if path == "/pods" else 0)


async def test_a_status_of_a_function_that_is_gone_is_let_go(room):
    """404 and 409 (another object of that name) are no errors."""
    for status, reason in ((404, "NotFound"), (409, "Conflict")):
        uid = room.function(f"f{status}")
        room.api.fail("PATCH", "/status", status=status, reason=reason)
        await room.work(uid)
        assert room.api.under("/events") == []


async def test_a_refused_status_is_an_error(room):
    """Missing rights are not hidden."""
    uid = room.function()
    room.api.fail("PATCH", "/status", status=403, reason="Forbidden")
    with pytest.raises(Refused):
        await room.work(uid)


DELETES = {
    "gone already": (404, "NotFound", 0),
    "another of that name": (409, "Conflict", 0),
    "away": (503, "ServiceUnavailable", Unavailable),
    "forbidden": (403, "Forbidden", Refused),
}


@pytest.mark.parametrize("row", DELETES.values(), ids=DELETES.keys())
async def test_deleting_a_pod_meets(row, room):
    """What is gone is forgotten; what could not be deleted is tried again."""
    status, reason, expected = row
    uid = room.function()
    await room.work(uid)
    room.demand(uid, waiting=1)
    await room.work(uid)
    path = f"{POD_PATH}/{room.pods()[0]['metadata']['name']}"
    room.kubelet(
        phase="Failed",
        containerStatuses=[{"name": "environment", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}],
    )
    room.demand(uid)
    await room.work(uid)
    room.clock.now += 6
    room.api.fail("DELETE", "/pods", status=status, reason=reason)
    if expected:
        with pytest.raises(expected):
            await room.work(uid)
        await room.work(uid)
        assert room.pods() == []
    else:
        await room.work(uid)
        assert room.store.pods((uid, "latest")) == ()
        assert path in room.api.objects


async def test_an_event_that_cannot_be_written_changes_nothing_else(room):
    """Telling is best effort."""
    uid = room.function()
    room.api.fail("POST", "/events", status=403, reason="Forbidden")
    await room.work(uid)
    assert room.conditions()["Ready"] == ("True", "Available")


async def test_crashing_environments_are_counted_told_and_backed_off(room):
    """Not made in a loop, and Ready says what happens."""
    uid = room.function()
    await room.work(uid)
    for _ in range(20):
        room.demand(uid, waiting=4)
        await room.work(uid)
        room.kubelet(
            phase="Failed",
            containerStatuses=[{"name": "environment", "state": {"terminated": {"reason": "Error", "exitCode": 1}}}],
        )
        room.clock.now += 1
    assert room.conditions()["Ready"] == ("False", "EnvironmentFailed")
    assert len(room.api.writes("/namespaces/a/pods")) < 30


async def test_a_function_in_a_namespace_not_seen_yet_waits_a_moment(room):
    """Its account is part of its ARN."""
    uid = room.function()
    await room.sweeper.sweep()
    room.store.drop_namespace("a")
    assert await room.reconciler.reconcile(uid) == 1.0
    assert room.status() == {}


async def test_a_refusal_repeated_is_the_same_refusal(room):
    """The name of the pod that was refused is in the API server's words, and in none of ours."""
    uid = room.function()
    await room.work(uid)
    original = room.api._failure

    def refuse(method, path):
        if method == "POST" and path.endswith("/pods"):
            room.api.fail(
                "POST",
                path,
                status=403,
                reason="Forbidden",
                message=f'pods "{refuse.name}" is forbidden: exceeded quota: q',
            )
        return original(method, path)

    original_create = room.api.client.request

    async def request(method, path, **how):
        if method == "POST" and path.endswith("/pods"):
            refuse.name = how["body"]["metadata"]["name"]
        return await original_create(method, path, **how)

    room.api.client.request, room.api._failure = request, refuse
    for _ in range(5):
        room.demand(uid, waiting=1)
        await room.work(uid)
        room.clock.now += 100
    [ready] = [each for each in room.status()["conditions"] if each["type"] == "Ready"]
    assert ready["message"] == "exceeded quota: q"
    warnings = [event for event in room.api.under("/events") if event["type"] == "Warning"]
    assert len(warnings) == 1

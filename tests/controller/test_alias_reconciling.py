"""One Alias, from what is seen to what is written; a failure is induced for every write."""

from __future__ import annotations

import pytest
from tests.controller.alias_rooms import ALIAS_PATH, CANARY, ERRORS, LIVE, NUMBER_PATH, STEPS, AliasRoom
from tests.controller.rooms import FUNCTION_PATH

from lambent.adapters.kube.client import KubeClient
from lambent.model import names
from lambent.model.errors import Unavailable


@pytest.fixture
async def room(api):
    made = AliasRoom(api)
    made.function()
    made.publish("1")
    yield made
    await made.aliases.close()


@pytest.fixture
async def live(room):
    """An alias that points to version 1, with a rollout in three steps for what comes next."""
    uid = room.alias(functionVersion="1", rollout=STEPS)
    await room.work(uid)
    room.publish("2")
    return uid


# --- pointing -------------------------------------------------------------------------------------------------------


async def test_the_first_routing_is_one_write_and_then_nothing_is_written_any_more(room):
    """The routing first, then the owner; a quiet alias writes nothing, however often it is looked at."""
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    status, owner = [where for _, where in room.writes() if "/aliases/" in where]
    assert (status, owner) == (f"{LIVE}/status", LIVE)
    assert room.routing() == "1"
    assert room.said() == {"Ready": "Available"}
    assert room.status_of()["aliasArn"].endswith(":function:f:live")
    before = len(room.writes())
    for _ in range(20):
        await room.later(uid, 60)
    await room.crash()
    await room.work(uid, rounds=3)
    assert len(room.writes()) == before


async def test_the_function_owns_its_aliases(room):
    """For the garbage collector; what another owner there is stays."""
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "uid-c"}
    uid = room.alias(functionVersion="1")
    room.api.change(LIVE, lambda body: body["metadata"].update(ownerReferences=[other]))
    await room.work(uid)
    function = room.api.objects[f"{FUNCTION_PATH}/f"]["metadata"]["uid"]
    owners = room.api.objects[LIVE]["metadata"]["ownerReferences"]
    assert owners == [
        other,
        {"apiVersion": "lambent.dev/v1alpha1", "kind": "Function", "name": "f", "uid": function},
    ]


async def test_the_specification_is_never_written(live, room):
    before = room.api.objects[LIVE]["spec"]
    room.point(functionVersion="2")
    await room.work(live)
    for _ in range(4):
        await room.later(live, 60)
    assert room.routing() == "2"
    assert room.api.objects[LIVE]["spec"] == {**before, "functionVersion": "2"}


async def test_without_a_rollout_it_moves_at_once(room):
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.publish("2")
    room.point(functionVersion="2")
    before = len(room.writes())
    await room.work(uid)
    assert room.routing() == "2"
    assert [where for _, where in room.writes()[before:]] == [f"{LIVE}/status"]


WAITS = {
    "a number": {"functionVersion": "2"},
    "a Version object": {"versionRef": {"name": "second"}},
    "an additional version": {"functionVersion": "1", "routingConfig": {"additionalVersionWeights": {"2": 1}}},
}


@pytest.mark.parametrize("spec", WAITS.values(), ids=WAITS)
async def test_a_version_that_does_not_exist_yet_is_picked_up_when_it_appears(room, spec):
    """The alias is nudged by it; nobody has to look."""
    uid = room.alias(**spec)
    await room.work(uid)
    assert room.said() == {"Ready": "VersionNotFound", "Reconciling": "VersionNotFound"}
    assert room.routing() is None
    room.publish("2", "second")
    room.nudged.clear()
    await room.sweeper.sweep()
    assert uid in room.nudged
    await room.work(uid)
    assert room.said() == {"Ready": "Available"}
    assert "2" in room.routing()


async def test_an_alias_waits_for_its_function(api):
    """In whatever order they are applied."""
    room = AliasRoom(api)
    room.namespace()
    uid = room.alias(functionVersion="$LATEST")
    await room.work(uid)
    assert room.said()["Ready"] == "FunctionNotFound"
    room.function()
    await room.sweeper.sweep()
    assert uid in room.nudged
    await room.work(uid)
    assert room.routing() == "$LATEST"


async def test_the_newest_published_version_is_followed(room):
    uid = room.alias(latestPublished=True)
    await room.work(uid)
    assert room.routing() == "1"
    for number in ("2", "10", "9"):
        room.publish(number)
    await room.work(uid)
    assert room.routing() == "10"


async def test_another_functions_versions_are_none_of_its(room):
    """A function that was deleted and made again has numbers of its own, whoever claims what in metadata."""
    uid = room.alias(functionVersion="7")
    room.publish("7")
    room.api.change(f"{NUMBER_PATH}/f.7", lambda body: body["status"].update(functionUid="another"))
    await room.work(uid)
    assert room.said()["Ready"] == "VersionNotFound"


async def test_a_version_that_is_being_deleted_is_no_target(room):
    """Somebody's finalizer may keep it for long."""
    room.publish("2", deletionTimestamp="2026-01-01T00:00:00Z")
    uid = room.alias(functionVersion="2")
    await room.work(uid)
    assert room.said()["Ready"] == "VersionNotFound"


async def test_a_function_that_was_made_anew_owns_the_alias(room):
    uid = room.alias(functionVersion="$LATEST")
    await room.work(uid)
    room.api.remove(f"{FUNCTION_PATH}/f")
    again = room.function()
    await room.work(uid)
    assert again in [owner["uid"] for owner in room.api.objects[LIVE]["metadata"]["ownerReferences"]]


async def test_of_two_objects_that_are_one_alias_the_older_counts(room):
    """When it goes, the other one does."""
    first = room.alias("one", name="prod", functionVersion="1")
    second = room.alias("two", name="prod", functionVersion="$LATEST")
    await room.work(first)
    await room.work(second)
    assert (room.routing("one"), room.routing("two")) == ("1", None)
    assert room.said("two") == {"Ready": "DuplicateAliasName", "Stalled": "DuplicateAliasName"}
    room.api.remove(f"{ALIAS_PATH}/one")
    room.nudged.clear()
    await room.sweeper.sweep()
    assert second in room.nudged
    await room.work(second)
    assert room.routing("two") == "$LATEST"


async def test_versions_with_other_roles_do_not_share_an_alias(room):
    room.publish("2", role="other")
    uid = room.alias(functionVersion="1", routingConfig={"additionalVersionWeights": {"2": 0.5}})
    await room.work(uid)
    assert room.said() == {"Ready": "RoleMismatch", "Stalled": "RoleMismatch"}


async def test_an_object_of_another_shape_is_told_and_harms_nobody(room):
    """A stored object from before a rule; its routing stays, for whoever uses it."""
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.point(functionVersion=["2"])
    await room.work(uid, rounds=2)
    assert room.said() == {"Ready": "InvalidSpec", "Stalled": "InvalidSpec"}
    assert room.routing() == "1"
    before = len(room.writes())
    await room.work(uid, rounds=2)
    assert len(room.writes()) == before


async def test_an_alias_that_is_deleted_is_left_alone(room):
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.api.change(LIVE, lambda body: body["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"))
    room.point(functionVersion="$LATEST")
    before = len(room.writes())
    assert await room.work(uid) is None
    room.api.remove(LIVE)
    assert await room.work(uid) is None
    assert len(room.writes()) == before


async def test_what_others_wrote_meanwhile_is_seen_in_the_answer_to_our_write(room):
    """The event about it is old news by then, and nobody would look again."""
    uid = room.alias(functionVersion="1")
    await room.sweeper.sweep()
    room.point(functionVersion="$LATEST")  # not observed yet
    room.nudged.clear()
    await room.aliases.reconcile(uid)
    assert room.routing() == "1"
    assert uid in room.nudged
    await room.aliases.reconcile(uid)
    assert room.routing() == "$LATEST"


async def test_versions_hear_of_the_aliases_that_refer_to_them(room):
    """Also of those that a rollout is on its way from and to."""
    uid = room.alias(functionVersion="1", rollout=CANARY)
    await room.sweeper.sweep()
    first = room.api.objects[f"{NUMBER_PATH}/f.1"]["metadata"]["uid"]
    room.nudged.clear()
    room.publish("2")
    await room.work(uid)
    room.point(functionVersion="2")
    await room.work(uid)
    assert room.store.aliases.references("a", "f") == {"1": ("live",), "2": ("live",)}
    room.nudged.clear()
    await room.later(uid, 60)
    assert first in room.nudged
    assert room.store.aliases.references("a", "f") == {"2": ("live",)}


# --- an API server that refuses -------------------------------------------------------------------------------------

FAILURES = {
    "an error": {"status": 500},
    "a lost answer": {"status": 500, "after": True},
    "a conflict": {"status": 409, "reason": "Conflict"},
    "no such object": {"status": 404, "reason": "NotFound"},
}
WRITES = {"the status": ("PATCH", "/aliases/f.live/status"), "the owner": ("PATCH", "/aliases/f.live$")}


async def until_done(room, uid):
    """As the queue does: what failed is tried again."""
    for _ in range(5):
        try:
            if await room.work(uid) is None:
                return
        except Unavailable:
            pass
        room.clock.now += 1
    raise AssertionError("it does not come to rest")


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize(("method", "path"), WRITES.values(), ids=WRITES)
async def test_a_refused_write_loses_nothing(room, method, path, failure):
    """The alias is never ahead of its status: what is not written did not happen."""
    uid = room.alias(functionVersion="1")
    room.api.fail(method, path, **failure)
    await until_done(room, uid)
    assert room.routing() == "1"
    assert room.api.objects[LIVE]["metadata"]["ownerReferences"]


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_refused_write_at_every_step_ends_the_same(live, room, failure):
    room.point(functionVersion="2")
    shown = []
    for _ in range(20):
        room.api.fail("PATCH", "/aliases/f.live/status", **failure)
        for _ in range(2):
            try:
                await room.work(live)
            except Unavailable:
                pass
        room.api.failures.clear()
        if room.routing() not in shown:
            shown.append(room.routing())
        room.clock.now += 20
    assert shown == ["1+2:0.1", "1+2:0.5", "2"]
    assert room.phase() == "Succeeded"
    assert [one["phase"] for one in room.status_of()["history"]] == ["Succeeded"]


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_rollback_that_cannot_be_written_is_tried_again(live, room, failure):
    room.point(functionVersion="2", rollout={**STEPS, "alarms": [ERRORS]})
    await room.work(live)
    room.serve("2", 0)
    room.clock.now += 1
    room.serve("2", 20, errors=20)
    room.api.fail("PATCH", "/aliases/f.live/status", **failure)
    try:
        again = await room.work(live)
        assert again is None or again <= 1
    except Unavailable:
        pass
    await room.later(live, 1)
    assert (room.routing(), room.phase()) == ("1", "RolledBack")


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_request_that_cannot_be_taken_away_is_taken_away_later(room, failure):
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    room.annotate("abort")
    room.api.fail("PATCH", "/aliases/f.live$", **failure)
    await until_done(room, uid)
    assert room.annotation() is None


async def test_an_alias_that_was_made_anew_is_not_given_its_predecessors_status(room):
    uid = room.alias(functionVersion="1")
    await room.sweeper.sweep()
    room.api.remove(LIVE)
    again = room.alias(functionVersion="$LATEST")
    await room.aliases.reconcile(uid)
    assert room.status_of() == {}
    await room.work(again)
    assert room.routing() == "$LATEST"


async def test_events_that_cannot_be_written_stop_nothing(live, room):
    room.api.fail("POST", "/events", status=403, reason="Forbidden", times=10)
    room.point(functionVersion="2")
    await room.work(live)
    assert room.routing() == "1+2:0.1"


async def test_what_hooks_reported_is_not_ours_to_write(room):
    """It is under the gateway's field manager, and survives every status that we apply."""
    uid = room.alias(functionVersion="1")
    await room.work(uid)
    result = {"executionIdSha256": "0" * 64, "status": "Succeeded", "reportedAt": "2026-01-01T00:00:00Z"}
    body = {"metadata": {"name": "f.live"}, "status": {"hookResults": [result]}}
    client: KubeClient = room.api.client
    await client.apply(LIVE, body, names.FIELD_MANAGER_GATEWAY, force=True, subresource="status")
    room.point(functionVersion="$LATEST")
    await room.work(uid)
    assert room.routing() == "$LATEST"
    assert room.status_of()["hookResults"] == [result]
    assert "hook_results" not in room.api.applied[uid][names.FIELD_MANAGER_CONTROLLER]
    assert "hookResults" not in room.api.applied[uid][names.FIELD_MANAGER_CONTROLLER]

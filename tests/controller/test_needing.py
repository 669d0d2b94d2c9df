"""Who needs which code."""

import base64

import pytest
from tests.controller.rooms import FUNCTION_PATH

from lambent.controller.needing import REMEMBERED_SECONDS, CodeNeeds


@pytest.fixture
def needs(room):
    return CodeNeeds(room.store, room.shelf, room.reconciler.has_judged, room.clock)


def later(room):
    room.clock.now += REMEMBERED_SECONDS


def digest(room, name="f"):
    return base64.b64decode(room.status(name)["codeSha256"]).hex()


async def test_nothing_is_known_for_sure_before_every_function_was_judged(room, needs):
    """One that nobody looked at yet may need anything; one that is malformed needs what its status says."""
    first, second = room.function("first"), room.function("second", code={"inline": "x = 2"})
    room.function("bad", timeout="soon")
    await room.work(first)
    assert not needs.complete()
    await room.work(second)
    assert needs.complete()
    assert needs.referenced() == {digest(room, "first"), digest(room, "second")}


async def test_after_an_edit_old_and_new_are_needed_until_the_status_says_so(room, needs):
    """A gateway still routes to the old one."""
    uid = room.function()
    await room.work(uid)
    old = digest(room)
    room.edit(code={"inline": "x = 3"})
    room.api.fail("PATCH", "/status", status=409)
    await room.work(uid)
    later(room)
    assert old in needs.referenced()
    assert len(needs.referenced()) == 2
    await room.work(uid)
    later(room)
    assert needs.referenced() == {digest(room)}
    assert digest(room) != old


async def test_a_function_that_is_gone_needs_nothing(room, needs):
    """Its code goes after the grace period, unless another has the same."""
    uid, same = room.function(), room.function("same")
    await room.work(uid)
    await room.work(same)
    room.api.remove(f"{FUNCTION_PATH}/f")
    await room.work(uid)
    later(room)
    assert needs.referenced() == {digest(room, "same")}
    room.api.remove(f"{FUNCTION_PATH}/same")
    await room.work(same)
    later(room)
    assert needs.referenced() == frozenset()
    assert needs.complete()

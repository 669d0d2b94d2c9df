"""A release leaves in order, in bounded time, and leaves nothing behind that is its own."""

from __future__ import annotations

import pytest
from tests.departing.conftest import ENVIRONMENT

from lambent.model.errors import Refused, Unavailable

ELSEWHERE = {"app.kubernetes.io/name": "something-else"}


@pytest.fixture
def furnished(scene):
    """Processes, three environments in two namespaces, and what is none of ours."""
    scene.api.process("gateway")
    scene.api.process("controller")
    scene.api.process("codestore")
    for namespace, name in (("one", "a"), ("one", "b"), ("two", "c")):
        scene.api.pod(namespace, name)
    scene.api.pod("one", "stranger", ELSEWHERE)
    scene.api.policy("one", "ours")
    scene.api.policy("one", "theirs", ELSEWHERE)
    return scene


async def test_who_lets_requests_in_goes_first_and_environments_last(furnished):
    """Nothing is made anew behind the back of what was removed."""
    assert await furnished.leave() == []
    order = furnished.api.order
    steps = ["scale faas-gateway", "gone faas-gateway-x", "scale faas-controller", "gone faas-controller-x"]
    assert order[:4] == steps
    assert sorted(order[4:7]) == ["delete a", "delete b", "delete c"]
    assert not [step for step in order if step.startswith("force")]
    assert "No pod of this release and no execution environment is left." in furnished.said


async def test_only_what_is_lambents_own_goes(furnished):
    """Other pods and policies stay, and the code store, which helm itself removes."""
    await furnished.leave()
    assert furnished.api.names() == ["faas-codestore-x", "stranger", "theirs"]


async def test_a_release_leaves_only_the_namespaces_that_it_watches(furnished):
    """Another release's environments are in namespaces of its own."""
    assert await furnished.leave("two") == []
    assert furnished.api.names() == ["a", "b", "faas-codestore-x", "ours", "stranger", "theirs"]


async def test_another_release_in_the_same_namespace_keeps_its_processes(furnished):
    """Deployments are found by the release's name."""
    furnished.api.process("gateway", release="other")
    furnished.api.process("controller", release="other")
    assert await furnished.leave("two") == []
    assert {"other-gateway-x", "other-controller-x"} <= set(furnished.api.names())


async def test_another_releases_network_policies_stay(furnished):
    """A policy says whose gateway may come in; where two releases meet by mistake, each removes its own."""
    another = {**ENVIRONMENT, "app.kubernetes.io/instance": "other"}
    furnished.api.policy("one", "others", another)
    await furnished.leave()
    assert "others" in furnished.api.names()


async def test_a_pod_that_does_not_end_in_its_time_is_forced_and_told(furnished):
    """Its node may be gone; the others were given their time."""
    furnished.api.stubborn.add("b")
    assert await furnished.leave() == []
    assert [step for step in furnished.api.order if step.startswith("force")] == ["force b"]
    assert "Forcing 1 execution environments that have not ended: one/b." in furnished.said
    assert "b" not in furnished.api.names()


async def test_a_pod_that_nothing_removes_is_reported_and_holds_nobody_up(furnished):
    """A finalizer of somebody else's, for example: the rest is gone, and the departure ends."""
    furnished.api.immortal.add("b")
    assert await furnished.leave() == ["one/b"]
    assert "NOT GONE after 100 s: one/b." in furnished.said
    assert furnished.api.names() == ["b", "faas-codestore-x", "stranger", "theirs"]


async def test_a_gateway_that_is_still_busy_does_not_keep_environments_for_ever(furnished):
    """It had its share of the time; what runs in environments may still end while it lives."""
    furnished.api.stubborn.add("faas-gateway-x")
    assert await furnished.leave() == ["faas-system/faas-gateway-x"]
    assert any("The gateway has not ended yet" in line for line in furnished.said)
    assert not set("abc") & set(furnished.api.names())


async def test_leaving_twice_is_leaving_once(furnished):
    """The hook may be tried again, and everything may be gone already."""
    await furnished.leave()
    furnished.api.fail("PATCH", "/scale", status=404, reason="NotFound", times=2)
    assert await furnished.leave() == []
    assert not [line for line in furnished.said if "cannot be stopped" in line]


async def test_a_namespace_that_may_not_be_looked_into_is_told_and_passed_over(furnished):
    """A watched namespace that was deleted took the Role with it."""
    path = "/api/v1/namespaces/one/pods"
    furnished.api.fail("GET", path, status=403, reason="Forbidden", message="pods is forbidden", times=1000)
    assert await furnished.leave("one", "two") == []
    assert [line for line in furnished.said if line.startswith("NOT LOOKED AT")] == [
        "NOT LOOKED AT: pods of one: pods is forbidden"
    ]
    assert "c" not in furnished.api.names()
    assert "No pod of this release and no execution environment is left." not in furnished.said


async def test_without_rights_in_its_own_namespace_it_does_not_pretend_to_have_left(furnished):
    """The Job fails, and with it the uninstallation: whoever manages roles by hand forgot this one."""
    furnished.api.fail("PATCH", "/scale", status=403, reason="Forbidden", message="not you", times=1000)
    with pytest.raises(Refused, match="not you"):
        await furnished.leave()
    assert furnished.api.order == []


async def test_a_refused_deletion_is_told(furnished):
    """What RBAC or a webhook says is what a person needs."""
    furnished.api.fail("DELETE", "/pods/a", status=403, reason="Forbidden", message="not you", times=1000)
    assert await furnished.leave() == ["one/a"]
    assert "Of execution environments: one/a was not deleted: not you" in furnished.said


async def test_an_api_server_that_stumbles_is_asked_again(furnished):
    """A moment without an answer is no reason to leave pods behind."""
    for method, path in (("PATCH", "/scale"), ("GET", "/pods"), ("DELETE", "/pods/a")):
        furnished.api.fail(method, path, status=500, times=2)
    assert await furnished.leave() == []


async def test_an_api_server_that_stays_away_ends_the_departure_in_time(furnished):
    """The Job fails and is tried again, within its own deadline."""
    furnished.api.fail("GET", "/pods", status=500, times=10**6)
    with pytest.raises(Unavailable):
        await furnished.leave(seconds=30.0)


async def test_what_a_failed_helm_test_left_goes_too(furnished):
    """Its pod is kept to be read, until then."""
    furnished.api.pod("faas-system", "faas-selftest", ELSEWHERE)
    await furnished.leave()
    assert "delete faas-selftest" in furnished.api.order

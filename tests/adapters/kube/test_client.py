"""Requests to the API server."""

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from lambent.adapters.kube import client as client_module
from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.resources import FUNCTIONS, NAMESPACES, PODS
from lambent.model.errors import Refused, Unavailable

PODS_OF_A = PODS.collection("a")

PATHS = {
    "all of a core resource": (PODS.collection(), "/api/v1/pods"),
    "those of a namespace": (PODS.collection("a"), "/api/v1/namespaces/a/pods"),
    "one of a group": (FUNCTIONS.item("a", "f"), "/apis/lambent.dev/v1alpha1/namespaces/a/functions/f"),
    "one without a namespace": (NAMESPACES.item(None, "a"), "/api/v1/namespaces/a"),
    "a name never leaves its segment": (PODS.item("a", "../b"), "/api/v1/namespaces/a/pods/..%2Fb"),
}


@pytest.mark.parametrize("row", PATHS.values(), ids=PATHS.keys())
def test_resources_know_their_paths(row):
    """Paths follow group, namespace and name."""
    assert row[0] == row[1]


def test_a_namespaced_object_needs_a_namespace():
    """Without one the path would mean another resource."""
    with pytest.raises(ValueError, match="namespaces"):
        PODS.item(None, "p")


async def test_what_is_created_can_be_read_and_deleted(api):
    """JSON in, JSON out."""
    made = await api.client.request("POST", PODS_OF_A, body={"metadata": {"name": "p"}}, query={"fieldManager": "m"})
    assert (await api.client.request("GET", PODS.item("a", "p")))["metadata"]["uid"] == made["metadata"]["uid"]
    api.graceful = False
    await api.client.request("DELETE", PODS.item("a", "p"))
    assert api.under("/pods") == []


async def test_only_the_very_object_is_deleted(api):
    """Nothing happens to one that was made anew under the name, nor where there is none; a refusal is raised."""
    api.graceful = False
    path = PODS.item("a", "p")
    assert not await api.client.delete(path, "u")
    await api.client.request("POST", PODS_OF_A, body={"metadata": {"name": "p"}})
    uid = (await api.client.request("GET", path))["metadata"]["uid"]
    assert not await api.client.delete(path, "another")
    api.fail("DELETE", path, status=403, reason="Forbidden")
    with pytest.raises(Refused):
        await api.client.delete(path, uid)
    assert await api.client.delete(path, uid, propagationPolicy="Background")
    assert api.under("/pods") == []


async def test_the_api_server_says_which_subresources_it_serves(api):
    """By its list of resources; an answer that is a refusal counts as no."""
    assert await api.client.offers(PODS, "resize")
    api.subresources = ["pods", "pods/status"]
    assert not await api.client.offers(PODS, "resize")
    api.fail("GET", "/api/v1", status=403, reason="Forbidden")
    assert not await api.client.offers(PODS, "resize")


FAILURES = {
    "missing": (404, "NotFound", Refused),
    "there already": (409, "AlreadyExists", Refused),
    "somebody else wrote": (409, "Conflict", Refused),
    "forbidden": (403, "Forbidden", Refused),
    "unprocessable": (422, "Invalid", Refused),
    "expired": (410, "Expired", Refused),
    "broken": (500, "InternalError", Unavailable),
    "away": (503, "ServiceUnavailable", Unavailable),
    "slow": (504, "Timeout", Unavailable),
}


@pytest.mark.parametrize("row", FAILURES.values(), ids=FAILURES.keys())
async def test_failures_say_what_can_be_done(api, row):
    """4xx is a refusal with status and reason, 5xx is worth another try."""
    status, reason, kind = row
    api.fail("GET", "/pods", status=status, reason=reason, message="why")
    with pytest.raises(kind, match="why") as caught:
        await api.client.request("GET", PODS_OF_A)
    if kind is Refused:
        assert (caught.value.status, caught.value.reason) == (status, reason)


async def test_a_busy_server_is_asked_again_even_for_a_write(api):
    """A 429 was not executed; Retry-After says when."""
    api.fail("POST", "/pods", status=429, reason="TooManyRequests", times=2, headers={"Retry-After": "0"})
    await api.client.request("POST", PODS_OF_A, body={"metadata": {"name": "p"}})
    assert len(api.writes("/pods")) == 3
    assert len(api.under("/pods")) == 1


async def test_a_server_that_stays_busy_is_unavailable_for_as_long_as_it_says(api, monkeypatch):
    """Retry-After reaches whoever waits."""
    monkeypatch.setattr(client_module, "RETRIES_ON_429", 0)
    api.fail("GET", "/pods", status=429, reason="TooManyRequests", headers={"Retry-After": "7"})
    with pytest.raises(Unavailable) as caught:
        await api.client.request("GET", PODS_OF_A)
    assert caught.value.retry_after == 7


async def test_no_server_is_unavailable():
    """A refused connection is worth another try."""
    async with KubeClient(ApiClient(Configuration(host="http://127.0.0.1:9"))) as client:
        with pytest.raises(Unavailable):
            await client.request("GET", PODS_OF_A, timeout=1)


async def test_apply_names_its_manager_and_subresource(api):
    """Server-side apply of a status."""
    api.add(FUNCTIONS.collection("a"), {"metadata": {"name": "f"}})
    answer = await api.client.apply(
        FUNCTIONS.item("a", "f"), {"status": {"x": 1}}, "me", force=True, subresource="status"
    )
    assert answer["status"] == {"x": 1}
    assert api.requests[-1] == ("PATCH", f"{FUNCTIONS.item('a', 'f')}/status")

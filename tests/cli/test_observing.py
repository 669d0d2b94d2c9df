"""One object as it changes: what passes is waited out, what does not is an end."""

from __future__ import annotations

import threading
import time

import pytest

from lambent.cli import kubeconfigs, observing
from lambent.cli.clusters import Cluster, aliases_path
from lambent.model.errors import Refused


@pytest.fixture
def states(cluster, kubeconfig, monkeypatch):
    monkeypatch.setattr(observing, "_AGAIN_SECONDS", 0.01)
    client = Cluster(kubeconfigs.load(None, None))
    return lambda seconds=60: observing.states(client, aliases_path("default"), "hello.live", seconds)


@pytest.fixture
def alias(cluster):
    return cluster.alias(cluster.function("hello"), "live")


def versions(found):
    return found and found["metadata"]["resourceVersion"]


def heal_after(cluster, requests):
    """Nothing is refused any more once so many came."""

    def heal():
        deadline = time.monotonic() + 60
        while len(cluster.requests) < requests and time.monotonic() < deadline:
            time.sleep(0.01)
        cluster.refusals.clear()

    threading.Thread(target=heal).start()


def test_the_object_is_handed_out_now_and_after_each_change_until_it_is_gone(cluster, alias, states):
    """Nobody else's changes."""
    seen = states()
    assert versions(next(seen)) == versions(alias)
    cluster.alias(cluster.function("other"), "live")
    changed = cluster.alter(alias, status={"targetVersion": "2"})
    assert versions(next(seen)) == versions(changed)
    cluster.remove("/apis/lambent.dev/v1alpha1/namespaces/default/aliases/hello.live")
    assert list(seen) == [None]


def test_an_object_that_does_not_exist_is_the_end(states):
    """At once."""
    assert list(states()) == [None]


def test_a_server_that_is_in_trouble_is_asked_again_and_said_to_be_once(cluster, alias, states, capfd):
    """Whatever the number of attempts."""
    cluster.refuse("GET", "aliases$", 503, "ServiceUnavailable", "etcd is away")

    heal_after(cluster, 3)
    assert versions(next(states())) == versions(alias)
    assert capfd.readouterr().err == "lambent: etcd is away; trying again\n"


def test_a_watch_that_is_too_far_behind_begins_with_what_is_there(cluster, alias, states):
    """410 Gone is no failure."""
    seen = states()
    next(seen)
    cluster.refuse("GET", "aliases$", 410, "Expired", "too old resource version")

    heal_after(cluster, 3)
    assert versions(next(seen)) == versions(alias)


def test_who_may_not_look_any_more_is_told(cluster, alias, states):
    """In the server's words."""
    seen = states()
    next(seen)
    cluster.refuse("GET", "aliases$", 403, message="forbidden now")
    with pytest.raises(Refused, match="forbidden now"):
        next(seen)


def test_it_ends_when_the_time_is_over(alias, states):
    """Also where nothing happens at all."""
    seen = states(0.05)
    next(seen)
    with pytest.raises(observing.TimeOver):
        next(seen)

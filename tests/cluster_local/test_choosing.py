"""Which cluster is used."""

from __future__ import annotations

import pytest
from local.choosing import Choice, choose

OWN = "/s/node/kubeconfig"

NAMED = {
    "a kubeconfig that was given for Lambent wins over all": (
        {"LAMBENT_KUBECONFIG": "/a", "KUBECONFIG": "/b"},
        True,
        True,
        Choice("given", "/a"),
    ),
    "an explicit KUBECONFIG is a given cluster": ({"KUBECONFIG": "/b"}, True, True, Choice("given", "/b")),
    "our own node's kubeconfig is our own node": ({"KUBECONFIG": OWN}, True, True, Choice("node")),
    "an empty name is no name": ({"KUBECONFIG": ""}, False, False, Choice("node")),
    "Docker and kind make a kind cluster": ({}, True, True, Choice("kind")),
    "a Docker client without a daemon makes a node": ({}, False, True, Choice("node")),
    "Docker without kind makes a node": ({}, True, False, Choice("node")),
    "a bare machine makes a node": ({"HOME": "/home/of/somebody"}, False, False, Choice("node")),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_cluster_is(name: str) -> None:
    """Each row's name says what is true."""
    environment, docker, kind, expected = NAMED[name]
    assert expected == choose(environment, OWN, lambda: docker, lambda: kind)


def test_a_given_cluster_asks_nobody_about_docker() -> None:
    """`docker info` takes a second when its daemon is away."""

    def never() -> bool:
        raise AssertionError("asked")

    assert choose({"LAMBENT_KUBECONFIG": "/a"}, OWN, never, never).kind == "given"

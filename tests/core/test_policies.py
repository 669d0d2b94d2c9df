"""Which NetworkPolicies there should be."""

import pytest

from lambent.core.policies import Existing, Release, decide, environments_policy, is_ours
from lambent.core.workload import WorkloadSettings

RELEASE = Release("prod", "lambent-system", 9000)
SPEC = environments_policy("a", RELEASE)["spec"]


def existing(spec=SPEC, *, deleting=False):
    return Existing("uid", RELEASE.labels, spec, deleting)


def test_environments_accept_the_releases_gateway_on_the_agents_door_and_nobody_else():
    """One rule: one namespace and one selector together, one port. Nothing is said of what functions may call."""
    policy = environments_policy("a", RELEASE)
    assert policy["metadata"]["name"] == "prod-environments"
    assert policy["metadata"]["namespace"] == "a"
    assert policy["spec"]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/managed-by": "lambent",
        "app.kubernetes.io/component": "environment",
    }
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert policy["spec"]["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lambent-system"}},
                    "podSelector": {
                        "matchLabels": {
                            "app.kubernetes.io/name": "lambent",
                            "app.kubernetes.io/instance": "prod",
                            "app.kubernetes.io/component": "gateway",
                        }
                    },
                }
            ],
            "ports": [{"protocol": "TCP", "port": 9000}],
        }
    ]
    assert WorkloadSettings(door_port=9000).door_port == RELEASE.door_port


def test_the_gateways_labels_may_be_given():
    """An installation without the chart."""
    policy = environments_policy("a", Release("prod", "s", 9000, {"app": "door"}))
    assert policy["spec"]["ingress"][0]["from"][0]["podSelector"] == {"matchLabels": {"app": "door"}}


OTHER = {**SPEC, "ingress": []}
DECISIONS = {
    "nothing anywhere": ((), {}, (), {}),
    "a first function": (("a",), {}, ("a",), {}),
    "a quiet namespace is not written to": (("a",), {"a": existing()}, (), {}),
    "a policy that somebody changed": (("a",), {"a": existing(OTHER)}, ("a",), {}),
    "the last function went": ((), {"a": existing()}, (), {"a": "uid"}),
    "it went before, the policy is going": ((), {"a": existing(deleting=True)}, (), {}),
    "a policy that is going is not written to": (("a",), {"a": existing(OTHER, deleting=True)}, (), {}),
    "several": (("b", "a"), {"c": existing()}, ("a", "b"), {"c": "uid"}),
}


@pytest.mark.parametrize("row", DECISIONS.values(), ids=DECISIONS.keys())
def test_what_is_to_be_done(row):
    """Written only when missing or different, deleted with the last function."""
    inhabited, present, write, delete = row
    changes = decide(inhabited, present, RELEASE)
    assert (changes.write, dict(changes.delete)) == (write, delete)


FOREIGN = {
    "ours": (RELEASE.labels, True),
    "ours with more": ({**RELEASE.labels, "team": "x"}, True),
    "without labels": ({}, False),
    "another release's": (Release("test", "s", 1).labels, False),
    "a person's": ({**RELEASE.labels, "app.kubernetes.io/managed-by": "Helm"}, False),
}


@pytest.mark.parametrize("row", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_ours_is_known_by_its_labels(row):
    """It is not adopted."""
    labels, ours = row
    assert is_ours(labels, RELEASE) is ours

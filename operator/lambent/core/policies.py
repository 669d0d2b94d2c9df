"""Which NetworkPolicies should there be? One for each namespace that has a Function: environments accept the gateway.

It is the second line of defence behind the agent's token; some networks do not enforce it. Egress stays the
namespace's own matter: Lambda's functions may call whom they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.model import names


@dataclass(frozen=True, slots=True)
class Release:
    """The installation, as environments' policies know it."""

    name: str
    namespace: str
    door_port: int
    gateway_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the gateway's pods; empty: those of the chart."""

    @property
    def policy_name(self) -> str:
        """The same in every namespace."""
        return f"{self.name}-environments"

    @property
    def labels(self) -> dict[str, str]:
        """By which a policy is known to be this release's."""
        return {
            names.LABEL_NAME: names.MANAGED_BY,
            names.LABEL_INSTANCE: self.name,
            names.LABEL_COMPONENT: names.COMPONENT_ENVIRONMENT,
            names.LABEL_MANAGED_BY: names.MANAGED_BY,
        }

    @property
    def gateway(self) -> dict[str, str]:
        """Selects the gateway's pods."""
        chart = {names.LABEL_NAME: "lambent", names.LABEL_INSTANCE: self.name, names.LABEL_COMPONENT: "gateway"}
        return dict(self.gateway_labels) or chart


@dataclass(frozen=True, slots=True)
class Existing:
    """A policy of our name, as observed."""

    uid: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done: namespaces to write the policy in, and policies to delete (namespace → uid)."""

    write: tuple[str, ...]
    delete: Mapping[str, str]


def environments_policy(namespace: str, release: Release) -> dict[str, Any]:
    """The manifest; every field that the API server would default is given, so that equal means unchanged."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": release.policy_name, "namespace": namespace, "labels": release.labels},
        "spec": _spec(release),
    }


def is_ours(labels: Mapping[str, str], release: Release) -> bool:
    """Whether a policy of our name was written by this release; what was not is left alone."""
    return all(labels.get(key) == value for key, value in release.labels.items())


def decide(inhabited: Iterable[str], existing: Mapping[str, Existing], release: Release) -> Changes:
    """What brings the policies to what they should be. `existing`: this release's own, by namespace."""
    wanted = frozenset(inhabited)
    spec = _spec(release)
    missing = {namespace for namespace in wanted if namespace not in existing}
    changed = {space for space, one in existing.items() if space in wanted and not one.deleting and one.spec != spec}
    needless = {space: one.uid for space, one in existing.items() if space not in wanted and not one.deleting}
    return Changes(tuple(sorted(missing | changed)), needless)


def _spec(release: Release) -> dict[str, Any]:
    gateway = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": release.namespace}},
        "podSelector": {"matchLabels": release.gateway},
    }
    environments = {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_COMPONENT: names.COMPONENT_ENVIRONMENT}
    return {
        "podSelector": {"matchLabels": environments},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [gateway], "ports": [{"protocol": "TCP", "port": release.door_port}]}],
    }

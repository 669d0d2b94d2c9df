"""What each process may do, and what the chart adds to the cluster's roles."""

from __future__ import annotations

import pytest

FUNCTIONS = ("lambent.dev", "functions")
READ = {"get", "list", "watch"}

NAMESPACED = {
    "controller": {
        FUNCTIONS: READ,
        ("lambent.dev", "functions/status"): {"patch"},
        ("lambent.dev", "functions/finalizers"): {"update"},
        ("", "pods"): READ | {"create", "delete", "patch"},
        ("", "pods/resize"): {"patch"},
        ("events.k8s.io", "events"): {"create", "patch"},
    },
    "gateway": {FUNCTIONS: READ, ("", "pods"): READ},
}
CLUSTER = {
    "controller": {("", "namespaces"): READ},
    "gateway": {("", "namespaces"): READ, ("authentication.k8s.io", "tokenreviews"): {"create"}},
}
OWN = {
    ("coordination.k8s.io", "leases"): {"create"},
    ("coordination.k8s.io", "leases", "lambent-controller"): {"get", "patch", "update"},
    ("", "secrets"): {"create"},
    ("", "secrets", "lambent-keys"): {"get", "patch"},
    ("discovery.k8s.io", "endpointslices"): READ,
}


def rights(role):
    """(group, resource[, name]) → verbs."""
    found = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", [None]):
                    key = (group, resource) if name is None else (group, resource, name)
                    found.setdefault(key, set()).update(rule["verbs"])
    return found


@pytest.mark.parametrize("process", ["controller", "gateway"])
def test_a_process_holds_the_declared_rights_and_no_other(rendered, process):
    """This table is the declaration: a right more or less fails here first."""
    role = rendered.one("ClusterRole", f"lambent-lambent-system-{process}")
    assert rights(role) == NAMESPACED[process] | CLUSTER[process]
    assert rights(rendered.one("Role", "lambent-controller")) == OWN


@pytest.mark.parametrize("process", ["controller", "gateway"])
def test_watching_some_namespaces_needs_rights_in_these_only(helm, process):
    """Of cluster-wide rights only those about objects without a namespace remain."""
    rendered = helm.template({"watchNamespaces": ["one", "two"]})
    name = f"lambent-lambent-system-{process}"
    assert rights(rendered.one("ClusterRole", name)) == CLUSTER[process]
    roles = [role for role in rendered.all("Role") if role["metadata"]["name"] == name]
    assert [role["metadata"]["namespace"] for role in roles] == ["one", "two"]
    assert all(rights(role) == NAMESPACED[process] for role in roles)
    bindings = [each for each in rendered.all("RoleBinding") if each["metadata"]["name"] == name]
    assert [each["metadata"]["namespace"] for each in bindings] == ["one", "two"]


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["one"]}], ids=["all namespaces", "some namespaces"])
def test_no_rule_has_a_wildcard(helm, values):
    """Least privilege is a list, never a star."""
    rendered = helm.template(values)
    for role in rendered.all("ClusterRole") + rendered.all("Role"):
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["one"]}], ids=["all namespaces", "some namespaces"])
def test_every_binding_binds_a_role_and_an_account_of_this_release(helm, values):
    """A binding to a name that does not exist grants nothing, silently."""
    rendered = helm.template(values)
    accounts = {each["metadata"]["name"] for each in rendered.all("ServiceAccount")}
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in rendered.all("Role") + rendered.all("ClusterRole")
    }
    for binding in rendered.all("RoleBinding") + rendered.all("ClusterRoleBinding"):
        reference = binding["roleRef"]
        assert (reference["kind"], binding["metadata"].get("namespace"), reference["name"]) in roles
        (subject,) = binding["subjects"]
        assert subject["name"] in accounts
        assert subject["namespace"] == "lambent-system"


def test_the_clusters_own_roles_learn_functions(rendered):
    """view reads; edit and admin write and invoke."""
    for role in ("view", "edit", "admin"):
        aggregated = rendered.one("ClusterRole", f"lambent-lambent-system-functions-{role}")
        assert aggregated["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"
        verbs = rights(aggregated)[FUNCTIONS]
        assert ("invoke" in verbs) is (role != "view")
        assert ("get" in verbs) is (role == "view")
    assert "functions/status" not in {resource for _, resource in rights(aggregated)}, "status is the controller's"


def test_roles_can_be_left_to_somebody_else(helm):
    """rbac.create=false renders none; aggregation alone can be switched off."""
    kinds = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    assert not kinds & {each["kind"] for each in helm.template({"rbac": {"create": False}}).objects}
    names = [each["metadata"]["name"] for each in helm.template({"rbac": {"aggregate": False}}).all("ClusterRole")]
    assert names == ["lambent-lambent-system-controller", "lambent-lambent-system-gateway"]

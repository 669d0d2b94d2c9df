"""What each process may do, and what the chart adds to the cluster's roles."""

from __future__ import annotations

import pytest

FUNCTIONS = ("lambent.dev", "functions")
OBSERVE = {"list", "watch"}
READ = {"get", *OBSERVE}
PROCESSES = ("controller", "gateway", "departure")

NAMESPACED = {
    "controller": {
        FUNCTIONS: READ,
        ("lambent.dev", "functions/status"): {"patch"},
        ("lambent.dev", "functions/finalizers"): {"update"},
        ("lambent.dev", "versions"): OBSERVE | {"create", "delete", "get", "patch"},
        ("lambent.dev", "versions/status"): {"patch"},
        ("lambent.dev", "versions/finalizers"): {"update"},
        ("lambent.dev", "aliases"): OBSERVE | {"patch"},
        ("lambent.dev", "aliases/status"): {"patch"},
        ("lambent.dev", "layers"): READ,
        ("lambent.dev", "layers/status"): {"patch"},
        ("lambent.dev", "layers/finalizers"): {"update"},
        ("lambent.dev", "layerversions"): OBSERVE | {"create"},
        ("", "pods"): READ | {"create", "delete"},
        ("", "pods/resize"): {"patch"},
        ("", "configmaps"): READ | {"create"},
        ("", "configmaps", "lambent-numbers"): {"patch"},
        ("", "persistentvolumeclaims"): OBSERVE,
        ("", "secrets"): READ,
        ("networking.k8s.io", "networkpolicies"): READ | {"create", "delete", "patch"},
        ("events.k8s.io", "events"): {"create", "patch"},
    },
    "gateway": {
        FUNCTIONS: OBSERVE,
        ("lambent.dev", "versions"): OBSERVE,
        ("lambent.dev", "aliases"): OBSERVE,
        ("lambent.dev", "aliases/status"): {"patch"},
        ("", "pods"): OBSERVE,
    },
    "departure": {("", "pods"): {"list", "delete"}, ("networking.k8s.io", "networkpolicies"): {"list", "delete"}},
}
CLUSTER = {
    "controller": {("", "namespaces"): OBSERVE},
    "gateway": {
        ("", "namespaces"): OBSERVE,
        ("authentication.k8s.io", "tokenreviews"): {"create"},
        ("authorization.k8s.io", "subjectaccessreviews"): {"create"},
    },
    "departure": {},
}
OWN = {
    "controller": {
        ("coordination.k8s.io", "leases"): {"create"},
        ("coordination.k8s.io", "leases", "lambent-controller"): {"get", "patch", "update"},
        ("", "secrets"): {"create"},
        ("", "secrets", "lambent-keys"): {"get", "patch"},
        ("discovery.k8s.io", "endpointslices"): OBSERVE,
    },
    "gateway": None,
    "departure": {
        ("apps", "deployments/scale", "lambent-controller"): {"patch"},
        ("apps", "deployments/scale", "lambent-gateway"): {"patch"},
        ("", "pods"): {"list"},
        ("", "pods", "lambent-selftest"): {"delete"},
    },
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


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_holds_the_declared_rights_and_no_other(rendered, process):
    """This table is the declaration: a right more or less fails here first."""
    role = rendered.one("ClusterRole", f"lambent-lambent-system-{process}")
    assert rights(role) == NAMESPACED[process] | CLUSTER[process]
    own = [rights(each) for each in rendered.all("Role") if each["metadata"]["name"] == f"lambent-{process}"]
    assert own == ([OWN[process]] if OWN[process] else [])


@pytest.mark.parametrize("process", PROCESSES)
def test_watching_some_namespaces_needs_rights_in_these_only(helm, process):
    """Of cluster-wide rights only those about objects without a namespace remain."""
    rendered = helm.template({"watchNamespaces": ["one", "two"]})
    name = f"lambent-lambent-system-{process}"
    cluster_wide = [rights(each) for each in rendered.all("ClusterRole") if each["metadata"]["name"] == name]
    assert cluster_wide == ([CLUSTER[process]] if CLUSTER[process] else [])
    roles = [role for role in rendered.all("Role") if role["metadata"]["name"] == name]
    assert [role["metadata"]["namespace"] for role in roles] == ["one", "two"]
    assert all(rights(role) == NAMESPACED[process] for role in roles)
    bindings = [each for each in rendered.all("RoleBinding") if each["metadata"]["name"] == name]
    assert [each["metadata"]["namespace"] for each in bindings] == ["one", "two"]


def test_secrets_can_be_kept_from_the_controller(helm):
    """Its own keys apart: what functions refer to is then not there for them."""
    rendered = helm.template({"rbac": {"secrets": False}})
    for role in rendered.all("ClusterRole"):
        assert ("", "secrets") not in rights(role)
    assert rights(rendered.one("Role", "lambent-controller"))[("", "secrets", "lambent-keys")] == {"get", "patch"}


def test_policies_that_nobody_writes_need_no_right(helm):
    """Only the departure may still remove what was written before."""
    rendered = helm.template({"networkPolicy": {"environments": False}})
    policies = ("networking.k8s.io", "networkpolicies")
    assert policies not in rights(rendered.one("ClusterRole", "lambent-lambent-system-controller"))
    assert policies in rights(rendered.one("ClusterRole", "lambent-lambent-system-departure"))


def test_nobody_asks_about_rights_when_nobody_is_asked_for_any(helm):
    """auth.mode=none needs no SubjectAccessReview; the internal door still asks whose token it is shown."""
    rendered = helm.template({"auth": {"mode": "none"}})
    held = rights(rendered.one("ClusterRole", "lambent-lambent-system-gateway"))
    assert ("authorization.k8s.io", "subjectaccessreviews") not in held
    assert ("authentication.k8s.io", "tokenreviews") in held


def test_there_is_a_role_for_callers_and_one_for_who_keeps_accounts(rendered):
    """Bound by whoever runs the cluster; the command line finds them by their label."""
    found = {
        role["metadata"]["labels"]["lambent.dev/role"]: role
        for role in rendered.all("ClusterRole")
        if "lambent.dev/role" in role["metadata"]["labels"]
    }
    assert {name: rights(role) for name, role in found.items()} == {
        "invoker": {FUNCTIONS: {"invoke"}},
        "account-keeper": {("lambent.dev", "accounts"): {"update"}},
    }
    bound = {each["roleRef"]["name"] for each in rendered.all("ClusterRoleBinding") + rendered.all("RoleBinding")}
    assert not bound & {role["metadata"]["name"] for role in found.values()}
    assert not [label for role in found.values() for label in role["metadata"]["labels"] if "aggregate" in label]


def test_the_self_test_may_touch_its_own_function_only(helm):
    """Its rights are there while it runs."""
    rendered = helm.template({"watchNamespaces": ["one", "two"]})
    role = rendered.one("Role", "lambent-lambent-system-selftest")
    assert role["metadata"]["namespace"] == "one"
    assert rights(role) == {
        FUNCTIONS: {"create"},
        (*FUNCTIONS, "lambent-selftest"): {"get", "delete", "invoke"},
    }
    for kind in ("Role", "RoleBinding", "ServiceAccount", "Pod"):
        (each,) = [each for each in rendered.all(kind) if each["metadata"]["name"].endswith("-selftest")]
        assert each["metadata"]["annotations"]["helm.sh/hook"] == "test"
        assert "hook-succeeded" in each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]


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


def test_the_clusters_own_roles_learn_layers_and_nobody_makes_versions_by_hand(rendered):
    """A version names content by its digest: whoever could make one could have anybody's."""
    held = {
        role: rights(rendered.one("ClusterRole", f"lambent-lambent-system-functions-{role}"))
        for role in ("view", "edit", "admin")
    }
    layers, versions = ("lambent.dev", "layers"), ("lambent.dev", "layerversions")
    assert held["view"][layers] == held["view"][versions] == READ
    assert ("lambent.dev", "layers/status") in held["view"]
    for role in ("edit", "admin"):
        assert held[role][layers] == {"create", "delete", "deletecollection", "patch", "update"}
        assert held[role][versions] == {"delete", "deletecollection"}


def test_the_clusters_own_roles_learn_versions_and_aliases(rendered):
    """People write them; what is true of them is the controller's to say."""
    for plural in ("versions", "aliases"):
        place = ("lambent.dev", plural)
        held = {
            role: rights(rendered.one("ClusterRole", f"lambent-lambent-system-functions-{role}"))
            for role in ("view", "edit", "admin")
        }
        assert held["view"][place] == READ
        assert held["view"][("lambent.dev", f"{plural}/status")] == {"get"}
        for role in ("edit", "admin"):
            assert held[role][place] == {"create", "delete", "deletecollection", "patch", "update"}
            assert ("lambent.dev", f"{plural}/status") not in held[role]


def test_roles_can_be_left_to_somebody_else(helm):
    """rbac.create=false renders none; aggregation alone can be switched off."""
    kinds = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    assert not kinds & {each["kind"] for each in helm.template({"rbac": {"create": False}}).objects}
    names = [each["metadata"]["name"] for each in helm.template({"rbac": {"aggregate": False}}).all("ClusterRole")]
    assert sorted(names) == [
        f"lambent-lambent-system-{name}" for name in ("account-keeper", "controller", "departure", "gateway", "invoker")
    ]

"""Account annotations of a Namespace are for those whom the cluster's administrators name: the chart's policy, enforced."""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import dataclass

import pytest
import yaml
from driving import eventually
from releases import CHART, Cluster

ACCOUNT, CONCURRENCY = "lambent.dev/account-id", "lambent.dev/concurrency"
MANAGES_NAMESPACES = {
    "apiGroups": [""],
    "resources": ["namespaces", "namespaces/status", "namespaces/finalize"],
    "verbs": ["create", "get", "update", "patch", "delete"],
}
MANAGES_ACCOUNTS = {"apiGroups": ["lambent.dev"], "resources": ["accounts"], "verbs": ["update"]}


@dataclass
class Ground:
    """Two users, three namespaces, and the policy in force."""

    cluster: Cluster
    mark: str

    @property
    def tenant(self) -> str:
        """May do everything to namespaces."""
        return f"{self.mark}-tenant"

    @property
    def keeper(self) -> str:
        """May update accounts as well."""
        return f"{self.mark}-keeper"

    @property
    def clerk(self) -> str:
        """May update the account of one namespace."""
        return f"{self.mark}-clerk"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> tuple[int, str]:
        """Exit code and everything printed."""
        done = subprocess.run(
            self.cluster.kubectl_command(*arguments),
            env=self.cluster.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def annotate(self, user: str, namespace: str, *words: str) -> tuple[int, str]:
        return self.kubectl("annotate", "--overwrite", "namespace", namespace, *words, "--as", user)

    def create(self, user: str, name: str, annotations: dict[str, str]) -> tuple[int, str]:
        return self.kubectl("create", "-f", "-", "--as", user, stdin=json.dumps(namespace(name, annotations)))

    def annotations(self, name: str) -> dict[str, str]:
        return self.cluster.get("namespace", name)["metadata"].get("annotations", {})


def namespace(name: str, annotations: dict[str, str]) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}


def rights(mark: str) -> list[dict]:
    """Roles and bindings of the three users."""
    api = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    one = {**MANAGES_ACCOUNTS, "resourceNames": [f"{mark}-two"]}
    found = []
    for user, rules in (
        ("tenant", [MANAGES_NAMESPACES]),
        ("keeper", [MANAGES_NAMESPACES, MANAGES_ACCOUNTS]),
        ("clerk", [MANAGES_NAMESPACES, one]),
    ):
        name = f"{mark}-{user}"
        found += [
            {**api, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
            {
                **api,
                "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
            },
        ]
    return found


def policy(cluster: Cluster, mark: str) -> list[dict]:
    """The chart's policy under a name of the test's own, for the test's own namespaces."""
    printed = cluster.run_helm(
        "template", "x", str(CHART), "--kube-version", "1.36.0", "--show-only", "templates/account-annotations.yaml"
    )
    rule, binding = (each for each in yaml.safe_load_all(printed) if each)
    rule["metadata"] = {"name": f"{mark}.lambent.dev"}
    binding["metadata"] = {"name": f"{mark}.lambent.dev"}
    binding["spec"]["policyName"] = f"{mark}.lambent.dev"
    ours = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [f"{mark}-{n}" for n in NAMES]}
    binding["spec"]["matchResources"] = {"namespaceSelector": {"matchExpressions": [ours]}}
    return [rule, binding]


NAMES = ("one", "two", "new", "old")


@pytest.fixture(scope="module")
def unbound(cluster: Cluster):
    """A release may have left its policy, which holds for the whole cluster: it stands aside for the test's own."""
    kind, name = "validatingadmissionpolicybinding", "account-annotations.lambent.dev"
    found = cluster.run_kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
    if not found:
        yield
        return
    cluster.run_kubectl("delete", kind, name)
    yield
    binding = json.loads(found)
    kept = {key: binding["metadata"][key] for key in ("name", "labels", "annotations") if key in binding["metadata"]}
    cluster.run_kubectl("create", "-f", "-", stdin=json.dumps({**binding, "metadata": kept}))


@pytest.fixture(scope="module")
def ground(cluster: Cluster, unbound: None):
    mark = f"lambent-test-{secrets.token_hex(3)}"
    ground = Ground(cluster, mark)
    old = json.dumps(namespace(f"{mark}-old", {ACCOUNT: "nonsense"}))
    # the API server takes a moment to let go of an old policy
    eventually(lambda: ground.kubectl("create", "-f", "-", stdin=old)[0] == 0)
    before = [
        namespace(f"{mark}-one", {}),
        namespace(f"{mark}-two", {ACCOUNT: "123456789012", CONCURRENCY: "10"}),
    ]
    objects = [*rights(mark), *policy(cluster, mark)]
    text = "\n---\n".join(json.dumps(each) for each in [*before, *objects])
    cluster.run_kubectl("create", "-f", "-", stdin=text)
    try:
        # the API server takes a moment to enforce a new policy
        eventually(lambda: ground.kubectl(*probe(ground))[0] != 0)
        yield ground
    finally:
        text = "\n---\n".join(json.dumps(each) for each in objects)
        ground.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)
        ground.kubectl(
            "delete", "namespace", "--ignore-not-found", "--wait=false", *[f"{mark}-{each}" for each in NAMES]
        )


def probe(ground: Ground) -> tuple[str, ...]:
    change = f"{ACCOUNT}=210987654321"
    return ("annotate", "namespace", f"{ground.mark}-one", change, "--as", ground.tenant, "--dry-run=server")


@pytest.mark.parametrize(
    "words",
    [[f"{ACCOUNT}=999999999999"], [f"{CONCURRENCY}=1000"], [f"{ACCOUNT}-"], [f"{CONCURRENCY}-"]],
    ids=["another id", "another concurrency", "no id", "no concurrency"],
)
def test_who_may_annotate_namespaces_may_not_touch_an_account(ground, words):
    """Changing and removing are refused in RBAC's own words, and nothing is changed."""
    before = ground.annotations(f"{ground.mark}-two")
    code, said = ground.annotate(ground.tenant, f"{ground.mark}-two", *words)
    assert code != 0
    assert f'User "{ground.tenant}" cannot update resource "accounts" in API group "lambent.dev"' in said
    assert "forbidden" in said.lower()
    assert ground.annotations(f"{ground.mark}-two") == before


@pytest.mark.parametrize("subresource", ["status", "finalize"])
def test_no_subresource_is_a_way_round(ground, subresource):
    """The metadata of a namespace can be written through its subresources too."""
    body = ground.cluster.get("namespace", f"{ground.mark}-two")
    body["metadata"]["annotations"][ACCOUNT] = "999999999999"
    path = f"/api/v1/namespaces/{ground.mark}-two/{subresource}"
    code, said = ground.kubectl("replace", "--raw", path, "-f", "-", "--as", ground.tenant, stdin=json.dumps(body))
    assert ground.annotations(f"{ground.mark}-two")[ACCOUNT] == "123456789012"
    assert code != 0, "the API server drops the change by itself: this rule can go"
    assert 'cannot update resource "accounts"' in said


def test_a_namespace_is_not_born_with_an_account_of_its_makers_choice(ground):
    """Self-service namespaces get the account that is derived from their uid."""
    code, said = ground.create(ground.tenant, f"{ground.mark}-new", {ACCOUNT: "123456789012"})
    assert code != 0
    assert 'cannot update resource "accounts"' in said
    code, said = ground.create(ground.tenant, f"{ground.mark}-new", {"example.com/team": "blue"})
    assert code == 0, said


def test_everything_else_of_a_namespace_stays_its_owners_business(ground):
    """Also of a namespace that has an account, and of one whose account was never valid."""
    for name in ("one", "two", "old"):
        code, said = ground.annotate(ground.tenant, f"{ground.mark}-{name}", f"example.com/note={name}")
        assert code == 0, said
        code, said = ground.kubectl("label", "namespace", f"{ground.mark}-{name}", "team=x", "--as", ground.tenant)
        assert code == 0, said


def test_who_may_update_accounts_may(ground):
    """A right like any other, also for one account alone."""
    for user in (ground.keeper, ground.clerk):
        code, said = ground.annotate(user, f"{ground.mark}-two", f"{ACCOUNT}=123456789013", f"{CONCURRENCY}=20")
        assert code == 0, said
        code, said = ground.annotate(user, f"{ground.mark}-two", f"{ACCOUNT}=123456789012", f"{CONCURRENCY}=10")
        assert code == 0, said
    code, said = ground.annotate(ground.clerk, f"{ground.mark}-one", f"{CONCURRENCY}=20")
    assert code != 0
    assert 'cannot update resource "accounts"' in said


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        (f"{ACCOUNT}=12345", "must be 12 digits"),
        (f"{ACCOUNT}=1234567890123", "must be 12 digits"),
        (f"{ACCOUNT}=12345678901x", "must be 12 digits"),
        (f"{ACCOUNT}=", "must be 12 digits"),
        (f"{CONCURRENCY}=0", "must be a whole number greater than 0"),
        (f"{CONCURRENCY}=-1", "must be a whole number greater than 0"),
        (f"{CONCURRENCY}=many", "must be a whole number greater than 0"),
    ],
)
def test_what_is_no_account_is_refused_to_everybody(ground, word, complaint):
    """Administrators mistype too."""
    code, said = ground.annotate(ground.keeper, f"{ground.mark}-two", word)
    assert code != 0
    assert complaint in said

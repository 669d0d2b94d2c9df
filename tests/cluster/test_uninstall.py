"""A release of its own, from `helm test` to `helm uninstall`: it uses the rights it has, and leaves no pod."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from conftest import client_of
from driving import Driver, eventually, zipped
from releases import CHART, Cluster, Failed, Release, run_text, step
from test_rollouts import REPORTS
from tests.chart.test_values import commands

NAME, SYSTEM, NAMESPACES = (
    "leaving",
    "lambent-test-leaving-system",
    ("lambent-test-leaving", "lambent-test-leaving-too"),
)
SLEEPER = "import time\ndef handler(e, c):\n    time.sleep(e.get('sleep', 0))\n    return e\n"
ENVIRONMENTS = "app.kubernetes.io/managed-by=lambent,app.kubernetes.io/component=environment"

SELDOM_USED = {
    ("controller", "create", "networking.k8s.io", "networkpolicies"): "an apply of what is not there needs it too",
    ("controller", "list", "", "configmaps"): "functions that refer to one only",
    ("controller", "watch", "", "configmaps"): "functions that refer to one only",
    ("controller", "list", "", "persistentvolumeclaims"): "functions with fileSystemConfigs only",
    ("controller", "watch", "", "persistentvolumeclaims"): "functions with fileSystemConfigs only",
    (
        "controller",
        "update",
        "lambent.dev",
        "functions/finalizers",
    ): "only clusters with an admission plugin ask for it",
    ("controller", "update", "lambent.dev", "layers/finalizers"): "only clusters with an admission plugin ask for it",
    ("controller", "update", "lambent.dev", "versions/finalizers"): "only clusters with an admission plugin ask for it",
    ("controller", "get", "lambent.dev", "versions"): "an answer to a publication that was lost",
    ("controller", "get", "lambent.dev", "functions"): "long code only",
    ("controller", "get", "lambent.dev", "layers"): "long content only",
    ("controller", "get", "", "pods"): "an answer to a creation that was lost",
    ("controller", "get", "", "configmaps"): "code.configMapRef only",
    ("controller", "get", "", "secrets"): "credentials for code and registries only",
    ("controller", "patch", "events.k8s.io", "events"): "an Event that repeats",
    ("controller", "patch", "", "pods/resize"): "clusters that can resize, and functions that start wide",
    ("controller", "delete", "networking.k8s.io", "networkpolicies"): "a namespace whose last function is gone",
    ("controller", "patch", "", "secrets"): "a keys Secret that was made by hand and lacks one",
    ("controller", "patch", "coordination.k8s.io", "leases"): "a Lease that is given back",
    ("controller", "get", "coordination.k8s.io", "leases"): "not audited",
}
"""Rights that a release may hold without using them in this file, and when it would."""


@dataclass
class Stage:
    """The release, a driver for each of its namespaces, and who may call."""

    release: Release
    drivers: list[Driver]
    began: float = field(default_factory=time.time)

    @property
    def cluster(self) -> Cluster:
        return self.release.cluster

    def environments(self) -> list[dict]:
        return [
            pod
            for namespace in NAMESPACES
            for pod in self.cluster.get("pods", "-n", namespace, "-l", ENVIRONMENTS)["items"]
        ]

    def own_pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.cluster.get("pods", "-n", SYSTEM)["items"]]

    def policies(self) -> list[dict]:
        return [
            policy
            for namespace in NAMESPACES
            for policy in self.cluster.get("networkpolicies", "-n", namespace)["items"]
        ]


@pytest.fixture(scope="module")
def stage(cluster: Cluster, images: dict[str, str]) -> Iterator[Stage]:
    release = Release(cluster, NAME, SYSTEM)
    for name in NAMESPACES:
        if not cluster.run_kubectl("get", "namespace", name, "--ignore-not-found", "-o", "name"):
            cluster.run_kubectl("create", "namespace", name)
    began = time.time()
    with step("install the release that leaves"):
        release.install(
            images,
            {
                "watchNamespaces": list(NAMESPACES),
                "defaultNamespace": NAMESPACES[0],
                "environments": {"idleSeconds": 600},
                "uninstall": {"timeoutSeconds": 90},
            },
        )
    url = release.gateway_url()
    if url is None:
        release.uninstall(list(NAMESPACES))
        pytest.skip("this cluster's Services cannot be dialled from here")
    drivers = [Driver(cluster, release, client_of(url, release.caller(name, "tester")), name) for name in NAMESPACES]
    yield Stage(release, drivers, began)
    for driver in drivers:
        driver.clean_up()
    release.uninstall(list(NAMESPACES))


def test_helm_test_makes_invokes_and_removes_a_function(stage):
    """The one command that tells whether an installation works; it leaves nothing."""
    try:
        stage.cluster.run_helm("test", NAME, "--namespace", SYSTEM, "--timeout", "180s")
    except Failed as failed:
        logs = stage.cluster.run_kubectl("logs", "-n", SYSTEM, f"pod/{NAME}-selftest", check=False)
        pytest.fail(f"{logs}\n{failed}")
    assert stage.cluster.get("fn", "-n", NAMESPACES[0])["items"] == []
    assert not [pod for pod in stage.own_pods() if "selftest" in pod]
    for kind in ("role", "rolebinding"):
        assert "selftest" not in stage.cluster.run_kubectl("get", kind, "-n", NAMESPACES[0], "-o", "name")


def test_the_notes_three_commands_work_as_they_are_pasted(stage, tmp_path):
    """A function, a caller, an answer."""
    notes = stage.cluster.run_helm("get", "notes", NAME, "--namespace", SYSTEM)
    shim = tmp_path / "kubectl"
    shim.write_text(f'#!/bin/sh\nexec {" ".join(stage.cluster.kubectl_command())} "$@"\n')
    shim.chmod(0o755)
    environment = {**stage.cluster.environment(), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    said = ""
    for command in commands(notes):
        here = command.replace(" 8080:", f" {port}:").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        done = subprocess.run(["bash", "-c", here], env=environment, capture_output=True, text=True, check=False)
        said = done.stdout
        assert "kill" in here or done.returncode == 0, done.stderr  # the last one ends with the port-forward's end
    assert json.loads(said) == {"hello": "you"}
    stage.cluster.run_kubectl("delete", "-n", NAMESPACES[0], "fn/hello", "serviceaccount/caller", "rolebinding/caller")


def test_environments_belong_to_functions_and_accept_the_gateway_only(stage):
    """No pod without an owner; one NetworkPolicy for each namespace with functions, and it names this gateway."""
    for driver in stage.drivers:
        driver.invoke(driver.function(SLEEPER, "left", timeout=30))
    for pod in stage.environments():
        [owner] = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("Function", True)
    policies = eventually(lambda: len(stage.policies()) == len(NAMESPACES) and stage.policies())
    for policy in policies:
        spec = policy["spec"]
        assert spec["policyTypes"] == ["Ingress"]
        [rule] = spec["ingress"]
        [peer] = rule["from"]
        assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": SYSTEM}
        gateway = stage.cluster.get(
            "pods", "-n", SYSTEM, "-l", ",".join(f"{k}={v}" for k, v in peer["podSelector"]["matchLabels"].items())
        )
        assert [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in gateway["items"]] == ["gateway"]
        for pod in stage.environments():
            assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_a_changed_secret_is_noticed_with_the_rights_there_are(stage):
    """And used as any other: the next test counts rights."""
    driver = stage.drivers[0]
    secret = ("create", "secret", "generic", "word", "-n", driver.namespace)
    stage.cluster.run_kubectl(*secret, "--from-literal=word=one")
    reference = [{"name": "WORD", "secretKeyRef": {"name": "word", "key": "word"}}]
    source = "import os\ndef handler(e, c): return os.environ['WORD']\n"
    name = driver.function(source, environment={"valueFrom": reference})
    assert driver.invoke(name).json == "one"
    driver.delete(name)
    eventually(lambda: not driver.pods(name))


def test_a_layer_is_published_with_the_rights_there_are(stage):
    """Twice: the first number makes the ConfigMap, the second one changes it."""
    driver = stage.drivers[0]
    for value in ("one", "two"):
        content = {"zipFile": zipped({"python/word.py": f"WORD = {value!r}"})}
        metadata = {"name": "words", "namespace": driver.namespace}
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Layer",
            "metadata": metadata,
            "spec": {"content": content},
        }
        stage.cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))
        published = lambda: len(stage.cluster.get("fnlv", "-n", driver.namespace)["items"])  # noqa: E731
        eventually(lambda wanted=1 if value == "one" else 2: published() == wanted)
    stage.cluster.run_kubectl("wait", "-n", driver.namespace, "--for=condition=Ready", "fnl/words", "--timeout=60s")
    stage.cluster.run_kubectl("delete", "-n", driver.namespace, "fnl/words")
    eventually(lambda: published() == 0)


def test_versions_and_aliases_get_on_with_the_rights_there_are(stage):
    """A hook reports, the alias moves, retention lets a version go, an annotation is taken away."""
    driver = stage.drivers[0]
    gateway = f"http://{NAME}-gateway.{SYSTEM}.svc:8080"
    hook = driver.function(REPORTS, environment={"variables": {"GATEWAY": gateway, "STATUS": "Succeeded"}}, timeout=60)
    alias = {"hooks": {"preTraffic": {"functionName": hook, "timeoutSeconds": 120}}, "strategy": "AllAtOnce"}
    for number in ("1", "2"):
        source = f"def handler(e, c): return {number}\n"
        name = driver.apply(source, "moved", publish=True, versionRetention={"keepLast": 1})
        body = {
            "apiVersion": "lambent.dev/v1alpha1",
            "kind": "Alias",
            "metadata": {"name": f"{name}.live", "namespace": driver.namespace},
            "spec": {"functionName": name, "latestPublished": True, "rollout": alias},
        }
        stage.cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))
        where = (f"{name}.live", "-n", driver.namespace)
        eventually(
            lambda wanted=number: (
                stage.cluster.get("fna", *where).get("status", {}).get("routing") == {"functionVersion": wanted}
            ),
            120,
        )
    selector = ("-n", driver.namespace, "--field-selector", f"spec.functionName={name}")
    numbers = lambda: [one["status"].get("version") for one in stage.cluster.get("fnv", *selector)["items"]]  # noqa: E731
    eventually(lambda: numbers() == ["2"])
    stage.cluster.run_kubectl(
        "apply", "--server-side", "-f", "-",
        stdin=json.dumps(
            {
                "apiVersion": "lambent.dev/v1alpha1",
                "kind": "Version",
                "metadata": {"name": "by-hand", "namespace": driver.namespace},
                "spec": {"functionName": name},
            }
        ),
    )  # fmt: skip
    eventually(lambda: numbers() == ["2", "2"])
    stage.cluster.run_kubectl("annotate", "fna", *where, "lambent.dev/rollout=abort")
    eventually(lambda: "lambent.dev/rollout" not in stage.cluster.get("fna", *where)["metadata"].get("annotations", {}))
    driver.delete(name)
    driver.delete(hook)
    eventually(lambda: not numbers() and not driver.pods(name) and not driver.pods(hook))


def test_helm_uninstall_lets_what_runs_end_and_leaves_no_pod(stage):
    """The running request is answered; environments, processes and policies are gone; functions and CRD stay."""
    driver = stage.drivers[0]
    driver.invoke("left")
    answers = []
    running = threading.Thread(target=lambda: answers.append(driver.invoke("left", {"sleep": 8})))
    running.start()
    time.sleep(1)
    told = run_text(
        [stage.cluster.helm, "uninstall", NAME, "--namespace", SYSTEM, "--wait", "--timeout", "240s"],
        stage.cluster.environment(),
    )
    print(told)
    running.join(30)
    assert [(answer.error, answer.json) for answer in answers] == [(None, {"sleep": 8})]
    assert stage.environments() == []
    assert stage.policies() == []
    eventually(lambda: not stage.own_pods())  # the code store's pod may still be on its way out
    for namespace in NAMESPACES:
        assert [fn["metadata"]["name"] for fn in stage.cluster.get("fn", "-n", namespace)["items"]] == ["left"]
    for kept in (
        "crd/functions.lambent.dev",
        "crd/aliases.lambent.dev",
        "crd/layers.lambent.dev",
        "crd/layerversions.lambent.dev",
        "crd/versions.lambent.dev",
        "validatingadmissionpolicy/account-annotations.lambent.dev",
        "validatingadmissionpolicybinding/account-annotations.lambent.dev",
    ):
        assert stage.cluster.run_kubectl("get", kept, "-o", "name").strip()


def test_no_right_was_missing_and_none_is_granted_for_nothing(stage, images):
    """By the API server's own audit log, over the whole life of the release."""
    log = Path(stage.cluster.state) / "logs" / "audit.log"
    if stage.cluster.kind != "node":
        pytest.skip("the audit log of a cluster that was given is not ours to read")
    used, forbidden = calls(log, stage.began)
    assert forbidden == []
    granted = {
        (process, *right) for process in ("controller", "gateway", "departure") for right in rights(stage, process)
    }
    assert granted - used - SELDOM_USED.keys() == set()


def calls(log: Path, since: float) -> tuple[set[tuple[str, str, str, str]], list[str]]:
    """What the release's accounts did (process, verb, group, resource), and what RBAC refused them."""
    used, forbidden = set(), []
    first = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since - 1))
    for path in (log.with_suffix(".log.1"), log):
        for line in path.open() if path.exists() else ():
            if f"system:serviceaccount:{SYSTEM}:" not in line:
                continue
            event = json.loads(line)
            user = event["user"]["username"]
            if not user.startswith(f"system:serviceaccount:{SYSTEM}:") or event["requestReceivedTimestamp"] < first:
                continue
            target = event.get("objectRef") or {}
            resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
            process = user.rsplit(":", 1)[1].removeprefix(f"{NAME}-")
            used.add((process, event["verb"], target.get("apiGroup", ""), resource))
            if event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid":
                forbidden.append(f"{process}: {event['verb']} {event['requestURI']}")
    return used, forbidden


def rights(stage: Stage, process: str) -> set[tuple[str, str, str]]:
    """What the chart grants a process: verb, group, resource."""
    printed = stage.cluster.run_helm(
        "template", NAME, str(CHART), "--namespace", SYSTEM, "--kube-version", "1.36.0",
        "--set", f"watchNamespaces={{{NAMESPACES[0]}}}", "--show-only", "templates/rbac.yaml",
    )  # fmt: skip
    held = defaultdict(set)
    for each in filter(None, yaml.safe_load_all(printed)):
        if each["kind"] in {"Role", "ClusterRole"} and each["metadata"]["name"].endswith(f"-{process}"):
            for rule in each["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        held[group, resource] |= set(rule["verbs"])
    return {(verb, group, resource) for (group, resource), verbs in held.items() for verb in verbs}

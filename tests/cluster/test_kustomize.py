"""The kustomize configuration by the real `kubectl kustomize`: prefixes, images and generated objects reach our fields."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from releases import Cluster

from lambent.model.aliases import AliasObject

pytestmark = pytest.mark.cluster

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "gitops" / "kustomize"
DIGEST = "sha256:" + "0" * 64
RESOURCES = """
apiVersion: lambent.dev/v1alpha1
kind: Function
metadata: {name: hello}
spec:
  packageType: Image
  role: reader
  code: {imageUri: registry.example.com/shop/hello:1.0}
  environment:
    valueFrom:
      - {name: PASSWORD, secretKeyRef: {name: database, key: password}}
      - {name: MODE, configMapKeyRef: {name: settings, key: mode}}
  placement: {imagePullSecrets: [database, elsewhere], priorityClassName: urgent}
  fileSystemConfigs: [{arn: files, localMountPath: /mnt/files}]
---
apiVersion: lambent.dev/v1alpha1
kind: Function
metadata: {name: check}
spec:
  runtime: python3.11
  handler: index.handler
  role: arn:aws:iam::123456789012:role/reader
  code: {configMapRef: {name: settings}}
---
apiVersion: lambent.dev/v1alpha1
kind: Function
metadata: {name: bucket}
spec:
  functionName: Bucket
  runtime: python3.11
  handler: index.handler
  code: {s3Bucket: code, s3Key: bucket.zip, s3CredentialsSecretRef: {name: database}}
---
apiVersion: lambent.dev/v1alpha1
kind: Version
metadata: {name: hello.first}
spec: {functionName: hello}
---
apiVersion: lambent.dev/v1alpha1
kind: Alias
metadata: {name: hello.live}
spec:
  functionName: hello
  versionRef: {name: hello.first}
  rollout:
    strategy: AllAtOnce
    hooks: {preTraffic: {functionName: check}, postTraffic: {functionName: "check:live"}}
---
apiVersion: lambent.dev/v1alpha1
kind: Alias
metadata: {name: bucket.live}
spec: {functionName: Bucket, latestPublished: true}
---
apiVersion: lambent.dev/v1alpha1
kind: Layer
metadata: {name: libs}
spec: {content: {artifactUri: "registry.example.com/layers/http:1.0"}, imagePullSecrets: [database]}
---
apiVersion: lambent.dev/v1alpha1
kind: Layer
metadata: {name: held}
spec: {content: {configMapRef: {name: settings, key: l.zip}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent}
value: 1
"""
BASE = """
resources: [resources.yaml]
configurations: [lambent-configuration.yaml]
configMapGenerator: [{name: settings, literals: [mode=fast]}]
secretGenerator: [{name: database, literals: [password=secret]}]
"""
OVERLAY = f"""
resources: [../base]
namePrefix: dev-
namespace: dev
labels: [{{pairs: {{team: shop}}}}]
images:
  - {{name: registry.example.com/shop/hello, newTag: "2.0"}}
  - {{name: registry.example.com/layers/http, digest: "{DIGEST}"}}
"""


def built(cluster: Cluster, folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What kustomize makes of a folder, by kind and name."""
    command = cluster.kubectl_command("kustomize", str(folder))
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {(body["kind"], body["metadata"]["name"]): body for body in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def bodies(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """An overlay with a prefix over a base that names the configuration."""
    place = tmp_path_factory.mktemp("kustomize")
    for name, files in {
        "base": {"resources.yaml": RESOURCES, "kustomization.yaml": BASE},
        "overlay": {"kustomization.yaml": OVERLAY},
    }.items():
        (place / name).mkdir()
        for file, text in files.items():
            (place / name / file).write_text(text)
    shutil.copy(FOLDER / "base" / "lambent-configuration.yaml", place / "base")
    return built(cluster, place / "overlay")


def generated(bodies: dict[tuple[str, str], dict[str, Any]], kind: str, prefix: str) -> str:
    """Name of the one object of a kind that begins so."""
    (name,) = (name for one, name in bodies if one == kind and name.startswith(prefix))
    assert name != prefix, "generated names end with a digest"
    return name


def spec(bodies: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return bodies[kind, name]["spec"]


def test_names_of_functions_and_versions_follow_the_prefix(bodies: Any) -> None:
    """In Versions, Aliases and hooks."""
    assert spec(bodies, "Version", "dev-hello.first")["functionName"] == "dev-hello"
    alias = spec(bodies, "Alias", "dev-hello.live")
    assert (alias["functionName"], alias["versionRef"]["name"]) == ("dev-hello", "dev-hello.first")
    assert alias["rollout"]["hooks"]["preTraffic"]["functionName"] == "dev-check"


def test_an_alias_is_called_the_same_with_every_prefix(bodies: Any) -> None:
    """Its name follows the last dot of the object's: callers go on saying `live`."""
    body = bodies["Alias", "dev-hello.live"]
    metadata = {**body["metadata"], "uid": "u"}
    assert AliasObject.from_kubernetes({**body, "metadata": metadata}).alias_name == "live"


def test_what_is_no_objects_name_stays(bodies: Any) -> None:
    """A function with a name of its own keeps it; a qualifier and an ARN hide the name from kustomize."""
    assert spec(bodies, "Alias", "dev-bucket.live")["functionName"] == "Bucket"
    assert spec(bodies, "Function", "dev-bucket")["functionName"] == "Bucket"
    hooks = spec(bodies, "Alias", "dev-hello.live")["rollout"]["hooks"]
    assert hooks["postTraffic"]["functionName"] == "check:live"
    assert spec(bodies, "Function", "dev-check")["role"] == "arn:aws:iam::123456789012:role/reader"


def test_names_of_other_objects_follow(bodies: Any) -> None:
    """Of generated ConfigMaps and Secrets, ServiceAccounts, claims and priority classes."""
    settings, database = generated(bodies, "ConfigMap", "dev-settings"), generated(bodies, "Secret", "dev-database")
    function = spec(bodies, "Function", "dev-hello")
    secret, config = function["environment"]["valueFrom"]
    assert (secret["secretKeyRef"]["name"], config["configMapKeyRef"]["name"]) == (database, settings)
    assert function["placement"] == {"imagePullSecrets": [database, "elsewhere"], "priorityClassName": "dev-urgent"}
    assert (function["role"], function["fileSystemConfigs"][0]["arn"]) == ("dev-reader", "dev-files")
    assert spec(bodies, "Function", "dev-check")["code"]["configMapRef"]["name"] == settings
    assert spec(bodies, "Function", "dev-bucket")["code"]["s3CredentialsSecretRef"]["name"] == database
    assert spec(bodies, "Layer", "dev-libs")["imagePullSecrets"] == [database]
    assert spec(bodies, "Layer", "dev-held")["content"]["configMapRef"]["name"] == settings


def test_images_are_replaced(bodies: Any) -> None:
    """A tag or a digest, of container images as of artifacts."""
    assert spec(bodies, "Function", "dev-hello")["code"]["imageUri"] == "registry.example.com/shop/hello:2.0"
    artifact = spec(bodies, "Layer", "dev-libs")["content"]["artifactUri"]
    assert artifact == f"registry.example.com/layers/http@{DIGEST}"


def test_a_function_comes_before_its_versions(bodies: Any) -> None:
    """A Version is a snapshot of what was applied before it."""
    kinds = [kind for kind, _ in bodies]
    last = max(place for place, kind in enumerate(kinds) if kind == "Function")
    assert kinds.index("Version") > last


@pytest.mark.parametrize("folder", ["base", "overlays/staging"])
def test_the_example_can_be_built_and_is_taken(cluster: Cluster, namespace: str, folder: str) -> None:
    """By the API server as well, in a dry run; and its names belong together."""
    bodies = built(cluster, FOLDER / folder)
    prefix = "" if folder == "base" else "staging-"
    assert spec(bodies, "Alias", f"{prefix}hello.live")["functionName"] == f"{prefix}hello"
    code = spec(bodies, "Function", f"{prefix}hello")["code"]["configMapRef"]["name"]
    assert set(bodies["ConfigMap", code]["data"]) == {"index.py"}
    told = cluster.run_kubectl(
        "apply", "--server-side", "--dry-run=server", "-n", namespace, "-k", str(FOLDER / folder)
    )
    assert told.count("serverside-applied") == len(bodies)

"""Values: every one documented, unknown ones refused, options that render what they promise."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "lambent"

REFUSED = {
    "a misspelt value": ({"watchNamespace": ["one"]}, "watchNamespace"),
    "a misspelt nested value": ({"gateway": {"cpu": 1}}, "gateway"),
    "a second gateway": ({"gateway": {"replicas": 2}}, "maximum"),
    "an unknown log level": ({"logLevel": "loud"}, "logLevel"),
    "no runtime": ({"runtimes": {"python3.11": None, "provided.al2023": None}}, "runtimes"),
    "a drain shorter than an invocation may take": ({"gateway": {"drainSeconds": 60}}, "drainSeconds"),
    "a namespace that is none": ({"watchNamespaces": ["Not A Namespace"]}, "watchNamespaces"),
    "a default namespace that is not watched": (
        {"watchNamespaces": ["one"], "defaultNamespace": "two"},
        'defaultNamespace "two" is not one of watchNamespaces',
    ),
    "a generous start of less than nothing": ({"environments": {"startCpuMillicores": -1}}, "startCpuMillicores"),
    "a tag as digest": ({"image": {"digest": "latest"}}, "digest"),
}


@pytest.mark.parametrize(("values", "word"), REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses(helm, values, word):
    """A value that does nothing is refused, not ignored."""
    assert word in helm.refusal(values)


def test_helm_finds_nothing_to_complain_about(helm):
    """`helm lint --strict`."""
    linted = helm.run("lint", "--strict", str(CHART))
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_value_has_a_line_that_says_what_it_means():
    """Leaves of values.yaml stand below a `# --` comment."""
    undocumented = []
    documented = False
    for line in (CHART / "values.yaml").read_text().splitlines():
        if line.lstrip().startswith("#"):
            documented = documented or line.lstrip().startswith("# --")
            continue
        if match := re.match(r"^( *)([A-Za-z]+):(.*)$", line):
            indent, name, value = match.groups()
            if not documented and value.strip() and not _inside_documented(indent, name):
                undocumented.append(name)
        documented = False
    assert undocumented == []


def _inside_documented(indent, name):
    """Quantities below `resources` are Kubernetes' own words."""
    return name in {"requests", "limits"} and len(indent) >= 4


def test_every_value_is_in_the_schema():
    """The schema is closed, and everything in values.yaml is in it."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def walk(values, node, path):
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
        if not isinstance(values, dict) or "properties" not in node:
            return
        assert path == ".global" or node.get("additionalProperties") is False, path
        for name, value in values.items():
            assert name in node["properties"], f"{path}.{name}"
            walk(value, node["properties"][name], f"{path}.{name}")
        assert values.keys() == node["properties"].keys(), path

    walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


def test_the_definitions_are_those_of_the_repository_and_stay(rendered):
    """`helm uninstall` must not delete every function of the cluster."""
    installed = {each["metadata"]["name"]: each for each in rendered.all("CustomResourceDefinition")}
    committed = {}
    for path in (ROOT / "crds").glob("*.yaml"):
        definition = yaml.safe_load(path.read_text())
        committed[definition["metadata"]["name"]] = definition
    for definition in installed.values():
        assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert installed == committed


def test_the_definitions_can_be_left_to_another_release(helm):
    """One release a cluster owns them."""
    assert helm.template({"crds": {"install": False}}).all("CustomResourceDefinition") == []


def test_two_releases_of_one_name_share_no_cluster_wide_name(helm):
    """`lambent` for the demo and `lambent` for the tests, in two namespaces."""
    cluster_wide = {"ClusterRole", "ClusterRoleBinding"}
    names = [
        {
            (each["kind"], each["metadata"]["name"])
            for each in helm.template({"watchNamespaces": [watched]}, "--namespace", namespace).objects
            if each["kind"] in cluster_wide
        }
        for watched, namespace in (("one", "system-one"), ("two", "system-two"))
    ]
    assert names[0]
    assert not names[0] & names[1]


def test_a_standby_controller_brings_a_disruption_budget(helm, rendered):
    """For one replica a budget would only block node drains."""
    assert rendered.all("PodDisruptionBudget") == []
    (budget,) = helm.template({"controller": {"replicas": 2}}).all("PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1


def test_a_service_monitor_needs_both_the_kind_and_the_wish(helm):
    """A cluster without the Prometheus operator does not know the kind."""
    wish = {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    assert helm.template(wish).all("ServiceMonitor") == []
    known = ("--api-versions", "monitoring.coreos.com/v1")
    assert helm.template({}, *known).all("ServiceMonitor") == []
    (monitor,) = helm.template(wish, *known).all("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    service = helm.template(wish, *known).one("Service", "lambent-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_network_policies_open_the_internal_door_to_the_controller_only(helm, rendered):
    """Second line of defence behind the tokens; off by default because clusters differ."""
    assert rendered.all("NetworkPolicy") == []
    policies = helm.template({"networkPolicy": {"enabled": True}})
    ingress = policies.one("NetworkPolicy", "lambent-gateway")["spec"]["ingress"]
    (internal,) = [rule for rule in ingress if {"port": "internal"} in rule["ports"]]
    (peer,) = internal["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "controller"
    store = policies.one("NetworkPolicy", "lambent-codestore")["spec"]["ingress"]
    assert any(
        peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component") == "environment"
        for rule in store
        for peer in rule.get("from", [])
    )


@pytest.mark.parametrize("release", ["lambent", "my-faas.two", "a" * 53])
def test_names_are_names_whatever_the_release_is_called(helm, release):
    """Services allow 63 characters and no dots."""
    for each in helm.template(release=release).objects:
        if each["kind"] not in {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}:
            assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"])


def test_the_notes_warn_and_give_commands_to_paste(helm):
    """NOTES are read once, right after the installation."""
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    assert "THE PUBLIC DOOR HAS NO AUTHENTICATION IN THIS RELEASE" in notes
    for command in ("kubectl apply", "kubectl wait", "curl "):
        assert re.search(rf"^\(? ?.*{command}", notes, re.MULTILINE)
    example = notes.split("<<'EOF'\n")[1].split("EOF\n")[0]
    assert yaml.safe_load(re.sub(r"{{.*?}}", "python3.11", example))["spec"]["code"]["inline"]

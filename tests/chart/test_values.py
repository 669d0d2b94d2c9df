"""Values: every one documented, unknown ones refused, options that render what they promise."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "lambent"

RUNTIMES = yaml.safe_load((CHART / "values.yaml").read_text())["runtimes"]

REFUSED = {
    "a misspelt value": ({"watchNamespace": ["one"]}, "watchNamespace"),
    "a misspelt nested value": ({"gateway": {"cpu": 1}}, "gateway"),
    "a second gateway": ({"gateway": {"replicas": 2}}, "maximum"),
    "an unknown log level": ({"logLevel": "loud"}, "logLevel"),
    "no runtime": ({"runtimes": dict.fromkeys(RUNTIMES)}, "runtimes"),
    "a drain shorter than an invocation may take": ({"gateway": {"drainSeconds": 60}}, "drainSeconds"),
    "a namespace that is none": ({"watchNamespaces": ["Not A Namespace"]}, "watchNamespaces"),
    "a default namespace that is not watched": (
        {"watchNamespaces": ["one"], "defaultNamespace": "two"},
        'defaultNamespace "two" is not one of watchNamespaces',
    ),
    "a generous start of less than nothing": ({"environments": {"startCpuMillicores": -1}}, "startCpuMillicores"),
    "perhaps freezing": ({"environments": {"freeze": "perhaps"}}, "freeze"),
    "a sink for logs that is no address": ({"environments": {"logSink": "logs.monitoring"}}, "logSink"),
    "an unknown way to authenticate": ({"auth": {"mode": "off"}}, "mode"),
    "an audience with a comma": ({"auth": {"audiences": ["a,b"]}}, "audiences"),
    "a network that is none": ({"codeSources": {"allowedNetworks": ["10.0.0.1"]}}, "allowedNetworks"),
    "an endpoint that is no URL": ({"codeSources": {"s3": {"endpoint": "minio:9000"}}}, "endpoint"),
    "a collector that is no URL": ({"tracing": {"otlpEndpoint": "collector:4318"}}, "otlpEndpoint"),
    "a Prometheus that is no URL": ({"prometheus": {"url": "prometheus:9090"}}, "url"),
    "a Prometheus with a question": ({"prometheus": {"url": "http://prometheus/?token=x"}}, "url"),
    "an unknown backend": ({"codestore": {"backend": "nfs"}}, "backend"),
    "a bucket without a name": ({"codestore": {"backend": "s3"}}, "codestore.s3.bucket is needed"),
    "two writers in one directory": ({"codestore": {"replicas": 2}}, "a directory has one writer"),
    "no time to uninstall": ({"uninstall": {"timeoutSeconds": 1}}, "timeoutSeconds"),
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


def test_one_policy_a_cluster_protects_accounts_and_stays(helm, rendered):
    """As long as accounts are there; like the definitions it belongs to one release, or to none."""
    for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
        policy = rendered.one(kind, "account-annotations.lambent.dev")
        assert policy["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        without = helm.template({"admissionPolicy": {"enabled": False}}).all(kind)
        assert [each["metadata"]["name"] for each in without] == ["lambent-lambent-system-version-references"]
    assert (
        rendered.one("ValidatingAdmissionPolicy", "account-annotations.lambent.dev")["spec"]["failurePolicy"] == "Fail"
    )


def test_versions_that_aliases_refer_to_are_protected_while_the_release_is_there(helm, rendered):
    """In Lambda's words, from everybody but the cluster's own controllers; without a release nobody keeps the status."""
    name = "lambent-lambent-system-version-references"
    policy = rendered.one("ValidatingAdmissionPolicy", name)
    assert "annotations" not in policy["metadata"]
    assert "namespaceSelector" not in policy["spec"]["matchConstraints"]
    [rule] = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["versions"], ["DELETE"])
    [check] = policy["spec"]["validations"]
    assert check["reason"] == "Forbidden"
    assert check["messageExpression"].startswith(
        "'Unable to delete version because the following aliases reference it: [' +"
    )
    [exempt] = policy["spec"]["matchConditions"]
    for user in (
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:serviceaccount:kube-system:namespace-controller",
        "system:kube-controller-manager",
    ):
        assert f"'{user}'" in exempt["expression"]
    binding = rendered.one("ValidatingAdmissionPolicyBinding", name)
    assert binding["spec"] == {"policyName": name, "validationActions": ["Deny"]}
    off = helm.template({"admissionPolicy": {"versions": False}})
    assert all(each["metadata"]["name"] != name for each in off.all("ValidatingAdmissionPolicy"))
    assert all(each["metadata"]["name"] != name for each in off.all("ValidatingAdmissionPolicyBinding"))


def test_a_release_of_some_namespaces_protects_the_versions_of_those(helm):
    """Another release's aliases are its own policy's."""
    rendered = helm.template({"watchNamespaces": ["one", "two"]})
    policy = rendered.one("ValidatingAdmissionPolicy", "lambent-lambent-system-version-references")
    [expression] = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["one", "two"]}


def test_two_releases_of_one_name_share_no_cluster_wide_name(helm):
    """`lambent` for the demo and `lambent` for the tests, in two namespaces; definitions and policy are the cluster's."""
    cluster_wide = {"ClusterRole", "ClusterRoleBinding"}
    cluster_wide |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    names = [
        {
            (each["kind"], each["metadata"]["name"])
            for each in helm.template({"watchNamespaces": [watched]}, "--namespace", namespace).objects
            if each["kind"] in cluster_wide and not each["metadata"]["name"].endswith(".lambent.dev")
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


def test_a_collector_is_named_to_the_gateway_alone(helm, rendered):
    """By OpenTelemetry's own variable, which is not there when there is none."""
    values = {"tracing": {"otlpEndpoint": "http://collector.tracing:4318"}}

    def told(objects):
        deployments = {each["metadata"]["name"]: each for each in objects.all("Deployment")}
        variables = {
            name: {
                entry["name"]: entry.get("value") for entry in each["spec"]["template"]["spec"]["containers"][0]["env"]
            }
            for name, each in deployments.items()
        }
        return {name: each.get("OTEL_EXPORTER_OTLP_ENDPOINT") for name, each in variables.items()}

    assert set(told(rendered).values()) == {None}
    named = told(helm.template(values))
    assert {name for name, value in named.items() if value} == {"lambent-gateway"}
    assert named["lambent-gateway"] == "http://collector.tracing:4318"


def test_a_prometheus_is_named_to_the_controller_with_its_token(helm, rendered):
    """The token is a file, so that it may change; without a Secret there is no volume."""
    assert rendered.environment("controller")["LAMBENT_PROMETHEUS_URL"] == ""
    assert rendered.environment("controller")["LAMBENT_PROMETHEUS_TOKEN_FILE"] == ""
    given = helm.template({"prometheus": {"url": "https://prometheus.monitoring:9090/p", "tokenSecret": "metrics"}})
    environment = given.environment("controller")
    assert environment["LAMBENT_PROMETHEUS_URL"] == "https://prometheus.monitoring:9090/p"
    (volume,) = [each for each in given.pod("controller")["volumes"] if "secret" in each]
    assert volume["secret"]["secretName"] == "metrics"
    (mount,) = [each for each in given.container("controller")["volumeMounts"] if each["name"] == volume["name"]]
    (item,) = volume["secret"]["items"]
    assert environment["LAMBENT_PROMETHEUS_TOKEN_FILE"] == f"{mount['mountPath']}/{item['path']}"
    assert item["key"] == "token"


def test_the_authorities_of_a_prometheus_are_a_file_of_the_controller(helm, rendered):
    """A ConfigMap, as cert-manager, trust-manager and OpenShift write it."""
    assert rendered.environment("controller")["LAMBENT_PROMETHEUS_CA_FILE"] == ""
    given = helm.template({"prometheus": {"url": "https://prometheus.monitoring:9090", "caConfigMap": "trusted"}})
    (volume,) = [each for each in given.pod("controller")["volumes"] if "configMap" in each]
    assert volume["configMap"] == {"name": "trusted", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    (mount,) = [each for each in given.container("controller")["volumeMounts"] if each["name"] == volume["name"]]
    assert given.environment("controller")["LAMBENT_PROMETHEUS_CA_FILE"] == f"{mount['mountPath']}/ca.crt"


def test_network_policies_open_the_internal_door_to_the_controller_only(helm, rendered):
    """Second line of defence behind the tokens; off by default because clusters differ."""
    assert rendered.all("NetworkPolicy") == []
    peers = [{"namespaceSelector": {"matchLabels": {"team": "web"}}}]
    rules = helm.template({"networkPolicy": {"enabled": True, "from": peers}}).one("NetworkPolicy", "lambent-gateway")
    assert rules["spec"]["ingress"][0]["from"] == peers
    (tester,) = rules["spec"]["ingress"][1]["from"]
    assert tester["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "selftest"
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
        if "namespace" in each["metadata"] and each["kind"] not in {"Role", "RoleBinding"}:
            assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"])


def commands(notes):
    """Lines that a person pastes; a here-document belongs to its command."""
    found, lines = [], iter(notes.splitlines())
    for line in lines:
        if line.startswith(("kubectl apply", "kubectl create", "kubectl get", "( ")):
            found.append(line)
            while "<<'EOF'" in found[-1] and found[-1].splitlines()[-1] != "EOF":
                found[-1] += "\n" + next(lines)
    return found


@pytest.mark.parametrize(
    ("values", "second"),
    [({}, "kubectl create serviceaccount"), ({"auth": {"mode": "none"}}, "kubectl get")],
    ids=["closed", "open"],
)
def test_the_notes_give_three_commands_that_a_shell_understands(helm, values, second):
    """NOTES are read once, right after the installation."""
    first, middle, last = commands(helm.notes(values))
    example = first.split("fn/hello\n")[1].removesuffix("EOF")
    assert yaml.safe_load(example)["spec"]["code"]["inline"]
    assert "--for=condition=Ready" in first
    assert middle.startswith(second)
    assert "/2015-03-31/functions/hello/invocations" in last
    for command in (first, middle, last):
        done = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_notes_show_how_to_become_a_caller(helm):
    """A right in one namespace, a token, and where AWS's clients put it."""
    notes = helm.notes({"watchNamespaces": ["apps"], "auth": {"audiences": ["lambent"]}})
    assert "--clusterrole lambent-lambent-system-invoker --serviceaccount apps:caller" in notes
    assert "kubectl create token --namespace apps caller --audience lambent" in notes
    assert '-H "Authorization: Bearer $TOKEN"' in notes
    assert "AWS_SESSION_TOKEN=" in notes
    assert "NO AUTHENTICATION" not in notes


def test_the_notes_shout_when_the_door_is_open(helm):
    """Nobody switches authentication off without being told what that means."""
    assert "THE PUBLIC DOOR HAS NO AUTHENTICATION (auth.mode: none)" in helm.notes({"auth": {"mode": "none"}})


def test_the_notes_say_what_an_uninstallation_leaves(helm):
    """CRDs and functions stay; environments go, unless they were asked to stay."""
    assert "first ends the execution environments, for up to 240 seconds" in helm.notes()
    kept = helm.notes({"uninstall": {"removeEnvironments": False}, "watchNamespaces": ["one", "two"]})
    for namespace in ("one", "two"):
        assert f"kubectl delete pods --namespace {namespace} --selector" in kept
    assert "kubectl delete crd functions.lambent.dev" in kept


def test_an_uninstallation_ends_environments_first_and_in_bounded_time(helm, rendered):
    """A hook: the release's own processes are still there to finish what runs. Helm waits for five minutes."""
    job = rendered.one("Job", "lambent-departure")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert job["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert rendered.environment("departure")["LAMBENT_DEPART_SECONDS"] == "240"
    assert 240 < job["spec"]["activeDeadlineSeconds"] < 300
    assert rendered.container("departure")["args"] == ["depart"]
    none = helm.template({"uninstall": {"removeEnvironments": False}})
    assert not [each for each in none.objects if each["metadata"]["name"].endswith("-departure")]


def test_an_uninstallation_makes_nothing_in_the_namespaces_of_functions(helm):
    """A hook in a watched namespace that was deleted meanwhile would make `helm uninstall` fail for good."""
    for each in helm.template({"watchNamespaces": ["one"]}).objects:
        if each["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-delete":
            assert each["metadata"]["namespace"] == "lambent-system"


def test_a_self_test_needs_a_runtime_that_it_speaks(helm, rendered):
    """Without a Python runtime there is none."""
    assert rendered.environment("selftest")["LAMBENT_SELFTEST_RUNTIME"] == "python3.13"
    more = {"runtimes": {"python3.9": "a", "python3.14": "b", "python3.10": "c"}}
    assert helm.template(more).environment("selftest")["LAMBENT_SELFTEST_RUNTIME"] == "python3.14"
    assert "runtime: python3.14\n" in helm.notes(more)
    only = {"runtimes": {"python3.11": None, "python3.13": None}}
    assert not [each for each in helm.template(only).objects if each["metadata"]["name"].endswith("-selftest")]
    (token,) = rendered.pod("selftest")["volumes"][0]["projected"]["sources"]
    assert "audience" not in token["serviceAccountToken"]
    other = helm.template({"auth": {"audiences": ["lambent"]}}).pod("selftest")["volumes"][0]["projected"]["sources"]
    assert other[0]["serviceAccountToken"]["audience"] == "lambent"

"""The processes as the chart deploys them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lambent.model.runtimes import CATALOGUE

PROCESSES = ("controller", "gateway", "codestore")
SOURCE = Path(__file__).resolve().parents[2] / "operator" / "lambent"
MAY_STAY_UNSET = {
    "controller": {"LAMBENT_WORKERS", "LAMBENT_GATEWAY_LABELS"},
    "gateway": {"LAMBENT_PUBLIC_PORT", "LAMBENT_INTERNAL_PORT", "LAMBENT_HOST", "LAMBENT_LINGER_SECONDS"}
    | {"LAMBENT_BODIES_BYTES"},
    "codestore": {"LAMBENT_CODESTORE_SCRUB_BYTES_PER_SECOND"},
    "departure": set(),
    "selftest": {"LAMBENT_SELFTEST_SECONDS"},
}
"""Settings with a default that the chart has no reason to change."""
ROOMS = {"departure": "departing", "selftest": "selftesting"}
BUCKET = {"codestore": {"backend": "s3", "s3": {"bucket": "code", "credentialsSecret": "keys"}}}


def settings_read(process):
    """Every variable that a process reads, by its text."""
    texts = [path.read_text() for path in (SOURCE / ROOMS.get(process, process)).rglob("*.py")]
    return {name for text in texts for name in re.findall(r"LAMBENT_[A-Z0-9_]*[A-Z0-9]", text)}


@pytest.mark.parametrize("process", MAY_STAY_UNSET)
def test_the_chart_sets_what_the_process_reads_and_nothing_else(helm, rendered, process):
    """A setting that nobody reads is a lie in values.yaml; one that nobody sets is a surprise."""
    given = rendered.environment(process).keys() | helm.template(BUCKET).environment(process).keys()
    assert {name for name in given if name.startswith("LAMBENT_")} == settings_read(process) - MAY_STAY_UNSET[process]


@pytest.mark.parametrize("process", PROCESSES)
def test_no_setting_is_left_to_the_variables_of_services(rendered, process):
    """The kubelet sets LAMBENT_GATEWAY_PORT=tcp://… for a Service lambent-gateway: what is unset may not look so."""
    links = re.compile(r"LAMBENT_\w+_(PORT|SERVICE_HOST|SERVICE_PORT)")
    services = {each["metadata"]["name"] for each in rendered.all("Service")}
    linked = {f"{name.upper().replace('-', '_')}_PORT" for name in services}
    unset = settings_read(process) - set(rendered.environment(process))
    assert not unset & linked
    assert {name for name in unset if links.fullmatch(name)} <= {"LAMBENT_PUBLIC_PORT", "LAMBENT_INTERNAL_PORT"}


@pytest.mark.parametrize("process", MAY_STAY_UNSET)
def test_pods_meet_pod_security_restricted(rendered, process):
    """Lambent asks nothing of a namespace that it does not give to functions."""
    pod = rendered.pod(process)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert isinstance(pod["securityContext"]["runAsUser"], int)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    kinds = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
    assert kinds <= {"emptyDir", "secret", "projected", "persistentVolumeClaim"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_answers_probes_on_its_metrics_port(rendered, process):
    """Liveness is not readiness, and readiness is not leadership."""
    container = rendered.container(process)
    assert {"name": "metrics", "containerPort": 9090} in container["ports"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["args"] == [process]


@pytest.mark.parametrize("process", PROCESSES)
def test_selectors_select_the_process_alone(rendered, process):
    """Two Deployments with one selector would fight over pods."""
    deployment = rendered.one("Deployment", f"lambent-{process}")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == process
    assert labels["app.kubernetes.io/managed-by"] != "lambent", "that value marks execution environments"


def test_a_gateway_may_take_as_long_as_the_longest_invocation_to_end(rendered):
    """A rolling update loses no request: the new gateway is ready before the old one drains for up to 15 minutes."""
    deployment = rendered.one("Deployment", "lambent-gateway")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    linger = 5
    assert grace > linger + float(rendered.environment("gateway")["LAMBENT_DRAIN_SECONDS"]) >= linger + 900


def test_gateways_are_found_while_they_are_not_ready(rendered):
    """The controller must hear a draining gateway: its environments are in use."""
    service = rendered.one("Service", "lambent-gateway-internal")["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert rendered.environment("controller")["LAMBENT_GATEWAY_SERVICE"] == "lambent-gateway-internal"
    assert str(service["ports"][0]["port"]) == rendered.environment("controller")["LAMBENT_GATEWAY_PORT"]


def test_the_internal_door_is_on_no_public_service(rendered):
    """The public Service offers the public door only."""
    (port,) = rendered.one("Service", "lambent-gateway")["spec"]["ports"]
    assert port["targetPort"] == "http"
    assert port["port"] == 8080


def test_a_cold_start_needs_no_dns(helm, rendered):
    """The code store's URL is an address out of the Service's variables, whatever the release is called."""
    assert rendered.environment("gateway")["LAMBENT_CODESTORE_URL"] == "http://$(LAMBENT_CODESTORE_SERVICE_HOST):8082"
    other = helm.template(release="my-faas.two")
    (gateway,) = [each for each in other.all("Deployment") if each["metadata"]["name"].endswith("-gateway")]
    pod = gateway["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is True
    url = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}["LAMBENT_CODESTORE_URL"]
    assert url == "http://$(MY_FAAS_TWO_CODESTORE_SERVICE_HOST):8082"
    assert [each for each in other.all("Service") if each["metadata"]["name"] == "my-faas-two-codestore"]
    given = helm.template({"codestore": {"url": "http://store.example:8082"}})
    assert given.environment("gateway")["LAMBENT_CODESTORE_URL"] == "http://store.example:8082"


def test_the_code_store_keeps_code_on_a_volume(helm, rendered):
    """One writer on one claim; an existing claim or none at all when asked for."""
    assert rendered.one("PersistentVolumeClaim", "lambent-codestore")["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert rendered.one("Deployment", "lambent-codestore")["spec"]["strategy"] == {"type": "Recreate"}

    def code(persistence):
        objects = helm.template({"codestore": {"persistence": persistence}})
        pod = objects.one("Deployment", "lambent-codestore")["spec"]["template"]["spec"]
        (volume,) = [each for each in pod["volumes"] if each["name"] == "code"]
        return volume, objects.all("PersistentVolumeClaim")

    assert code({"enabled": False}) == ({"name": "code", "emptyDir": {"sizeLimit": "10Gi"}}, [])
    assert code({"existingClaim": "mine"}) == ({"name": "code", "persistentVolumeClaim": {"claimName": "mine"}}, [])
    (claim,) = code({"storageClass": "fast"})[1]
    assert claim["spec"]["storageClassName"] == "fast"
    (claim,) = code({"storageClass": "-"})[1]
    assert claim["spec"]["storageClassName"] == ""


def test_the_code_store_over_a_bucket_has_no_volume_and_may_have_replicas(helm):
    """Nothing is kept in the pod, so one may take over from another before that ends."""
    values = {"codestore": {**BUCKET["codestore"], "replicas": 3}, "region": "eu-north-1"}
    rendered = helm.template(values)
    assert rendered.all("PersistentVolumeClaim") == []
    deployment = rendered.one("Deployment", "lambent-codestore")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert {each["name"] for each in rendered.pod("codestore")["volumes"]} == {"tmp", "keys"}
    environment = {each["name"]: each for each in rendered.container("codestore")["env"]}
    assert environment["LAMBENT_CODESTORE_S3_REGION"]["value"] == "eu-north-1"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert environment[name]["valueFrom"] == {"secretKeyRef": {"name": "keys", "key": name}}
    assert "LAMBENT_CODESTORE_DIR" not in environment
    assert rendered.one("PodDisruptionBudget", "lambent-codestore")["spec"]["maxUnavailable"] == 1


def test_a_bucket_may_be_opened_by_the_pods_identity(helm):
    """No key in the cluster is better than one that is kept well."""
    role = {"example.com/role": "reader"}
    rendered = helm.template(
        {"codestore": {"backend": "s3", "s3": {"bucket": "code"}, "serviceAccountAnnotations": role}}
    )
    assert not [name for name in rendered.environment("codestore") if name.startswith("AWS_")]
    assert rendered.one("ServiceAccount", "lambent-codestore")["metadata"]["annotations"] == role


def test_code_that_is_fetched_has_room_in_the_controller(helm, rendered):
    """A package is at most 250 MB; the root file system is read-only."""

    def room(objects):
        (volume,) = [each for each in objects.pod("controller")["volumes"] if each["name"] == "tmp"]
        return volume["emptyDir"]["sizeLimit"]

    assert room(rendered) == "1Gi"
    assert room(helm.template({"controller": {"tmpSize": "3Gi"}})) == "3Gi"


def test_what_may_be_dialled_reaches_the_controller(helm):
    """The guard of everything that is dialled on a tenant's word."""
    sources = {
        "allowedNetworks": ["10.1.0.0/16", "fd00::/8"],
        "deniedNetworks": ["10.1.2.0/24"],
        "insecureRegistries": ["registry.local:5000"],
        "s3": {"endpoint": "http://minio.storage:9000", "region": "eu-1"},
    }
    values = {"codeSources": sources, "codestore": {"collect": {"everySeconds": 0, "graceSeconds": 600}}}
    environment = helm.template(values).environment("controller")
    assert environment["LAMBENT_ALLOWED_NETWORKS"] == "10.1.0.0/16,fd00::/8"
    assert environment["LAMBENT_DENIED_NETWORKS"] == "10.1.2.0/24"
    assert environment["LAMBENT_INSECURE_REGISTRIES"] == "registry.local:5000"
    assert environment["LAMBENT_S3_ENDPOINT"] == "http://minio.storage:9000"
    assert environment["LAMBENT_S3_REGION"] == "eu-1"
    assert environment["LAMBENT_COLLECT_SECONDS"] == "0"
    assert environment["LAMBENT_COLLECT_GRACE_SECONDS"] == "600"


def test_what_environments_do_between_invocations_reaches_the_controller(helm, rendered):
    """They stand still, and log nowhere else, unless somebody says otherwise."""
    told = rendered.environment("controller")
    assert (told["LAMBENT_ENVIRONMENT_FREEZE"], told["LAMBENT_ENVIRONMENT_LOG_SINK"]) == ("on", "")
    values = {"environments": {"freeze": False, "logSink": "tcp://logs.monitoring:5170"}}
    told = helm.template(values).environment("controller")
    assert (told["LAMBENT_ENVIRONMENT_FREEZE"], told["LAMBENT_ENVIRONMENT_LOG_SINK"]) == (
        "off",
        "tcp://logs.monitoring:5170",
    )


def test_a_bare_installation_dials_public_addresses_only(rendered):
    """Nothing is opened by default, and the region of the installation is S3's."""
    environment = rendered.environment("controller")
    for name in ("ALLOWED_NETWORKS", "DENIED_NETWORKS", "INSECURE_REGISTRIES", "S3_ENDPOINT"):
        assert environment[f"LAMBENT_{name}"] == ""
    assert environment["LAMBENT_S3_REGION"] == "us-east-1"


def test_the_public_door_is_closed_unless_somebody_says_otherwise(helm, rendered):
    """Authentication is off by an explicit value only."""
    assert rendered.environment("gateway")["LAMBENT_AUTH_MODE"] == "kubernetes"
    assert rendered.environment("gateway")["LAMBENT_AUTH_AUDIENCES"] == ""
    given = helm.template({"auth": {"audiences": ["lambent", "other"]}}).environment("gateway")
    assert given["LAMBENT_AUTH_AUDIENCES"] == "lambent,other"
    assert helm.template({"auth": {"mode": "none"}}).environment("gateway")["LAMBENT_AUTH_MODE"] == "none"


def test_network_policies_of_environments_can_be_left_to_somebody_else(helm, rendered):
    """Some clusters have an operator for them."""
    assert rendered.environment("controller")["LAMBENT_ENVIRONMENT_POLICY"] == "on"
    off = helm.template({"networkPolicy": {"environments": False}}, release="mine.two")
    (controller,) = [each for each in off.all("Deployment") if each["metadata"]["name"] == "mine-two-controller"]
    pod = controller["spec"]["template"]
    environment = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
    assert environment["LAMBENT_ENVIRONMENT_POLICY"] == "off"
    # the controller tells by it which gateway environments may hear
    assert environment["LAMBENT_RELEASE_NAME"] == pod["metadata"]["labels"]["app.kubernetes.io/instance"] == "mine.two"


def test_each_process_holds_the_keys_it_needs(rendered):
    """The code store cannot make agent tokens; the controller reads the Secret by its name."""

    def keys(process):
        pod = rendered.one("Deployment", f"lambent-{process}")["spec"]["template"]["spec"]
        return {item["key"] for volume in pod["volumes"] if "secret" in volume for item in volume["secret"]["items"]}

    assert keys("gateway") == {"agent-key", "url-key"}
    assert keys("codestore") == {"url-key"}
    assert keys("controller") == set()
    assert rendered.environment("controller")["LAMBENT_KEYS_SECRET"] == "lambent-keys"


def test_the_code_store_has_no_api_token(rendered):
    """It never speaks to the API server."""
    assert rendered.one("ServiceAccount", "lambent-codestore")["automountServiceAccountToken"] is False
    pod = rendered.one("Deployment", "lambent-codestore")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_the_controller_introduces_itself_with_a_short_lived_token(rendered):
    """The gateway admits that user and that audience only."""
    pod = rendered.one("Deployment", "lambent-controller")["spec"]["template"]["spec"]
    (token,) = [
        source["serviceAccountToken"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    assert token == {"path": "token", "audience": "lambent-internal", "expirationSeconds": 600}
    user = rendered.environment("gateway")["LAMBENT_CONTROLLER_USER"]
    assert user == f"system:serviceaccount:lambent-system:{pod['serviceAccountName']}"


def test_images_move_to_a_mirror_with_one_value(helm):
    """global.imageRegistry takes the place of the registry host in every image, runtimes included."""
    rendered = helm.template(
        {
            "global": {"imageRegistry": "mirror.example:5000"},
            "image": {"digest": "sha256:" + "a" * 64},
            "runtimes": {"python3.11": "mine/python:7", "provided.al2023": "localhost/provided"},
            "agent": {"image": "ghcr.io/lambent/agent"},
        }
    )
    assert rendered.environment("controller")["LAMBENT_AGENT_IMAGE"] == "mirror.example:5000/lambent/agent:0.1.0"
    for process in PROCESSES:
        image = rendered.container(process)["image"]
        assert image == f"mirror.example:5000/lambent/lambent@sha256:{'a' * 64}"
    offered = json.loads(rendered.environment("controller")["LAMBENT_RUNTIMES"])
    assert offered["python3.11"] == "mirror.example:5000/mine/python:7"
    assert offered["provided.al2023"] == "mirror.example:5000/provided:0.1.0"
    assert all(image.startswith("mirror.example:5000/") for image in offered.values())


def test_the_runtimes_offered_are_in_the_catalogue_and_of_this_release(rendered):
    """A runtime image without a tag is the one that was released with the chart."""
    runtimes = json.loads(rendered.environment("controller")["LAMBENT_RUNTIMES"])
    assert runtimes.keys() <= CATALOGUE.keys()
    assert runtimes["python3.11"].endswith(":0.1.0")


@pytest.mark.parametrize(("values", "millicores"), [({}, "1000"), ({"startCpuMillicores": 0}, "0")], ids=["on", "off"])
def test_environments_start_with_as_much_cpu_as_the_value_says(helm, values, millicores):
    """0 is a wish of its own, not the absence of one."""
    rendered = helm.template({"environments": values})
    assert rendered.environment("controller")["LAMBENT_START_CPU_MILLICORES"] == millicores


@pytest.mark.parametrize(
    ("values", "namespaces", "default"),
    [
        ({}, "", "default"),
        ({"defaultNamespace": "apps"}, "", "apps"),
        ({"watchNamespaces": ["one", "two"]}, "one,two", "one"),
        ({"watchNamespaces": ["one", "two"], "defaultNamespace": "two"}, "one,two", "two"),
    ],
)
def test_requests_without_an_account_go_to_a_namespace_that_is_watched(helm, values, namespaces, default):
    """Both processes watch the same."""
    rendered = helm.template(values)
    for process in ("controller", "gateway"):
        assert rendered.environment(process)["LAMBENT_NAMESPACES"] == namespaces
    assert rendered.environment("gateway")["LAMBENT_DEFAULT_NAMESPACE"] == default

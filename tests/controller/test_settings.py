"""The controller's settings."""

import pytest

from lambent.controller.settings import ControllerSettings

GIVEN = {
    "LAMBENT_CODESTORE_URL": "http://codestore:8082",
    "LAMBENT_INTERNAL_TOKEN_FILE": "/token",
    "LAMBENT_GATEWAY_SERVICE": "gateway",
    "LAMBENT_KEYS_SECRET": "keys",
    "LAMBENT_POD_NAME": "pod-1",
    "LAMBENT_POD_NAMESPACE": "lambent",
    "LAMBENT_RUNTIMES": '{"python3.11": "image"}',
}


def test_defaults():
    """What nobody says."""
    settings = ControllerSettings.from_environment(GIVEN)
    assert settings.namespaces == ()
    assert settings.installation.scaling.idle == 300
    assert settings.installation.scaling.max_pending == 50
    assert settings.workload.cpu_request_percent == 10
    assert settings.workload.start_cpu_millicores == 1000
    assert settings.workload.agent_allowance_mb == 64
    assert settings.workload.pull_policy == "IfNotPresent"
    assert (settings.workload.freeze, settings.workload.log_sink) == (True, "")
    assert settings.gateway_port == 8081


SAID = {
    "LAMBENT_NAMESPACES": ("a, b,", lambda it: it.namespaces, ("a", "b")),
    "LAMBENT_REGION": ("eu-central-1", lambda it: it.installation.region, "eu-central-1"),
    "LAMBENT_IDLE_SECONDS": ("60", lambda it: it.installation.scaling.idle, 60),
    "LAMBENT_MAX_PENDING": ("7", lambda it: it.installation.scaling.max_pending, 7),
    "LAMBENT_CPU_REQUEST_PERCENT": ("100", lambda it: it.workload.cpu_request_percent, 100),
    "LAMBENT_START_CPU_MILLICORES": ("0", lambda it: it.workload.start_cpu_millicores, 0),
    "LAMBENT_AGENT_ALLOWANCE_MB": ("0", lambda it: it.workload.agent_allowance_mb, 0),
    "LAMBENT_ENVIRONMENT_FREEZE": ("off", lambda it: it.workload.freeze, False),
    "LAMBENT_ENVIRONMENT_LOG_SINK": ("tcp://logs:5170", lambda it: it.workload.log_sink, "tcp://logs:5170"),
    "LAMBENT_RUNTIME_PULL_POLICY": ("Never", lambda it: it.workload.pull_policy, "Never"),
    "LAMBENT_GATEWAY_PORT": ("9999", lambda it: it.gateway_port, 9999),
    "LAMBENT_LEASE_NAME": ("l", lambda it: it.lease_name, "l"),
    "LAMBENT_ALLOWED_NETWORKS": (
        "10.1.0.0/16, fd00::/8",
        lambda it: [str(network) for network in it.sources.addresses.allowed],
        ["10.1.0.0/16", "fd00::/8"],
    ),
    "LAMBENT_DENIED_NETWORKS": (
        "1.2.3.4/32",
        lambda it: [str(network) for network in it.sources.addresses.denied],
        ["1.2.3.4/32"],
    ),
    "LAMBENT_INSECURE_REGISTRIES": ("a:5000,b", lambda it: it.sources.insecure_registries, {"a:5000", "b"}),
    "LAMBENT_S3_ENDPOINT": ("http://s3", lambda it: it.sources.s3_endpoint, "http://s3"),
    "LAMBENT_S3_REGION": ("eu-west-1", lambda it: it.sources.s3_region, "eu-west-1"),
    "LAMBENT_AGENT_IMAGE": ("agent", lambda it: it.installation.agent_image, "agent"),
    "LAMBENT_PROMETHEUS_URL": (
        "https://prometheus.monitoring:9090/prefix/",
        lambda it: it.prometheus.url,
        "https://prometheus.monitoring:9090/prefix",
    ),
    "LAMBENT_PROMETHEUS_TOKEN_FILE": ("/token", lambda it: it.prometheus.token_file, "/token"),
    "LAMBENT_PROMETHEUS_CA_FILE": ("/ca.crt", lambda it: it.prometheus.ca_file, "/ca.crt"),
    "LAMBENT_COLLECT_SECONDS": ("0", lambda it: it.collect_seconds, 0),
    "LAMBENT_COLLECT_GRACE_SECONDS": ("60", lambda it: it.collecting.grace, 60),
    "LAMBENT_LOG_LEVEL": ("debug", lambda it: it.log_level, "DEBUG"),
}


@pytest.mark.parametrize(("name", "row"), SAID.items(), ids=SAID.keys())
def test_what_is_said(name, row):
    """Every variable reaches its field."""
    text, read, expected = row
    assert read(ControllerSettings.from_environment({**GIVEN, name: text})) == expected


NONSENSE = {
    "not a number": {"LAMBENT_IDLE_SECONDS": "soon"},
    "too small": {"LAMBENT_MAX_PENDING": "0"},
    "no such policy": {"LAMBENT_RUNTIME_PULL_POLICY": "Sometimes"},
    "no JSON": {"LAMBENT_RUNTIMES": "{"},
    "no table": {"LAMBENT_RUNTIMES": '["python3.11"]'},
    "no network": {"LAMBENT_ALLOWED_NETWORKS": "10.0.0.0/99"},
    "a sink without a port": {"LAMBENT_ENVIRONMENT_LOG_SINK": "tcp://logs"},
    "a sink of another kind": {"LAMBENT_ENVIRONMENT_LOG_SINK": "udp://logs:514"},
    "a Prometheus without a scheme": {"LAMBENT_PROMETHEUS_URL": "prometheus:9090"},
    "a Prometheus with a password": {"LAMBENT_PROMETHEUS_URL": "http://user:secret@prometheus:9090"},
    "neither on nor off": {"LAMBENT_ENVIRONMENT_FREEZE": "0"},
    "no such word": {"LAMBENT_ENVIRONMENT_POLICY": "perhaps"},
    "not said": {"LAMBENT_CODESTORE_URL": ""},
}


@pytest.mark.parametrize("row", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused_by_name(row):
    """At start, not at the first function."""
    with pytest.raises(ValueError, match=next(iter(row))):
        ControllerSettings.from_environment({**GIVEN, **row})


def test_network_policies_are_written_for_a_release_that_is_named():
    """Off unless said; said, the release's name is needed, and the gateway's labels are the chart's."""
    assert ControllerSettings.from_environment(GIVEN).policies is None
    on = {**GIVEN, "LAMBENT_ENVIRONMENT_POLICY": "on"}
    with pytest.raises(ValueError, match="LAMBENT_RELEASE_NAME"):
        ControllerSettings.from_environment(on)
    release = ControllerSettings.from_environment({**on, "LAMBENT_RELEASE_NAME": "prod"}).policies
    assert (release.policy_name, release.namespace, release.door_port) == ("prod-environments", "lambent", 9000)
    assert release.gateway["app.kubernetes.io/component"] == "gateway"
    labels = ControllerSettings.from_environment(
        {**on, "LAMBENT_RELEASE_NAME": "prod", "LAMBENT_GATEWAY_LABELS": '{"app": "door"}'}
    ).policies
    assert labels.gateway == {"app": "door"}

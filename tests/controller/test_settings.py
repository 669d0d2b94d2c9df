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
    assert settings.gateway_port == 8081


SAID = {
    "LAMBENT_NAMESPACES": ("a, b,", lambda it: it.namespaces, ("a", "b")),
    "LAMBENT_REGION": ("eu-central-1", lambda it: it.installation.region, "eu-central-1"),
    "LAMBENT_IDLE_SECONDS": ("60", lambda it: it.installation.scaling.idle, 60),
    "LAMBENT_MAX_PENDING": ("7", lambda it: it.installation.scaling.max_pending, 7),
    "LAMBENT_CPU_REQUEST_PERCENT": ("100", lambda it: it.workload.cpu_request_percent, 100),
    "LAMBENT_START_CPU_MILLICORES": ("0", lambda it: it.workload.start_cpu_millicores, 0),
    "LAMBENT_AGENT_ALLOWANCE_MB": ("0", lambda it: it.workload.agent_allowance_mb, 0),
    "LAMBENT_RUNTIME_PULL_POLICY": ("Never", lambda it: it.workload.pull_policy, "Never"),
    "LAMBENT_GATEWAY_PORT": ("9999", lambda it: it.gateway_port, 9999),
    "LAMBENT_LEASE_NAME": ("l", lambda it: it.lease_name, "l"),
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
    "not said": {"LAMBENT_CODESTORE_URL": ""},
}


@pytest.mark.parametrize("row", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused_by_name(row):
    """At start, not at the first function."""
    with pytest.raises(ValueError, match=next(iter(row))):
        ControllerSettings.from_environment({**GIVEN, **row})

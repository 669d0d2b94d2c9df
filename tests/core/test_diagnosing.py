"""Why a cold start took too long, and how an environment died."""

from __future__ import annotations

import json

import pytest

from lambent.core.diagnosing import cold_start_timeout, environment_lost
from lambent.model.environments import EnvironmentPod, Key, PodFailure
from lambent.model.functions import ConditionStatus

KEY = Key("uid", "latest", "rev")


def pod(blocked: PodFailure | None = None, **fields) -> EnvironmentPod:
    return EnvironmentPod("default", "p", "u", KEY, "n", "", blocked=blocked, **fields)


def status(kind: str, value: str, reason: str, message: str = "why") -> ConditionStatus:
    return ConditionStatus(type=kind, status=value, last_transition_time="x", reason=reason, message=message)


UNHEALTHY = status("EnvironmentsHealthy", "False", "RoleNotFound", "ServiceAccount writer not found")


@pytest.mark.parametrize(
    ("row", "pods", "conditions", "claim", "words"),
    [
        ("nothing", [], [], None, "no execution environment was created in time"),
        (
            "image",
            [pod(PodFailure("ErrImagePull", "not   found\nthere"))],
            [],
            None,
            "its image cannot be pulled (ErrImagePull): not found there",
        ),
        (
            "no node",
            [pod(PodFailure("Unschedulable", "0/3 nodes are available"))],
            [UNHEALTHY],
            "x",
            "no node can take it (Unschedulable): 0/3 nodes are available",
        ),
        ("memory", [pod(PodFailure("OOMKilled", "", 137))], [], None, "it ran out of memory while it started"),
        ("exit", [pod(PodFailure("Error", "", 2))], [], None, "it ended with exit status 2 before it was ready"),
        ("config", [pod(PodFailure("CreateContainerConfigError", 'secret "s" not found'))], [], None, "secret"),
        ("role", [], [UNHEALTHY], None, "RoleNotFound: ServiceAccount writer not found"),
        ("quota", [], [status("Ready", "False", "QuotaExceeded")], None, "QuotaExceeded: why"),
        ("in progress", [], [status("Ready", "False", "Progressing")], None, "no execution environment was created"),
        ("healthy", [pod()], [status("Ready", "True", "Available")], None, "still being created (ContainerCreating)"),
        ("claim", [pod(running=True)], [], "code store is down", "could not be set up: code store is down"),
        ("slow", [pod(running=True)], [], None, "its agent or its init did not finish in time"),
        ("going", [pod(PodFailure("Error", "", 2), deleting=True)], [], None, "no execution environment was created"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)
def test_a_cold_start_timeout_names_the_likeliest_cause(row, pods, conditions, claim, words):
    """What blocks a pod first, then what the controller says, then what a claim ran into."""
    message = cold_start_timeout(60.0, pods, conditions, claim)
    assert message.startswith("Lambda could not start an execution environment within 60 seconds: "), row
    assert words in message


def test_details_are_short():
    """Messages of Kubernetes can be pages long."""
    assert len(cold_start_timeout(1, [pod(PodFailure("Failed", "x" * 5000))], [])) < 700


@pytest.mark.parametrize(
    ("ending", "deleting", "manner"),
    [
        (PodFailure("OOMKilled", "", 137), False, "Runtime exited with error: signal: killed"),
        (PodFailure("OOMKilled", "", 137), True, "Runtime exited with error: signal: killed"),
        (PodFailure("Error", "", 137), False, "Runtime exited with error: signal: killed"),
        (PodFailure("Error", "", 1), False, "Runtime exited with error: exit status 1"),
        (PodFailure("Completed", "", 0), False, "Runtime exited without providing a reason"),
        (PodFailure("Error", "", 143), True, None),
        (PodFailure("Evicted", "node was low on memory"), False, None),
        (None, False, None),
    ],
)
def test_an_ended_container_is_the_functions_error_only_when_it_was_its_doing(ending, deleting, manner):
    """Deletion, eviction and lost nodes are the service's failures."""
    payload = environment_lost("id-1", pod(deleting=deleting), ending)
    if manner is None:
        assert payload is None
    else:
        assert json.loads(payload) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: id-1 Error: {manner}",
        }

"""Why a cold start took too long, and how an environment died."""

from __future__ import annotations

import json

import pytest

from lambent.core.diagnosing import ColdStart, cold_start_failure, cold_start_timeout, environment_lost, exit_error
from lambent.model.environments import EnvironmentPod, Key, PodFailure
from lambent.model.functions import ConditionStatus

KEY = Key("uid", "latest", "rev")


def pod(blocked: PodFailure | None = None, **fields) -> EnvironmentPod:
    return EnvironmentPod("default", "p", "u", KEY, "n", "", blocked=blocked, **fields)


def status(kind: str, value: str, reason: str, message: str = "why") -> ConditionStatus:
    return ConditionStatus(type=kind, status=value, last_transition_time="x", reason=reason, message=message)


FULL = 'Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". '
CONTAINER_FULL = 'Container environment exceeded its local ephemeral storage limit "1536Mi". '
POD_FULL = "Pod ephemeral local storage usage exceeds the total limit of containers 1536Mi. "
LOW = "The node was low on resource: memory. "
STORAGE = "Runtime exited with error: signal: killed (no space left on device: /tmp is full)"
UNMOUNTED = status("Ready", "False", "EFSMountFailure", "The function could not mount the EFS file system …")
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
        ("storage", [pod(PodFailure("Evicted", FULL, 137))], [], None, "it wrote more than it may while it started"),
        ("node full", [pod(PodFailure("Evicted", LOW))], [], None, "Evicted: The node was low on resource: memory."),
        ("volumes", [pod(mounting=True)], [], None, "its volumes or its network are not there yet"),
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
    message = cold_start_timeout(ColdStart(60.0, pods, conditions, claim))
    assert message.startswith("Lambda could not start an execution environment within 60 seconds: "), row
    assert words in message


def test_details_are_short():
    """Messages of Kubernetes can be pages long."""
    assert len(cold_start_timeout(ColdStart(1, [pod(PodFailure("Failed", "x" * 5000))], []))) < 700


@pytest.mark.parametrize(
    ("row", "pods", "conditions", "systems", "code", "words"),
    [
        ("none", [pod(mounting=True)], [], (), "ServiceException", "within 60 seconds"),
        ("no claim", [], [UNMOUNTED], ("data",), "EFSMountFailureException", "The function could not mount the EFS"),
        (
            "slow",
            [pod(mounting=True)],
            [],
            ("data",),
            "EFSMountTimeoutException",
            "The function could not mount the EFS file system with access point data due to mount time out. ",
        ),
        ("mounted", [pod()], [], ("data",), "ServiceException", "ContainerCreating"),
        ("runs", [pod(mounting=True, running=True)], [], ("data",), "ServiceException", "its agent or its init"),
        ("image", [pod(PodFailure("ErrImagePull", "no")), pod(mounting=True)], [], ("data",), "ServiceException", "no"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)
def test_what_a_file_system_is_to_blame_for_has_lambdas_error(row, pods, conditions, systems, code, words):
    """A missing claim by the controller's word; a mount in vain by the kubelet's, which mounts before all else."""
    failure = cold_start_failure(ColdStart(60.0, pods, conditions, None, systems))
    assert failure.code == code, row
    assert words in failure.message


@pytest.mark.parametrize(
    ("ending", "deleting", "manner"),
    [
        (PodFailure("OOMKilled", "", 137), False, "Runtime exited with error: signal: killed"),
        (PodFailure("OOMKilled", "", 137), True, "Runtime exited with error: signal: killed"),
        (PodFailure("Error", "", 137), False, "Runtime exited with error: signal: killed"),
        (PodFailure("Error", "", 1), False, "Runtime exited with error: exit status 1"),
        (PodFailure("Completed", "", 0), False, "Runtime exited without providing a reason"),
        (PodFailure("Error", "", 143), True, None),
        (PodFailure("Evicted", LOW), False, None),
        (PodFailure("Evicted", LOW, 137), False, None),
        (PodFailure("Evicted", FULL), False, STORAGE),
        (PodFailure("Evicted", FULL, 137), False, STORAGE),
        (PodFailure("Evicted", CONTAINER_FULL, 0), True, STORAGE),
        (PodFailure("Evicted", POD_FULL, 143), True, STORAGE),
        (None, False, None),
    ],
)
def test_an_ended_container_is_the_functions_error_only_when_it_was_its_doing(ending, deleting, manner):
    """Deletion, lost nodes and what a node lacks are the service's failures; what a function wrote is its own."""
    message = environment_lost("id-1", pod(deleting=deleting), ending)
    assert message == (None if manner is None else f"RequestId: id-1 Error: {manner}")


def test_the_payload_is_lambdas():
    """Type and message, nothing else."""
    assert json.loads(exit_error("RequestId: …")) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: …",
    }

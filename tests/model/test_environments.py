"""What the house reads of an execution environment's pod about its CPU."""

import pytest

from lambent.model import names
from lambent.model.environments import EnvironmentPod


def body(limits=None, entitled="72", conditions=(), name="environment"):
    labels = {names.LABEL_FUNCTION_UID: "f", names.LABEL_VERSION: "latest", names.LABEL_POD_REVISION: "r"}
    annotations = {names.ANNOTATION_NONCE: "n"}
    if entitled is not None:
        annotations[names.ANNOTATION_CPU] = entitled
    sidecar = {"name": "injected", "resources": {"limits": {"cpu": "5"}}}
    return {
        "metadata": {"namespace": "a", "name": "p", "uid": "u", "labels": labels, "annotations": annotations},
        "spec": {"containers": [sidecar, {"name": name, "resources": {"limits": limits}}]},
        "status": {"conditions": list(conditions)},
    }


CPU = {
    "generous": (body({"cpu": "1"}), (1000, 72, True)),
    "narrowed": (body({"cpu": "72m"}), (72, 72, False)),
    "without a limit": (body(), (None, 72, False)),
    "with a limit that nobody understands": (body({"cpu": "0.5"}), (None, 72, False)),
    "whose entitlement nobody wrote": (body({"cpu": "1"}, None), (1000, None, False)),
    "whose entitlement somebody wrote over": (body({"cpu": "1"}, "much"), (1000, None, False)),
    "with an entitlement of nothing": (body({"cpu": "1"}, "0"), (1000, None, False)),
    "without our container": (body({"cpu": "1"}, name="theirs"), (None, 72, False)),
}


@pytest.mark.parametrize("row", CPU.values(), ids=CPU.keys())
def test_a_pod_says_its_cpu(row):
    """What its specification gives it, what it is entitled to, and whether that is less."""
    seen = EnvironmentPod.from_kubernetes(row[0])
    assert (seen.cpu_limit, seen.cpu_entitled, seen.wide) == row[1]


REFUSALS = {
    "nothing": ((), None),
    "a node that cannot": (({"type": "PodResizePending", "reason": "Infeasible", "message": "static"},), "static"),
    "a node that will": (({"type": "PodResizePending", "reason": "Deferred", "message": "later"},), None),
    "a node at work": (({"type": "PodResizeInProgress"},), None),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_pod_says_that_its_node_refuses_a_resize(row):
    """Only what will not come by itself."""
    assert EnvironmentPod.from_kubernetes(body(conditions=row[0])).resize_refused == row[1]


def container(name="environment", **state):
    return {"name": name, "state": state}


BLOCKED = {
    "running": ({"containerStatuses": [container(running={})]}, None),
    "being made": ({"containerStatuses": [container(waiting={"reason": "ContainerCreating"})]}, None),
    "waiting for the agent to be brought": (
        {
            "initContainerStatuses": [container("agent", running={})],
            "containerStatuses": [container(waiting={"reason": "PodInitializing"})],
        },
        None,
    ),
    "the agent was brought": (
        {
            "initContainerStatuses": [container("agent", terminated={"exitCode": 0, "reason": "Completed"})],
            "containerStatuses": [container(running={})],
        },
        None,
    ),
    "the agent's image cannot be pulled": (
        {
            "initContainerStatuses": [container("agent", waiting={"reason": "ErrImagePull", "message": "no such"})],
            "containerStatuses": [container(waiting={"reason": "PodInitializing"})],
        },
        "ErrImagePull",
    ),
    "the agent could not be brought": (
        {
            "phase": "Failed",
            "initContainerStatuses": [container("agent", terminated={"exitCode": 1, "reason": "Error"})],
            "containerStatuses": [container(waiting={"reason": "PodInitializing"})],
        },
        "Error",
    ),
    "its image cannot be pulled": (
        {"containerStatuses": [container(waiting={"reason": "ErrImagePull"})]},
        "ErrImagePull",
    ),
    "it ended": ({"containerStatuses": [container(terminated={"exitCode": 3, "reason": "Error"})]}, "Error"),
    "evicted before anything ran": ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
    "evicted while it ran": (
        {"phase": "Failed", "reason": "Evicted", "containerStatuses": [container(terminated={"exitCode": 137})]},
        "Evicted",
    ),
    "evicted, which only the condition says": (
        {
            "phase": "Failed",
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}],
            "containerStatuses": [container(terminated={"exitCode": 143, "reason": "Error"})],
        },
        "Evicted",
    ),
    "preempted": (
        {
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
            "containerStatuses": [container(terminated={"exitCode": 143, "reason": "Error"})],
        },
        "Error",
    ),
    "no node": (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
        "Unschedulable",
    ),
}


@pytest.mark.parametrize("row", BLOCKED.values(), ids=BLOCKED.keys())
def test_a_pod_says_what_is_in_its_way(row):
    """Also what happens before its own container is looked at."""
    seen = EnvironmentPod.from_kubernetes({**body(), "status": row[0]})
    assert (seen.blocked.reason if seen.blocked else None) == row[1]


MOUNTING = {
    "nobody has it": ({"phase": "Pending"}, False),
    "a node has it": (
        {"phase": "Pending", "conditions": [{"type": "PodReadyToStartContainers", "status": "False"}]},
        True,
    ),
    "its sandbox is there": (
        {"phase": "Pending", "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}]},
        False,
    ),
    "it is over": (
        {"phase": "Failed", "conditions": [{"type": "PodReadyToStartContainers", "status": "False"}]},
        False,
    ),
}


@pytest.mark.parametrize("row", MOUNTING.values(), ids=MOUNTING.keys())
def test_a_pod_says_whether_its_volumes_are_waited_for(row):
    """The kubelet mounts before it makes the sandbox, so what is missing until then is a volume or the network."""
    assert EnvironmentPod.from_kubernetes({**body(), "status": row[0]}).mounting == row[1]


STORAGE = {
    "an emptyDir": ('Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". ', True),
    "a container": ('Container environment exceeded its local ephemeral storage limit "1Gi". ', True),
    "the pod": ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", True),
    "the node": ("The node was low on resource: ephemeral-storage. Container environment was using 3Gi. ", False),
}


@pytest.mark.parametrize("row", STORAGE.values(), ids=STORAGE.keys())
def test_an_eviction_says_whose_doing_it_was(row):
    """The kubelet has one reason for all; its message tells them apart."""
    status = {"phase": "Failed", "reason": "Evicted", "message": row[0]}
    assert EnvironmentPod.from_kubernetes({**body(), "status": status}).blocked.out_of_storage == row[1]

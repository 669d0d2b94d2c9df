"""No specification of a function yields a pod that Pod Security `restricted` refuses (S2 of the goals)."""

import copy
import json
from random import Random

import pytest
from pydantic import ValidationError
from tests.core.pod_security import mutations, violations

from lambent.core.housing import program_of
from lambent.core.readiness import ResolvedImage
from lambent.core.workload import EnvironmentFacts, PodIdentity, WorkloadSettings, environment_pod
from lambent.model.environments import Key
from lambent.model.functions import FunctionObject

KEY = Key("uid-1", "latest", "0123456789abcdef")
IMAGE = ResolvedImage("registry.example/x@sha256:" + "0" * 64, "0" * 64, 1, ("/entry",), ("cmd",), "/work", "0" * 16)
SETTINGS = (
    WorkloadSettings(9000, agent_image="agent:1"),
    WorkloadSettings(9000, agent_image="agent:1", start_cpu_millicores=1000, pull_policy="Always"),
)


def pod_of(spec, settings):
    body = {"metadata": {"name": "hello", "namespace": "a", "uid": "uid-1", "generation": 1}, "spec": spec}
    function = FunctionObject.from_kubernetes(body)
    image = function.spec.package_type == "Image"
    facts = EnvironmentFacts(KEY, "image:1", program_of(function.spec, IMAGE) if image else None)
    return environment_pod(function, facts, settings, PodIdentity("hello-0a1b2c", "nonce", "hash"))


def test_ten_thousand_mutations_yield_no_pod_that_violates_restricted():
    """Of 10,000 hostile specifications each is refused by the model or becomes a pod that meets the standard."""
    random, pods, refused, broken = Random(4), 0, 0, []
    for spec in mutations(random, 10_000):
        try:
            built = pod_of(spec, random.choice(SETTINGS))
        except ValidationError:
            refused += 1
            continue
        pods += 1
        if found := violations(built):
            broken.append((found, spec))
    print(f"S2 pods={pods} refused={refused} violations={len(broken)}")
    assert pods + refused == 10_000
    assert pods > 5_000
    assert broken == []


def test_bait_reaches_no_pod():
    """Two specifications that differ in bait only have the same pod: there is no passthrough at all."""
    plain = next(mutations(Random(1), 1))
    for name in ("hostNetwork", "securityContext", "volumes"):
        baited = copy.deepcopy(plain) | {name: True if name == "hostNetwork" else {"runAsUser": 0}}
        baited["ephemeralStorage"][name] = True
        assert json.dumps(pod_of(baited, SETTINGS[0])) == json.dumps(pod_of(plain, SETTINGS[0]))


def image_pod():
    return pod_of({"packageType": "Image", "code": {"imageUri": "x/y:1"}}, SETTINGS[0])


def changed(path, value):
    pod = copy.deepcopy(image_pod())
    *way, last = path
    inner = pod["spec"]
    for step in way:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return pod


FIRST, AGENT = ("containers", 0), ("initContainers", 0)
BROKEN = {
    "the host's network": changed(("hostNetwork",), True),
    "the host's processes": changed(("hostPID",), True),
    "the host's IPC": changed(("hostIPC",), True),
    "the host's files": changed(("volumes", 0), {"name": "tmp", "hostPath": {"path": "/"}}),
    "root by number": changed(("securityContext", "runAsUser"), 0),
    "perhaps root": changed(("securityContext", "runAsNonRoot"), None),
    "no seccomp": changed(("securityContext", "seccompProfile"), None),
    "unconfined": changed(("securityContext", "seccompProfile"), {"type": "Unconfined"}),
    "unsafe sysctl": changed(("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "1"}]),
    "privileged": changed((*FIRST, "securityContext"), {"privileged": True, "capabilities": {"drop": ["ALL"]}}),
    "escalation": changed((*FIRST, "securityContext", "allowPrivilegeEscalation"), None),
    "capabilities kept": changed((*FIRST, "securityContext", "capabilities"), {}),
    "capabilities added": changed((*FIRST, "securityContext", "capabilities", "add"), ["SYS_ADMIN"]),
    "proc unmasked": changed((*FIRST, "securityContext", "procMount"), "Unmasked"),
    "a host port": changed((*FIRST, "ports", 0, "hostPort"), 9000),
    "init container without context": changed((*AGENT, "securityContext"), None),
    "init container as root": changed((*AGENT, "securityContext", "runAsUser"), 0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_model_finds(name):
    """The standard as written here can refuse: each deliberately broken pod has exactly what was broken."""
    assert violations(image_pod()) == []
    assert violations(BROKEN[name])

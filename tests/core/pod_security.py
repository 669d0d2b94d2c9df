"""Kubernetes' Pod Security Standard `restricted`, written down anew from its documentation, and what is judged by it.

Nothing here comes from `lambent`: a model that shares code with what it judges finds nothing. `violations` is the
standard (baseline and restricted), `mutations` are hostile specifications of functions, and the same ones are given to
the real API server by tests/cluster/test_pod_security.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def violations(pod: dict[str, Any]) -> list[str]:
    """What the standard has against this manifest; nothing when it would be admitted."""
    spec = pod["spec"]
    own = spec.get("securityContext") or {}
    found = [f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += [f"sysctl {entry['name']}" for entry in own.get("sysctls", ()) if entry["name"] not in SYSCTLS]
    for volume in spec.get("volumes", ()):
        kinds = volume.keys() - {"name"}
        if len(kinds) != 1 or not kinds <= VOLUMES:
            found.append(f"volume {volume['name']} is {kinds}")
    for annotation, value in (pod["metadata"].get("annotations") or {}).items():
        if "apparmor" in annotation and value == "unconfined":
            found.append(f"{annotation} is unconfined")
    found += [f"pod: {fault}" for fault in _context_faults(own)]
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind, ()):
            found += [f"{container['name']}: {fault}" for fault in _container_faults(container, own)]
    return found


def _container_faults(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext") or {}
    yield from _context_faults(context)
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "a host port"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for action in (container.get(probe) or {}).values():
            if isinstance(action, dict) and action.get("host"):
                yield "a probe of another host"
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may escalate privileges"
    if context.get("procMount", "Default") != "Default":
        yield "another proc mount"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", ()):
        yield "keeps capabilities"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities"
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "may run as root"
    profile = context.get("seccompProfile") or pod.get("seccompProfile") or {}
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"


def _context_faults(context: dict[str, Any]) -> Iterator[str]:
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "a host process"
    if context.get("runAsUser") == 0:
        yield "runs as root"
    if context.get("runAsNonRoot") is False:
        yield "says that it may run as root"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "SELinux options"
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield "is not confined by seccomp"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "is not confined by AppArmor"


BAIT: tuple[tuple[str, Any], ...] = (
    ("hostNetwork", True),
    ("hostPID", True),
    ("hostIPC", True),
    ("hostUsers", False),
    ("shareProcessNamespace", True),
    ("privileged", True),
    ("securityContext", {"runAsUser": 0, "privileged": True, "runAsNonRoot": False}),
    ("podTemplate", {"spec": {"hostNetwork": True}}),
    ("template", {"spec": {"containers": [{"name": "x", "securityContext": {"privileged": True}}]}}),
    ("containers", [{"name": "environment", "securityContext": {"privileged": True}}]),
    ("initContainers", [{"name": "agent", "securityContext": {"runAsUser": 0}}]),
    ("volumes", [{"name": "host", "hostPath": {"path": "/"}}]),
    ("volumeMounts", [{"name": "host", "mountPath": "/host"}]),
    ("capabilities", {"add": ["SYS_ADMIN"], "drop": []}),
    ("hostPath", {"path": "/"}),
    ("sysctls", [{"name": "kernel.core_pattern", "value": "|/bin/sh"}]),
    ("annotations", {"container.apparmor.security.beta.kubernetes.io/environment": "unconfined"}),
    ("seccompProfile", {"type": "Unconfined"}),
    ("runAsUser", 0),
    ("procMount", "Unmasked"),
)
"""What somebody would try who had heard of pods: put wherever an object is."""

WORDS = (
    "a",
    "x" * 63,
    "hostPath",
    "privileged",
    "ALL",
    "0",
    "true",
    "../..",
    "$(HOME)",
    "$$",
    'quo"te',
    "ü",
    "",
    " ",
    "{}",
)


def mutations(random: Random, count: int) -> Iterator[dict[str, Any]]:
    """So many specifications: reasonable ones of both package types, with bait in random places."""
    for _ in range(count):
        spec = _specification(random)
        for _ in range(random.randrange(4)):
            _bait(random, spec)
        yield spec


def _specification(random: Random) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "memorySize": random.choice((128, 1769, 10_240, random.randint(128, 10_240))),
        "timeout": random.randint(1, 900),
        "ephemeralStorage": {
            "size": random.choice((512, 10_240, random.randint(512, 10_240))),
            "medium": random.choice(("Disk", "Memory")),
        },
        "fileSystemConfigs": _file_systems(random),
        "architectures": [random.choice(("x86_64", "arm64"))],
        "tags": {random.choice("abc"): random.choice(WORDS)},
        "description": random.choice(WORDS),
        "environment": {"variables": {"AB": random.choice(WORDS)}, "valueFrom": _value_from(random)},
    }
    if random.random() < 0.5:
        spec |= {"runtime": "python3.11", "handler": "index.handler", "code": {"inline": "x"}}
    else:
        spec |= {"packageType": "Image", "code": {"imageUri": "registry.example/x:1"}}
        spec["imageConfig"] = {
            "entryPoint": [random.choice(WORDS) for _ in range(random.randrange(4))],
            "command": [random.choice(WORDS) for _ in range(random.randrange(4))],
            "workingDirectory": f"/{random.choice(WORDS)}",
        }
    if random.random() < 0.2:
        spec["role"] = random.choice(("reader", "arn:aws:iam::123456789012:role/reader"))
    if random.random() < 0.7:
        spec["placement"] = _placement(random)
    return spec


def _file_systems(random: Random) -> list[dict[str, Any]]:
    path = random.choice(("/mnt/data", "/mnt/..", "/mnt/.", "/mnt/a/../..", "/", "/mnt/data:/", "/mnt/$(A)"))
    names = ("data", "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/data", "../data", "")
    sound = random.random() < 0.8
    return [
        {
            "arn": names[0] if sound else random.choice(names),
            "localMountPath": "/mnt/data" if sound else path,
            "readOnly": random.random() < 0.5,
        }
    ] * random.randrange(2)


def _value_from(random: Random) -> list[dict[str, Any]]:
    reference = {"name": "settings", "key": random.choice(("a", "b.c"))}
    kinds = ("secretKeyRef", "configMapKeyRef")
    return [{"name": f"VALUE_{place}", random.choice(kinds): reference} for place in range(random.randrange(4))]


def _placement(random: Random) -> dict[str, Any]:
    placement: dict[str, Any] = {
        "nodeSelector": {random.choice(("disk", "kubernetes.io/arch", "zone")): random.choice(("a", "arm64"))},
        "tolerations": [{"operator": "Exists"}] * random.randrange(3),
        "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": random.randint(1, 5)}] * random.randrange(2),
        "imagePullSecrets": ["pull"] * random.randrange(2),
    }
    return {name: value for name, value in placement.items() if random.random() < 0.6}


def _bait(random: Random, spec: dict[str, Any]) -> None:
    objects = list(_objects(spec))
    name, value = random.choice(BAIT)
    random.choice(objects)[name] = copy.deepcopy(value)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that the API server would let have unknown fields; maps of strings would be refused."""
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name not in ("variables", "tags", "nodeSelector"):
                yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)

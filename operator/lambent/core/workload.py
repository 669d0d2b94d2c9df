"""What does an execution environment's pod look like? Its manifest, and nothing about when there should be one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from lambent.model import limits, names, quantities
from lambent.model.configurations import EphemeralStorage, FileSystemConfig
from lambent.model.environments import Key, Scope
from lambent.model.functions import FunctionConfiguration, Placement

RUNTIME_UID, RUNTIME_GID = 993, 990
"""Lambda's own sandbox user and group."""
CODE_VOLUME_MIB = 512
"""/var/task and /opt each: code is at most 250 MB unzipped; the rest is room for the archive while unpacking."""
AGENT_VOLUME_MIB = 32
"""The agent for container images is one file of about 10 MB."""
AGENT_DIRECTORY = "/var/lambent"
AGENT_COMMAND = f"{AGENT_DIRECTORY}/agent"
LOGS_MIB = 64
"""What the kubelet keeps of a container's log (five files of 10 MiB) counts against the pod's storage."""
EPHEMERAL_REQUEST_MIB = 64
"""What is in /tmp is rarely much, so it is overcommitted: the limit protects the node, the request is small."""
STOPPING_SECONDS = 5
"""Beyond the function's timeout: extensions and runtime get Lambda's two seconds, the rest is for the agent."""
_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
_AGENT_DEFAULTS = (
    "LAMBENT_AGENT_HOST",
    "LAMBENT_RUNTIME_PORT",
    "LAMBENT_READY_FD",
    "LAMBENT_TASK_ROOT",
    "LAMBENT_OPT_ROOT",
    "LAMBENT_RUNTIME_DIR",
    "LAMBENT_BOOTSTRAP",
    "LAMBENT_PRESTART",
    "LAMBENT_FREEZE",
    "LAMBENT_ORPHAN_SECONDS",
    "LAMBENT_FAREWELL_SECONDS",
    "LAMBENT_LOG_SINK",
)
"""Settings of the agent that a user's image must not choose: set, and empty where the installation says nothing."""
_LABEL_CHARS_MAX = 63
_NAME_CHARS_MAX = 46


@dataclass(frozen=True, slots=True)
class WorkloadSettings:
    """What the operator of the installation decides about every environment."""

    door_port: int
    pull_policy: str = "IfNotPresent"
    agent_image: str = ""
    """Brings the agent into container images."""
    agent_allowance_mb: int = 64
    """Memory limit beyond memorySize, for the agent."""
    cpu_request_percent: int = 10
    """CPU request as a share of what the memory entitles to."""
    start_cpu_millicores: int = 0
    """CPU limit at creation where the memory entitles to less; `core.narrowing` says until when. 0: never more."""
    freeze: bool = True
    """Whether processes stand still between invocations."""
    log_sink: str = ""
    """Where agents send logs besides standard output; empty: nowhere."""

    def agent_settings(self) -> dict[str, str]:
        """What agents are told otherwise than they would do themselves."""
        told = {} if self.freeze else {"LAMBENT_FREEZE": "0"}
        return told | ({"LAMBENT_LOG_SINK": self.log_sink} if self.log_sink else {})


@dataclass(frozen=True, slots=True)
class Program:
    """What a container image runs."""

    arguments: tuple[str, ...]
    """ENTRYPOINT and CMD."""
    directory: str
    """The working directory."""


class Named(Protocol):
    """An object, or what claims to be one."""

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def namespace(self) -> str: ...  # noqa: D102

    @property
    def uid(self) -> str: ...  # noqa: D102


class Owner(Named, Protocol):
    """What has environments of its own: a Function ($LATEST), or the Version that holds a number."""

    @property
    def function_name(self) -> str:
        """Lambda's name of the function."""

    @property
    def configuration(self) -> FunctionConfiguration:
        """What its environments are made of."""

    @property
    def scope(self) -> Scope:
        """That of its environments."""


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """What environments of one key have in common beyond the configuration."""

    key: Key
    image: str
    program: Program | None = None
    """With packageType Image: what the agent starts. Of a managed runtime the agent knows it itself."""


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """What one pod has for itself."""

    name: str
    nonce: str
    token_sha256: str
    """The pod knows only the hash: a function that reads its pod's environment learns nothing that opens a door."""


def pod_name(owner_name: str, roll: str) -> str:
    """Name of a pod: the owner's name, shortened so that the whole is a host name, and something random."""
    return f"{owner_name[:_NAME_CHARS_MAX].rstrip('-.')}-{roll}"


def cpu_limit_millicores(memory_mb: int) -> int:
    """Lambda's proportion, one vCPU at 1,769 MB, at most six; rounded to the nearest millicore (128 MB: 72m)."""
    exact = memory_mb * 1000 / limits.MEMORY_MB_PER_VCPU
    return min(limits.VCPUS_MAX * 1000, max(1, int(exact + 0.5)))


def starts_wide(spec: FunctionConfiguration, settings: WorkloadSettings) -> bool:
    """Whether environments of it begin with more CPU than its memory entitles them to."""
    return settings.start_cpu_millicores > cpu_limit_millicores(spec.memory_size)


def environment_pod(
    owner: Owner, facts: EnvironmentFacts, settings: WorkloadSettings, identity: PodIdentity
) -> dict[str, Any]:
    """The manifest of one environment: a bare pod that belongs to its owner and meets Pod Security `restricted`."""
    spec = owner.configuration
    pod: dict[str, Any] = {
        "restartPolicy": "Never",  # a restarted agent would look unclaimed over the old /tmp
        "hostname": identity.name.rsplit("-", 1)[-1],
        # Lambda's names for an environment: extensions listen for telemetry on them.
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["sandbox.localdomain", "sandbox"]}],
        "enableServiceLinks": False,
        "automountServiceAccountToken": spec.service_account is not None,
        "terminationGracePeriodSeconds": spec.timeout + STOPPING_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": RUNTIME_UID,
            "runAsGroup": RUNTIME_GID,
            "fsGroup": RUNTIME_GID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": {"kubernetes.io/arch": _ARCHITECTURES[spec.architectures[0]]},
        "containers": [_container(spec, facts, settings, identity)],
        "volumes": [_tmp(spec.ephemeral_storage), *_file_systems(spec)],
    }
    if spec.file_system_configs:  # else the kubelet walks through every file of a volume before each start
        pod["securityContext"]["fsGroupChangePolicy"] = "OnRootMismatch"
    if facts.program is None:
        pod["volumes"] += [_empty_dir("task", CODE_VOLUME_MIB), _empty_dir("opt", CODE_VOLUME_MIB)]
    else:
        pod["volumes"].append(_empty_dir("agent", AGENT_VOLUME_MIB))
        pod["initContainers"] = [_agent_container(spec, settings)]
    if spec.service_account is not None:
        pod["serviceAccountName"] = spec.service_account
    _place(pod, spec.placement, facts.key)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(owner, facts, identity),
        "spec": pod,
    }


def _metadata(owner: Owner, facts: EnvironmentFacts, identity: PodIdentity) -> dict[str, Any]:
    labels = {
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_COMPONENT: names.COMPONENT_ENVIRONMENT,
        names.LABEL_NAME: names.MANAGED_BY,
        names.LABEL_FUNCTION_UID: facts.key.function_uid,
        names.LABEL_VERSION: facts.key.version,
        names.LABEL_POD_REVISION: facts.key.pod_revision,
        names.LABEL_STATE: "claimed",  # made for its function: no pool to be taken from
    }
    if owner.configuration.runtime:
        labels[names.LABEL_RUNTIME] = owner.configuration.runtime
    if len(owner.name) <= _LABEL_CHARS_MAX:  # object names may be longer than label values
        labels[names.LABEL_INSTANCE] = owner.name
    return {
        "name": identity.name,
        "namespace": owner.namespace,
        "labels": labels,
        "annotations": {
            names.ANNOTATION_FUNCTION_NAME: owner.function_name,
            names.ANNOTATION_NONCE: identity.nonce,
            names.ANNOTATION_CPU: str(cpu_limit_millicores(owner.configuration.memory_size)),
        },
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def _container(
    spec: FunctionConfiguration, facts: EnvironmentFacts, settings: WorkloadSettings, identity: PodIdentity
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": names.CONTAINER_ENVIRONMENT,
        "image": facts.image,
        "imagePullPolicy": settings.pull_policy,
        "env": [*_values({"LAMBENT_TOKEN_SHA256": identity.token_sha256}), *_referred_variables(spec)],
        "ports": [{"name": "door", "containerPort": settings.door_port, "protocol": "TCP"}],
        "resources": _resources(spec, settings, code=facts.program is None),
        "securityContext": _restricted(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - Lambda's path, inside the container
    }
    if facts.program is None:
        container["volumeMounts"] += [
            {"name": "task", "mountPath": "/var/task"},
            {"name": "opt", "mountPath": "/opt"},
        ]
        container["env"] += _values(settings.agent_settings())
    else:
        container["volumeMounts"].append({"name": "agent", "mountPath": AGENT_DIRECTORY, "readOnly": True})
        container["command"] = [AGENT_COMMAND]
        container["workingDir"] = "/"  # the image's own may not be there, which is for the agent to say
        container["env"] += _values(_program_settings(facts.program, settings))
    container["volumeMounts"] += [_mount(place, system) for place, system in enumerate(spec.file_system_configs)]
    return container


def _restricted() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _agent_container(spec: FunctionConfiguration, settings: WorkloadSettings) -> dict[str, Any]:
    """Copies the agent into its volume, then ends.

    Its resources are those of the environment: together they count as much as one of them, and whoever admits the one
    (LimitRange, quota) admits the other.
    """
    return {
        "name": "agent",
        "image": settings.agent_image,
        "imagePullPolicy": settings.pull_policy,
        "args": [AGENT_DIRECTORY],
        "resources": _resources(spec, settings, code=False),
        "securityContext": _restricted(),
        "volumeMounts": [{"name": "agent", "mountPath": AGENT_DIRECTORY}],
    }


def _referred_variables(spec: FunctionConfiguration) -> list[dict[str, Any]]:
    """Variables whose value the kubelet reads: it never passes through the gateway."""
    variables: list[dict[str, Any]] = []
    for source in spec.environment.value_from if spec.environment else ():
        kind, reference = (
            ("secretKeyRef", source.secret_key_ref)
            if source.secret_key_ref
            else ("configMapKeyRef", source.config_map_key_ref)
        )
        assert reference is not None
        value_from = {kind: {"name": reference.name, "key": reference.key}}
        variables.append({"name": f"LAMBENT_VARIABLE_{source.name}", "valueFrom": value_from})
    return variables


def _program_settings(program: Program, settings: WorkloadSettings) -> dict[str, str]:
    """What the agent of a container image is told; what the image sets under these names does not count."""
    return {
        "LAMBENT_COMMAND": json.dumps(program.arguments, separators=(",", ":")),
        "LAMBENT_WORKING_DIRECTORY": program.directory,
        "LAMBENT_AGENT_PORT": str(settings.door_port),
        **dict.fromkeys(_AGENT_DEFAULTS, ""),
        **settings.agent_settings(),
    }


def _values(told: dict[str, str]) -> list[dict[str, Any]]:
    """Variables of a container. Kubernetes would replace $(NAME) in a value by a variable of that name."""
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in told.items()]


def _resources(spec: FunctionConfiguration, settings: WorkloadSettings, *, code: bool) -> dict[str, Any]:
    """Memory is guaranteed, CPU is a share with Lambda's cap (generous at first), storage is a cap.

    Pages of a memory-backed /tmp are charged to the container that wrote them, so its size comes on top of the memory.
    """
    tmp = spec.ephemeral_storage
    in_memory = tmp.size if tmp.medium == "Memory" else 0
    memory = f"{spec.memory_size + settings.agent_allowance_mb + in_memory}Mi"
    entitled = cpu_limit_millicores(spec.memory_size)
    # always below the limit, also after it was narrowed: a resize may not change the pod's QoS class
    cpu_request = max(1, min(entitled - 1, entitled * settings.cpu_request_percent // 100))
    cpu_limit = max(entitled, settings.start_cpu_millicores)
    storage = tmp.size - in_memory + (2 * CODE_VOLUME_MIB if code else AGENT_VOLUME_MIB + LOGS_MIB)
    return {
        "limits": {"memory": memory, "cpu": quantities.cpu(cpu_limit), "ephemeral-storage": f"{storage}Mi"},
        "requests": {
            "memory": memory,
            "cpu": quantities.cpu(cpu_request),
            "ephemeral-storage": f"{EPHEMERAL_REQUEST_MIB}Mi",
        },
    }


def _empty_dir(name: str, mib: int) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"sizeLimit": f"{mib}Mi"}}


def _tmp(storage: EphemeralStorage) -> dict[str, Any]:
    """On disk the kubelet evicts whoever exceeds the size; in memory it is the size of a tmpfs, with ENOSPC."""
    volume = _empty_dir("tmp", storage.size)
    if storage.medium == "Memory":
        volume["emptyDir"]["medium"] = "Memory"
    return volume


def _file_systems(spec: FunctionConfiguration) -> list[dict[str, Any]]:
    return [
        {
            "name": f"file-system-{place}",
            "persistentVolumeClaim": {"claimName": system.claim_name, "readOnly": system.read_only},
        }
        for place, system in enumerate(spec.file_system_configs)
    ]


def _mount(place: int, system: FileSystemConfig) -> dict[str, Any]:
    return {"name": f"file-system-{place}", "mountPath": system.local_mount_path, "readOnly": system.read_only}


def _place(pod: dict[str, Any], placement: Placement | None, key: Key) -> None:
    """The allowlist: nothing else of a pod is the function's to set, and what we set ourselves wins."""
    if placement is None:
        return
    pod["nodeSelector"] = {**(placement.node_selector or {}), **pod["nodeSelector"]}
    if placement.tolerations:
        pod["tolerations"] = [
            toleration.model_dump(by_alias=True, exclude_none=True) for toleration in placement.tolerations
        ]
    if placement.topology_spread_constraints:
        selector = {"matchLabels": {names.LABEL_FUNCTION_UID: key.function_uid}}
        pod["topologySpreadConstraints"] = [
            {**spread.model_dump(by_alias=True), "labelSelector": selector}
            for spread in placement.topology_spread_constraints
        ]
    if placement.priority_class_name:
        pod["priorityClassName"] = placement.priority_class_name
    if placement.runtime_class_name:
        pod["runtimeClassName"] = placement.runtime_class_name
    if placement.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in placement.image_pull_secrets]

"""Execution environments as the house sees them: pods observed, and demand reported by gateways."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import names, quantities


class Scope(NamedTuple):
    """`$LATEST` or one version of a function, whatever its pods' revision."""

    function_uid: str
    version: str
    """`latest` or a number, as in the label."""

    @classmethod
    def of(cls, function_uid: str, version: str) -> Scope:
        """The scope of a version as people and aliases name it, `$LATEST` or a number."""
        return cls(function_uid, names.version_label(version))


@dataclass(frozen=True, slots=True)
class Key:
    """Identity of what environments are interchangeable for: `<function uid>/<version>/<podRevision>`."""

    function_uid: str
    version: str
    """`latest` or a number, as in the label."""
    pod_revision: str

    @property
    def scope(self) -> Scope:
        """Function and version."""
        return Scope(self.function_uid, self.version)

    def __str__(self) -> str:
        return f"{self.function_uid}/{self.version}/{self.pod_revision}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that `str()` wrote. Raises ValueError for anything else."""
        function_uid, version, pod_revision = text.split("/")
        return cls(function_uid, version, pod_revision)


@dataclass(frozen=True, slots=True)
class PodFailure:
    """Why a pod does not serve: a reason of Kubernetes and its message."""

    reason: str
    message: str
    exit_code: int | None = None

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel killed the container for its memory."""
        return self.reason == "OOMKilled"

    @property
    def out_of_storage(self) -> bool:
        """Whether the kubelet evicted the pod for what it wrote (not for what its node lacks)."""
        return self.reason == "Evicted" and _WROTE_TOO_MUCH.search(self.message) is not None


_WROTE_TOO_MUCH = re.compile(
    r"Usage of EmptyDir volume .* exceeds the limit|exceeded its local ephemeral storage limit|"
    r"ephemeral local storage usage exceeds the total limit"
)
"""The kubelet's words (pkg/kubelet/eviction); reasons it has none."""


@dataclass(frozen=True, slots=True)
class EnvironmentPod:
    """One execution environment's pod as the API server shows it."""

    namespace: str
    name: str
    uid: str
    key: Key
    nonce: str
    created: str
    ip: str | None = None
    running: bool = False
    """The environment container runs (not: it is ready)."""
    finished: bool = False
    """Phase Succeeded or Failed: it will never serve again."""
    deleting: bool = False
    blocked: PodFailure | None = None
    """Why it is not running yet (unschedulable, image) or how the container ended."""
    labels: dict[str, str] = field(default_factory=dict)
    cpu_limit: int | None = None
    """Millicores in the pod's specification, not yet in force after a resize; None when it has no limit."""
    cpu_entitled: int | None = None
    """Millicores that the memory of its function gives it; None when whoever made the pod did not say."""
    resize_refused: str | None = None
    """Why the kubelet will never bring the specified resources into force."""
    mounting: bool = False
    """A node has it, and neither volumes nor network are there yet (the kubelet mounts first)."""

    @property
    def wide(self) -> bool:
        """Whether its specification gives it more CPU than it is entitled to."""
        return self.cpu_entitled is not None and (self.cpu_limit or 0) > self.cpu_entitled

    @classmethod
    def from_kubernetes(cls, body: dict[str, Any]) -> EnvironmentPod | None:
        """Parse a pod; None when it is no execution environment of ours."""
        metadata, status = body["metadata"], body.get("status") or {}
        labels = metadata.get("labels") or {}
        try:
            key = Key(labels[names.LABEL_FUNCTION_UID], labels[names.LABEL_VERSION], labels[names.LABEL_POD_REVISION])
            nonce = metadata["annotations"][names.ANNOTATION_NONCE]
        except (KeyError, TypeError):
            return None
        container = _environment_container(status)
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            key=key,
            nonce=nonce,
            created=metadata.get("creationTimestamp", ""),
            ip=status.get("podIP"),
            running="running" in (container.get("state") or {}),
            finished=status.get("phase") in ("Succeeded", "Failed"),
            deleting=bool(metadata.get("deletionTimestamp")),
            blocked=_blockage(status, container),
            labels=labels,
            cpu_limit=_cpu_limit(body.get("spec") or {}),
            cpu_entitled=_entitled(metadata["annotations"]),
            resize_refused=_resize_refusal(status),
            mounting=_condition(status, "PodReadyToStartContainers").get("status") == "False"
            and status.get("phase") == "Pending",
        )


_NOT_YET = (None, "ContainerCreating", "PodInitializing")
"""Reasons of a container to wait that are no trouble."""


def _environment_container(status: dict[str, Any]) -> dict[str, Any]:
    for container in status.get("containerStatuses") or []:
        if container.get("name") == names.CONTAINER_ENVIRONMENT:
            return dict(container)
    return {}


def _blockage(status: dict[str, Any], container: dict[str, Any]) -> PodFailure | None:
    return _init_failure(status) or _ending(status, container) or _delay(status, container)


def _ending(status: dict[str, Any], container: dict[str, Any]) -> PodFailure | None:
    """How the environment ended, or is about to."""
    ended = (container.get("state") or {}).get("terminated")
    if (evicted := _eviction(status)) is not None:  # how the container ended then says less
        return PodFailure("Evicted", evicted, ended.get("exitCode") if ended else None)
    return PodFailure(ended.get("reason", "Error"), ended.get("message", ""), ended.get("exitCode")) if ended else None


def _delay(status: dict[str, Any], container: dict[str, Any]) -> PodFailure | None:
    """Why it does not run yet, or never will."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") not in _NOT_YET:
        return PodFailure(waiting["reason"], waiting.get("message", ""))
    if status.get("phase") == "Failed":  # refused by the kubelet: no container ever ran
        return PodFailure(status.get("reason", "Failed"), status.get("message", ""))
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return PodFailure(scheduled.get("reason", "Unschedulable"), scheduled.get("message", ""))
    return None


def _eviction(status: dict[str, Any]) -> str | None:
    """What the kubelet says of an eviction. A pod that ends by itself meanwhile keeps the condition only."""
    if status.get("reason") == "Evicted":
        return str(status.get("message", ""))
    disruption = _condition(status, "DisruptionTarget")
    if disruption.get("status") == "True" and disruption.get("reason") == "TerminationByKubelet":
        return str(disruption.get("message", ""))
    return None


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """A condition of the pod; empty when it has none of that type."""
    return next((dict(each) for each in status.get("conditions") or [] if each.get("type") == kind), {})


def _init_failure(status: dict[str, Any]) -> PodFailure | None:
    """What keeps a pod from coming so far as its environment: the container that brings the agent."""
    for container in status.get("initContainerStatuses") or []:
        state = container.get("state") or {}
        ended, waiting = state.get("terminated") or {}, state.get("waiting") or {}
        if ended.get("exitCode"):
            return PodFailure(ended.get("reason", "Error"), ended.get("message", ""), ended["exitCode"])
        if waiting.get("reason") not in _NOT_YET:
            return PodFailure(waiting["reason"], waiting.get("message", ""))
    return None


def _cpu_limit(spec: dict[str, Any]) -> int | None:
    for container in spec.get("containers") or []:
        if container.get("name") == names.CONTAINER_ENVIRONMENT:
            limits = (container.get("resources") or {}).get("limits") or {}
            try:
                return quantities.millicores(limits.get("cpu"))
            except ValueError:
                return None
    return None


def _entitled(annotations: dict[str, str]) -> int | None:
    text = annotations.get(names.ANNOTATION_CPU, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _resize_refusal(status: dict[str, Any]) -> str | None:
    pending = _condition(status, "PodResizePending")
    return str(pending.get("message") or "Infeasible") if pending.get("reason") == "Infeasible" else None


@dataclass(frozen=True, slots=True)
class IdleEnvironment:
    """An environment without work and for how long."""

    pod: str
    ms: int


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the gateway started, per key."""

    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    duration_buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """What one gateway says of one key: one line of `GET /v1/demand`."""

    seq: int
    key: Key
    in_flight: int
    waiting: int
    starting: int
    idle: tuple[IdleEnvironment, ...] = ()
    counters: Counters = Counters()

"""A cluster in memory: what the gateway observes (`watching.Source`), and the environments behind the pods."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from lambent.adapters.agents.doors import AgentDoor
from lambent.adapters.kube.observing import Changed, Deleted, Listed, Observation
from lambent.model import names
from lambent.model.environments import EnvironmentPod, Key
from lambent.model.errors import Refused, Unavailable
from lambent.model.identities import Identity

CODE = b"PK-not-really-a-zip"
CODE_SHA256 = hashlib.sha256(CODE).hexdigest()
REGION = "us-east-1"
USER = "system:serviceaccount:lambent:controller"


class Stream:
    """One collection and everybody who observes it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict] = {}
        self.queues: list[asyncio.Queue[Observation]] = []
        self.written = 0
        self.late = False
        """What is written is not shown until `catch_up`."""

    async def observe(self) -> AsyncIterator[Observation]:
        queue: asyncio.Queue[Observation] = asyncio.Queue()
        self.queues.append(queue)
        yield Listed([copy.deepcopy(each) for each in self.objects.values()])
        while True:
            yield await queue.get()

    def put(self, body: dict) -> dict:
        metadata = body["metadata"]
        self.written += 1
        metadata["resourceVersion"] = str(self.written)
        self.objects[metadata.get("namespace", ""), metadata["name"]] = body
        if not self.late:
            self.tell(Changed(copy.deepcopy(body)))
        return body

    def catch_up(self) -> None:
        self.late = False
        self.relist()

    def delete(self, body: dict) -> None:
        metadata = body["metadata"]
        del self.objects[metadata.get("namespace", ""), metadata["name"]]
        self.tell(Deleted(copy.deepcopy(body)))

    def relist(self) -> None:
        self.tell(Listed([copy.deepcopy(each) for each in self.objects.values()]))

    def tell(self, observation: Observation) -> None:
        for queue in self.queues:
            queue.put_nowait(observation)


def function(name: str = "hello", namespace: str = "default", **changes) -> dict:
    """A Function that is ready: its status describes its specification."""
    uid = changes.pop("uid", f"uid-{namespace}-{name}")
    revision = changes.pop("revision", "rev0000000000001")
    spec = {
        "runtime": "python3.11",
        "handler": "index.handler",
        "timeout": changes.pop("timeout", 3),
        "memorySize": 128,
        "code": {"inline": "def handler(e, c): return e"},
        "environment": {"variables": changes.pop("variables", {"STAGE": "test"})},
    }
    spec |= changes.pop("spec", {})
    if (function_name := changes.pop("function_name", None)) is not None:
        spec["functionName"] = function_name
    status = {
        "observedGeneration": 1,
        "codeSha256": base64.b64encode(bytes.fromhex(CODE_SHA256)).decode(),
        "codeSize": len(CODE),
        "revision": revision,
        "podRevision": revision,
        "conditions": [],
    }
    status.update(changes.pop("status", {}))
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "generation": changes.pop("generation", 1),
        "creationTimestamp": changes.pop("created", "2026-01-01T00:00:00Z"),
    }
    assert not changes, changes
    return {"metadata": metadata, "spec": spec, "status": status}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def key_of(body: dict) -> Key:
    """The current key of a Function, or of a Version."""
    metadata, status = body["metadata"], body["status"]
    if body.get("kind") == "Version":
        return Key(status["functionUid"], status["version"], status["podRevision"])
    return Key(metadata["uid"], names.VERSION_LATEST_LABEL, status["podRevision"])


def pod_of(body: dict, name: str, *, running: bool = True) -> dict:
    """A pod of the Function's or Version's current key."""
    metadata, key = body["metadata"], key_of(body)
    state = {"running": {}} if running else {"waiting": {"reason": "ContainerCreating"}}
    return {
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "uid": f"pod-uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                names.LABEL_FUNCTION_UID: key.function_uid,
                names.LABEL_VERSION: key.version,
                names.LABEL_POD_REVISION: key.pod_revision,
            },
            "annotations": {names.ANNOTATION_NONCE: "nonce"},
        },
        "status": {
            "phase": "Running" if running else "Pending",
            "podIP": "127.0.0.1" if running else None,
            "containerStatuses": [{"name": names.CONTAINER_ENVIRONMENT, "state": state}],
        },
    }


@dataclass
class Cluster:
    """Functions, pods, namespaces, and which port each pod's agent really has."""

    streams: dict[str, Stream] = field(
        default_factory=lambda: {kind: Stream() for kind in ("functions", "versions", "aliases", "pods", "namespaces")}
    )
    ports: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=lambda: {CODE_SHA256: CODE})
    fetched: list[str] = field(default_factory=list)
    token: str = "token"
    users: dict[str, Identity] = field(default_factory=dict)
    """Whose token on the public door is what."""
    rights: set[tuple[str, str, str]] = field(default_factory=set)
    """(user, namespace, object or *)."""
    asked: list = field(default_factory=list)
    """Every question about callers of the public door."""
    before: Callable[[], Awaitable[None]] | None = None
    """What takes time before a token's user is told."""
    applied: list[dict] = field(default_factory=list)
    """What was applied to statuses of aliases, or tried to."""
    away: bool = False
    """The API server answers no question."""

    def __post_init__(self) -> None:
        self.namespace("default")

    # --- Source -------------------------------------------------------------------------------------------------

    def functions(self, namespace):
        return self.streams["functions"].observe()

    def versions(self, namespace):
        return self.streams["versions"].observe()

    def aliases(self, namespace):
        return self.streams["aliases"].observe()

    def pods(self, namespace):
        return self.streams["pods"].observe()

    def namespaces(self):
        return self.streams["namespaces"].observe()

    # --- BlobSource, callers, doors ------------------------------------------------------------------------------

    async def get(self, signed_path: str, limit: int) -> bytes:
        self.fetched.append(signed_path)
        digest = signed_path.partition("?")[0].rpartition("/")[2]
        if digest not in self.blobs:
            raise Unavailable("no blob")
        return self.blobs[digest]

    async def internal(self, token: str) -> Identity | None:
        user = {"good": USER, "other": "system:serviceaccount:default:default"}.get(token)
        return Identity(user) if user else None

    async def public(self, token: str) -> Identity | None:
        self.asked.append(token)
        if self.before is not None:
            await self.before()
        if self.away:
            raise Unavailable("the API server is away")
        return self.users.get(token)

    async def authorize(self, identity: Identity, namespace: str, name: str) -> bool:
        self.asked.append((identity.user, namespace, name))
        if self.away:
            raise Unavailable("the API server is away")
        return (identity.user, namespace, name) in self.rights or (identity.user, namespace, "*") in self.rights

    async def apply_alias_status(self, namespace: str, name: str, body: dict) -> dict:
        """Server-side apply of what only gateways own there."""
        self.applied.append(copy.deepcopy(body))
        if self.away:
            raise Unavailable("the API server is away")
        known = self.streams["aliases"].objects.get((namespace, name))
        if known is None:
            raise Refused("NotFound", f'aliases.lambent.dev "{name}" not found', 404)
        if body["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            raise Refused("Conflict", "the object has been modified", 409)
        changed = copy.deepcopy(known)
        changed["status"]["hookResults"] = body["status"]["hookResults"]
        return copy.deepcopy(self.streams["aliases"].put(changed))

    def make_door(self, pod: EnvironmentPod, lost) -> AgentDoor:
        return AgentDoor(pod.ip or "", self.ports.get(pod.name, 1), self.tokens.get(pod.name, self.token), lost)

    # --- what happens in it -------------------------------------------------------------------------------------

    def namespace(
        self, name: str, uid: str | None = None, account: str | None = None, concurrency: str | None = None
    ) -> None:
        annotations = {names.ANNOTATION_ACCOUNT_ID: account} if account else {}
        if concurrency is not None:
            annotations[names.ANNOTATION_CONCURRENCY] = concurrency
        self.streams["namespaces"].put(
            {"metadata": {"name": name, "uid": uid or f"ns-uid-{name}", "annotations": annotations}}
        )

    def namespace_gone(self, name: str) -> None:
        self.streams["namespaces"].delete(self.streams["namespaces"].objects["", name])

    def apply(self, body: dict) -> dict:
        return self._stream_of(body).put(body)

    def delete(self, body: dict) -> None:
        self._stream_of(body).delete(body)

    def _stream_of(self, body: dict) -> Stream:
        return self.streams[{"Version": "versions", "Alias": "aliases"}.get(body.get("kind", ""), "functions")]

    def run(self, body: dict, name: str, port: int) -> dict:
        """A pod of the Function runs, its agent behind `port`."""
        self.ports[name] = port
        return self.streams["pods"].put(pod_of(body, name))

    def pod(self, body: dict) -> dict:
        return self.streams["pods"].put(body)

    def pod_gone(self, body: dict) -> None:
        self.streams["pods"].delete(body)

    def end(self, pod: dict, reason: str = "Error", code: int = 1) -> None:
        """The pod's container ended."""
        body = copy.deepcopy(pod)
        body["status"]["phase"] = "Failed"
        ended = {"terminated": {"reason": reason, "exitCode": code}}
        body["status"]["containerStatuses"][0]["state"] = ended
        self.pod(body)

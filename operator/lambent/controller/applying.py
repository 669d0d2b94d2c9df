"""The only writes: actions of a plan, carried out.

Whatever the API server answers goes into the store at once, so that the next decision knows of it before the watch
tells: nothing is created twice because an event is late.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lambent.adapters.gateways import Retirement
from lambent.adapters.kube.client import STRATEGIC_PATCH, KubeClient
from lambent.adapters.kube.events import EventRecorder, Happening, Regarding
from lambent.adapters.kube.resources import FUNCTIONS, PODS, Resource
from lambent.controller.demanding import DemandBoard
from lambent.controller.measuring import CREATED, DELETED, NARROWED, NOT_NARROWED, REFUSED, RETIRED, ControllerMetrics
from lambent.controller.referring import ReferenceBoard
from lambent.controller.store import MalformedFunction, Store
from lambent.core.events import RecordEvent
from lambent.core.readiness import Problem, creation_refused
from lambent.core.workload import (
    EnvironmentFacts,
    Named,
    Owner,
    PodIdentity,
    WorkloadSettings,
    environment_pod,
    pod_name,
    starts_wide,
)
from lambent.model import names, quantities
from lambent.model.environments import EnvironmentPod, Scope
from lambent.model.errors import Refused, Unavailable
from lambent.model.fields import Fields
from lambent.model.functions import FunctionObject, FunctionStatus
from lambent.wire.agent_tokens import agent_token, token_digest

log = logging.getLogger(__name__)

CREATE_TRIES = 3
FIRST_BATCH = 8
"""Pods created at once before it is known whether the API server takes them."""
NARROWED_AT_ONCE = 8
"""Nobody waits for a narrowing, so a crowd of them leaves the API server to those who wait for something."""


class Gateways(Protocol):
    """Gateways, to be asked to give up environments."""

    async def retire(self, url: str, pods: Iterable[str]) -> Retirement:
        """Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What writing needs."""

    client: KubeClient
    gateways: Gateways
    board: DemandBoard
    store: Store
    references: ReferenceBoard
    recorder: EventRecorder
    metrics: ControllerMetrics
    workload: WorkloadSettings
    agent_key: bytes


async def create_pods(tools: Tools, owner: Owner, facts: EnvironmentFacts, count: int) -> Problem | None:
    """Create environments, in growing batches so that a refusal is met once and not fifty times."""
    batch = FIRST_BATCH
    while count > 0:
        size = min(batch, count)
        answers = await asyncio.gather(*(_create_pod(tools, owner, facts, tools.workload) for _ in range(size)))
        problem = next(filter(None, answers), None)
        if problem is not None:
            return problem
        count -= size
        batch *= 2
    return None


async def _create_pod(
    tools: Tools, owner: Owner, facts: EnvironmentFacts, workload: WorkloadSettings
) -> Problem | None:
    name = pod_name(owner.name, secrets.token_hex(5))
    nonce = secrets.token_hex(16)
    digest = token_digest(agent_token(tools.agent_key, owner.namespace, name, nonce))
    body = environment_pod(owner, facts, workload, PodIdentity(name, nonce, digest))
    query = {"fieldManager": names.FIELD_MANAGER_CONTROLLER}
    for attempt in range(CREATE_TRIES):
        try:
            pod = await tools.client.request("POST", PODS.collection(owner.namespace), body=body, query=query)
        except Unavailable:
            # perhaps it was created and only the answer was lost: the same name again cannot make two
            if attempt == CREATE_TRIES - 1:
                raise
            continue
        except Refused as error:
            if error.status == 409 and error.reason == "AlreadyExists" and attempt > 0:
                pod = await tools.client.request("GET", PODS.item(owner.namespace, name))
            elif starts_wide(owner.configuration, workload) and "cpu" in str(error):
                # a quota, a LimitRange or a policy: generosity is never the reason why there is no environment
                return await _create_pod(tools, owner, facts, replace(workload, start_cpu_millicores=0))
            else:
                tools.metrics.pods.labels(REFUSED).inc()
                # without the name, which is another one each time: a refusal said again is the same refusal
                message = str(error).removeprefix(f'pods "{name}" is forbidden: ').replace(name, owner.name)
                return creation_refused(error.reason, message, owner.configuration.service_account)
        tools.store.put_pod(pod)
        tools.metrics.pods.labels(CREATED).inc()
        return None
    raise AssertionError("unreachable")


async def retire_pods(tools: Tools, owner: Owner, pods: tuple[str, ...]) -> None:
    """Ask every gateway to give these environments up, and delete those that nobody uses.

    Raises:
        Unavailable: when a gateway did not answer; what the others gave up is deleted all the same.
    """
    urls = tools.board.connected()
    known = {f"{owner.namespace}/{pod}": pod for pod in pods}  # as gateways name them
    answers = await asyncio.gather(*(tools.gateways.retire(url, known) for url in urls), return_exceptions=True)
    said = [answer for answer in answers if isinstance(answer, Retirement)]
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    retired = frozenset[str]().union(*(answer.retired for answer in said))
    busy = frozenset[str]().union(*(answer.busy for answer in said))
    if urls and not failures and not tools.board.unreachable():
        retired = frozenset(known)  # those that no gateway knows are used by none
    chosen = tuple(pod for name, pod in known.items() if name in retired and name not in busy)
    tools.metrics.pods.labels(RETIRED).inc(len(chosen))
    await delete_pods(tools, owner.scope, chosen)
    for failure in failures:
        raise failure


async def delete_pods(tools: Tools, scope: Scope, pods: Iterable[str]) -> None:
    """Delete pods of a version, each only if it is still the one that was seen. Graceful: the agent drains."""
    known = {pod.name: pod for pod in tools.store.pods(scope)}
    for name in pods:
        pod = known.get(name)
        if pod is None or pod.deleting:
            continue
        if not await tools.client.delete(PODS.item(pod.namespace, pod.name), pod.uid):
            tools.store.drop_pod(pod.uid)
            continue
        tools.store.mark_deleting(pod)
        tools.metrics.pods.labels(DELETED).inc()


async def narrow_pods(tools: Tools, scope: Scope, pods: Iterable[str]) -> None:
    """Resize pods of a version to the CPU they are entitled to. A refusal is told, and changes nothing else."""
    known = {pod.name: pod for pod in tools.store.pods(scope)}
    chosen = [known[name] for name in pods if name in known]
    for start in range(0, len(chosen), NARROWED_AT_ONCE):
        await asyncio.gather(*(_narrow_pod(tools, pod) for pod in chosen[start : start + NARROWED_AT_ONCE]))


async def _narrow_pod(tools: Tools, pod: EnvironmentPod) -> None:
    assert pod.cpu_entitled is not None
    limit = {"name": names.CONTAINER_ENVIRONMENT, "resources": {"limits": {"cpu": quantities.cpu(pod.cpu_entitled)}}}
    body = {"metadata": {"uid": pod.uid}, "spec": {"containers": [limit]}}
    query = {"fieldManager": names.FIELD_MANAGER_CONTROLLER}
    path = f"{PODS.item(pod.namespace, pod.name)}/resize"
    try:
        answer = await tools.client.request("PATCH", path, query=query, body=body, content_type=STRATEGIC_PATCH)
    except (Refused, Unavailable) as error:
        if isinstance(error, Refused) and error.status == 404 and f'"{pod.name}"' in str(error):
            tools.store.drop_pod(pod.uid)  # gone: the other 404 is about the subresource
        else:
            _not_narrowed(tools, pod, str(error))
        return
    tools.store.put_pod(answer)
    tools.metrics.pods.labels(NARROWED).inc()


def tell_not_narrowed(tools: Tools, scope: Scope, pods: Iterable[str]) -> None:
    """Count and log pods whose node refused what the API server had taken."""
    known = {pod.name: pod for pod in tools.store.pods(scope)}
    for pod in (known[name] for name in pods if name in known):
        _not_narrowed(tools, pod, f"the node refuses: {pod.resize_refused}")


def _not_narrowed(tools: Tools, pod: EnvironmentPod, why: str) -> None:
    tools.metrics.pods.labels(NOT_NARROWED).inc()
    log.warning("%s/%s keeps more CPU than it is entitled to: %s", pod.namespace, pod.name, why)


async def apply_status(
    tools: Tools, resource: Resource, owner: Named, status: Fields, *, others: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """Write a status; the object as it is then, None when it is gone or another by now.

    `others` are fields of the status that somebody else writes.
    """
    answer = await _apply(tools, resource, owner, {"status": status.applied(others)}, "status")
    if answer is not None:
        tools.metrics.status_writes.inc()
    return answer


async def apply_metadata(
    tools: Tools, resource: Resource, owner: Named, metadata: dict[str, Any]
) -> dict[str, Any] | None:
    """Write labels and owner references; the object as it is then, None when it is gone or another by now."""
    return await _apply(tools, resource, owner, {"metadata": metadata})


async def _apply(
    tools: Tools, resource: Resource, owner: Named, wanted: dict[str, Any], subresource: str = ""
) -> dict[str, Any] | None:
    # with the uid, an object made anew under this name is not given what was its predecessor's
    identity = {"name": owner.name, "namespace": owner.namespace, "uid": owner.uid}
    metadata = {**identity, **wanted.get("metadata", {})}
    body = {**wanted, "apiVersion": names.API_VERSION, "kind": owner.kind, "metadata": metadata}
    path, manager = resource.item(owner.namespace, owner.name), names.FIELD_MANAGER_CONTROLLER
    try:
        return await tools.client.apply(path, body, manager, force=True, subresource=subresource)
    except Refused as error:
        if error.status not in (404, 409):
            raise
        what = subresource or "metadata"
        log.info("%s of %s %s/%s not written: %s", what, owner.kind, owner.namespace, owner.name, error)
        return None


async def write_status(tools: Tools, function: FunctionObject | MalformedFunction, status: FunctionStatus) -> bool:
    """Write a status; False when the Function is gone or another by now."""
    answer = await apply_status(tools, FUNCTIONS, function, status)
    if answer is not None:
        tools.store.put_function(answer, quiet=True)
    return answer is not None


async def record(tools: Tools, owner: Named, event: RecordEvent, action: str = "Reconcile") -> None:
    """Tell people. `action`: what was being done."""
    regarding = Regarding(names.API_VERSION, owner.kind, owner.namespace, owner.name, owner.uid)
    kind = "Warning" if event.warning else "Normal"
    await tools.recorder.record(Happening(regarding, kind, event.reason.value, event.note, action))  # type: ignore[arg-type]

"""Leadership by a Lease, through the library's election.

What the library leaves open is closed here: a hanging request never outlives the renewal deadline, a broken
connection is a failed try and not a crash, the end of the leader's work is noticed, and a leader that leaves in
peace gives its Lease back so that the next one starts at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from lambent.model.errors import Refused, Unavailable

from .client import MERGE_PATCH, KubeClient
from .resources import Resource

log = logging.getLogger(__name__)

LEASES = Resource("coordination.k8s.io", "v1", "leases")
REQUEST_SECONDS = 3.0
"""So that several tries fit into the renewal deadline."""


@dataclass(frozen=True, slots=True)
class Candidacy:
    """Who wants to lead, by which Lease, and the pace in seconds (Kubernetes' own defaults)."""

    lease: str
    namespace: str
    identity: str
    duration: int = 15
    renew_deadline: int = 10
    retry_period: int = 2


class _Lock(BaseLock):  # type: ignore[misc] # the library is not followed
    """A Lease as the library's election wants it.

    Its own LeaseLock cannot create one (kubernetes 37.0.2 passes `pretty=True` where a string is demanded), has no
    time limit and lets broken connections end the election.
    """

    def __init__(self, client: KubeClient, candidacy: Candidacy) -> None:
        super().__init__(candidacy.lease, candidacy.namespace, candidacy.identity)
        self._client = client
        self._seen: dict[str, Any] = {}

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        """The election's record of who leads."""
        try:
            self._seen = await self._client.request("GET", LEASES.item(namespace, name), timeout=REQUEST_SECONDS)
        except (Refused, Unavailable) as error:
            missing = isinstance(error, Refused) and error.status == 404
            failure = ApiException(status=404 if missing else 0, reason=str(error))
            failure.body = json.dumps({"code": failure.status})  # where the library looks
            return False, failure
        spec = self._seen.get("spec") or {}
        duration = spec.get("leaseDurationSeconds")
        return True, LeaderElectionRecord(
            spec.get("holderIdentity") or None,
            str(duration) if duration else None,
            spec.get("acquireTime"),
            spec.get("renewTime"),
        )

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Be the first to hold it."""
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": _spec(election_record)}
        return await self._write("POST", LEASES.collection(namespace), body)

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Hold it (again), unless somebody wrote since we read."""
        body = {**self._seen, "spec": {**(self._seen.get("spec") or {}), **_spec(updated_record)}}
        return await self._write("PUT", LEASES.item(namespace, name), body)

    async def _write(self, method: str, path: str, body: dict[str, Any]) -> bool:
        try:
            self._seen = await self._client.request(method, path, body=body, timeout=REQUEST_SECONDS)
        except (Refused, Unavailable) as error:
            log.warning("lease %s not written: %s", path, error)
            return False
        return True


def _spec(record: LeaderElectionRecord) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": int(record.lease_duration or 0),
        "renewTime": _micro(record.renew_time),
    }
    if record.acquire_time:
        spec["acquireTime"] = _micro(record.acquire_time)
    return spec


def _micro(moment: str | None) -> str:
    """Kubernetes' MicroTime of the library's local time, or of what the Lease itself said."""
    parsed = datetime.fromisoformat(moment) if moment else datetime.now(UTC)
    return parsed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def lead(client: KubeClient, candidacy: Candidacy, work: Callable[[], Awaitable[None]]) -> bool:
    """Wait for leadership, then work. Returns True when the work ended by itself, False when the Lease was lost.

    Cancelling it ends the work and gives the Lease back. An exception of the work is raised here.
    """
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    working: list[asyncio.Task[None]] = []

    async def started() -> None:
        task = asyncio.current_task()
        assert task is not None
        working.append(task)
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again where lead() waits
            finished.set_exception(error)
        else:
            finished.set_result(None)

    async def stopped() -> None:
        log.error("lease %s/%s lost", candidacy.namespace, candidacy.lease)

    lock = _Lock(client, candidacy)
    election = LeaderElection(
        Config(lock, candidacy.duration, candidacy.renew_deadline, candidacy.retry_period, started, stopped)
    )
    renewing = asyncio.create_task(election.run(), name="lease")
    try:
        await asyncio.wait({renewing, finished}, return_when=asyncio.FIRST_COMPLETED)
        if finished.done():
            finished.result()
            return True
        renewing.result()
        return False
    finally:
        await _stop(working)
        lost = renewing.done()
        await _stop([renewing])
        if working and not lost:
            await _give_back(client, candidacy)


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _give_back(client: KubeClient, candidacy: Candidacy) -> None:
    path = LEASES.item(candidacy.namespace, candidacy.lease)
    try:
        lease = await client.request("GET", path, timeout=2)
        if lease["spec"].get("holderIdentity") != candidacy.identity:
            return
        version = lease["metadata"]["resourceVersion"]  # a conflict means somebody else holds it already
        body = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
        await client.request("PATCH", path, body=body, content_type=MERGE_PATCH, timeout=2)
    except (Refused, Unavailable) as error:
        log.info("lease not given back, it runs out by itself: %s", error)

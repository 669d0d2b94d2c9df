"""The NetworkPolicy of every namespace that has a Function: watched, written when it differs, deleted at the end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Any

from lambent.adapters.kube.client import KubeClient
from lambent.adapters.kube.observing import Changed, Deleted, Listed, Observation, Pace, observe
from lambent.adapters.kube.resources import NETWORK_POLICIES
from lambent.controller.store import Store
from lambent.core import policies
from lambent.core.policies import Existing, Release
from lambent.model import names
from lambent.model.errors import Refused, Unavailable

log = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0
"""After something failed."""


class PolicyKeeper:
    """Keeps the policies of one release."""

    def __init__(
        self, client: KubeClient, store: Store, release: Release, namespaces: tuple[str, ...], pace: Pace | None = None
    ) -> None:
        self._client = client
        self._store = store
        self._release = release
        self._scopes: tuple[str | None, ...] = namespaces or (None,)
        self._pace = pace or Pace()
        self._existing: dict[str, Existing] = {}
        self._listed: set[str | None] = set()
        self._foreign: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for scope in self._scopes:
                tasks.create_task(self._observe(scope), name=f"policies of {scope}")
            tasks.create_task(self._follow_functions(), name="policies' namespaces")
            while True:
                await self._changed.wait()
                self._changed.clear()
                if not await self.adjust():
                    await asyncio.sleep(AGAIN_SECONDS * (0.5 + random.random() / 2))
                    self._changed.set()

    async def adjust(self) -> bool:
        """Bring them to what they should be; False when something of it failed."""
        if len(self._listed) < len(self._scopes):
            return True
        changes = policies.decide(self._store.inhabited(), self._existing, self._release)
        done = True
        for namespace in changes.write:
            done &= await self._write(namespace)
        for namespace, uid in changes.delete.items():
            done &= await self._delete(namespace, uid)
        return done

    async def _follow_functions(self) -> None:
        while True:
            await self._store.moved.wait()
            self._store.moved.clear()
            self._changed.set()

    async def _observe(self, scope: str | None) -> None:
        selector = ",".join(f"{key}={value}" for key, value in self._release.labels.items())
        async for seen in observe(self._client, NETWORK_POLICIES, namespace=scope, selector=selector, pace=self._pace):
            self._note(scope, seen)
            self._changed.set()

    def _note(self, scope: str | None, seen: Observation) -> None:
        match seen:
            case Listed(objects):
                for namespace in [one for one in self._existing if scope in (None, one)]:
                    del self._existing[namespace]
                self._take(objects)
                self._listed.add(scope)
            case Changed(body):
                self._take([body])
            case Deleted(body):
                if body["metadata"]["name"] == self._release.policy_name:
                    self._existing.pop(body["metadata"]["namespace"], None)

    def _take(self, bodies: Iterable[dict[str, Any]]) -> None:
        for body in bodies:
            if body["metadata"]["name"] == self._release.policy_name:
                self._existing[body["metadata"]["namespace"]] = _existing(body)

    async def _write(self, namespace: str) -> bool:
        path = NETWORK_POLICIES.item(namespace, self._release.policy_name)
        try:
            if namespace not in self._existing and await self._is_foreign(namespace, path):
                return True  # told; looked at again when something changes
            body = policies.environments_policy(namespace, self._release)
            answer = await self._client.apply(path, body, names.FIELD_MANAGER_CONTROLLER, force=True)
        except (Refused, Unavailable) as error:
            if isinstance(error, Refused) and (error.status == 404 or "being terminated" in str(error)):
                return True  # the namespace goes, and its functions with it
            log.warning("network policy of %s not written: %s", namespace, error)
            return False
        self._existing[namespace] = _existing(answer)
        log.info("network policy of %s written", namespace)
        return True

    async def _is_foreign(self, namespace: str, path: str) -> bool:
        """Whether somebody else has a policy of that name, which is not ours to adopt."""
        try:
            body = await self._client.request("GET", path)
        except Refused as error:
            if error.status != 404:
                raise
            self._foreign.discard(namespace)
            return False
        foreign = not policies.is_ours(body["metadata"].get("labels") or {}, self._release)
        if foreign and namespace not in self._foreign:
            self._foreign.add(namespace)
            log.error(
                "the NetworkPolicy %s of namespace %s is not this release's: it is left alone, and nothing keeps "
                "other pods from the environments there; delete or rename it",
                self._release.policy_name,
                namespace,
            )
        return foreign

    async def _delete(self, namespace: str, uid: str) -> bool:
        path = NETWORK_POLICIES.item(namespace, self._release.policy_name)
        try:
            await self._client.delete(path, uid)
        except (Refused, Unavailable) as error:
            log.warning("network policy of %s not deleted: %s", namespace, error)
            return False
        self._existing.pop(namespace, None)
        return True


def _existing(body: dict[str, Any]) -> Existing:
    metadata = body["metadata"]
    return Existing(
        uid=metadata["uid"],
        labels=metadata.get("labels") or {},
        spec=body.get("spec") or {},
        deleting=bool(metadata.get("deletionTimestamp")),
    )

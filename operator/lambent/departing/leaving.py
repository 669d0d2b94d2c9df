"""A release leaves: first who lets requests in, then who makes environments, then the environments.

Every step may be repeated and is bounded: what does not go in its time is told, and the next step begins. While a
gateway lives, what runs in environments that were asked to end still reaches its caller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lambent.adapters.kube.client import MERGE_PATCH, KubeClient
from lambent.adapters.kube.resources import NETWORK_POLICIES, PODS, Resource
from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from .settings import Settings

DEPLOYMENTS = Resource("apps", "v1", "deployments")

GATEWAYS_BY, CONTROLLERS_BY, GRACE_BY = 0.5, 0.6, 0.75
"""When each part should be gone, in shares of the whole time. What is left of it is for what has to be forced."""
TOLD_EVERY_S = 15.0
AT_ONCE = 20
AnswerT = TypeVar("AnswerT")
_PAGE = 500
_NAMED_MAX = 10


@dataclass(slots=True)
class Pace:
    """The clock of a departure."""

    clock: Callable[[], float] = time.monotonic
    pause: float = 1.0
    """Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class _Object:
    path: str
    namespace: str
    name: str
    uid: str
    deleting: bool

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class Departure:
    """One release's departure; `tell` says what happens, a line each."""

    client: KubeClient
    settings: Settings
    tell: Callable[[str], None]
    pace: Pace = field(default_factory=Pace)
    began: float = 0.0
    refused: set[str] = field(default_factory=set)

    async def leave(self) -> list[str]:
        """Leave; what is still there at the end, as `namespace/name`.

        Raises:
            Unavailable: the API server did not answer to the end.
            Refused: this account has no rights in the release's own namespace; in others that is told and passed over,
                because a namespace that was deleted took the Role with it.
        """
        self.began = self.pace.clock()
        await self._stop("gateway", "requests that run may end first", GATEWAYS_BY)
        await self._stop("controller", "no environment is made any more", CONTROLLERS_BY)
        await self._remove_environments()
        policies = f"{names.ENVIRONMENT_SELECTOR},{names.LABEL_INSTANCE}={self.settings.release}"
        await self._delete(await self._find(NETWORK_POLICIES, policies), "network policies")
        await self._remove_selftest()
        # a gateway that outlived its time ends with the last of its environments
        left = await self._until_gone(self._everything, 1.0)
        if left:
            self.tell(f"NOT GONE after {self.settings.seconds:.0f} s: {_named(left)}.")
            self.tell("The uninstallation goes on. `kubectl describe` them to see what holds them.")
        elif self.refused:
            self.tell("No pod of this release is left, and no execution environment where it could be looked.")
        else:
            self.tell("No pod of this release and no execution environment is left.")
        self.tell("Functions and their CustomResourceDefinition stay.")
        return [str(each) for each in left]

    # --- the parts ----------------------------------------------------------------------------------------------

    async def _stop(self, process: str, meanwhile: str, share: float) -> None:
        """Scale a process to nothing and wait until its pods are gone."""
        path = f"{DEPLOYMENTS.item(self.settings.pod_namespace, self.settings.prefix + process)}/scale"
        self.tell(f"Stopping the {process}: {meanwhile}.")
        try:
            await self._insist(
                lambda: self.client.request(
                    "PATCH", path, body={"spec": {"replicas": 0}}, content_type=MERGE_PATCH, timeout=10
                )
            )
        except Refused as error:
            if error.status != 404:
                raise
        left = await self._until_gone(lambda: self._processes(process), share)
        if left:
            self.tell(f"The {process} has not ended yet ({_named(left)}); going on.")

    async def _remove_environments(self) -> None:
        found = await self._environments()
        if found:
            self.tell(f"Ending {len(found)} execution environments: invocations that run may end first.")
        await self._delete([each for each in found if not each.deleting], "execution environments")
        left = await self._until_gone(self._environments, GRACE_BY)
        if left:
            self.tell(f"Forcing {len(left)} execution environments that have not ended: {_named(left)}.")
            await self._delete(left, "execution environments", {"gracePeriodSeconds": 0})

    async def _remove_selftest(self) -> None:
        name = f"{self.settings.prefix}selftest"
        try:
            await self._insist(
                lambda: self.client.request("DELETE", PODS.item(self.settings.pod_namespace, name), timeout=10)
            )
        except Refused as error:
            if error.status != 404:
                self.tell(f"The pod {name} was not deleted: {error}")

    # --- looking ------------------------------------------------------------------------------------------------

    async def _everything(self) -> list[_Object]:
        return [*await self._environments(), *await self._processes("gateway"), *await self._processes("controller")]

    async def _environments(self) -> list[_Object]:
        return await self._find(PODS, names.ENVIRONMENT_SELECTOR)

    async def _processes(self, process: str) -> list[_Object]:
        release = f"{names.LABEL_NAME}={names.MANAGED_BY},{names.LABEL_INSTANCE}={self.settings.release}"
        selector = f"{release},{names.LABEL_COMPONENT}={process}"
        return [each async for each in self._list(PODS, self.settings.pod_namespace, selector)]

    async def _find(self, resource: Resource, selector: str) -> list[_Object]:
        """In the namespaces of this release; one that may not be looked into is told once and left out."""
        found: list[_Object] = []
        for namespace in self.settings.namespaces or (None,):
            try:
                found += [each async for each in self._list(resource, namespace, selector)]
            except Refused as error:
                where = f"{resource.plural} of {namespace or 'all namespaces'}"
                if where not in self.refused:
                    self.refused.add(where)
                    self.tell(f"NOT LOOKED AT: {where}: {error}")
        return found

    async def _list(self, resource: Resource, namespace: str | None, selector: str) -> AsyncIterator[_Object]:
        query: dict[str, str | int] = {"labelSelector": selector, "limit": _PAGE}
        path = resource.collection(namespace)
        while True:
            answer = await self._insist(lambda: self.client.request("GET", path, query=query, timeout=10))
            for body in answer.get("items") or []:
                yield _parse(resource, body)
            following = (answer.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = following

    # --- doing --------------------------------------------------------------------------------------------------

    async def _delete(self, objects: list[_Object], what: str, options: dict[str, Any] | None = None) -> None:
        for start in range(0, len(objects), AT_ONCE):
            told = await asyncio.gather(
                *(self._delete_one(each, options or {}) for each in objects[start : start + AT_ONCE])
            )
            for problem in filter(None, told):
                self.tell(f"Of {what}: {problem}")

    async def _delete_one(self, each: _Object, options: dict[str, Any]) -> str | None:
        try:
            await self._insist(lambda: self.client.delete(each.path, each.uid, timeout=10, **options))
        except Refused as error:
            return f"{each} was not deleted: {error}"
        return None

    async def _until_gone(self, look: Callable[[], Awaitable[list[_Object]]], share: float) -> list[_Object]:
        """Look again and again until nothing is there or the share of the whole time is over; what is left."""
        deadline = self.began + self.settings.seconds * share
        told = self.pace.clock()
        while True:
            left = await look()
            now = self.pace.clock()
            if not left or now >= deadline:
                return left
            if now - told >= TOLD_EVERY_S:
                told = now
                self.tell(f"  … {len(left)} left: {_named(left)}")
            await asyncio.sleep(self.pace.pause)

    async def _insist(self, call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Call until the API server answers, or the whole time is over."""
        while True:
            try:
                return await call()
            except Unavailable:
                if self.pace.clock() >= self.began + self.settings.seconds:
                    raise
                await asyncio.sleep(self.pace.pause)


def _parse(resource: Resource, body: dict[str, Any]) -> _Object:
    metadata = body["metadata"]
    return _Object(
        path=resource.item(metadata["namespace"], metadata["name"]),
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def _named(objects: list[_Object]) -> str:
    shown = ", ".join(str(each) for each in objects[:_NAMED_MAX])
    return shown if len(objects) <= _NAMED_MAX else f"{shown} and {len(objects) - _NAMED_MAX} more"

"""Versions are published one after the other of each function, and on what the API server says now.

Two objects of one function are never judged at once, so that equal ones get one number. Whatever of a write is not
known (its answer was lost) is read before the next is decided. The Function itself is read before each decision:
whatever was applied before the Version counts, however late a watch is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from lambent.adapters.kube.resources import FUNCTIONS, VERSIONS
from lambent.controller.applying import Tools, apply_status
from lambent.controller.numbering import next_number
from lambent.controller.version_book import Name
from lambent.core import publishing
from lambent.core.publishing import Publish, Published, Unchanged
from lambent.core.readiness import Problem
from lambent.model import names
from lambent.model.arns import function_arn
from lambent.model.conditions import Reason
from lambent.model.errors import Refused, Unavailable
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject, VersionSnapshot, VersionSpec, VersionStatus

log = logging.getLogger(__name__)

NAME_TRIES = 8
"""Names `<function>.<number>` that somebody else's objects have."""

Describe = Callable[[VersionObject], VersionStatus]
"""The whole status of a version that has its number and its snapshot as of now, and is about to be written."""


class Publisher:
    """Gives numbers and snapshots."""

    def __init__(self, tools: Tools, region: str) -> None:
        self._tools = tools
        self._book = tools.store.versions
        self._region = region
        self._turns: WeakValueDictionary[Name, asyncio.Lock] = WeakValueDictionary()
        self._doubtful: dict[Name, set[str]] = {}
        """Names of objects of which it is not known whether our last write reached them."""

    async def publish(self, uid: str, account: str, describe: Describe) -> Problem | None:
        """Publish a Version that has no number yet; why that cannot be. Raises Unavailable."""
        version = self._unpublished(uid)
        if version is None:
            return None
        async with self._turn((version.namespace, version.function_name)):
            version = self._unpublished(uid)  # the turn may have come late
            if version is None:
                return None
            try:
                if not version.by_function:
                    return await self._publish(version, account, describe)
                await self._discard(version)
            except Refused as error:
                return Problem(Reason.PUBLISHING_FAILED, str(error))
        return None

    async def _publish(self, version: VersionObject, account: str, describe: Describe) -> Problem | None:
        name = (version.namespace, version.function_name)
        arn = function_arn(self._region, account, version.function_name)
        function = self._tools.store.named(name)
        problem = publishing.find_wait(function, arn)
        if problem is not None or function is None:  # what the watch shows later is another occasion
            return problem
        if publishing.was_refused(version.status):  # on a fresh look; from then on the watch is early enough
            verdict = publishing.judge(version.spec, function, self._book.published(*name), arn)
            if isinstance(verdict, Problem):
                return verdict
        function = await self._fresh(function)
        verdict = publishing.judge(version.spec, function, self._book.published(*name), arn)
        if isinstance(verdict, Problem):
            return verdict
        assert function is not None
        number, snapshot = await self._settle(name, verdict)
        status = self._status(version, function, number, snapshot)
        if await self._write(version, function, status, describe) and isinstance(verdict, Publish):
            self._tools.metrics.versions.inc()
        return None

    async def publish_function(self, uid: str, describe: Describe) -> str | Problem | None:
        """Publish what `spec.publish` of a Function asks for: the number, or why it cannot be. Raises Unavailable."""
        function = self._tools.store.function(uid)
        if not isinstance(function, FunctionObject):
            return None
        name = (function.namespace, function.function_name)
        async with self._turn(name):
            current = await self._fresh(function)
            if current is None or not publishing.is_due(current, self._book.newest(current)):
                return None
            spec = VersionSpec(function_name=current.function_name)
            verdict = publishing.judge(spec, current, self._book.published(*name), "")
            if not isinstance(verdict, Publish):
                return None
            try:
                number, version = await self._make(name, current, verdict.floor)
                status = self._status(version, current, str(number), verdict.snapshot)
                if await self._write(version, current, status, describe):
                    self._tools.metrics.versions.inc()
            except Refused as error:
                return Problem(Reason.PUBLISHING_FAILED, str(error))
            return str(number)

    @asynccontextmanager
    async def _turn(self, name: Name) -> AsyncIterator[None]:
        """One at a time of a function's name, when everything is known that was done before."""
        lock = self._turns.setdefault(name, asyncio.Lock())
        async with lock:
            for object_name in sorted(self._doubtful.get(name, ())):
                await self._look_up(name[0], object_name)
            self._doubtful.pop(name, None)
            yield

    async def _look_up(self, namespace: str, object_name: str) -> None:
        try:
            self._book.put_version(await self._tools.client.request("GET", VERSIONS.item(namespace, object_name)))
        except Refused as error:
            if error.status != 404:
                raise Unavailable(f"Version {namespace}/{object_name} cannot be read: {error}") from error

    def _unpublished(self, uid: str) -> VersionObject | None:
        version = self._book.version(uid)
        if not isinstance(version, VersionObject) or version.deleting or version.number is not None:
            return None
        return version

    async def _discard(self, version: VersionObject) -> None:
        """It was made for `spec.publish`, and whoever made it died before it had its number: it is made again."""
        log.info("Version %s/%s never got its number", version.namespace, version.name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": version.uid}}
        try:
            await self._tools.client.request("DELETE", VERSIONS.item(version.namespace, version.name), body=body)
        except Refused as error:
            if error.status not in (404, 409):
                raise
        self._book.drop_version(version.uid)

    async def _fresh(self, function: FunctionObject) -> FunctionObject | None:
        """The Function as it is now; None when it is none any more."""
        try:
            body = await self._tools.client.request("GET", FUNCTIONS.item(function.namespace, function.name))
        except Refused as error:
            if error.status != 404:
                raise Unavailable(f"{function.namespace}/{function.name} cannot be read: {error}") from error
            return None
        self._tools.store.put_function(body)
        found = self._tools.store.function(function.uid)
        same = body["metadata"]["uid"] == function.uid
        return found if same and isinstance(found, FunctionObject) else None

    async def _settle(self, name: Name, verdict: Publish | Unchanged) -> tuple[str, VersionSnapshot]:
        """Number and snapshot; a number that is new is raised before anything has it."""
        if isinstance(verdict, Unchanged):
            return str(verdict.newest.number), self._snapshot(verdict.newest)
        number = await next_number(self._tools.client, name[0], f"function.{name[1]}", verdict.floor)
        return str(number), verdict.snapshot

    def _snapshot(self, newest: Published) -> VersionSnapshot:
        found = self._book.version(newest.uid)
        assert isinstance(found, VersionObject)  # no await since it was looked for
        return found.configuration

    async def _make(self, name: Name, function: FunctionObject, floor: int) -> tuple[int, VersionObject]:
        """The object of `spec.publish`, with a number that nobody else gets."""
        query = {"fieldManager": names.FIELD_MANAGER_CONTROLLER}
        for attempt in range(NAME_TRIES):
            number = await next_number(self._tools.client, name[0], f"function.{name[1]}", floor)
            body = publishing.version_object(function, number)
            try:
                made = await self._tools.client.request("POST", VERSIONS.collection(name[0]), body=body, query=query)
            except Unavailable:
                self._doubtful.setdefault(name, set()).add(body["metadata"]["name"])
                raise
            except Refused as error:
                if error.reason != "AlreadyExists" or attempt == NAME_TRIES - 1:
                    raise
                continue
            self._book.put_version(made)
            version = self._book.version(made["metadata"]["uid"])
            assert isinstance(version, VersionObject)
            return number, version
        raise AssertionError("unreachable")

    def _status(
        self, version: VersionObject, function: FunctionObject, number: str, snapshot: VersionSnapshot
    ) -> VersionStatus:
        given = {
            "function_uid": function.uid,
            "version": number,
            "snapshot": snapshot,
            "published_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return version.status.model_copy(update=given)

    async def _write(
        self, version: VersionObject, function: FunctionObject, status: VersionStatus, describe: Describe
    ) -> bool:
        """Owner and labels, then the status: whoever sees the number finds both. False when the Version is gone."""
        assert status.version is not None
        tools = self._tools
        if (version.owner_uid, *version.marks) != (function.uid, function.uid, status.version):
            adopted = await adopt(tools, version, function, status.version)
            if adopted is None:
                return False
            version = adopted
        published = version.model_copy(update={"status": status})
        try:
            answer = await apply_status(tools, ("Version", VERSIONS), version, describe(published))
        except Unavailable:
            name = (version.namespace, version.function_name)
            self._doubtful.setdefault(name, set()).add(version.name)
            raise
        if answer is None:
            return False
        self._book.put_version(answer)
        return True


async def adopt(tools: Tools, version: VersionObject, function: FunctionObject, number: str) -> VersionObject | None:
    """Write the owner reference and the labels of a version; None when it is gone or another by now."""
    metadata = {
        "name": version.name,
        "namespace": version.namespace,
        "uid": version.uid,  # what was made anew under this name is not given another's owner
        "labels": publishing.marks(function, number),
        "ownerReferences": [publishing.owner_reference(function)],
    }
    body = {"apiVersion": names.API_VERSION, "kind": version.kind, "metadata": metadata}
    path = VERSIONS.item(version.namespace, version.name)
    try:
        answer = await tools.client.apply(path, body, names.FIELD_MANAGER_CONTROLLER, force=True)
    except Refused as error:
        if error.status not in (404, 409):
            raise
        log.info("Version %s/%s not adopted: %s", version.namespace, version.name, error)
        return None
    tools.store.versions.put_version(answer, quiet=True)
    found = tools.store.versions.version(version.uid)
    return found if isinstance(found, VersionObject) else None

"""What hooks of rollouts report, from the public door into the status of their alias, where the controller reads it.

Any signature is accepted and no right is asked for: whoever knows the execution id is the hook.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from lambent.core import moments
from lambent.core.hook_index import Hook, HookIndex, Verdict
from lambent.core.rollout_hooks import digest
from lambent.model import names
from lambent.model.aliases import AliasObject
from lambent.model.errors import Refused, Unavailable
from lambent.wire import codedeploy
from lambent.wire.codedeploy import CannotRecord, Report

log = logging.getLogger(__name__)

ApplyStatus = Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Server-side apply on the status of the Alias (namespace, name), forced, as FIELD_MANAGER_GATEWAY; the object that
came of it. Raises Refused, Unavailable."""

EARLY_SECONDS = 2.0
"""A hook may be faster than our watch: the controller writes its digest and invokes it in the same moment."""
BEHIND_SECONDS = 2.0
"""For the watch to show what was written meanwhile."""
TRIES = 4
WAITING_MAX = 256
"""Anybody can ask here: no more wait at the same time."""


class HookReports:
    """Takes the reports of hooks."""

    def __init__(self, apply_status: ApplyStatus, clock: Callable[[], float]) -> None:
        self._apply_status = apply_status
        self._clock = clock
        self._index = HookIndex()
        self._waiting: set[asyncio.Future[None]] = set()

    # --- aliases as observed ------------------------------------------------------------------------------------

    def observe(self, alias: AliasObject, resource_version: str) -> None:
        """An Alias exists as shown."""
        self._index.observe(alias, resource_version)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def forget(self, namespace: str, name: str) -> None:
        """An Alias object is gone."""
        self._index.forget((namespace, name))

    # --- reports ------------------------------------------------------------------------------------------------

    async def take(self, report: Report) -> None:
        """Returns when the API server has the report, or had the same before.

        Raises:
            ReportRefused: nobody asked for it.
            CannotRecord: the API server is away; the report may be sent again.
        """
        find, known_by = self._index.find, digest(report.execution_id)
        for _ in range(TRIES):
            await self._until(lambda: find(known_by) is not None, EARLY_SECONDS)
            hook = find(known_by)
            if hook is None:
                raise codedeploy.unknown_execution()
            if hook.deployment_id != report.deployment_id:
                raise codedeploy.unknown_deployment(report.deployment_id)
            if report.status in codedeploy.UNDER_WAY:
                return
            match hook.verdict(report.status):
                case Verdict.KNOWN:
                    return
                case Verdict.LATE:
                    raise codedeploy.completed()
            if await self._record(hook, report):
                return
            await self._until(functools.partial(self._changed, hook), BEHIND_SECONDS)
        raise CannotRecord("The report cannot be recorded at this time. Try again.")

    def _changed(self, seen: Hook) -> bool:
        found = self._index.find(seen.digest)
        return found is None or found.resource_version != seen.resource_version

    async def _record(self, hook: Hook, report: Report) -> bool:
        """Write it; False when somebody wrote the alias meanwhile, and it has to be looked at again."""
        namespace, name = hook.place
        at = moments.spell_seconds(datetime.fromtimestamp(self._clock(), UTC))
        body = {
            "apiVersion": names.API_VERSION,
            "kind": "Alias",
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": hook.resource_version},
            "status": {"hookResults": hook.results_with(report.status, at)},
        }
        try:
            written = await self._apply_status(namespace, name, body)
        except Refused as refused:
            if refused.status == 409:
                return False
            log.warning("a hook's report on alias %s/%s was not written: %s", namespace, name, refused)
            if refused.status == 404:
                raise codedeploy.unknown_execution() from None
            raise CannotRecord("The report cannot be recorded at this time. Try again.") from None
        except Unavailable as error:
            log.warning("a hook's report on alias %s/%s was not written: %s", namespace, name, error)
            raise CannotRecord("The report cannot be recorded at this time. Try again.") from None
        log.info("a hook of deployment %s reported %s", hook.deployment_id, report.status)
        self._learn(written)
        return True

    def _learn(self, written: dict[str, Any]) -> None:
        """The watch will show it, too; until then the same report again need not be written again."""
        try:
            self.observe(AliasObject.from_kubernetes(written), written["metadata"]["resourceVersion"])
        except (ValueError, KeyError, TypeError):
            log.warning("what came of a hook's report cannot be read")

    async def _until(self, settled: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so, which aliases that are observed may make it; no longer than this."""
        if settled():
            return
        if len(self._waiting) >= WAITING_MAX:
            raise CannotRecord("Too many reports wait to be looked up. Try again.")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not settled() and (left := deadline - loop.time()) > 0:
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiting.add(waiter)
            try:
                await asyncio.wait([waiter], timeout=left)
            finally:
                self._waiting.discard(waiter)

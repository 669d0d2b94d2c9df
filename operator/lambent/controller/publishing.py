"""Publishing: what waits to be published of a function, one after the other, and what retention lets go.

Keys are functions' names, and a queue works on each name once at a time: two objects of one function are never judged
at once, so that equal ones get one number, and whoever waits here holds up no environment. The Function itself is read
first, so that whatever was applied before a Version counts, however late a watch is. Whatever of a write is not known
(its answer was lost) is read before anything else is decided.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from lambent.adapters.kube.resources import FUNCTIONS, VERSIONS
from lambent.controller.applying import Tools, apply_status
from lambent.controller.measuring import ERROR, SUCCESS
from lambent.controller.numbering import next_number
from lambent.controller.retaining import retain
from lambent.controller.version_book import Name
from lambent.controller.version_reconciling import VersionReconciler, adopt
from lambent.core import moments, publishing
from lambent.core.events import RecordEvent
from lambent.core.publishing import Publish, Published, Unchanged, Verdict
from lambent.core.readiness import Problem
from lambent.model import names
from lambent.model.arns import function_arn
from lambent.model.conditions import Reason
from lambent.model.errors import Refused, Unavailable
from lambent.model.functions import FunctionObject
from lambent.model.versions import VersionObject, VersionSnapshot, VersionSpec, VersionStatus

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0
"""After the API server refused: a quota or a right has to change, which nobody tells."""
NAME_TRIES = 8
"""Names `<function>.<number>` that somebody else's objects have."""


class Publisher:
    """Gives numbers and snapshots."""

    def __init__(
        self, tools: Tools, versions: VersionReconciler, region: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tools = tools
        self._book = tools.store.versions
        self._versions = versions
        self._region = region
        self._clock = clock
        self._refused: dict[Name, float] = {}
        """Until when what the API server refused of a name is not tried again: a try may cost a number."""
        self._doubtful: dict[Name, set[str]] = {}
        """Names of objects of which it is not known whether our last write reached them."""

    async def work(self, key: str) -> float | None:
        """Do what there is to do of a function's name, `<namespace>/<name>`; in how many seconds to do so again.

        Raises Unavailable.
        """
        outcome = ERROR
        try:
            again = await self._work(_name(key))
            outcome = SUCCESS
            return again
        finally:
            self._tools.metrics.publishings.labels(outcome).inc()

    async def _work(self, name: Name) -> float | None:
        await self._resolve_doubts(name)
        account = self._tools.store.account(name[0])
        if account is None:  # its namespace will be seen in a moment
            return 1.0
        held = self._refused.get(name, 0.0) > self._clock()
        refused = False
        for leftover in [one for one in self._book.waiting(*name) if one.by_function]:
            refused |= not await self._discard(leftover)
        refused |= await self._publish_waiting(name, account, held=held)
        if not held:
            refused |= await self._publish_function(name, account)
            refused |= await self._let_go(name)
        if refused:
            self._refused[name] = self._clock() + AGAIN_SECONDS
        elif not held:
            self._refused.pop(name, None)
        again = self._refused.get(name)
        return again - self._clock() if again is not None else None

    async def _let_go(self, name: Name) -> bool:
        """Delete what retention does not keep; whether the API server refused something."""
        function = self._tools.store.named(name)
        if function is None:
            return False
        done = await retain(self._tools, function)
        for event in done.told:
            self._versions.tell(function, event)
        return done.refused

    async def _resolve_doubts(self, name: Name) -> None:
        for object_name in sorted(self._doubtful.get(name, ())):
            try:
                body = await self._tools.client.request("GET", VERSIONS.item(name[0], object_name))
            except Refused as error:
                if error.status != 404:
                    raise Unavailable(f"Version {name[0]}/{object_name} cannot be read: {error}") from error
            else:
                self._book.put_version(body)
        self._doubtful.pop(name, None)

    # --- Versions that people and tools wrote -------------------------------------------------------------------

    async def _publish_waiting(self, name: Name, account: str, *, held: bool) -> bool:
        """Publish the Versions that wait, the oldest first; whether the API server refused something.

        While that is `held` against the name, those of which it was said are left alone.
        """
        arn = function_arn(self._region, account, name[1])
        waiting = [
            one
            for one in self._book.waiting(*name)
            if not one.by_function and not one.deleting and not (held and publishing.was_refused(one.status))
        ]
        function = self._tools.store.named(name)

        def judge(version: VersionObject) -> Verdict:
            return publishing.judge(version.spec, function, self._book.published(*name), arn)

        if function is not None and not all(
            isinstance(verdict := judge(one), Problem) and not publishing.needs_a_fresh_look(one.status, verdict)
            for one in waiting
        ):
            function = await self._fresh(function)
        refused = False
        for version in waiting:
            verdict = judge(version)
            if not isinstance(verdict, Problem):
                assert function is not None
                try:
                    await self._publish(version, function, verdict, account)
                    continue
                except Refused as error:
                    verdict = Problem(Reason.PUBLISHING_FAILED, str(error))
                    refused = True
            await self._versions.tell_waiting(version, verdict)
        return refused

    async def _publish(
        self, version: VersionObject, function: FunctionObject, verdict: Publish | Unchanged, account: str
    ) -> None:
        name = (version.namespace, version.function_name)
        if isinstance(verdict, Unchanged):
            number, snapshot = verdict.newest.number, self._snapshot(verdict.newest)
        else:
            number = await next_number(self._tools.client, name[0], f"function.{name[1]}", verdict.floor)
            snapshot = verdict.snapshot
        if (version.owner_uid, *version.marks) != (function.uid, function.uid, str(number)):
            adopted = await adopt(self._tools, version, function, str(number))
            if adopted is None:
                return
            version = adopted
        told = await self._write(version, _given(version, function, number, snapshot), account)
        for event in told or ():
            self._versions.tell(version, event)
        if told is not None and isinstance(verdict, Publish):
            self._tools.metrics.versions.inc()

    def _snapshot(self, newest: Published) -> VersionSnapshot:
        found = self._book.version(newest.uid)
        assert isinstance(found, VersionObject)  # no await since it was found
        return found.configuration

    # --- spec.publish -------------------------------------------------------------------------------------------

    async def _publish_function(self, name: Name, account: str) -> bool:
        """Publish what `spec.publish` asks for; whether the API server refused it."""
        function = self._tools.store.named(name)
        if function is None or not publishing.is_due(function, self._book.newest(function)):
            return False
        current = await self._fresh(function)
        if current is None or not publishing.is_due(current, self._book.newest(current)):
            return False
        spec = VersionSpec(function_name=current.function_name)
        verdict = publishing.judge(spec, current, self._book.published(*name), "")
        assert isinstance(verdict, Publish)  # it is due, and nothing was awaited since
        try:
            number, version = await self._make(name, current, verdict.floor)
            told = await self._write(version, _given(version, current, number, verdict.snapshot), account)
        except Refused as error:
            self._versions.tell(current, RecordEvent(True, Reason.PUBLISHING_FAILED, str(error)))
            return True
        for event in told or ():
            self._versions.tell(current, event)
        if told is not None:
            self._tools.metrics.versions.inc()
        return False

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

    async def _discard(self, version: VersionObject) -> bool:
        """It was made for `spec.publish`, and whoever made it died before it had its number: it is made again."""
        log.info("Version %s/%s never got its number", version.namespace, version.name)
        try:
            await self._tools.client.delete(VERSIONS.item(version.namespace, version.name), version.uid)
        except Refused as error:
            log.warning("Version %s/%s stays: %s", version.namespace, version.name, error)
            return False
        self._book.drop_version(version.uid)
        return True

    # --- both ---------------------------------------------------------------------------------------------------

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

    async def _write(self, version: VersionObject, given: VersionStatus, account: str) -> list[RecordEvent] | None:
        """Write number and snapshot with all that is true of it; what there is to tell, None when it is gone."""
        status, told = self._versions.describe(version, given, account)
        try:
            answer = await apply_status(self._tools, VERSIONS, version, status)
        except Unavailable:
            name = (version.namespace, version.function_name)
            self._doubtful.setdefault(name, set()).add(version.name)
            raise
        if answer is None:
            return None
        self._book.put_version(answer)
        return told


def key_of(name: Name) -> str:
    """The key of a function's name in the queue."""
    return "/".join(name)


def _name(key: str) -> Name:
    namespace, _, function_name = key.partition("/")
    return namespace, function_name


def _given(version: VersionObject, function: FunctionObject, number: int, snapshot: VersionSnapshot) -> VersionStatus:
    """What never changes again."""
    given = {
        "function_uid": function.uid,
        "version": str(number),
        "snapshot": snapshot,
        "published_at": moments.spell_seconds(datetime.now(UTC)),
    }
    return version.status.model_copy(update=given)

"""One Alias, once: observe, decide, apply. As with Functions, it does not matter what happened before.

The way from a changed specification to the routing that gateways go by is one write. Whatever is slow, hooks, questions
to Prometheus and Events, runs beside it; what is known of it now is what a decision is made from.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lambent.adapters.kube.client import MERGE_PATCH
from lambent.adapters.kube.resources import ALIASES
from lambent.controller.alarming import Alarms
from lambent.controller.alias_book import MalformedAlias
from lambent.controller.applying import Tools, apply_metadata, apply_status, record
from lambent.controller.beginning import Beginner
from lambent.controller.hooking import HookRunner, Place, execution_id
from lambent.controller.measuring import timing
from lambent.controller.observed import Malformed
from lambent.core import moments, readiness
from lambent.core.events import RecordEvent
from lambent.core.pointing import Known, VersionFacts, point
from lambent.core.rollout import Decision, Seen, decide, hook_answered
from lambent.model import names
from lambent.model.alias_statuses import AliasStatus, RolloutStatus
from lambent.model.aliases import AliasObject
from lambent.model.arns import function_arn
from lambent.model.conditions import Condition, ConditionType, Reason
from lambent.model.errors import Refused
from lambent.model.functions import FunctionObject

NOT_WRITTEN_AGAIN_SECONDS = 1.0
"""After a write that met another one: what it was is about to be observed."""
_ID_ALPHABET = string.ascii_uppercase + string.digits
_OTHERS = frozenset({"hook_results"})
"""Of the status, what gateways write under a field manager of their own."""


def _now() -> datetime:
    return datetime.now(UTC)


class _DeploymentIds:
    """Ids as CodeDeploy spells them: the next one, until it is used. Most decisions need none."""

    def __init__(self) -> None:
        self.next = self._made()

    def take(self, used: RolloutStatus | None) -> None:
        """Another one is next if this rollout has it."""
        if used is not None and used.deployment_id == self.next:
            self.next = self._made()

    @staticmethod
    def _made() -> str:
        return "d-" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(9))


@dataclass(frozen=True, slots=True)
class _Around:
    """What an alias finds around it."""

    account: str
    function: FunctionObject | None
    known: Known
    arn: str
    """Of the alias."""


class AliasReconciler(Beginner):
    """Works on one Alias at a time per uid; the queue sees to that."""

    def __init__(
        self, tools: Tools, region: str, hooks: HookRunner, alarms: Alarms, now: Callable[[], datetime] = _now
    ) -> None:
        super().__init__()
        self._tools = tools
        self._book = tools.store.aliases
        self._region = region
        self._hooks = hooks
        self._alarms = alarms
        self._now = now
        self._ids = _DeploymentIds()

    async def reconcile(self, uid: str) -> float | None:
        """Work on one Alias; returns in how many seconds to do so again, None when only an event can matter."""
        with timing(self._tools.metrics.alias_reconciles):
            return await self._reconcile(uid)

    async def close(self) -> None:
        """End everything that runs in the background: whoever leads next begins it again."""
        await super().close()
        await self._hooks.close()
        await self._alarms.close()

    async def _reconcile(self, uid: str) -> float | None:
        alias = self._book.alias(uid)
        if isinstance(alias, Malformed):
            return await self._report_malformed(alias)
        if alias is None or alias.deleting:
            self._forget(uid)
            return None
        account = self._tools.store.account(alias.namespace)
        if account is None:  # its namespace will be seen in a moment
            return NOT_WRITTEN_AGAIN_SECONDS
        around = self._look_around(alias, account)
        now = self._now()
        if around.function is not None:
            self._alarms.attend(alias, around.function.uid)
        else:
            self._alarms.forget(uid)
        noted = alias.status
        for ask, outcome in self._hooks.outcomes(uid):
            noted = hook_answered(noted, ask, outcome, now)
        decided = alias if noted is alias.status else alias.model_copy(update={"status": noted})
        decision = self._decide(decided, around, now)
        if not same(alias.status, decision.status):
            if not await self._write(alias, decision.status):
                return NOT_WRITTEN_AGAIN_SECONDS
            if around.function is not None:  # a rollout that has begun is watched from its begin
                self._alarms.attend(alias.model_copy(update={"status": decision.status}), around.function.uid)
        self._follow_up(alias, decision, around)
        waits = [decision.look_again, await self._own(alias, around), await self._take_request(alias, decision)]
        return min((wait for wait in waits if wait is not None), default=None)

    # --- observe and decide -------------------------------------------------------------------------------------

    def _look_around(self, alias: AliasObject, account: str) -> _Around:
        store, name = self._tools.store, alias.spec.function_name
        function = store.named((alias.namespace, name))
        published = [
            one
            for one in store.versions.published(alias.namespace, name)
            if function is not None and one.function_uid == function.uid
        ]
        known = Known(
            arn=function_arn(self._region, account, name),
            function_exists=function is not None,
            versions={str(one.number): VersionFacts(one.role) for one in published},
            by_object={one.name: str(one.number) for one in published},
            latest=str(published[-1].number) if published else None,
            older=self._book.older(alias),
        )
        return _Around(account, function, known, function_arn(self._region, account, name, alias.alias_name))

    def _decide(self, alias: AliasObject, around: _Around, now: datetime) -> Decision:
        latest = {names.LATEST} if around.function is not None else set()
        decision = decide(
            Seen(
                alias=alias,
                target=point(alias, around.known),
                exists=frozenset(around.known.versions) | latest,
                arn=around.arn,
                readings=self._alarms.readings(alias, now) if around.function is not None else {},
                now=now,
                new_id=self._ids.next,
                execution_id=lambda deployment, event: execution_id(self._tools.agent_key, deployment, event),
            )
        )
        self._ids.take(decision.status.rollout)
        return decision

    # --- apply --------------------------------------------------------------------------------------------------

    async def _write(self, alias: AliasObject | MalformedAlias, status: AliasStatus) -> bool:
        """Write a status; False when the Alias is gone or another by now. Raises Refused and Unavailable."""
        answer = await apply_status(self._tools, ALIASES, alias, status, others=_OTHERS)
        if answer is not None:
            self._book.put_alias(answer, quiet=True)
        return answer is not None

    def _follow_up(self, alias: AliasObject, decision: Decision, around: _Around) -> None:
        """What comes after the status: nothing here is waited for."""
        self._hooks.keep(Place(alias.uid, alias.namespace, around.account), decision.asks)
        if decision.told:
            self._begin(self._record(alias, decision.told))
        before = {ended.deployment_id for ended in alias.status.history}
        for ended in decision.status.history:
            if ended.deployment_id not in before:
                self._tools.metrics.rollouts.labels(ended.phase).inc()

    async def _own(self, alias: AliasObject, around: _Around) -> float | None:
        """The Function becomes owner, for the garbage collector. The alias routes already."""
        function = around.function
        if function is None or alias.owner_uid == function.uid:
            return None
        owner = {"apiVersion": names.API_VERSION, "kind": "Function", "name": function.name, "uid": function.uid}
        answer = await apply_metadata(self._tools, ALIASES, alias, {"ownerReferences": [owner]})
        if answer is None:
            return NOT_WRITTEN_AGAIN_SECONDS
        self._book.put_alias(answer, quiet=True)
        return None

    async def _take_request(self, alias: AliasObject, decision: Decision) -> float | None:
        """Take the annotation away that was obeyed, and no other."""
        if not decision.take_request:
            return None
        current = self._book.alias(alias.uid)  # with what the answer to our status showed
        if not isinstance(current, AliasObject) or current.request != alias.request:
            return NOT_WRITTEN_AGAIN_SECONDS
        body = {
            "metadata": {
                "resourceVersion": self._book.resource_version(alias.uid),
                "annotations": {names.ANNOTATION_ROLLOUT: None},
            }
        }
        path = ALIASES.item(alias.namespace, alias.name)
        try:
            answer = await self._tools.client.request("PATCH", path, body=body, content_type=MERGE_PATCH)
        except Refused as error:
            if error.status not in (404, 409):
                raise
            return NOT_WRITTEN_AGAIN_SECONDS
        self._book.put_alias(answer, quiet=True)  # nudges: what waited for the request to be done may begin
        return None

    async def _record(self, alias: AliasObject, told: tuple[RecordEvent, ...]) -> None:
        """In the order in which it happened."""
        for each in told:
            await record(self._tools, alias, each, "Rollout")

    async def _report_malformed(self, alias: MalformedAlias) -> float | None:
        self._forget(alias.uid)
        conditions = [
            Condition(ConditionType.READY, False, Reason.INVALID_SPEC, alias.message),
            Condition(ConditionType.STALLED, True, Reason.INVALID_SPEC, alias.message),
        ]
        now = moments.spell_seconds(self._now())
        shown = readiness.stamped(conditions, alias.status.conditions, alias.generation, now)
        fields = {"observed_generation": alias.generation, "conditions": shown}
        status = alias.status.model_copy(update=fields)
        if not same(alias.status, status) and not await self._write(alias, status):
            return NOT_WRITTEN_AGAIN_SECONDS
        return None

    def _forget(self, uid: str) -> None:
        self._hooks.forget(uid)
        self._alarms.forget(uid)


def same(old: AliasStatus, new: AliasStatus) -> bool:
    """Whether two statuses say the same of what is ours to say; the order of what has keys says nothing."""
    return old == new or _ordered(old) == _ordered(new)


def _ordered(status: AliasStatus) -> AliasStatus:
    fields: dict[str, object] = {
        "hook_results": [],
        "conditions": sorted(status.conditions, key=lambda one: one.type),
    }
    if (rollout := status.rollout) is not None:
        hooks = sorted(rollout.hooks, key=lambda one: one.lifecycle_event)
        alarms = sorted(rollout.alarms, key=lambda one: one.name)
        fields["rollout"] = rollout.model_copy(update={"hooks": hooks, "alarms": alarms})
    return status.model_copy(update=fields)

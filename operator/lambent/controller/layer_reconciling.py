"""One Layer, once: observe, decide, apply. As with Functions, it does not matter what happened before."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from lambent.adapters.kube.resources import LAYER_VERSIONS, LAYERS
from lambent.controller.applying import Tools, apply_status, record
from lambent.controller.beginning import Beginner
from lambent.controller.layer_book import MalformedLayer
from lambent.controller.measuring import timing
from lambent.controller.numbering import next_number
from lambent.controller.observed import Malformed
from lambent.controller.storing import RECHECK_SECONDS, CodeShelf
from lambent.core import layers, moments, readiness
from lambent.core.events import RecordEvent
from lambent.core.layers import Observation, ObtainContent, Publish, WriteStatus
from lambent.core.readiness import Problem, StoredCode
from lambent.model import names
from lambent.model.conditions import Reason
from lambent.model.errors import Refused, Unavailable
from lambent.model.layers import LayerObject, LayerStatus

log = logging.getLogger(__name__)

PUBLISH_AGAIN_SECONDS = 60.0
"""After the API server refused: a quota or a right has to change, which nobody tells."""
STEPS_MAX = 4
"""Obtain, publish, write: each at most once, and what follows from it."""


class LayerReconciler(Beginner):
    """Works on one Layer at a time per uid; the queue sees to that."""

    def __init__(self, tools: Tools, shelf: CodeShelf, region: str) -> None:
        super().__init__()
        self._tools = tools
        self._book = tools.store.layers
        self._shelf = shelf
        self._region = region
        self._judged: set[str] = set()

    async def reconcile(self, uid: str) -> float | None:
        """Work on one Layer; returns in how many seconds to do so again, None when only an event can matter."""
        with timing(self._tools.metrics.layer_reconciles):
            return await self._reconcile(uid)

    async def _reconcile(self, uid: str) -> float | None:
        layer = self._book.layer(uid)
        if layer is None:
            self._judged.discard(uid)
            self._shelf.forget(uid)
            self._tools.references.forget(uid)
            return None
        if isinstance(layer, Malformed):
            await self._report_malformed(layer)
            return None
        account = self._tools.store.account(layer.namespace)
        if account is None:  # its namespace will be seen in a moment
            return 1.0
        versions = self._tools.references.versions(layer)
        if not layer.deleting and self._tools.references.unseen(layer):
            return None  # what exists is about to be looked up, and that nudges
        seen = Observation(
            layer=layer,
            region=self._region,
            account=account,
            older=self._book.older(layer),
            content=self._shelf.lookup(layer, versions),
            versions=self._book.versions(layer.namespace, layer.layer_name),
            timestamp=moments.spell_seconds(datetime.now(UTC)),
            unknown=self._tools.references.refusal(layer),
        )
        self._judged.add(uid)
        for _ in range(STEPS_MAX):
            actions = layers.plan(seen)
            match actions:
                case (ObtainContent(),):
                    seen = replace(seen, content=await self._shelf.obtain(layer, versions))
                case (Publish() as publish,):
                    seen = await self._publish(seen, publish)
                case _:
                    await self._tell(layer, actions)
                    break
        return self._again(seen)

    def _again(self, seen: Observation) -> float | None:
        if isinstance(seen.content, Problem) and seen.content.reason in readiness.TRIED_AGAIN:
            raise Unavailable(seen.content.message)  # said in the status; the queue tries again
        waits = [PUBLISH_AGAIN_SECONDS if seen.failure is not None else None]
        if isinstance(seen.content, StoredCode):
            wait = self._shelf.recheck_in(seen.layer, starting=False)
            if wait == 0.0:
                self._begin(self._shelf.recheck(seen.layer))
                wait = RECHECK_SECONDS
            waits.append(wait)
        return min((wait for wait in waits if wait is not None), default=None)

    async def _publish(self, seen: Observation, publish: Publish) -> Observation:
        """Make the next version: number first, so that it can never be another's. Raises Unavailable."""
        layer, client = seen.layer, self._tools.client
        try:
            number = await next_number(client, layer.namespace, f"layer.{layer.layer_name}", publish.floor)
            body = layers.version_object(seen, publish, number)
            query = {"fieldManager": names.FIELD_MANAGER_CONTROLLER}
            made = await client.request("POST", LAYER_VERSIONS.collection(layer.namespace), body=body, query=query)
        except Refused as error:
            log.warning("layer %s/%s is not published: %s", layer.namespace, layer.name, error)
            return replace(seen, failure=Problem(Reason.PUBLISHING_FAILED, str(error)))
        self._book.put_version(made)
        self._tools.metrics.layer_versions.inc()
        return replace(seen, versions=self._book.versions(layer.namespace, layer.layer_name))

    async def _tell(self, layer: LayerObject, actions: tuple[layers.Action, ...]) -> None:
        for action in actions:
            if isinstance(action, WriteStatus):
                if not await self._write_status(layer, action.status):
                    return
            elif isinstance(action, RecordEvent):
                self._begin(record(self._tools, layer, action))

    async def _write_status(self, layer: LayerObject | MalformedLayer, status: LayerStatus) -> bool:
        """Write a status; False when the Layer is gone or another by now."""
        answer = await apply_status(self._tools, LAYERS, layer, status)
        if answer is not None:
            self._book.put_layer(answer, quiet=True)
        return answer is not None

    async def _report_malformed(self, layer: MalformedLayer) -> None:
        self._judged.add(layer.uid)
        now = moments.spell_seconds(datetime.now(UTC))
        status = layers.malformed_status(layer.status, layer.generation, layer.message, now)
        if not readiness.same(layer.status, status):
            await self._write_status(layer, status)

    def has_judged(self, uid: str) -> bool:
        """Whether this Layer was worked on before."""
        return uid in self._judged

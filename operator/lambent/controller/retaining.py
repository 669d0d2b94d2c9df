"""Versions that nobody needs any more go, where a Function says how many are kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from lambent.adapters.kube.resources import VERSIONS
from lambent.controller.applying import Tools
from lambent.controller.store import Store
from lambent.core import publishing
from lambent.core.events import RecordEvent
from lambent.core.publishing import Published, References
from lambent.model.conditions import Reason
from lambent.model.errors import Refused
from lambent.model.functions import FunctionObject

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """What came of it."""

    told: tuple[RecordEvent, ...] = ()
    refused: bool = False
    """The API server keeps something, for reasons of its own."""


async def retain(tools: Tools, function: FunctionObject) -> Retention:
    """Delete what `versionRetention` lets go. Raises Unavailable."""
    told: list[RecordEvent] = []
    refused = False
    for version in find_surplus(tools.store, function):
        if version not in find_surplus(tools.store, function):  # an alias may refer to it since
            continue
        try:
            gone = await _delete(tools, function, version)
        except Refused as error:
            log.warning("version %s of %s stays: %s", version.number, function.function_name, error)
            refused = True
            continue
        if gone:
            note = f"version {version.number} ({version.name}) was deleted: versionRetention keeps newer ones"
            told.append(RecordEvent(False, Reason.VERSION_DELETED, note))
    return Retention(tuple(told), refused)


def find_surplus(store: Store, function: FunctionObject) -> tuple[Published, ...]:
    """What retention lets go of a Function now, the oldest first."""
    if function.spec.version_retention is None:
        return ()
    name = (function.namespace, function.function_name)
    aliases = store.aliases
    named = {one.spec.version_ref.name for one in aliases.of_function(*name) if one.spec.version_ref is not None}
    references = References(aliases.references(*name), named)
    return publishing.surplus(function, store.versions.published(*name), references)


async def _delete(tools: Tools, function: FunctionObject, version: Published) -> bool:
    """Whether it went by this. Raises Refused: the admission policy, say, which has the last word."""
    if not await tools.client.delete(VERSIONS.item(function.namespace, version.name), version.uid):
        tools.store.versions.drop_version(version.uid)
        return False
    tools.store.versions.mark_deleting(version.uid)
    tools.metrics.versions_deleted.inc()
    return True

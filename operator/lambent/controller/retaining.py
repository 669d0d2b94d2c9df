"""Versions that nobody needs any more go, where a Function says how many are kept."""

from __future__ import annotations

import logging

from lambent.adapters.kube.resources import VERSIONS
from lambent.controller.applying import Tools
from lambent.core import publishing
from lambent.core.housing import RecordEvent
from lambent.core.publishing import Published, References
from lambent.model.conditions import Reason
from lambent.model.errors import Refused
from lambent.model.functions import FunctionObject

log = logging.getLogger(__name__)


async def retain(tools: Tools, function: FunctionObject) -> list[RecordEvent]:
    """Delete what `versionRetention` lets go; what there is to tell of it. Raises Unavailable."""
    told: list[RecordEvent] = []
    for version in _surplus(tools, function):
        if version not in _surplus(tools, function):  # an alias may refer to it since
            continue
        if await _delete(tools, function, version):
            note = f"version {version.number} ({version.name}) was deleted: versionRetention keeps newer ones"
            told.append(RecordEvent(False, Reason.VERSION_DELETED, note))
    return told


def _surplus(tools: Tools, function: FunctionObject) -> tuple[Published, ...]:
    if function.spec.version_retention is None:
        return ()
    name = (function.namespace, function.function_name)
    aliases = tools.store.aliases
    named = {one.spec.version_ref.name for one in aliases.of_function(*name) if one.spec.version_ref is not None}
    references = References(aliases.references(*name), named)
    return publishing.surplus(function, tools.store.versions.published(*name), references)


async def _delete(tools: Tools, function: FunctionObject, version: Published) -> bool:
    """Whether it went. The admission policy has the last word: it sees what aliases have said since."""
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": version.uid}}
    try:
        await tools.client.request("DELETE", VERSIONS.item(function.namespace, version.name), body=body)
    except Refused as error:
        if error.status in (404, 409):  # gone, or another by now
            tools.store.versions.drop_version(version.uid)
        else:
            log.warning("version %s of %s stays: %s", version.number, function.function_name, error)
        return False
    tools.store.versions.mark_deleting(version.uid)
    tools.metrics.versions_deleted.inc()
    return True

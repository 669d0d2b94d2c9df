"""What is to be done for one layer? Its content, its next version, its status.

A change of content or metadata publishes the next number; what the newest version has already is not published again.
What that version is stands in the LayerVersions and in the layer's status: either may be ahead (a status that could not
be written, a version that somebody deleted), so the higher number counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lambent.core import readiness
from lambent.core.events import RecordEvent
from lambent.core.readiness import Obtained, Problem, StoredCode
from lambent.model import names
from lambent.model.conditions import Condition, ConditionType, Reason
from lambent.model.layer_references import layer_arn, layer_version_arn
from lambent.model.layer_versions import LayerVersionObject, LayerVersionSpec
from lambent.model.layers import LayerObject, LayerStatus

DIGITS = 16


@dataclass(frozen=True, slots=True)
class ObtainContent:
    """Fetch the content and see that the code store has it; all else waits for it."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Make the next version, with a number above `floor`."""

    content: StoredCode
    revision: str
    floor: int


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status."""

    status: LayerStatus


Action = ObtainContent | Publish | WriteStatus | RecordEvent


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything seen of one layer."""

    layer: LayerObject
    region: str
    account: str
    older: str | None
    """Name of an older object in the namespace with the same layer name."""
    content: Obtained | Problem | None
    """What became of the content of the current specification; None when nobody looked yet."""
    versions: tuple[LayerVersionObject, ...]
    """Those of this layer's name, also of an object before this one."""
    timestamp: str
    """Now, RFC 3339."""
    unknown: Problem | None = None
    """Why it cannot be known what of the references exists."""
    failure: Problem | None = None
    """Why the next version could not be made, when that was tried."""


@dataclass(frozen=True, slots=True)
class _Version:
    number: int
    revision: str
    created: str


def plan(seen: Observation) -> tuple[Action, ...]:
    """The next step for one layer, in the order to apply."""
    layer = seen.layer
    if layer.deleting:
        return ()
    stalled = _stalled(seen)
    if stalled is None and seen.content is None:
        return (ObtainContent(),)
    newest = _newest(seen)
    content = seen.content if stalled is None and isinstance(seen.content, StoredCode) else None
    published = newest
    if content is not None:
        wanted = revision(layer, content)
        if newest is None or newest.revision != wanted:
            if seen.failure is None:
                floor = max([newest.number if newest else 0, *(one.spec.version for one in seen.versions)])
                return (Publish(content, wanted, floor),)
            published = None
    problem = stalled or _problem(seen)
    status = _status(seen, published if content is not None else None, problem)
    if readiness.same(layer.status, status):
        return ()
    return (WriteStatus(status), *_events(layer.status, status))


def revision(layer: LayerObject, content: StoredCode) -> str:
    """16 hex digits over content and metadata: equal for what would be the same version."""
    spec = layer.spec
    said = {
        "codeSha256": content.sha256_hex,
        "compatibleArchitectures": sorted(spec.compatible_architectures),
        "compatibleRuntimes": sorted(spec.compatible_runtimes),
        "description": spec.description,
        "licenseInfo": spec.license_info,
    }
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def version_object(seen: Observation, made: Publish, number: int) -> dict[str, Any]:
    """The LayerVersion to create."""
    layer = seen.layer
    spec = LayerVersionSpec(
        layer_name=layer.layer_name,
        version=number,
        layer_version_arn=layer_version_arn(seen.region, seen.account, layer.layer_name, number),
        code_sha256=made.content.sha256_base64,
        code_size=made.content.size,
        code_unzipped_size=made.content.unzipped,
        revision=made.revision,
        created_date=seen.timestamp,
        description=layer.spec.description,
        license_info=layer.spec.license_info,
        compatible_runtimes=layer.spec.compatible_runtimes,
        compatible_architectures=layer.spec.compatible_architectures,
    )
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": "Layer",
        "name": layer.name,
        "uid": layer.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": f"{layer.name}.{number}",
        "namespace": layer.namespace,
        "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_LAYER_UID: layer.uid},
        "ownerReferences": [owner],
    }
    body = {"apiVersion": names.API_VERSION, "kind": "LayerVersion", "metadata": metadata}
    return {**body, "spec": spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)}


def malformed_status(old: LayerStatus, generation: int, message: str, now: str) -> LayerStatus:
    """The status of an object that is no Layer to us."""
    conditions = [
        Condition(ConditionType.READY, False, Reason.INVALID_SPEC, message),
        Condition(ConditionType.STALLED, True, Reason.INVALID_SPEC, message),
    ]
    shown = readiness.stamped(conditions, old.conditions, generation, now)
    return old.model_copy(update={"observed_generation": generation, "conditions": shown})


def _stalled(seen: Observation) -> Problem | None:
    if seen.older is not None:
        return Problem(
            Reason.DUPLICATE_LAYER_NAME,
            f"Layer already exist: {seen.layer.layer_name} (it is the older object {seen.older} in this namespace)",
        )
    if isinstance(seen.content, Problem) and seen.content.reason == Reason.INVALID_CODE:
        return seen.content
    return None


def _problem(seen: Observation) -> Problem | None:
    """What will pass, or be tried again."""
    content = seen.content if isinstance(seen.content, Problem) else None
    return seen.unknown or content or seen.failure


def _newest(seen: Observation) -> _Version | None:
    """The newest version of this very object: another one's are not its content, whatever they are called."""
    status = seen.layer.status
    mine = [
        _Version(one.spec.version, one.spec.revision, one.spec.created_date)
        for one in seen.versions
        if one.owner_uid == seen.layer.uid
    ]
    if status.latest_version is not None and status.revision is not None:
        mine.append(_Version(status.latest_version, status.revision, status.last_modified or ""))
    return max(mine, key=lambda one: one.number, default=None)


def _status(seen: Observation, published: _Version | None, problem: Problem | None) -> LayerStatus:
    old, layer = seen.layer.status, seen.layer
    fields: dict[str, object] = {"layer_arn": layer_arn(seen.region, seen.account, layer.layer_name)}
    if published is not None and isinstance(seen.content, StoredCode):
        content = seen.content
        fields |= {
            "latest_version": published.number,
            "latest_version_arn": layer_version_arn(seen.region, seen.account, layer.layer_name, published.number),
            "revision": published.revision,
            "last_modified": published.created or None,
            "code_sha256": content.sha256_base64,
            "code_size": content.size,
            "code_unzipped_size": content.unzipped or None,
            "code_source": content.source or None,
        }
    if published is not None or (problem is not None and problem.reason in _FINAL):
        fields["observed_generation"] = layer.generation
    conditions = list(_conditions(seen, published, problem))
    shown = readiness.stamped(conditions, old.conditions, layer.generation, seen.timestamp)
    return old.model_copy(update={**fields, "conditions": shown})


_FINAL = (Reason.INVALID_CODE, Reason.DUPLICATE_LAYER_NAME)


def _conditions(seen: Observation, published: _Version | None, problem: Problem | None) -> Iterable[Condition]:
    if problem is None:
        number = published.number if published is not None else 0
        yield Condition(ConditionType.READY, True, Reason.AVAILABLE, f"version {number} is as specified")
    else:
        yield Condition(ConditionType.READY, False, problem.reason, problem.message)
        if problem.reason in _FINAL:
            yield Condition(ConditionType.STALLED, True, problem.reason, problem.message)
        elif problem.reason != Reason.REFERENCE_NOT_FOUND:
            yield Condition(ConditionType.RECONCILING, True, Reason.PROGRESSING, "obtaining and publishing the content")
    if isinstance(seen.content, Problem):
        yield Condition(ConditionType.CONTENT_STORED, False, seen.content.reason, seen.content.message)
    elif seen.content is not None:
        yield Condition(ConditionType.CONTENT_STORED, True, Reason.STORED)


def _events(old: LayerStatus, new: LayerStatus) -> Iterable[RecordEvent]:
    if new.latest_version is not None and new.latest_version != old.latest_version:
        note = f"published {new.latest_version_arn}"
        yield RecordEvent(False, Reason.LAYER_VERSION_PUBLISHED, note)
    before, after = (readiness.find(status.conditions, ConditionType.READY) for status in (old, new))
    if after is None:
        return
    if after.status == "False" and (before is None or (before.status, before.reason) != (after.status, after.reason)):
        yield RecordEvent(after.reason != Reason.PROGRESSING, Reason(after.reason), after.message)

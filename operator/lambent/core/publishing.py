"""What becomes of a request to publish, what a snapshot is, and which versions retention lets go.

A version is a snapshot of $LATEST with a number of its own. What equals the newest existing version gets that one's
number, as in Lambda; a description alone is no difference. Numbers themselves are given elsewhere: here is only above
which one the next has to be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambent.core import readiness
from lambent.core.readiness import Problem
from lambent.model import names
from lambent.model.conditions import Condition, ConditionType, Reason
from lambent.model.functions import FunctionConfiguration, FunctionObject
from lambent.model.versions import VersionSnapshot, VersionSpec, VersionStatus

NOT_FOUND = "Function not found: {arn}"
OTHER_CODE = (
    "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({actual}). "
    "Please try again with the CodeSHA256 in $LATEST."
)
OTHER_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
    "the latest Revision Id"
)
_MADE_BY_US = (names.PUBLISHED_BY_FUNCTION, names.PUBLISHED_BY_CLI)
_NAME_CHARS_MAX = 253


@dataclass(frozen=True, slots=True)
class Published:
    """What others go by of a published version. Several objects may have one number."""

    number: int
    function_uid: str
    revision: str
    name: str
    """Of the object."""
    uid: str
    published_by: str = ""
    referenced: bool = False
    """Whether its status says that aliases refer to it: as long, admission keeps it."""
    role: str | None = None
    """Of its snapshot: versions that share an alias's traffic have one."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish this snapshot with the next number, above `floor`."""

    snapshot: VersionSnapshot
    floor: int


@dataclass(frozen=True, slots=True)
class Unchanged:
    """It equals the newest version: the same number, and a copy of that one's snapshot."""

    newest: Published


Verdict = Problem | Publish | Unchanged


def find_wait(function: FunctionObject | None, arn: str) -> Problem | None:
    """Why nothing can be published of a function now, as its status says; `arn` is what is asked for."""
    if function is None or function.deleting:
        return Problem(Reason.FUNCTION_NOT_FOUND, NOT_FOUND.format(arn=arn))
    status = function.status
    stalled = readiness.find(status.conditions, ConditionType.STALLED)
    if stalled is not None and stalled.status == "True":
        return _not_ready(function, f"{stalled.reason}: {stalled.message}")
    stored = readiness.find(status.conditions, ConditionType.CODE_STORED)
    if stored is not None and stored.status == "False":
        return _not_ready(function, f"{stored.reason}: {stored.message}")
    if stored is None or status.observed_generation != function.generation:
        ready = readiness.find(status.conditions, ConditionType.READY)
        told = f" ({ready.reason}: {ready.message})" if ready is not None and ready.status == "False" else ""
        return _not_ready(function, f"its generation {function.generation} is being prepared{told}")
    if status.revision is None or status.code_sha256 is None:
        return _not_ready(function, "it was never ready")
    return None


def _not_ready(function: FunctionObject, why: str) -> Problem:
    return Problem(Reason.FUNCTION_NOT_READY, f"{function.function_name} cannot be published yet: {why}")


def judge(spec: VersionSpec, function: FunctionObject | None, published: Sequence[Published], arn: str) -> Verdict:
    """What becomes of a request to publish a function as it is now. `published` has its name's versions, by number."""
    problem = find_wait(function, arn)
    if problem is not None:
        return problem
    assert function is not None
    status = function.status
    if spec.code_sha256 is not None and spec.code_sha256 != status.code_sha256:
        message = OTHER_CODE.format(given=spec.code_sha256, actual=status.code_sha256)
        return Problem(Reason.PRECONDITION_FAILED, message)
    if spec.revision_id is not None and spec.revision_id != status.revision:
        return Problem(Reason.PRECONDITION_FAILED, OTHER_REVISION)
    newest = newest_of(function, published)
    if newest is not None and newest.revision == status.revision:
        return Unchanged(newest)
    return Publish(snapshot_of(function, spec.description), max((one.number for one in published), default=0))


def needs_a_fresh_look(shown: VersionStatus, problem: Problem) -> bool:
    """Whether what a watch knows of a function is not enough to say so: its next state may mend it already.

    That the function is not ready is told by a watch early enough, and so is what was said after a fresh look before.
    """
    return problem.reason == Reason.PRECONDITION_FAILED and _ready_reason(shown) != problem.reason


def was_refused(shown: VersionStatus) -> bool:
    """Whether the API server refused to publish it when that was tried last."""
    return _ready_reason(shown) == Reason.PUBLISHING_FAILED


def _ready_reason(shown: VersionStatus) -> str | None:
    ready = readiness.find(shown.conditions, ConditionType.READY)
    return ready.reason if ready is not None else None


def newest_of(function: FunctionObject, published: Sequence[Published]) -> Published | None:
    """The newest version of this very Function; one of a namesake that is gone is another's."""
    return next((one for one in reversed(published) if one.function_uid == function.uid), None)


def is_due(function: FunctionObject, newest: Published | None) -> bool:
    """Whether `spec.publish` has anything to publish."""
    if not function.spec.publish or find_wait(function, "") is not None:
        return False
    return newest is None or newest.revision != function.status.revision


def snapshot_of(function: FunctionObject, description: str) -> VersionSnapshot:
    """Configuration and code of a function whose status is about its present specification."""
    spec, status = function.spec, function.status
    assert status.code_sha256 is not None
    assert status.revision is not None
    configuration = {name: getattr(spec, name) for name in FunctionConfiguration.model_fields}
    return VersionSnapshot(
        **configuration,
        code_sha256=status.code_sha256,
        code_size=status.code_size or 0,
        code_unzipped_size=status.code_unzipped_size,
        layers_in_use=status.layers,
        image=status.image,
        revision=status.revision,
        description=description or spec.description,
    )


def owner_reference(function: FunctionObject) -> dict[str, Any]:
    """That a version belongs to its function, for the garbage collector."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": function.kind,
        "name": function.name,
        "uid": function.uid,
        "blockOwnerDeletion": True,
    }


def marks(function: FunctionObject, number: str) -> dict[str, str]:
    """Labels of a published version, for who selects by them."""
    return {names.LABEL_FUNCTION_UID: function.uid, names.LABEL_VERSION: number}


def object_name(function: FunctionObject, number: int) -> str:
    """Name of the object that `spec.publish` makes: `<function object>.<number>`."""
    suffix = f".{number}"
    return function.name[: _NAME_CHARS_MAX - len(suffix)].rstrip("-.") + suffix


def version_object(function: FunctionObject, number: int) -> dict[str, Any]:
    """The Version that `spec.publish` makes. Its number is in its status, once it has one."""
    labels = {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_PUBLISHED_BY: names.PUBLISHED_BY_FUNCTION}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Version",
        "metadata": {
            "name": object_name(function, number),
            "namespace": function.namespace,
            "labels": {**labels, **marks(function, str(number))},
            "ownerReferences": [owner_reference(function)],
        },
        "spec": {"functionName": function.function_name},
    }


def waiting_status(old: VersionStatus, generation: int, problem: Problem, now: str) -> VersionStatus:
    """The status of a Version that is not published, and why not; `now` is RFC 3339."""
    conditions = [Condition(ConditionType.READY, False, problem.reason, problem.message)]
    if problem.reason in (Reason.PRECONDITION_FAILED, Reason.INVALID_SPEC):
        conditions.append(Condition(ConditionType.STALLED, True, problem.reason, problem.message))
    else:
        conditions.append(Condition(ConditionType.RECONCILING, True, Reason.PROGRESSING, "waiting to be published"))
    shown = readiness.stamped(conditions, old.conditions, generation, now)
    return old.model_copy(update={"observed_generation": generation, "conditions": shown})


@dataclass(frozen=True, slots=True)
class References:
    """Which versions of a function somebody refers to."""

    numbers: Mapping[str, tuple[str, ...]]
    """Number → names of aliases."""
    names: Collection[str]
    """Names of Version objects that aliases name, whatever number they have."""

    def hold(self, version: Published) -> bool:
        """Whether a version has to stay."""
        return version.referenced or str(version.number) in self.numbers or version.name in self.names


def surplus(function: FunctionObject, published: Sequence[Published], references: References) -> tuple[Published, ...]:
    """What retention lets go: made by us, older than the newest ones, and nobody refers to it. The oldest first."""
    retention = function.spec.version_retention
    if retention is None:
        return ()
    mine = [one for one in published if one.function_uid == function.uid]
    kept = set(sorted({one.number for one in mine}, reverse=True)[: retention.keep_last])
    return tuple(
        one for one in mine if one.number not in kept and one.published_by in _MADE_BY_US and not references.hold(one)
    )

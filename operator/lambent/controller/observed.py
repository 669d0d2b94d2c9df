"""Taking objects as the API server shows them: one that cannot be taken is said, and harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from lambent.model.fields import Fields

log = logging.getLogger(__name__)

ObjectT = TypeVar("ObjectT")
StatusT = TypeVar("StatusT", bound=Fields)


@dataclass(frozen=True, slots=True)
class Malformed(Generic[StatusT]):
    """An object of a kind that is none to us. `message` says why, without its values."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    message: str
    status: StatusT


def read(
    kind: str, parse: Callable[[dict[str, Any]], ObjectT], status: type[StatusT], body: dict[str, Any]
) -> ObjectT | Malformed[StatusT]:
    """An object of the API server, or what it is instead of one."""
    try:
        return parse(body)
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        metadata = body["metadata"]
        return Malformed(
            kind=kind,
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            message=explain(error, kind),
            status=_status(status, body),
        )


def _status(status: type[StatusT], body: dict[str, Any]) -> StatusT:
    try:
        return status.model_validate(body.get("status") or {})
    except ValidationError:
        return status()


def put_each(put: Callable[[dict[str, Any]], None], bodies: Iterable[dict[str, Any]]) -> set[str]:
    """Every object of a page; returns the uids, also of those that cannot be taken."""
    return {uid for body in bodies if (uid := _put(put, body))}


def _put(put: Callable[[dict[str, Any]], None], body: dict[str, Any]) -> str | None:
    try:
        put(body)
    except Exception:
        log.exception("an object cannot be taken")
    metadata = body.get("metadata")
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else None


def overtaken(before: object, after: object) -> bool:
    """Whether the answer to our own write brings what somebody else wrote before it.

    The event about that is old news when it comes, so that nobody else would tell.
    """
    if before is None:
        return False
    return any(getattr(before, name, None) != getattr(after, name, None) for name in ("generation", "deleting"))


def explain(error: Exception, kind: str) -> str:
    """Why an object is none of its kind to us, without its values: they may be secrets."""
    if not isinstance(error, ValidationError):
        return f"the object does not have the shape of a {kind}: {error!r}"
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:8])

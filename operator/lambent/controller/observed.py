"""Taking objects as the API server shows them: one that cannot be taken is said, and harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

log = logging.getLogger(__name__)


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

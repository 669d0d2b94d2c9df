"""One object as it changes, until somebody has seen enough of it or the time is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from lambent.model.errors import LambentError, Refused, Unavailable

from .clusters import WATCH_SECONDS, Cluster

_AGAIN_SECONDS = 1.0


class TimeOver(LambentError):
    """What was waited for has not come."""


def states(cluster: Cluster, collection: str, name: str, seconds: float | None) -> Iterator[dict[str, Any] | None]:
    """The object as it is now, and after each change; None, and no more, when it does not exist.

    What passes (a broken watch, a busy server) is waited out. `seconds` None: for ever.

    Raises:
        TimeOver: `seconds` are over.
        Refused: we may not look (any more).
    """
    clock = _Clock(seconds)
    said = False
    while True:
        try:
            for found in _once(cluster, collection, name, clock):
                yield found
                if found is None:
                    return
                clock.check()
        except Refused as error:
            if error.status != 410:  # that the watch is too far behind is cured by a look at what is there
                raise
        except Unavailable as error:
            clock.check()
            if not said:
                click.echo(f"lambent: {error}; trying again", err=True)
                said = True
        time.sleep(min(_AGAIN_SECONDS, clock.left))
        clock.check()


class _Clock:
    """How long there is still."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, at most those of a watch, never quite none."""
        return WATCH_SECONDS if self._end is None else max(0.01, min(WATCH_SECONDS, self._end - time.monotonic()))

    def check(self) -> None:
        """Raise when it is over."""
        if self._end is not None and time.monotonic() >= self._end:
            raise TimeOver


def _once(cluster: Cluster, collection: str, name: str, clock: _Clock) -> Iterator[dict[str, Any] | None]:
    """A look, then one watch to its end."""
    query: dict[str, str | int | bool] = {"fieldSelector": f"metadata.name={name}"}
    page = cluster.get(collection, query)
    yield next(iter(page.get("items") or []), None)
    query["resourceVersion"] = str(page["metadata"]["resourceVersion"])
    for event in cluster.watch(collection, query, seconds=clock.left):
        kind, body = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            raise Refused(str(body.get("reason")), str(body.get("message")), int(body.get("code") or 500))
        if kind == "DELETED":
            yield None
        elif kind != "BOOKMARK":
            yield body
        clock.check()

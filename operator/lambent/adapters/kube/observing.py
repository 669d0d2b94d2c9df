"""What a collection holds and how it changes: list, then watch, for ever.

A consumer keeps a dictionary: `Listed` replaces it, `Changed` and `Deleted` amend it. After every interruption that
may have lost an event comes a new `Listed`, so nothing is ever missed for good.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from lambent.model.errors import Refused, Unavailable

from .client import KubeClient
from .resources import Resource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything the collection holds now."""

    objects: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was added or modified."""

    object: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone; this was its last state."""

    object: dict[str, Any]


Observation = Listed | Changed | Deleted


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient an observer is, in seconds."""

    silence: float = 75.0
    """The API server sends a bookmark every 60 to 75 s; a watch without even that is dead. Watching anew from the same
    version costs one request and misses nothing, so a late bookmark does no harm."""
    watch: int = 300
    """How long one watch is asked to last."""
    brief: float = 1.0
    """A watch that ends sooner is a failure, whatever it brought."""
    page: int = 500
    """Objects per page of a list."""
    first_wait: float = 0.5
    longest_wait: float = 30.0
    dice: Callable[[], float] = field(default=random.random)
    beat: Callable[[], None] = field(default=lambda: None)
    """Called at every sign that the observer is alive: a try, an answer, an event, a bookmark."""

    def wait(self, failures: int) -> float:
        """Exponential back-off after so many failures in a row, with full jitter above a half."""
        longest = min(self.longest_wait, self.first_wait * 2 ** min(failures - 1, 16))
        return float(longest * (0.5 + self.dice() / 2))


class _Expired(Exception):
    """The resource version is gone (410): only a new list helps."""


async def observe(
    client: KubeClient,
    resource: Resource,
    *,
    namespace: str | None = None,
    selector: str = "",
    pace: Pace = Pace(),
) -> AsyncGenerator[Observation, None]:
    """Observe a collection for ever; errors are logged and waited out."""
    path = resource.collection(namespace)
    source = _Source(client, resource, path, selector)
    clock = asyncio.get_running_loop().time
    failures = 0
    version: str | None = None
    while True:
        progressed = False
        pace.beat()
        try:
            if version is None:
                objects, version = await _list(source, pace)
                yield Listed(objects)
            begun = clock()
            async with aclosing(_watch(source, version, pace)) as events:
                async for seen, observation in events:
                    version, progressed = seen, clock() - begun >= pace.brief
                    if observation is not None:
                        yield observation
        except _Expired:
            version = None
        except (Refused, Unavailable) as error:
            failures = 1 if progressed else failures + 1
            asked = getattr(error, "retry_after", None) or 0.0
            log.warning("observing %s: %s", path, error)
            await asyncio.sleep(max(pace.wait(failures), asked))
            # after a refusal (forbidden, kind missing) nothing known is to be trusted
            version = None if isinstance(error, Refused) else version
            continue
        if progressed:
            failures = 0
        else:  # a watch that ends at once, again and again, must not spin: not with a bookmark, and not over 410
            failures += 1
            await asyncio.sleep(pace.wait(failures))


@dataclass(frozen=True, slots=True)
class _Source:
    client: KubeClient
    resource: Resource
    path: str
    selector: str


async def _list(source: _Source, pace: Pace) -> tuple[list[dict[str, Any]], str]:
    objects: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": pace.page}
    if source.selector:
        query["labelSelector"] = source.selector
    accept = source.resource.accept(listing=True)
    while True:
        try:
            answer = await source.client.request("GET", source.path, query=query, accept=accept)
            pace.beat()
        except Refused as error:
            if error.status == 410 and "continue" in query:  # the pages took longer than the history lasts
                raise _Expired from error
            raise
        objects.extend(answer.get("items") or [])
        metadata = answer.get("metadata") or {}
        if not metadata.get("continue"):
            return objects, str(metadata.get("resourceVersion", ""))
        query["continue"] = metadata["continue"]


async def _watch(source: _Source, version: str, pace: Pace) -> AsyncGenerator[tuple[str, Observation | None], None]:
    """Observations with the version they bring us to; None for a bookmark. Ends when the watch does."""
    query: dict[str, str | int | bool] = {
        "watch": True,
        "allowWatchBookmarks": True,
        "resourceVersion": version,
        "timeoutSeconds": round(pace.watch * (1 + pace.dice() / 10)),  # jitter: not all watches end together
    }
    if source.selector:
        query["labelSelector"] = source.selector
    accept = source.resource.accept(listing=False)
    async with aclosing(source.client.stream(source.path, query, accept)) as events:
        while True:
            try:
                async with asyncio.timeout(pace.silence):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                log.debug("observing %s: silent for %.0f s, watching anew", source.path, pace.silence)
                return
            except Refused as error:
                if error.status == 410:
                    raise _Expired from error
                raise
            pace.beat()
            yield _interpret(event)


def _interpret(event: dict[str, Any]) -> tuple[str, Observation | None]:
    kind, body = event.get("type"), event.get("object")
    if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
        raise Unavailable(f"the watch broke: an event of type {kind!r} without an object")
    if kind == "ERROR":
        if body.get("code") == 410:
            raise _Expired
        raise Unavailable(f"the watch broke: {body.get('message', body)}")
    version = str(body.get("metadata", {}).get("resourceVersion", ""))
    if kind == "BOOKMARK":
        return version, None
    return version, Deleted(body) if kind == "DELETED" else Changed(body)

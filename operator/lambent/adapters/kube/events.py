"""Kubernetes Events: what `kubectl describe` tells people. Best effort: losing one never stops work.

The same thing said again is one Event with a count (its series), written at most once a minute.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from lambent.model.errors import Refused, Unavailable

from .client import MERGE_PATCH, KubeClient
from .resources import EVENTS

log = logging.getLogger(__name__)

NOTE_CHARS_MAX = 1024
"""The API server refuses longer notes."""
_REMEMBERED = 4096
_SERIES_EVERY_S = 60.0
_FORGOTTEN_AFTER_S = 3000.0
"""The API server keeps an Event for an hour; a series must not outlive its Event."""


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def reference(self) -> dict[str, str]:
        """As a Kubernetes ObjectReference."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing worth telling: a milestone (Normal) or something with a consequence (Warning)."""

    regarding: Regarding
    type: Literal["Normal", "Warning"]
    reason: str
    note: str
    action: str


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    first: datetime
    written: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class EventRecorder:
    """Writes Events for one process."""

    def __init__(self, client: KubeClient, reporter: str, instance: str, clock: Callable[[], datetime] = _now) -> None:
        self._client = client
        self._reporter = reporter
        self._instance = instance
        self._clock = clock
        self._series: OrderedDict[tuple[str, str, str], _Series] = OrderedDict()

    async def record(self, happening: Happening) -> None:
        """Tell of it, or count it when it was told before. Never raises for an API server that will not listen."""
        identity = (happening.regarding.uid, happening.reason, happening.note)
        now = self._clock()
        series = self._series.get(identity)
        try:
            if series is None or (now - series.first).total_seconds() > _FORGOTTEN_AFTER_S:
                await self._create(identity, happening, now)
                return
            series.count += 1
            if (now - series.written).total_seconds() >= _SERIES_EVERY_S:
                await self._count(happening.regarding.namespace, series, now)
        except Refused as error:
            if error.status == 404 and series is not None:  # collected early: the next one is told anew
                self._series.pop(identity, None)
            log.warning("event %s not written: %s", happening.reason, error)
        except Unavailable as error:
            log.warning("event %s not written: %s", happening.reason, error)

    async def _create(self, identity: tuple[str, str, str], happening: Happening, now: datetime) -> None:
        regarding = happening.regarding
        name = f"{regarding.name[:200]}.{secrets.token_hex(8)}"
        body: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": regarding.namespace},
            "eventTime": _micro(now),
            "reportingController": self._reporter,
            "reportingInstance": self._instance,
            "action": happening.action,
            "reason": happening.reason,
            "regarding": regarding.reference(),
            "note": happening.note[:NOTE_CHARS_MAX],
            "type": happening.type,
        }
        await self._client.request("POST", EVENTS.collection(regarding.namespace), body=body)
        self._series[identity] = _Series(name, 1, now, now)
        self._series.move_to_end(identity)
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)

    async def _count(self, namespace: str, series: _Series, now: datetime) -> None:
        body = {"series": {"count": series.count, "lastObservedTime": _micro(now)}}
        path = EVENTS.item(namespace, series.name)
        await self._client.request("PATCH", path, body=body, content_type=MERGE_PATCH)
        series.written = now


def _micro(moment: datetime) -> str:
    """Kubernetes' MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

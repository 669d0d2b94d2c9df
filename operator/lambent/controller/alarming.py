"""Readings of alarms, for rollouts that are going on: what is known now, from gateways and from Prometheus.

Nothing here is waited for. Prometheus is asked in the background; what it answered last counts, for a while.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lambent.adapters.telemetry.metrics import DURATION_BUCKETS
from lambent.controller.metering import Metering
from lambent.core.alarms import PrometheusFailure, QueryNames, Reading, query, read_metric, read_prometheus
from lambent.core.rollout import looks_back
from lambent.model.aliases import AliasObject
from lambent.model.environments import Scope
from lambent.model.errors import Unavailable
from lambent.model.rollouts import Alarm

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""The shortest period that an alarm may have."""
POLLS_KEPT = 3
"""An answer that is older than so many polls says nothing of now."""
NOT_CONFIGURED = "this installation has no prometheus.url"


class PrometheusSource(Protocol):
    """A Prometheus."""

    async def ask(self, query: str) -> float | None:
        """The one number of a query's result, None without a sample. Raises Unavailable."""


@dataclass(slots=True)
class _Poll:
    text: str
    task: asyncio.Task[None]
    answer: float | PrometheusFailure | None
    at: float


class PrometheusPolls:
    """Queries of alarms, each asked again every five seconds."""

    def __init__(
        self,
        source: PrometheusSource | None,
        nudge: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        """None: the installation has no Prometheus."""
        self._nudge = nudge
        self._clock = clock
        self._sleep = sleep
        self._polls: dict[str, dict[str, _Poll]] = {}
        """By uid of the alias and name of the alarm."""

    def keep(self, uid: str, queries: Mapping[str, str]) -> None:
        """These queries of an alias are asked from now on, by name of the alarm, and no others."""
        polls = self._polls.setdefault(uid, {})
        for name in [name for name, poll in polls.items() if queries.get(name) != poll.text]:
            polls.pop(name).task.cancel()
        if self._source is not None:
            for name in queries.keys() - polls.keys():
                task = asyncio.create_task(self._poll(self._source, uid, name), name=f"alarm {name}")
                unasked = PrometheusFailure("it was not asked yet")
                polls[name] = _Poll(queries[name], task, unasked, self._clock())
        if not polls:
            del self._polls[uid]

    def answer(self, uid: str, name: str) -> float | PrometheusFailure | None:
        """What was answered last, unless it is too old."""
        if self._source is None:
            return PrometheusFailure(NOT_CONFIGURED)
        poll = self._polls[uid][name]
        age = self._clock() - poll.at
        if age > POLLS_KEPT * POLL_SECONDS and not isinstance(poll.answer, PrometheusFailure):
            return PrometheusFailure(f"its last answer is {age:.0f} s old")
        return poll.answer

    def forget(self, uid: str) -> None:
        """The alias asks nothing any more."""
        self.keep(uid, {})

    async def close(self) -> None:
        """End everything."""
        tasks = [poll.task for polls in self._polls.values() for poll in polls.values()]
        for uid in list(self._polls):
            self.forget(uid)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, source: PrometheusSource, uid: str, name: str) -> None:
        while True:
            poll = self._polls[uid][name]
            answer = await _asked(source, poll.text)
            poll.answer, poll.at = answer, self._clock()
            self._nudge(uid)
            await self._sleep(POLL_SECONDS)


async def _asked(source: PrometheusSource, text: str) -> float | PrometheusFailure | None:
    try:
        return await source.ask(text)
    except Unavailable as error:
        return PrometheusFailure(str(error))
    except Exception as error:  # a query that is never asked again would be held for ever without a word
        log.exception("asking Prometheus")
        return PrometheusFailure(repr(error))


class Alarms:
    """The alarms of every alias that is rolling out."""

    def __init__(self, metering: Metering, polls: PrometheusPolls) -> None:
        self._metering = metering
        self._polls = polls

    def attend(self, alias: AliasObject, function_uid: str) -> None:
        """Watch what the rollout of an alias needs, from now on; nothing when none is going on."""
        rollout = alias.status.rollout
        alarms = alias.spec.rollout.alarms if alias.spec.rollout is not None else []
        if rollout is None or rollout.ended or not alarms:
            self.forget(alias.uid)
            return
        longest = max(alarm.period for alarm in alarms)
        self._metering.watch(alias.uid, Scope.of(function_uid, rollout.to_version), float(longest))
        names = QueryNames(
            namespace=alias.namespace,
            function=alias.spec.function_name,
            alias=alias.alias_name,
            version=rollout.to_version,
            previous_version=rollout.from_version,
        )
        asked = {alarm.name: query(alarm, names) for alarm in alarms if alarm.prometheus is not None}
        self._polls.keep(alias.uid, asked)

    def readings(self, alias: AliasObject, now: datetime) -> dict[str, Reading]:
        """What is known now of an alias that is attended to, by name of the alarm; empty without a rollout."""
        rollout = alias.status.rollout
        if rollout is None or rollout.ended or alias.spec.rollout is None:
            return {}
        return {alarm.name: self._reading(alias, alarm, now) for alarm in alias.spec.rollout.alarms}

    def _reading(self, alias: AliasObject, alarm: Alarm, now: datetime) -> Reading:
        if alarm.prometheus is not None:
            return read_prometheus(alarm, self._polls.answer(alias.uid, alarm.name))
        wanted = looks_back(alias.status.rollout, alarm, now)
        return read_metric(alarm, self._metering.window(alias.uid, wanted), wanted, DURATION_BUCKETS)

    def forget(self, uid: str) -> None:
        """Nothing of this alias is of interest."""
        self._metering.forget(uid)
        self._polls.forget(uid)

    async def close(self) -> None:
        """End what runs in the background."""
        await self._polls.close()

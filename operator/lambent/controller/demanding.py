"""What gateways say that functions need: one stream from every gateway, dialled by the active controller.

A word that changes what is wanted nudges the owner of the environments (a Function, or a Version); the same word again,
once a second, only refreshes it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from lambent.core.scaling import Report
from lambent.model.environments import Demand, Key, Scope
from lambent.model.errors import Unavailable
from lambent.wire.demand import decode_demand

log = logging.getLogger(__name__)

SILENCE_SECONDS = 10.0
"""Gateways speak or send an empty line more often than this."""
KEPT_SECONDS = 15.0
"""How long a lost gateway's last word counts, and how long its loss keeps environments from being taken away."""
RECONNECT_SECONDS = (0.2, 2.0)


class DemandSource(Protocol):
    """Where the streams come from."""

    def demand(self, url: str, silence: float) -> AsyncGenerator[bytes, None]:
        """Lines; an empty one is a heartbeat. Raises Unavailable."""


class Listener(Protocol):
    """Whoever wants to know more of demand than what is wanted now."""

    def said(self, gateway: str, demand: Demand) -> None:
        """A line came."""

    def lost(self) -> None:
        """A gateway is not heard, as yet or any more."""


@dataclass(slots=True)
class _Gateway:
    connected: bool = False
    lost: float = 0.0
    """When the stream was lost, or when the gateway was first heard of."""
    present: bool = True
    """Listed as an endpoint."""


@dataclass(slots=True)
class _Saying:
    report: Report
    matter: tuple[int, int, int, frozenset[str]] = field(default=(0, 0, 0, frozenset()))


class DemandBoard:
    """The last word of every gateway on every key."""

    def __init__(self, nudge: Callable[[Scope], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._nudge = nudge
        self._clock = clock
        self._sayings: dict[Scope, dict[tuple[str, Key], _Saying]] = {}
        self._gateways: dict[str, _Gateway] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell somebody of every line, and of every loss."""
        self._listeners.append(listener)

    def reports(self, scope: Scope) -> tuple[Report, ...]:
        """What is said of one version of a function, not older than it counts."""
        sayings = self._sayings.get(scope)
        if not sayings:
            return ()
        oldest = self._clock() - KEPT_SECONDS
        for place in [place for place, saying in sayings.items() if saying.report.at < oldest]:
            del sayings[place]
        if not sayings:
            del self._sayings[scope]
        return tuple(saying.report for saying in sayings.values())

    def heard(self) -> bool:
        """Whether every gateway is connected, and has been for long enough to have said everything."""
        oldest = self._clock() - KEPT_SECONDS
        states = self._gateways.values()
        return any(gateway.connected for gateway in states) and all(
            gateway.connected or gateway.lost < oldest for gateway in states
        )

    def connected(self) -> list[str]:
        """Addresses of the gateways that are connected."""
        return [url for url, gateway in self._gateways.items() if gateway.connected]

    def unreachable(self) -> bool:
        """Whether a gateway exists that nothing can be asked of."""
        return any(gateway.present and not gateway.connected for gateway in self._gateways.values())

    def expect(self, url: str) -> None:
        """A gateway exists."""
        if url not in self._gateways:
            self._tell_lost()
        gateway = self._gateways.setdefault(url, _Gateway(lost=self._clock()))
        gateway.present = True

    def found(self, url: str) -> None:
        """Its stream is open."""
        self._gateways[url].connected = True

    def lose(self, url: str) -> None:
        """Its stream ended."""
        gateway = self._gateways[url]
        if gateway.connected:
            gateway.connected, gateway.lost = False, self._clock()
            self._tell_lost()

    def _tell_lost(self) -> None:
        for listener in self._listeners:
            listener.lost()

    def forget(self, url: str) -> None:
        """It is no endpoint any more; its last word counts for a while."""
        self.lose(url)
        self._gateways[url].present = False
        oldest = self._clock() - KEPT_SECONDS
        for gone in [url for url, gateway in self._gateways.items() if not gateway.present and gateway.lost < oldest]:
            del self._gateways[gone]

    def note(self, url: str, demand: Demand) -> None:
        """A line came. Gateways name pods `namespace/name`; a Function's pods are all in its own namespace."""
        scope = demand.key.scope
        idle = tuple(replace(idle, pod=idle.pod.rpartition("/")[2]) for idle in demand.idle)
        demand = replace(demand, idle=idle)
        matter = (demand.in_flight, demand.waiting, demand.starting, frozenset(each.pod for each in idle))
        sayings = self._sayings.setdefault(scope, {})
        before = sayings.get((url, demand.key))
        sayings[url, demand.key] = _Saying(Report(url, demand, self._clock()), matter)
        if before is None or before.matter != matter:
            self._nudge(scope)
        for listener in self._listeners:
            listener.said(url, demand)


class DemandListener:
    """Keeps one stream open to every gateway that exists."""

    def __init__(self, board: DemandBoard, source: DemandSource, dice: Callable[[], float] = random.random) -> None:
        self._board = board
        self._source = source
        self._dice = dice
        self._streams: dict[str, asyncio.Task[None]] = {}

    def set_gateways(self, urls: Iterable[str]) -> None:
        """These gateways exist now, and no others."""
        wanted = set(urls)
        for url in wanted - self._streams.keys():
            self._board.expect(url)
            self._streams[url] = asyncio.create_task(self._follow(url), name=f"demand of {url}")
        for url in self._streams.keys() - wanted:
            self._streams.pop(url).cancel()
            self._board.forget(url)

    async def close(self) -> None:
        """End all streams."""
        self.set_gateways(())

    async def _follow(self, url: str) -> None:
        failures = 0
        while True:
            try:
                async for line in self._source.demand(url, SILENCE_SECONDS):
                    failures = 0
                    self._board.found(url)
                    if line.strip():
                        self._board.note(url, decode_demand(line))
            except (Unavailable, ValueError) as error:
                failures += 1
                log.log(logging.WARNING if failures in (1, 10) else logging.DEBUG, "demand of %s: %s", url, error)
            self._board.lose(url)
            first, longest = RECONNECT_SECONDS
            await asyncio.sleep(min(longest, first * 2 ** min(failures, 8)) * (0.5 + self._dice() / 2))

"""Who gets which environment: one pool for each key, `core.admission` with futures and counters around it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from typing import TYPE_CHECKING

from lambent.adapters.telemetry.metrics import DURATION_BUCKETS, OUTCOME_SUCCESS, FunctionMetrics
from lambent.core.admission import Admission
from lambent.core.routes import Change, Route
from lambent.model.environments import Counters, Demand, IdleEnvironment, Key, Scope

if TYPE_CHECKING:
    from .environments import Environment


TROUBLES_EVERY_SECONDS = 0.2
"""Errors and throttles of a key are told so soon; all else that is only counted, with the line of each second."""


class ColdStartTimeout(Exception):
    """No environment could be lent in time."""


class RouteGone(Exception):
    """What the request waited for is there no more: it is resolved anew."""


class Waiter:
    """A request that waits for an environment; `pool` changes when its function's key does."""

    __slots__ = ("future", "pool")

    def __init__(self, pool: Pool, future: asyncio.Future[Environment]) -> None:
        self.pool = pool
        self.future = future


class Pool:
    """The environments and waiting requests of one key."""

    __slots__ = (
        "_buckets",
        "admission",
        "claim_failure",
        "errors",
        "invocations",
        "key",
        "metrics",
        "route",
        "throttles",
        "troubles_told",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.route: Route | None = None
        """None for environments of a configuration that this gateway never saw."""
        self.metrics: FunctionMetrics | None = None
        self.admission: Admission[Environment, Waiter] = Admission()
        self.claim_failure: str | None = None
        """What the last attempt to set one of its environments up ran into."""
        self.invocations = self.errors = self.throttles = 0
        self.troubles_told = -TROUBLES_EVERY_SECONDS
        """When the controller was told of errors and throttles last."""
        self._buckets = [0] * (len(DURATION_BUCKETS) + 1)

    def count(self, seconds: float) -> None:
        """One more invocation that took so long."""
        self._buckets[bisect_left(DURATION_BUCKETS, seconds)] += 1

    def demand(self, seq: int, now: float) -> Demand:
        """What the controller is told of this key."""
        admission = self.admission
        return Demand(
            seq=seq,
            key=self.key,
            in_flight=admission.in_flight,
            waiting=admission.waiting,
            starting=admission.starting,
            idle=tuple(
                IdleEnvironment(environment.name, max(0, int((now - since) * 1000)))
                for environment, since in admission.idle()
            ),
            counters=Counters(self.invocations, self.errors, self.throttles, tuple(self._buckets)),
        )

    @property
    def counted(self) -> int:
        """Grows whenever a counter does."""
        return self.invocations + self.throttles


class Pools:
    """Every pool, and what moves between them when a function changes."""

    def __init__(self, changed: Callable[[Key], None], metrics_of: Callable[[Route], FunctionMetrics]) -> None:
        self._changed = changed
        """Told when the controller should hear of a key at once."""
        self._metrics_of = metrics_of
        self._pools: dict[Key, Pool] = {}
        self._versions: dict[Scope, list[Pool]] = {}
        self._outdated: set[Key] = set()
        self.clock = asyncio.get_running_loop().time

    # --- counting -----------------------------------------------------------------------------------------------

    def count_outcome(self, pool: Pool, outcome: str) -> None:
        """One more invocation that ended so."""
        pool.invocations += 1
        if pool.metrics is not None:
            pool.metrics.invocations[outcome].inc()
        if outcome != OUTCOME_SUCCESS:
            pool.errors += 1
            self._troubled(pool)

    def count_throttle(self, pool: Pool, reason: str) -> None:
        """One more request that was refused for want of concurrency."""
        pool.throttles += 1
        if pool.metrics is not None:
            pool.metrics.throttles[reason].inc()
        self._troubled(pool)

    def _troubled(self, pool: Pool) -> None:
        """A rollout may hang on it: told at once, but of many not each by itself."""
        now = self.clock()
        if now - pool.troubles_told >= TROUBLES_EVERY_SECONDS:
            pool.troubles_told = now
            self._changed(pool.key)

    def all(self) -> list[Pool]:
        """Every pool there is now."""
        return list(self._pools.values())

    def get(self, key: Key) -> Pool:
        """The pool of a key, made when there is none."""
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(key)
            self._versions.setdefault(key.scope, []).append(pool)
        return pool

    def of_version(self, key: Key) -> list[Pool]:
        """Every pool of the function and version that a key is of."""
        return self._versions.get(key.scope, [])

    def find(self, key: Key) -> Pool | None:
        """The pool of a key, if there is one."""
        return self._pools.get(key)

    def of(self, route: Route) -> Pool:
        """The pool that serves a route."""
        pool = self._pools.get(route.key) or self.get(route.key)
        if pool.route is not route:
            pool.route = route
            pool.metrics = self._metrics_of(route)
        return pool

    def sweep(self) -> None:
        """Forget pools of outdated keys that nothing belongs to any more.

        One that counted anything must have been found so already the last time: whoever listens has heard of it by
        then. What has a route is never forgotten: its counters are totals.
        """
        found = {key: pool for key, pool in self._pools.items() if pool.route is None and not pool.admission.active}
        forgotten = {key for key, pool in found.items() if not pool.counted or key in self._outdated}
        for key in forgotten:
            pools = self._versions[key.scope]
            pools.remove(self._pools.pop(key))
            if not pools:
                del self._versions[key.scope]
        self._outdated = found.keys() - forgotten

    # --- requests -----------------------------------------------------------------------------------------------

    async def wait(self, pool: Pool, deadline: float) -> Environment:
        """Wait until an environment is lent to the caller, in the order of arrival.

        Raises:
            ColdStartTimeout: `deadline` (of the loop's clock) passed.
            RouteGone: the function or its version went away meanwhile.
        """
        loop = asyncio.get_running_loop()
        waiter = Waiter(pool, loop.create_future())
        pool.admission.wait(waiter)
        self._changed(pool.key)
        timer = loop.call_at(deadline, _expire, waiter)
        try:
            return await waiter.future
        except asyncio.CancelledError:
            future = waiter.future
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result())  # served and abandoned in the same moment
            raise
        finally:
            timer.cancel()
            waiter.pool.admission.gone(waiter)

    # --- environments -------------------------------------------------------------------------------------------

    def starts(self, environment: Environment) -> None:
        """An environment boots or is being claimed."""
        pool = self.get(environment.key)
        was_active = pool.admission.active
        pool.admission.starts(environment)
        if not was_active:
            self._changed(pool.key)

    def release(self, environment: Environment) -> None:
        """An environment is usable (again): serve who waits longest, else it is idle."""
        pool = self.get(environment.key)
        was_active = pool.admission.active
        now = self.clock()
        waiter = pool.admission.ready(environment, now)
        while waiter is not None and waiter.future.done():  # gave up a moment ago
            waiter = pool.admission.ready(environment, now)
        if waiter is not None:
            waiter.future.set_result(environment)
        if not was_active:
            self._changed(pool.key)

    def lose(self, environment: Environment) -> None:
        """An environment is gone or must not be used now."""
        pool = self._pools.get(environment.key)
        if pool is not None:
            was_active = pool.admission.active
            pool.admission.lost(environment)
            if was_active:
                self._changed(pool.key)

    # --- functions and versions ---------------------------------------------------------------------------------

    def apply(self, change: Change) -> None:
        """A route changed: its waiters follow it to the new key, or hear RouteGone."""
        before, after = change.before, change.after
        if after is not None:
            self.of(after)
        if before is None or (after is not None and after.key == before.key):
            return
        old = self._pools.get(before.key)
        if old is None:
            return
        old.route = None  # in-flight requests carry their own; whatever is idle waits for the controller
        waiters = [waiter for waiter in old.admission.take_waiters() if not waiter.future.done()]
        if after is None:
            for waiter in waiters:
                waiter.future.set_exception(RouteGone())
        elif waiters:
            self._retarget(waiters, self.of(after))
        self._changed(before.key)

    def _retarget(self, waiters: list[Waiter], pool: Pool) -> None:
        for waiter in waiters:
            waiter.pool = pool
        for waiter, environment in pool.admission.admit_waiters(waiters):
            waiter.future.set_result(environment)
        self._changed(pool.key)


def _expire(waiter: Waiter) -> None:
    if not waiter.future.done():
        waiter.future.set_exception(ColdStartTimeout())

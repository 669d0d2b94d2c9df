"""Every execution environment as this gateway uses it: one object for each pod that is observed.

What leads an environment from its first dial to ready is `tending`; who gets it is `pools`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple, Protocol

from lambent.adapters.agents.doors import AgentDoor
from lambent.core.routes import Route
from lambent.model.environments import EnvironmentPod, Key, PodFailure

from .pools import Pools

log = logging.getLogger(__name__)

_AFTER_A_BUG_SECONDS = 1.0
_LAST_WORDS_SECONDS = 1.0
_KILLED = 137
"""Exit status after SIGKILL. An eviction ends so; that it was one, the kubelet says with the pod's phase."""


def _nobody() -> None:
    """A door that was never dialled has no connection to lose."""


class Phase(Enum):
    """What this gateway is doing with an environment."""

    WAITING = "waiting"
    """Its pod does not run yet, or its function's current configuration is another one and it was never claimed."""
    TENDED = "tended"
    """It is being dialled, claimed, or watched until it is idle."""
    READY = "ready"
    """Idle, or lent to a request."""
    RETIRED = "retired"
    """Never to be used again here: retired, deleted or ended."""


class Start(NamedTuple):
    """When an environment was made ready, by the loop's clock: asked for, the beginning of its init, its end."""

    claimed: float
    init: float
    ready: float


class Environment:
    """One pod, its door and what is being done with it. Compared by identity: it is a key in `Admission`."""

    __slots__ = (
        "asked",
        "busy_elsewhere",
        "claimed",
        "door",
        "ending",
        "key",
        "name",
        "phase",
        "pod",
        "seen",
        "sent",
        "start",
        "task",
    )

    def __init__(self, pod: EnvironmentPod, door: AgentDoor) -> None:
        self.pod = pod
        self.key = pod.key
        self.name = f"{pod.namespace}/{pod.name}"
        self.door = door
        self.seen: float | None = None
        """When its pod was first seen running, by the loop's clock."""
        self.sent = 0.0
        """When it was sent its last invocation, by the loop's clock."""
        self.start: Start | None = None
        """Of the claim that this gateway made."""
        self.phase = Phase.WAITING
        self.task: asyncio.Task[None] | None = None
        self.asked = False
        """It answered, or could not be reached, at least once."""
        self.claimed = False
        self.busy_elsewhere = False
        """At last sight it ran something that is not ours."""
        self.ending: asyncio.Future[None] | None = None
        """Waited for by an invocation that lost its connection; see `Environments.ending`."""

    @property
    def ended(self) -> PodFailure | None:
        """How its container ended, when it has."""
        failure = self.pod.blocked
        return failure if failure and (failure.exit_code is not None or self.pod.finished) else None

    @property
    def explained(self) -> bool:
        """Whether how it ended is all there is to hear: why a container was killed may come a moment later."""
        ended = self.ended
        return ended is not None and (self.pod.finished or ended.out_of_memory or ended.exit_code != _KILLED)


class Bounded(Protocol):
    """An invocation with a deadline."""

    deadline: float

    def cut_off(self) -> None:
        """End it."""


class Tend(Protocol):
    """Lead an environment to ready. Returns when it is, or when nothing can be done now."""

    async def __call__(self, environment: Environment) -> None:
        """Tend one environment."""


class Environments:
    """The environments of all observed pods, by `namespace/name`."""

    def __init__(
        self,
        pools: Pools,
        make_door: Callable[[EnvironmentPod, Callable[[], None]], AgentDoor],
        route_of: Callable[[Key], Route | None],
    ) -> None:
        self.pools = pools
        self._make_door = make_door
        self._route_of = route_of
        self._known: dict[str, Environment] = {}
        self.tend: Tend | None = None
        self.running: set[Bounded] = set()
        """Invocations on their way."""

    def cut_off_late(self) -> None:
        """Cut off invocations that are past their deadline (one look for all costs less than a timer for each)."""
        now = self.pools.clock()
        for invocation in [each for each in self.running if each.deadline <= now]:
            invocation.cut_off()

    def find(self, name: str) -> Environment | None:
        """The environment of `namespace/name`."""
        return self._known.get(name)

    def all(self) -> Iterable[Environment]:
        """Every environment that is known."""
        return self._known.values()

    # --- pods as observed ---------------------------------------------------------------------------------------

    def observe(self, pod: EnvironmentPod) -> None:
        """A pod exists as shown."""
        name = f"{pod.namespace}/{pod.name}"
        known = self._known.get(name)
        if known is not None and known.pod.uid != pod.uid:
            self.forget(name)
            known = None
        if known is None:
            known = self._known[name] = Environment(pod, self._make_door(pod, _nobody))
        else:
            known.pod = pod
        if known.explained and known.ending is not None and not known.ending.done():
            known.ending.set_result(None)
        if pod.finished or pod.deleting or known.ended:
            self._withdraw(known)
        else:
            self.consider(known)

    def forget(self, name: str) -> None:
        """A pod is gone."""
        environment = self._known.pop(name, None)
        if environment is None:
            return
        self._withdraw(environment)
        environment.door.close()
        if environment.ending is not None and not environment.ending.done():
            environment.ending.set_result(None)

    def _withdraw(self, environment: Environment) -> None:
        """Lend it no more; a request that holds it goes on to its end."""
        environment.phase = Phase.RETIRED
        environment.asked = True
        if environment.task is not None:
            environment.task.cancel()
            environment.task = None
        if not self._is_lent(environment):
            self._let_go(environment)
        elif environment.pod.finished or environment.ended:
            # What it said before it ended is here by now or never: a node that died closes no connection.
            loop = asyncio.get_running_loop()
            loop.call_later(_LAST_WORDS_SECONDS, environment.door.abort, "the environment ended")

    def _let_go(self, environment: Environment) -> None:
        """Nobody here has it any more. Its agent, when it is told to end, waits for us to hang up."""
        self.pools.lose(environment)
        if environment.pod.deleting:
            environment.door.close()

    def _is_lent(self, environment: Environment) -> bool:
        pool = self.pools.find(environment.key)
        return pool is not None and pool.admission.is_lent(environment)

    # --- what is done with them ---------------------------------------------------------------------------------

    def consider(self, environment: Environment) -> None:
        """Start tending an environment if there is reason to: it runs, and nothing is being done with it."""
        pod = environment.pod
        if environment.phase is not Phase.RETIRED and self._foreign(environment):
            log.warning("pod %s says that it is of a function of another namespace: it is not used", environment.name)
            self._withdraw(environment)
        if environment.phase is not Phase.WAITING or not pod.running or pod.ip is None:
            return
        if environment.seen is None:
            environment.seen = self.pools.clock()
            environment.door = self._make_door(pod, lambda: self.connection_lost(environment))
        if environment.asked and not environment.claimed and not self.wanted(environment):
            return
        self._start_tending(environment)

    def wanted(self, environment: Environment) -> bool:
        """Whether the current configuration of its function or version is the one that its pod was made for."""
        route = self._route_of(environment.key)
        return route is not None and route.key == environment.key

    def _foreign(self, environment: Environment) -> bool:
        """Whether its function is another namespace's: whoever may create a pod may write any label on it."""
        route = self._route_of(environment.key)
        return route is not None and route.namespace != environment.pod.namespace

    def consider_version(self, uid: str, version: str) -> None:
        """The route of a function's version changed: environments that waited for it may be wanted now."""
        for environment in list(self._known.values()):
            if environment.key.function_uid == uid and environment.key.version == version:
                self.consider(environment)

    def _start_tending(self, environment: Environment) -> None:
        assert self.tend is not None
        environment.phase = Phase.TENDED
        environment.task = asyncio.get_running_loop().create_task(self._tended(environment))

    async def _tended(self, environment: Environment) -> None:
        assert self.tend is not None
        while True:
            try:
                await self.tend(environment)
                break
            except Exception:
                # One environment's trouble is nobody else's; without this the task would die in silence.
                log.exception("tending %s failed", environment.name)
                self.pools.lose(environment)
                environment.asked = True
                await asyncio.sleep(_AFTER_A_BUG_SECONDS)
        environment.task = None

    def connection_lost(self, environment: Environment) -> None:
        """The kept connection of an environment is gone: find out what became of it, unless somebody does."""
        if environment.phase is Phase.READY:
            self.again(environment)

    def again(self, environment: Environment) -> None:
        """An environment cannot be trusted to be idle: take it out and lead it back to ready."""
        self.pools.lose(environment)
        if environment.phase is Phase.READY:
            self._start_tending(environment)

    def release(self, environment: Environment) -> None:
        """An invocation ended and its environment is idle: lend it on, unless it is on its way out."""
        if environment.phase is Phase.READY and environment.door.usable:
            self.pools.release(environment)
        elif environment.phase is Phase.READY:
            self.again(environment)
        else:
            self._let_go(environment)

    def ready(self, environment: Environment) -> None:
        """Tending is over: lend it."""
        environment.phase = Phase.READY
        environment.busy_elsewhere = False
        self.pools.release(environment)

    async def ending(self, environment: Environment, seconds: float) -> PodFailure | None:
        """How the container of a lost environment ended; None when the watch does not say so in time."""
        if not environment.explained and self._known.get(environment.name) is environment:
            if environment.ending is None or environment.ending.done():
                environment.ending = asyncio.get_running_loop().create_future()
            await asyncio.wait([environment.ending], timeout=seconds)
        return environment.ended

    # --- retiring -----------------------------------------------------------------------------------------------

    def retire(self, name: str) -> Environment | None:
        """Take `namespace/name` out for good; the environment is returned, with a door to drain it through.

        None when it is busy: lent to a request, busy for somebody else, or being made ready for its function.
        Raises KeyError for a pod that is not known.
        """
        environment = self._known[name]
        tended = environment.phase is Phase.TENDED
        in_use = tended and (environment.busy_elsewhere or self.wanted(environment))
        if in_use or self._is_lent(environment):
            return None
        self._withdraw(environment)
        return environment

    def reinstate(self, environment: Environment) -> None:
        """Its agent would not be drained: it is somebody's. Look at it again."""
        pod = environment.pod
        if self._known.get(environment.name) is environment and not (pod.finished or pod.deleting):
            environment.phase = Phase.WAITING
            self.consider(environment)

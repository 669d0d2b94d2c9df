"""How many environments should a function have? What to create, what to retire, what to delete, when to look again.

A pure function of what was seen and of what it returned last time. Its rules:

- *Up*, at once: as many environments of the current key as gateways have requests in flight or waiting, within a cap
  on pending pods and Lambda's governor (1,000 environments per 10 s and function, refilled continuously).
- *Down*: an environment idle long enough is retired through the gateways, which refuse what has become busy; a
  superseded key's environments as soon as they are idle; a pod that no gateway speaks of only when nobody could be
  using it; a pending pod when nobody has waited for it for a while; a finished pod when gateways had time to see why.
- *In doubt nothing goes away*: a gateway whose stream broke still counts with its last word for a while, and what it
  may be using stays.
- *Failing at boot*: environments that cannot start are tried again one by one, after 1, 2, 4 … 60 seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lambent.model.environments import Demand, EnvironmentPod, Key

ORDINARY_ENDS = frozenset(
    {"OOMKilled", "Evicted", "Preempting", "Terminated", "NodeLost", "NodeShutdown", "DeletionByTaintManager"}
)
"""Ends of a pod that say nothing about the next one: nodes come and go, and a function may use up its memory."""


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """Times in seconds."""

    idle: float = 300.0
    """An environment idle for so long is retired."""
    superseded_idle: float = 2.0
    """The same for environments of an old revision; not zero, so that a request just routed there finds it."""
    max_pending: int = 50
    governor_burst: int = 1000
    governor_per_second: float = 100.0
    report_fresh: float = 3.0
    """Gateways speak once a second of what is active; an older word still counts but nothing is taken away on it."""
    report_kept: float = 15.0
    abandoned_pending: float = 30.0
    finished_seen: float = 5.0
    backoff_first: float = 1.0
    backoff_longest: float = 60.0
    failure_kept: float = 300.0
    """A failure that nobody has asked to repeat for so long is forgotten: what caused it may be mended."""


@dataclass(frozen=True, slots=True)
class Report:
    """The last word of one gateway on one key, and when it came."""

    gateway: str
    demand: Demand
    at: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that was seen of one function."""

    now: float
    """Monotonic seconds, as all times here."""
    current: Key | None
    """What new requests are served by; None when nothing was ever ready."""
    may_create: bool
    """Whether a pod of the current key can be built from the present specification."""
    pods: tuple[EnvironmentPod, ...]
    reports: tuple[Report, ...] = ()
    gateways_heard: bool = True
    """At least one gateway is connected and no other has been silent lately."""


Fact = tuple[str, str]
"""Something that has to be true for a while: what, and of which pod or key."""


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What the next decision needs of this one."""

    tokens: float = math.inf
    """Of the governor; infinite before the first decision."""
    at: float = 0.0
    since: Mapping[Fact, float] = field(default_factory=dict)
    failing: Key | None = None
    """The key that failures are counted for."""
    failures: int = 0
    refused: bool = False
    """The last of them was the API server's refusal of a pod, not the end of one."""
    not_before: float = 0.0
    counted: frozenset[str] = frozenset()
    """Finished pods (uid) whose end was judged already."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What should happen."""

    create: int
    retire: tuple[str, ...]
    """Names of pods that gateways are asked to give up; those they do give up are deleted."""
    delete: tuple[str, ...]
    """Names of pods nobody can be using."""
    state: ScalingState
    look_again: float | None
    """Seconds until time alone may change the answer; None when only an event can."""


def decide(snapshot: Snapshot, settings: ScalingSettings, state: ScalingState) -> Scaling:
    """The next step for one function."""
    view = _View(snapshot, settings)
    since = {fact: state.since.get(fact, snapshot.now) for fact in view.lasting_facts()}
    clock = _Clock(snapshot.now, since)
    retire = view.idle_too_long(clock) + view.unused_too_long(clock)
    delete = view.finished(clock) + view.abandoned(clock)
    state = _judge_failures(view, settings, replace(state, since=since), clock)
    create, state = _create(view, settings, state, clock)
    if state.not_before > snapshot.now:
        clock.wake_at(state.not_before)
    if view.reports:
        clock.wake_at(min(report.at for report in view.reports) + settings.report_kept + 0.1)
    return Scaling(create, retire, delete, state, clock.look_again)


def refused(state: ScalingState, settings: ScalingSettings, key: Key, now: float) -> ScalingState:
    """The state after the API server refused to create a pod: try again later, not at once."""
    return replace(_failed(state, settings, key, now), refused=True)


def accepted(state: ScalingState) -> ScalingState:
    """The state after the API server took what it was asked to create: what it refused before, it takes again."""
    return _forgiven(state) if state.refused else state


def _forgiven(state: ScalingState) -> ScalingState:
    return replace(state, failing=None, failures=0, refused=False, not_before=0.0)


def _failed(state: ScalingState, settings: ScalingSettings, key: Key, now: float) -> ScalingState:
    failures = state.failures + 1 if state.failing == key else 1
    wait = min(settings.backoff_longest, settings.backoff_first * 2 ** min(failures - 1, 30))
    return replace(state, failing=key, failures=failures, refused=False, not_before=now + wait)


class _Clock:
    """For how long facts have been true, and when the next of them will have been true for long enough."""

    def __init__(self, now: float, since: Mapping[Fact, float]) -> None:
        self.now = now
        self._since = since
        self.look_again: float | None = None

    def lasted(self, fact: Fact, seconds: float) -> bool:
        """Whether a fact has been true for so long; if not, look again when it will have been."""
        since = self._since.get(fact)
        return since is not None and self.reached(since + seconds)

    def reached(self, moment: float) -> bool:
        """Whether a moment has come; if not, look again then."""
        if self.now >= moment:
            return True
        self.wake_at(moment)
        return False

    def wake_at(self, moment: float) -> None:
        seconds = max(0.0, moment - self.now)
        self.look_again = seconds if self.look_again is None else min(self.look_again, seconds)


class _View:
    """A snapshot, sorted by what the rules ask for."""

    def __init__(self, snapshot: Snapshot, settings: ScalingSettings) -> None:
        self.snapshot = snapshot
        self.settings = settings
        oldest = snapshot.now - settings.report_kept
        self.reports = tuple(report for report in snapshot.reports if report.at >= oldest)
        self.live = tuple(pod for pod in snapshot.pods if not pod.finished and not pod.deleting)
        self.idle = {idle.pod for report in self.reports for idle in report.demand.idle}

    def pods(self, key: Key, *, running: bool) -> list[EnvironmentPod]:
        return [pod for pod in self.live if pod.key == key and pod.running == running]

    def about(self, key: Key) -> list[Report]:
        return [report for report in self.reports if report.demand.key == key]

    def wanted(self, key: Key) -> int:
        """Requests that need an environment of this key."""
        return sum(report.demand.in_flight + report.demand.waiting for report in self.about(key))

    def used(self, key: Key) -> bool:
        """Whether some gateway may be using an environment of this key without naming it."""
        return any(
            report.demand.in_flight + report.demand.waiting + report.demand.starting for report in self.about(key)
        )

    def certain(self, key: Key) -> bool:
        """Whether what is known of this key is recent enough to take something away."""
        freshest = self.snapshot.now - self.settings.report_fresh
        return self.snapshot.gateways_heard and all(report.at >= freshest for report in self.about(key))

    def lasting_facts(self) -> Iterable[Fact]:
        """What has to be true for a while before something is done about it."""
        for pod in self.snapshot.pods:
            if pod.finished and not pod.deleting:
                yield "finished", pod.name
        for pod in self.live:
            if pod.running and pod.name not in self.idle and not self.used(pod.key) and self.certain(pod.key):
                yield "unused", pod.name
        for key in {pod.key for pod in self.live}:
            if self._surplus(key) > 0 and self.certain(key):
                yield "surplus", str(key)

    def _surplus(self, key: Key) -> int:
        """Pending pods beyond what requests need."""
        missing = max(0, self.wanted(key) - len(self.pods(key, running=True)))
        return len(self.pods(key, running=False)) - missing

    def idle_too_long(self, clock: _Clock) -> tuple[str, ...]:
        """Environments that a gateway calls idle for long enough, while nobody waits for one."""
        here = {pod.name for pod in self.live}
        chosen: list[str] = []
        for report in self.reports:
            key = report.demand.key
            superseded = key != self.snapshot.current
            limit = self.settings.superseded_idle if superseded else self.settings.idle
            if not self.certain(key) or any(other.demand.waiting for other in self.about(key)):
                continue
            chosen += [
                idle.pod
                for idle in report.demand.idle
                if idle.pod in here and clock.reached(report.at + limit - idle.ms / 1000)
            ]
        return tuple(dict.fromkeys(chosen))

    def unused_too_long(self, clock: _Clock) -> tuple[str, ...]:
        """Running pods that no gateway names, of keys that no gateway uses."""
        return tuple(pod.name for pod in self.live if clock.lasted(("unused", pod.name), self.settings.idle))

    def finished(self, clock: _Clock) -> tuple[str, ...]:
        """Pods that will never serve again, after gateways had time to read why."""
        return tuple(
            pod.name for pod in self.snapshot.pods if clock.lasted(("finished", pod.name), self.settings.finished_seen)
        )

    def abandoned(self, clock: _Clock) -> tuple[str, ...]:
        """Pending pods that nobody has needed for a while, the youngest first."""
        chosen: list[str] = []
        for key in sorted({pod.key for pod in self.live}, key=str):
            if clock.lasted(("surplus", str(key)), self.settings.abandoned_pending):
                pending = sorted(self.pods(key, running=False), key=lambda pod: (pod.created, pod.name), reverse=True)
                chosen += [pod.name for pod in pending[: self._surplus(key)]]
        return tuple(chosen)


def _judge_failures(view: _View, settings: ScalingSettings, state: ScalingState, clock: _Clock) -> ScalingState:
    """Count environments that ended before they were any use; forget when one serves."""
    ended = {pod.uid: pod for pod in view.snapshot.pods if pod.finished}
    fresh = [pod for uid, pod in ended.items() if uid not in state.counted and _boot_failure(pod)]
    state = replace(state, counted=frozenset(ended))
    current = view.snapshot.current
    if current is None or not (fresh or state.failures):
        return state
    if any(pod.key == current and not pod.deleting for pod in fresh):
        return _failed(state, settings, current, view.snapshot.now)
    serving = any(report.demand.in_flight or report.demand.idle for report in view.about(current))
    forgotten = not view.wanted(current) and clock.reached(state.not_before + settings.failure_kept)
    if state.failures and (state.failing != current or serving or forgotten):
        return _forgiven(state)
    return state


def _boot_failure(pod: EnvironmentPod) -> bool:
    """Whether a pod ended in a way that its successor will probably share."""
    failure = pod.blocked
    return failure is not None and failure.exit_code != 0 and failure.reason not in ORDINARY_ENDS


def _create(view: _View, settings: ScalingSettings, state: ScalingState, clock: _Clock) -> tuple[int, ScalingState]:
    """How many pods to create now, and the governor's bucket afterwards."""
    now = view.snapshot.now
    refill = (now - state.at) * settings.governor_per_second
    tokens = min(float(settings.governor_burst), state.tokens + max(0.0, refill))
    state = replace(state, tokens=tokens, at=now)
    current = view.snapshot.current
    if current is None or not view.snapshot.may_create:
        return 0, state
    pending = len(view.pods(current, running=False))
    missing = view.wanted(current) - pending - len(view.pods(current, running=True))
    create = max(0, min(missing, settings.max_pending - pending, int(tokens)))
    if missing > int(tokens):
        clock.wake_at(now + 1 / settings.governor_per_second)
    if state.failures:  # something is wrong: one at a time, and not before it is time
        create = min(create, 1) if now >= state.not_before and pending == 0 else 0
    return create, replace(state, tokens=tokens - create)

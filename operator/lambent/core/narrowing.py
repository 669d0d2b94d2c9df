"""Which environments have finished their init and still have more CPU than they are entitled to?

Lambda gives a function CPU in proportion to its memory, and is generous while it starts. So is an environment's CPU
limit at creation; it is narrowed once the environment is proved to be claimed, and a claim is answered after the init:

- a gateway calls it idle; or
- it is in use: gateways, all of them heard a moment ago, start no environment of its key and have as many requests in
  flight as environments of the key run that are not idle. (Less would not do: a pod may run before gateways know.)

Every attempt is remembered, whatever came of it: the next one on the same pod is due a minute later, then two, then
four. So a refusal, or somebody who keeps widening, costs next to nothing. A controller that restarts has forgotten this
and nothing else: a pod that was narrowed says so itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lambent.core.scaling import Report, Snapshot
from lambent.model.environments import EnvironmentPod, Key

AGAIN_FIRST_S, AGAIN_LONGEST_S = 60.0, 3600.0
LOOK_AGAIN_S = 1.0
"""Gateways repeat their word once a second, and a word that was heard before nudges nobody."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running pod with more CPU than it is entitled to."""

    since: float
    """When it was first seen so; what gateways said before that is not about it."""
    tries: int = 0
    not_before: float = 0.0
    """When it may be tried again."""


@dataclass(frozen=True, slots=True)
class NarrowingState:
    """What the next decision needs of this one. Keys are uids of pods."""

    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    """Pods whose node refused, which was said."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What should happen."""

    narrow: tuple[str, ...]
    """Names of pods."""
    refused: tuple[str, ...]
    """Names of pods whose node will not have the limit, to be told once."""
    state: NarrowingState
    look_again: float | None


def decide(snapshot: Snapshot, fresh: float, state: NarrowingState) -> Narrowing:
    """The next step for one function. What gateways said more than `fresh` seconds ago proves nothing in use."""
    now = snapshot.now
    idle = {one.pod for report in snapshot.reports for one in report.demand.idle}
    wide = [pod for pod in snapshot.pods if pod.wide and pod.running and not pod.deleting and not pod.finished]
    heard = {key: _used_since(key, snapshot, idle, fresh) for key in {pod.key for pod in wide}}
    narrow: list[str] = []
    waits: list[float] = []
    candidates: dict[str, Candidate] = {}
    for pod in wide:
        candidate = state.candidates.get(pod.uid, Candidate(now))
        since = heard[pod.key]
        if now < candidate.not_before:
            waits.append(candidate.not_before - now)
        elif pod.name in idle or (since is not None and since > candidate.since):
            narrow.append(pod.name)
            again = min(AGAIN_LONGEST_S, AGAIN_FIRST_S * 2 ** min(candidate.tries, 30))
            candidate = Candidate(candidate.since, candidate.tries + 1, now + again)
            waits.append(again)
        elif any(report.demand.in_flight for report in _about(pod.key, snapshot.reports)):
            waits.append(LOOK_AGAIN_S)
        candidates[pod.uid] = candidate
    stuck = {pod.uid: pod.name for pod in snapshot.pods if pod.resize_refused is not None}
    refused = tuple(name for uid, name in stuck.items() if uid not in state.told)
    return Narrowing(tuple(narrow), refused, NarrowingState(candidates, frozenset(stuck)), min(waits, default=None))


def _about(key: Key, reports: Iterable[Report]) -> list[Report]:
    return [report for report in reports if report.demand.key == key]


def _used_since(key: Key, snapshot: Snapshot, idle: set[str], fresh: float) -> float | None:
    """The moment at which every running environment of a key was idle or held by a request; None for unknown."""
    about = _about(key, snapshot.reports)
    if not about or not snapshot.gateways_heard or any(report.demand.starting for report in about):
        return None
    unnamed = [pod for pod in snapshot.pods if pod.key == key and _runs(pod) and pod.name not in idle]
    if sum(report.demand.in_flight for report in about) < len(unnamed):
        return None
    oldest = min(report.at for report in about)
    return oldest if oldest >= snapshot.now - fresh else None


def _runs(pod: EnvironmentPod) -> bool:
    """Also while it is being deleted: the request it holds is in flight."""
    return pod.running and not pod.finished

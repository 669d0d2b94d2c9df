"""What happened between two looks at the gateways' counters. Pure: text in, figures out.

Counters only grow, except when a gateway starts anew; then what it counts since is what happened, as in Prometheus.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from lambent.adapters.telemetry.metrics import OUTCOME_SUCCESS

INVOCATIONS = "lambent_invocations_total"
THROTTLES = "lambent_throttles_total"
COLD_STARTS = "lambent_init_duration_seconds_count"
DURATIONS = "lambent_duration_seconds_bucket"
CONCURRENCY = "lambent_concurrent_executions"
_WANTED = (INVOCATIONS, THROTTLES, COLD_STARTS, DURATIONS, CONCURRENCY)

FunctionKey = tuple[str, str, str]
"""Namespace, function, version."""


@dataclass(slots=True)
class Counts:
    """A function's figures: counters at one gateway, or (Activity) what they tell of all."""

    running: float = 0.0
    invocations: float = 0.0
    errors: float = 0.0
    throttles: float = 0.0
    cold_starts: float = 0.0
    durations: dict[float, float] = field(default_factory=dict)
    """Upper bound in seconds → invocations at most as long."""


@dataclass(frozen=True, slots=True)
class Look:
    """One gateway's counters at one moment."""

    at: float
    counts: Mapping[FunctionKey, Counts]


@dataclass(slots=True)
class Activity(Counts):
    """What a function does; rates are per second."""

    @property
    def error_share(self) -> float | None:
        """Of the invocations that ended; None without any."""
        return self.errors / self.invocations if self.invocations else None

    def quantile(self, share: float) -> float | None:
        """Seconds, interpolated as Prometheus does; infinite beyond the last bound; None without invocations."""
        total = self.durations.get(math.inf, 0.0)
        if not total:
            return None
        rank, below, floor = share * total, 0.0, 0.0
        for bound, count in sorted(self.durations.items()):
            if count >= rank and count > below:
                return math.inf if bound == math.inf else floor + (bound - floor) * (rank - below) / (count - below)
            below, floor = count, bound
        return math.inf


def parse(text: str) -> dict[FunctionKey, Counts]:
    """The exposition of one gateway; families that are not needed cost nothing."""
    wanted = "\n".join(line for line in text.splitlines() if line.startswith(_WANTED)) + "\n"
    found: dict[FunctionKey, Counts] = {}
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            labels = sample.labels
            key = (labels.get("namespace", ""), labels.get("function", ""), labels.get("version", ""))
            _count(found.setdefault(key, Counts()), sample.name, labels, float(sample.value))
    return found


def _count(counts: Counts, name: str, labels: Mapping[str, str], value: float) -> None:
    if name == CONCURRENCY:
        counts.running += value
    elif name == INVOCATIONS:
        counts.invocations += value
        counts.errors += value if labels.get("outcome") != OUTCOME_SUCCESS else 0.0
    elif name == THROTTLES:
        counts.throttles += value
    elif name == COLD_STARTS:
        counts.cold_starts += value
    elif name == DURATIONS:
        counts.durations[float(labels["le"])] = value


def between(before: Mapping[str, Look], after: Mapping[str, Look]) -> dict[FunctionKey, Activity]:
    """Each function's activity over all gateways; a gateway that was not there before counts from its next look on."""
    found: dict[FunctionKey, Activity] = {}
    for gateway, look in after.items():
        earlier = before.get(gateway)
        seconds = look.at - earlier.at if earlier else 0.0
        for key, counts in look.counts.items():
            activity = found.setdefault(key, Activity())
            activity.running += counts.running
            if earlier is not None and seconds > 0:
                _add(activity, earlier.counts.get(key, Counts()), counts, seconds)
    return found


def _add(activity: Activity, old: Counts, new: Counts, seconds: float) -> None:
    if new.invocations < old.invocations or new.cold_starts < old.cold_starts:  # it was started anew
        old = Counts()
    activity.invocations += (new.invocations - old.invocations) / seconds
    activity.errors += max(0.0, new.errors - old.errors) / seconds
    activity.throttles += max(0.0, new.throttles - old.throttles) / seconds
    activity.cold_starts += (new.cold_starts - old.cold_starts) / seconds
    for bound, count in new.durations.items():
        grown = max(0.0, count - old.durations.get(bound, 0.0))
        activity.durations[bound] = activity.durations.get(bound, 0.0) + grown


def keys_of(*sources: Iterable[FunctionKey]) -> list[FunctionKey]:
    """Every function that any source knows, in order."""
    return sorted({key for source in sources for key in source})

"""Metrics: the names, labels and buckets of everything Lambent exports. The one place where they are written.

`FunctionMetrics` holds the resolved children of one function, so that an invocation looks up no label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

FUNCTION_LABELS = ("namespace", "function", "version")

OUTCOME_SUCCESS = "success"
OUTCOME_FUNCTION_ERROR = "function_error"
OUTCOME_SERVICE_ERROR = "service_error"
OUTCOMES = (OUTCOME_SUCCESS, OUTCOME_FUNCTION_ERROR, OUTCOME_SERVICE_ERROR)

THROTTLE_CONCURRENCY = "ConcurrentInvocationLimitExceeded"
THROTTLE_REASONS = (THROTTLE_CONCURRENCY,)

PHASE_WAIT = "wait"
"""Arrival of a request that found no idle environment, until it was lent one."""
PHASE_BOOT = "boot"
"""First sight of a running pod with an address, until its agent answered."""
PHASE_CODE = "code"
"""Fetching the code for a claim (nothing when it was in memory)."""
PHASE_CLAIM = "claim"
"""The claim, without init."""
PHASE_INIT = "init"
"""Init as the agent measured it."""
PHASES = (PHASE_WAIT, PHASE_BOOT, PHASE_CODE, PHASE_CLAIM, PHASE_INIT)

AUTH_GRANTED, AUTH_DENIED = "granted", "denied"
AUTH_MISSING, AUTH_INVALID, AUTH_EXPIRED = "missing", "invalid", "expired"
AUTH_UNAVAILABLE = "unavailable"
"""Nobody could be asked about somebody who was not known."""

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
START_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class FunctionMetrics:
    """The children of one function and version."""

    invocations: dict[str, Counter]
    """By outcome."""
    throttles: dict[str, Counter]
    """By reason."""
    duration: Histogram
    init: Histogram
    phases: dict[str, Histogram]


class Metrics:
    """Lambent's metric families in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.invocations = Counter(
            "lambent_invocations", "Invocations that ended.", (*FUNCTION_LABELS, "outcome"), registry=registry
        )
        self.throttles = Counter(
            "lambent_throttles", "Requests answered 429.", (*FUNCTION_LABELS, "reason"), registry=registry
        )
        self.duration = Histogram(
            "lambent_duration_seconds",
            "Duration of invocations as the agent measured it, without init.",
            FUNCTION_LABELS,
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.init = Histogram(
            "lambent_init_duration_seconds",
            "Init of execution environments.",
            FUNCTION_LABELS,
            buckets=START_BUCKETS,
            registry=registry,
        )
        self.phases = Histogram(
            "lambent_cold_start_phase_seconds",
            "Parts of cold starts.",
            (*FUNCTION_LABELS, "phase"),
            buckets=START_BUCKETS,
            registry=registry,
        )
        self.concurrency = Gauge(
            "lambent_concurrent_executions",
            "Requests that hold an environment.",
            FUNCTION_LABELS,
            registry=registry,
        )

    def function(self, labels: tuple[str, str, str], concurrency: Callable[[], float]) -> FunctionMetrics:
        """Resolve the children of (namespace, function, version); concurrency is read when scraped."""
        self.concurrency.labels(*labels).set_function(concurrency)
        return FunctionMetrics(
            invocations={outcome: self.invocations.labels(*labels, outcome) for outcome in OUTCOMES},
            throttles={reason: self.throttles.labels(*labels, reason) for reason in THROTTLE_REASONS},
            duration=self.duration.labels(*labels),
            init=self.init.labels(*labels),
            phases={phase: self.phases.labels(*labels, phase) for phase in PHASES},
        )

    def forget(self, labels: tuple[str, str, str]) -> None:
        """Drop every series of a function that is gone."""
        counted = (self.invocations, self.throttles, self.concurrency)
        for family in (*counted, self.duration, self.init, self.phases):
            family.remove_by_labels(dict(zip(FUNCTION_LABELS, labels, strict=True)))


class AuthMetrics:
    """Who was let in, and what was asked about them. No label names a caller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter(
            "lambent_auth_decisions", "Requests by what became of their caller.", ("door", "outcome"), registry=registry
        )
        self._reviews = Counter(
            "lambent_auth_reviews", "Questions to the API server about callers.", ("kind", "outcome"), registry=registry
        )

    def door(self, door: str) -> Callable[[str], None]:
        """Counts the requests of one door by outcome."""
        return _counting(self._decisions, door)

    def reviews(self, kind: str) -> Callable[[str], None]:
        """Counts one kind of question by outcome."""
        return _counting(self._reviews, kind)


def _counting(family: Counter, label: str) -> Callable[[str], None]:
    children: dict[str, Counter] = {}

    def count(outcome: str) -> None:
        child = children.get(outcome)
        if child is None:
            child = children[outcome] = family.labels(label, outcome)
        child.inc()

    return count

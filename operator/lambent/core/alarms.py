"""Is an alarm of a rollout on? From what gateways counted in a window, or from what a Prometheus answered.

States are CloudWatch's, and UNAVAILABLE where the source could not be asked or was not watched for long enough. What
missing data means (`treatMissingData`) is the rollout's decision, not made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lambent.model.rollouts import Alarm

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA", "UNAVAILABLE"]


@dataclass(frozen=True, slots=True)
class Window:
    """What one version did in the last seconds, counted by all gateways."""

    invocations: int
    errors: int
    throttles: int
    duration_buckets: tuple[int, ...]
    """Invocations by duration, not cumulative: one bucket per upper bound, then those above the last bound."""
    watched: float
    """Seconds of the window that were watched without a break, at most as many as were asked for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An alarm as it is now. `message` has value and threshold, or what is in the way."""

    state: State
    message: str


@dataclass(frozen=True, slots=True)
class PrometheusFailure:
    """Why Prometheus gave no answer."""

    message: str


@dataclass(frozen=True, slots=True)
class QueryNames:
    """What `${...}` stands for in a query."""

    namespace: str
    function: str
    alias: str
    version: str
    previous_version: str


def read_metric(alarm: Alarm, window: Window | None, wanted: float, bounds: Sequence[float]) -> Reading:
    """An alarm on the gateways' own counters. `wanted` seconds were asked for; `bounds` of the buckets in seconds."""
    raise NotImplementedError


def read_prometheus(alarm: Alarm, answer: float | PrometheusFailure | None) -> Reading:
    """An alarm on a query's result: one number; None, or NaN, where there is no sample."""
    raise NotImplementedError


def query(alarm: Alarm, names: QueryNames) -> str:
    """The PromQL of an alarm with `prometheus`, its placeholders replaced."""
    raise NotImplementedError

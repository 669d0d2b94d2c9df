"""Is an alarm of a rollout on? From what gateways counted in a window, or from what a Prometheus answered.

States are CloudWatch's, and UNAVAILABLE where the source could not be asked or was not watched for long enough. What
missing data means (`treatMissingData`) is the rollout's decision, not made here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from operator import ge, gt, le, lt
from typing import Literal

from lambent.core.readiness import MESSAGE_CHARS_MAX
from lambent.model.rollouts import Alarm

SLACK_SECONDS = 2.0
"""A window that was watched for so much less than was asked for counts as whole: gateways speak once a second."""

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (gt, ">"),
    "GreaterThanOrEqualToThreshold": (ge, ">="),
    "LessThanThreshold": (lt, "<"),
    "LessThanOrEqualToThreshold": (le, "<="),
}
_PLACEHOLDERS = {
    "namespace": "namespace",
    "function": "function",
    "alias": "alias",
    "version": "version",
    "previousVersion": "previous_version",
}
_UNITS = {"ErrorRate": " %", "DurationP99": " ms"}

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
    """An alarm on the gateways' own counters.

    `wanted` seconds were asked for; `bounds` are the upper bounds of the buckets, in seconds. A window that was watched
    for less is UNAVAILABLE, unless what was seen of it is too much already.
    """
    if window is None:
        return Reading("UNAVAILABLE", "the gateways' counters are not watched")
    value = _value(alarm, window, bounds)
    reading = _compared(alarm, value, _missing(alarm, window))
    if window.watched >= wanted - SLACK_SECONDS:
        return reading
    if reading.state == "ALARM" and alarm.comparison_operator.startswith("Greater"):
        return reading
    return Reading(
        "UNAVAILABLE",
        f"the gateways' counters were watched without a break for {window.watched:.0f} of the last {wanted:.0f} s",
    )


def read_prometheus(alarm: Alarm, answer: float | PrometheusFailure | None) -> Reading:
    """An alarm on a query's result: one number; None, or NaN, where there is no sample."""
    if isinstance(answer, PrometheusFailure):
        return Reading("UNAVAILABLE", f"Prometheus cannot be asked: {answer.message}"[:MESSAGE_CHARS_MAX])
    missing = answer is None or math.isnan(answer)
    return _compared(alarm, None if missing else answer, "the query has no sample as its result")


def query(alarm: Alarm, names: QueryNames) -> str:
    """The PromQL of an alarm with `prometheus`, its placeholders replaced.

    Values are escaped as inside PromQL's strings; what is no placeholder of ours stays as it is.
    """
    assert alarm.prometheus is not None
    values = asdict(names)

    def put(match: re.Match[str]) -> str:
        place = _PLACEHOLDERS.get(match[1])
        return match[0] if place is None else _escaped(values[place])

    return re.sub(r"\$\{([A-Za-z]+)\}", put, alarm.prometheus.query)


def quantile(q: float, buckets: Sequence[int], bounds: Sequence[float]) -> float | None:
    """The q-quantile of a histogram as Prometheus estimates it (`histogram_quantile`), in the unit of `bounds`.

    Buckets are not cumulative. Within a bucket values are taken to be spread evenly, the first one begins at 0; of
    what lies above the last bound nothing is known but that bound. None without a sample.
    """
    total = sum(buckets)
    if total == 0:
        return None
    rank, below, lower = q * total, 0, 0.0
    for count, upper in zip(buckets, bounds, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, float(upper)
    return lower


def _escaped(value: str) -> str:
    """Fit for a string of PromQL, in double quotes as in single ones."""
    return "".join(f"\\x{ord(char):02x}" if char in "\\\"'`\n" else char for char in value)


def _value(alarm: Alarm, window: Window, bounds: Sequence[float]) -> float | None:
    """None for missing data."""
    if alarm.metric == "Errors":
        return window.errors
    if alarm.metric == "Throttles":
        return window.throttles
    if window.invocations < alarm.minimum_samples:
        return None
    if alarm.metric == "ErrorRate":
        return 100.0 * window.errors / window.invocations
    seconds = quantile(0.99, window.duration_buckets, bounds)
    return None if seconds is None else 1000.0 * seconds


def _missing(alarm: Alarm, window: Window) -> str:
    if window.invocations >= alarm.minimum_samples:
        return f"none of {window.invocations} invocations has ended"
    return f"{window.invocations} invocations in the period, {alarm.minimum_samples} are needed"


def _compared(alarm: Alarm, value: float | None, missing: str) -> Reading:
    if value is None:
        return Reading("INSUFFICIENT_DATA", missing)
    holds, sign = _COMPARISONS[alarm.comparison_operator]
    unit = _UNITS.get(alarm.metric or "", "")
    shown = f"{alarm.metric or 'the query'} is {_rounded(value)}{unit}"
    if holds(value, alarm.threshold):
        return Reading("ALARM", f"{shown}, {sign} {_rounded(alarm.threshold)}{unit}")
    return Reading("OK", f"{shown}, not {sign} {_rounded(alarm.threshold)}{unit}")


def _rounded(value: float) -> str:
    return f"{value:.6g}"

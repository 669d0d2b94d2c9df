"""What do a rollout's alarms say: go on, wait, or take the traffic back?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lambent.core.alarms import Reading, State
from lambent.core.readiness import MESSAGE_CHARS_MAX
from lambent.model.alias_statuses import AlarmStatus
from lambent.model.rollouts import Alarm

_UNREAD = Reading("UNAVAILABLE", "it was not read yet")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of all alarms together."""

    statuses: list[AlarmStatus]
    """In the order of the specification. A message is the one with which the state came, so that values that change
    every second change no status."""
    breach: str = ""
    """The first alarm that is on, and why; empty when there is none."""
    waiting: str = ""
    """The first one that makes the rollout wait, and why."""
    blind: bool = False
    """That one's source cannot be asked."""


def judge(
    alarms: Sequence[Alarm], readings: Mapping[str, Reading], before: Sequence[AlarmStatus], traffic: float | None
) -> Judgement:
    """Each alarm as it was read.

    `traffic`: for how many seconds the new version has had a share; None while it has none: nothing is missing yet.
    A source that cannot be asked makes the rollout wait. Missing data does what the alarm says, and is a breach only
    after a whole period.
    """
    shown = {status.name: status for status in before}
    statuses = list[AlarmStatus]()
    breaches, waits, blind = list[str](), list[str](), False
    for alarm in alarms:
        state, message = _read(alarm, readings.get(alarm.name, _UNREAD), traffic)
        status = shown.get(alarm.name)
        if status is None or status.state != state:
            status = AlarmStatus(name=alarm.name, state=state, message=message[:MESSAGE_CHARS_MAX])
        statuses.append(status)
        words = f"alarm {alarm.name}: {status.message}"
        if state == "ALARM":
            breaches.append(words)
        elif state == "UNAVAILABLE" or _missed(alarm, state, traffic):
            blind = blind or (not waits and state == "UNAVAILABLE")
            waits.append(words)
    return Judgement(statuses, next(iter(breaches), ""), next(iter(waits), ""), blind)


def _read(alarm: Alarm, reading: Reading, traffic: float | None) -> tuple[State, str]:
    overdue = traffic is not None and traffic >= alarm.period
    if reading.state == "INSUFFICIENT_DATA" and alarm.treat_missing_data == "breaching" and overdue:
        return "ALARM", f"missing data is a breach: {reading.message}"
    return reading.state, reading.message


def _missed(alarm: Alarm, state: State, traffic: float | None) -> bool:
    return state == "INSUFFICIENT_DATA" and traffic is not None and alarm.treat_missing_data != "notBreaching"

"""How a subscriber reads events: the Telemetry API's words, or those of the older Logs API. Pure.

The Logs API knows no init events; it has `platform.end` before a report and `platform.fault`, its subscriptions are
`platform.logsSubscription`, and `platform.runtimeDone` comes only with its schema 2021-03-18 and says `failure` for
every error.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from .records import Event

Dialect = Callable[[Event], tuple[Event, ...]]


def telemetry(event: Event) -> tuple[Event, ...]:
    """As events are made here; `platform.fault` is the Logs API's alone."""
    return () if event.kind == "platform.fault" else (event,)


def logs_2021(event: Event) -> tuple[Event, ...]:
    """Logs API, schema 2021-03-18."""
    return _of_runtime_done(event) if event.kind == "platform.runtimeDone" else logs_2020(event)


def logs_2020(event: Event) -> tuple[Event, ...]:
    """Logs API, schema 2020-08-15."""
    translate = _TRANSLATIONS.get(event.kind)
    return (event,) if translate is None else translate(event)


def _nothing(_: Event) -> tuple[Event, ...]:
    return ()


def _of_start(event: Event) -> tuple[Event, ...]:
    return (replace(event, record=_kept(event, "requestId", "version")),)


def _of_runtime_done(event: Event) -> tuple[Event, ...]:
    record = _kept(event, "requestId", "status")
    if record["status"] == "error":
        record["status"] = "failure"
    return (replace(event, record=record),)


def _of_report(event: Event) -> tuple[Event, ...]:
    end = replace(event, kind="platform.end", record=_kept(event, "requestId"))
    return end, replace(event, record=_kept(event, "requestId", "metrics", "tracing"))


def _of_subscription(event: Event) -> tuple[Event, ...]:
    return (replace(event, kind="platform.logsSubscription"),)


def _kept(event: Event, *names: str) -> dict[str, Any]:
    record = event.record
    assert isinstance(record, dict)
    return {name: record[name] for name in names if name in record}


_TRANSLATIONS: Final[dict[str, Callable[[Event], tuple[Event, ...]]]] = {
    "platform.initStart": _nothing,
    "platform.initRuntimeDone": _nothing,
    "platform.initReport": _nothing,
    "platform.runtimeDone": _nothing,
    "platform.start": _of_start,
    "platform.report": _of_report,
    "platform.telemetrySubscription": _of_subscription,
}

"""Which lines of a JSON log are wanted: Lambda's levels, of its own events and of the function's lines. Pure."""

from typing import Any, Final

from .records import Event, parse_object, split_lines

_ORDER: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_RANKS: Final = {name: rank for rank, name in enumerate(_ORDER)}
_ALIASES: Final = {"WARNING": "WARN", "CRITICAL": "FATAL", "NOTSET": "INFO", "INFORMATION": "INFO"}
_INFO: Final = _RANKS["INFO"]

_STATUS_DECIDES: Final = {
    "platform.initRuntimeDone": "DEBUG",
    "platform.runtimeDone": "DEBUG",
    "platform.restoreRuntimeDone": "DEBUG",
    "platform.report": "INFO",
    "platform.restoreReport": "INFO",
}
"""Level of a success; everything else is a warning."""
_FIXED: Final = {
    "platform.start": "INFO",
    "platform.restoreStart": "INFO",
    "platform.extension": "INFO",
    "platform.telemetrySubscription": "INFO",
    "platform.logsDropped": "WARN",
    "platform.fault": "ERROR",
}


def rank(level: object) -> int:
    """Of a level's name in any case; what is missing or unknown counts as INFO."""
    if not isinstance(level, str):
        return _INFO
    name = level.upper()
    return _RANKS.get(_ALIASES.get(name, name), _INFO)


def system_rank(event: Event) -> int:
    """Of a platform event, by Lambda's table."""
    record: Any = event.record
    kind = event.kind
    if kind in _STATUS_DECIDES:
        level = _STATUS_DECIDES[kind] if record["status"] == "success" else "WARN"
    elif kind == "platform.initStart":
        level = "INFO" if "runtimeVersion" in record else "DEBUG"
    elif kind == "platform.initReport":
        if record["status"] != "success":
            level = "WARN"
        else:
            level = "DEBUG" if record["initializationType"] == "on-demand" else "INFO"
    else:
        level = _FIXED.get(kind, "INFO")
    return _RANKS[level]


class LineFilter:
    """The function's lines at `level` and above. Only a JSON object has a level (INFO by default): all others pass."""

    def __init__(self, level: object) -> None:
        self._least = rank(level)

    def passed(self, data: bytes) -> bytes:
        """Of whole lines, those that are wanted."""
        if self._least == 0 or b"{" not in data:
            return data
        return b"".join([line for line in split_lines(data) if self._wants(line)])

    def _wants(self, line: bytes) -> bool:
        fields = parse_object(line)
        return fields is None or rank(fields.get("level")) >= self._least

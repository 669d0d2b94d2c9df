"""Moments as statuses spell them: RFC 3339, in UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime


def spell(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000Z`; what is finer than a millisecond is cut off."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spell_seconds(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`, as conditions have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cut(moment: datetime) -> datetime:
    """The moment that `read` makes of what `spell` wrote."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def read(text: str) -> datetime:
    """A moment of a status, with its zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def seconds_since(text: str | None, now: datetime) -> float:
    """Seconds that have passed; 0 when there is no such moment, or when the clock went back beyond it."""
    return max(0.0, (now - read(text)).total_seconds()) if text else 0.0

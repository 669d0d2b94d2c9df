"""What is kept of an environment's log: lines with their moments, those of one request, none twice. Pure.

An environment runs one request at a time, so a request's lines are those between its START and its REPORT.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line as the kubelet kept it."""

    moment: int
    """Nanoseconds since the epoch."""
    environment: str = field(compare=False)
    stamp: str = field(compare=False)
    text: bytes = field(compare=False)


def parse(environment: str, raw: bytes, last: Line | None = None) -> Line:
    """A line of `…/log?timestamps=true`; what has no stamp (the rest of a long line) belongs to the one before."""
    head, _, text = raw.partition(b" ")
    stamp = head.decode("ascii", "replace")
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return Line(last.moment if last else 0, environment, last.stamp if last else "", raw)
    seconds = int(datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).timestamp())
    return Line(seconds * 10**9 + int((match[2] or "").ljust(9, "0")), environment, stamp, text)


def parse_all(environment: str, raw: Iterable[bytes]) -> Iterator[Line]:
    """Lines of one environment, in its order."""
    last: Line | None = None
    for each in raw:
        last = parse(environment, each, last)
        yield last


class Progress:
    """How far one environment's log was read: after a broken connection it is read again from the same moment."""

    __slots__ = ("_again", "_from", "_texts", "last")

    def __init__(self) -> None:
        self.last: Line | None = None
        self._texts: Counter[bytes] = Counter()
        """What the last moment had."""
        self._from = -1
        self._again: Counter[bytes] = Counter()

    def resume(self) -> None:
        """A stream begins that may repeat the last moment."""
        self._from = self.last.moment if self.last is not None else -1
        self._again = self._texts.copy()

    def is_new(self, line: Line) -> bool:
        """Whether it was not read before; then it is now."""
        if line.moment < self._from:
            return False
        if line.moment == self._from and self._again[line.text]:
            self._again[line.text] -= 1
            return False
        if self.last is None or line.moment != self.last.moment:
            self._texts.clear()
        self._texts[line.text] += 1
        self.last = line
        return True


class OneRequest:
    """Lines of one request in one environment's log."""

    __slots__ = ("_begin", "_end", "_inside", "is_complete")

    def __init__(self, request_id: str) -> None:
        self._begin = f"START RequestId: {request_id} ".encode()
        self._end = f"REPORT RequestId: {request_id}".encode()
        self._inside = False
        self.is_complete = False

    def keeps(self, text: bytes) -> bool:
        """Whether this line belongs to the request; lines come in order."""
        if self.is_complete:
            return False
        if not self._inside:
            self._inside = (text + b" ").startswith(self._begin)
            return self._inside
        if text.startswith(self._end):
            self.is_complete = True
        return True


def readable(text: bytes) -> bytes:
    """For people: Python's runtime joins the lines of one traceback by CR, so that it stays one event."""
    return text.rstrip(b"\r").replace(b"\r", b"\n")

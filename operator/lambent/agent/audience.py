"""Who hears what happens: subscribers, the installation's sink, and the function's own log where it is written as JSON.

Comes into being with the first of them; before, the journal only notes what a later subscriber may still want to hear.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from .deliveries import Delivery
from .destinations import Destination
from .dialects import Dialect, telemetry
from .levels import rank, system_rank
from .records import (
    EXTENSION,
    FUNCTION,
    PLATFORM,
    STREAMS,
    Event,
    Note,
    Origin,
    envelope,
    expand,
    logs_dropped,
    members,
    split_lines,
)
from .subscriptions import Buffering, Subscription

Write = Callable[[bytes], None]
SUBSCRIBED: Final = "Subscribed"
AGAIN: Final = "Already subscribed"
_LINES_AT_ONCE: Final = 500
_TO_THE_SINK: Final = Buffering(items=1000, size=64 * 1024, milliseconds=1000)  # small: it is in every environment


class Listener:
    """A consumer: its streams, its words, and further members of its envelopes."""

    def __init__(
        self, types: Iterable[str], dialect: Dialect, to: tuple[Destination, Buffering], more: str = ""
    ) -> None:
        self.delivery = Delivery(*to, self._drops)
        self._types = frozenset(types)
        self._dialect = dialect
        self._more = more

    def change(self, subscription: Subscription) -> None:
        """The same consumer wants it otherwise from now on."""
        self._types, self._dialect = frozenset(subscription.types), subscription.dialect
        self.delivery.redirect(subscription.destination, subscription.buffering)

    def hear(self, event: Event) -> None:
        """If it wants that stream."""
        if event.stream in self._types:
            for said in self._dialect(event):
                self.delivery.add(envelope(said, self._more))

    def takes(self, stream: str, data: bytes) -> bool:
        """Whether it wants that output and has room. Else the loss is counted in one step, not line by line."""
        if stream not in self._types:
            return False
        if self.delivery.full:
            self.delivery.drop(max(data.count(b"\n"), 1), len(data))
            return False
        return True

    def _drops(self, records: int, size: int, reason: str) -> bytes:
        told = logs_dropped(records, size, reason)
        return envelope(Event(time.time(), PLATFORM, "platform.logsDropped", told), self._more)


def _pieces(data: bytes, whole: bool) -> Iterator[tuple[bytes, bool]]:
    """What of a note of output is looked at before it is asked again whether anybody has room."""
    if whole or data.count(b"\n") <= _LINES_AT_ONCE:
        yield data, whole
        return
    lines = split_lines(data)
    for start in range(0, len(lines), _LINES_AT_ONCE):
        yield b"".join(lines[start : start + _LINES_AT_ONCE]), False


class Audience:
    """Everybody who listens to one environment. `write` takes lines of the JSON log; None where the log is text."""

    def __init__(self, origin: Origin, write: Write | None) -> None:
        self._origin = origin
        self._write = write
        self._least = rank(origin.claim.logging.get("systemLogLevel"))
        self._subscribers: dict[str, tuple[Subscription, Listener]] = {}
        self._sink: Listener | None = None
        self._listeners: list[Listener] = []

    def add_sink(self, destination: Destination) -> None:
        """All three streams, with the function's names in every envelope."""
        claim = self._origin.claim
        names = members(functionArn=claim.arn, logGroup=self._origin.log_group, logStream=self._origin.log_stream)
        self._sink = Listener(STREAMS, telemetry, (destination, _TO_THE_SINK), names)
        self._gather()

    def subscription_of(self, name: str) -> Subscription | None:
        """Of the extension with this name."""
        held = self._subscribers.get(name)
        return held[0] if held is not None else None

    def subscribe(self, name: str, subscription: Subscription, early: Iterable[Note]) -> str:
        """`Subscribed`, or `Already subscribed`; `early` is what it hears in retrospect.

        A subscription outlives the extension's process: after a reset the next one finds it.
        """
        held = self._subscribers.get(name)
        if held is not None and held[0] == subscription:
            return AGAIN
        if held is not None:
            held[1].change(subscription)
            self._subscribers[name] = (subscription, held[1])
            return SUBSCRIBED
        to = (subscription.destination, subscription.buffering)
        listener = Listener(subscription.types, subscription.dialect, to)
        self._subscribers[name] = (subscription, listener)
        self._gather()
        for note in early:
            for event in expand(self._origin, note, parses=self._write is not None):
                listener.hear(event)
        return SUBSCRIBED

    def tell(self, note: Note) -> None:
        """Everybody who is there now."""
        when, kind, details = note
        if kind in {FUNCTION, EXTENSION}:
            if self._listeners:
                for piece in _pieces(*details):
                    self._tell_output((when, kind, piece))
            return
        for event in expand(self._origin, note, parses=False):
            if self._write is not None and system_rank(event) >= self._least:
                self._write(envelope(event) + b"\n")
            for listener in self._listeners:
                listener.hear(event)

    def _tell_output(self, note: Note) -> None:
        """Lines are in the log already."""
        _, kind, details = note
        listeners = [listener for listener in self._listeners if listener.takes(kind, details[0])]
        if listeners:
            for event in expand(self._origin, note, parses=self._write is not None):
                for listener in listeners:
                    listener.hear(event)

    def _gather(self) -> None:
        subscribers = [listener for _, listener in self._subscribers.values()]
        self._listeners = subscribers if self._sink is None else [*subscribers, self._sink]

    # The environment's life

    def pause(self) -> None:
        """The subscribers are frozen. The sink is not: it is somewhere else."""
        for _, listener in self._subscribers.values():
            listener.delivery.pause()

    def resume(self) -> None:
        """They run again."""
        for _, listener in self._subscribers.values():
            listener.delivery.resume()

    def calm(self) -> None:
        """A generation begins: batches fill again, and whoever stood still is no more."""
        for _, listener in self._subscribers.values():
            listener.delivery.hurry(on=False)
            listener.delivery.resume()

    async def settle(self, seconds: float) -> None:
        """Subscribers hear what there is, and from now on everything as it happens. Waits at most so long for them."""
        deliveries = [listener.delivery for _, listener in self._subscribers.values()]
        for delivery in deliveries:
            delivery.hurry(on=True)
        await _all_delivered(deliveries, seconds)

    async def leave(self, seconds: float) -> None:
        """The sink hears what there is, if it listens within that time."""
        if self._sink is not None:
            await _all_delivered([self._sink.delivery], seconds)


async def _all_delivered(deliveries: Iterable[Delivery], seconds: float) -> None:
    waiting = [asyncio.ensure_future(delivery.delivered()) for delivery in deliveries]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for task in late:
            task.cancel()

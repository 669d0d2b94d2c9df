"""Code on its way into the code store: what is known of it, what is obtained, what is looked after.

What the status tells is believed, so a restarted controller asks for nothing that it knew before. The store may lose
what it had (an empty volume), so what is stored is asked for again from time to time, and soon when environments are
about to need it. A slow source holds up nobody but its own Function: its fetch goes on while others are worked on.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from lambent.controller.obtaining import Obtainer
from lambent.controller.suppliers import CodeStore, Suppliers
from lambent.core import references, sources
from lambent.core.readiness import TRIED_AGAIN, Obtained, Problem, StoredCode
from lambent.core.references import Versions
from lambent.core.sources import CodeOwner
from lambent.model.conditions import Reason
from lambent.model.errors import Unavailable

__all__ = ["RECHECK_SECONDS", "CodeShelf", "CodeStore", "Suppliers"]

log = logging.getLogger(__name__)

RECHECK_SECONDS = 600.0
RECHECK_WHEN_STARTING_SECONDS = 30.0
PATIENCE_SECONDS = 1.0
"""How long a reconciliation waits for a source before it goes on without."""

FETCHING = Problem(Reason.PROGRESSING, "the deployment package is being fetched")
_NOT_OURS = (Reason.CODE_UNAVAILABLE, Reason.IMAGE_UNAVAILABLE)
"""Of what is tried again, what somebody else's server is asked for: not as often as our own store."""


@dataclass(slots=True)
class _Entry:
    """What became of a source. The code itself is not kept: ten thousand of them would be."""

    generation: int
    held: str
    source: str
    outcome: Obtained | Problem
    checked: float
    asked: bool = True
    """Whether the store said to this process that it has the code, not only a status."""


@dataclass(slots=True)
class _Flight:
    """A source that is being obtained."""

    source: str
    held: str
    task: asyncio.Task[Obtained | Problem]
    patience_until: float


@dataclass(frozen=True, slots=True)
class _Failing:
    """A source that somebody else's server does not give, and when it is asked again."""

    source: str
    held: str
    problem: Problem
    failures: int
    until: float


class CodeShelf:
    """What became of the code of each Function and Layer, by uid."""

    def __init__(
        self,
        codestore: CodeStore,
        url_key: bytes,
        clock: Callable[[], float] = time.monotonic,
        *,
        suppliers: Suppliers | None = None,
        nudge: Callable[[str], None] | None = None,
    ) -> None:
        self._obtainer = Obtainer(codestore, url_key, suppliers)
        self._clock = clock
        self._nudge = nudge
        self._entries: dict[str, _Entry] = {}
        self._flights: dict[str, _Flight] = {}
        self._failing: dict[str, _Failing] = {}

    def busy(self) -> frozenset[str]:
        """Digests that are being stored now, whether or not a status knows them yet."""
        return self._obtainer.busy()

    def referenced(self) -> frozenset[str]:
        """Digests of everything that was found or stored, whether or not a status knows them yet."""
        return frozenset(
            entry.outcome.sha256_hex for entry in self._entries.values() if isinstance(entry.outcome, StoredCode)
        )

    def lookup(self, owner: CodeOwner, versions: Versions) -> Obtained | Problem | None:
        """What is known of the code of the current specification; None when it has to be obtained first."""
        entry, held = self._entries.get(owner.uid), _held(owner, versions)
        if entry is not None and (entry.generation, entry.held) == (owner.generation, held):
            return entry.outcome
        source = sources.identity(owner.spec, versions, owner.generation)
        if entry is not None and entry.source == source and not _awaits(entry.outcome):
            entry.generation, entry.held = owner.generation, held
            return entry.outcome
        told = sources.known(owner.status, source)
        if told is None:
            return None
        # Never asked, and as if at some time of the last period: not all are asked at once after a restart.
        checked = self._clock() - RECHECK_SECONDS * _share(owner.uid)
        self._entries[owner.uid] = _Entry(owner.generation, held, source, told, checked, asked=False)
        return told

    async def obtain(self, owner: CodeOwner, versions: Versions) -> Obtained | Problem:
        """Obtain the code and see that the store has it.

        What takes longer than anybody should wait goes on; the Function is nudged when it is done. What could not be
        reached is tried again when this is called again, a server that is not ours after a while.
        """
        source, held = sources.identity(owner.spec, versions, owner.generation), _held(owner, versions)
        failing = self._failing.get(owner.uid)
        if failing is not None and (failing.source, failing.held) == (source, held) and self._clock() < failing.until:
            return failing.problem
        flight = self._flights.get(owner.uid)
        if flight is None or (flight.source, flight.held) != (source, held):
            flight = self._depart(owner, source, held)
        if self._nudge is None:
            return await asyncio.shield(flight.task)
        patience = max(0.0, flight.patience_until - time.monotonic())
        done, _ = await asyncio.wait({flight.task}, timeout=patience)
        if not done:
            return FETCHING
        self._arrived(owner, flight)  # a wait that ends by its timeout may see the end before the callback does
        return flight.task.result()

    def forget(self, uid: str) -> None:
        """The Function is gone."""
        flight = self._flights.pop(uid, None)
        if flight is not None:
            flight.task.cancel()
        self._entries.pop(uid, None)
        self._failing.pop(uid, None)

    async def close(self) -> None:
        """End what is going on."""
        tasks = [flight.task for flight in self._flights.values()]
        self._flights.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def recheck_in(self, owner: CodeOwner, *, starting: bool) -> float | None:
        """Seconds until the store is to be asked again whether it still has the code; None when it never had it."""
        entry = self._entries.get(owner.uid)
        if entry is None or not isinstance(entry.outcome, StoredCode):
            return None
        waited = self._clock() - entry.checked
        if starting and (not entry.asked or waited >= RECHECK_WHEN_STARTING_SECONDS):
            return 0.0
        return max(0.0, _period(owner.uid) - waited)

    async def recheck(self, owner: CodeOwner) -> None:
        """Ask, and store again what the store has lost. Never raises; what could not be asked is asked soon."""
        entry = self._entries.get(owner.uid)
        if entry is None or not isinstance(entry.outcome, StoredCode) or entry.generation != owner.generation:
            return
        entry.checked, entry.asked = self._clock(), True
        problem = await self._restored(owner, entry, entry.outcome)
        if problem is not None:
            log.warning("code of %s/%s not checked: %s", owner.namespace, owner.name, problem)
            entry.checked -= _period(owner.uid) - RECHECK_WHEN_STARTING_SECONDS

    async def _restored(self, owner: CodeOwner, entry: _Entry, before: StoredCode) -> str | None:
        """See that the store has the code of an entry; what stands in the way, if anything does."""
        try:
            if await self._obtainer.has(before.sha256_hex):
                return None
        except Unavailable as error:
            return str(error)
        log.warning("the code store lost the code of %s/%s", owner.namespace, owner.name)
        outcome = await self._obtainer.obtain(owner, entry.source)
        if isinstance(outcome, Problem):
            return outcome.message
        if not _same(outcome, before) and self._entries.get(owner.uid) is entry:
            # Lambda would keep the first; it is lost, and the source has only this one.
            log.warning("the source of %s/%s holds other code by now: it is taken", owner.namespace, owner.name)
            entry.outcome = outcome
            if self._nudge is not None:
                self._nudge(owner.uid)
        return None

    def _depart(self, owner: CodeOwner, source: str, held: str) -> _Flight:
        before = self._flights.pop(owner.uid, None)
        if before is not None:
            before.task.cancel()
        task = asyncio.create_task(self._obtainer.obtain(owner, source))
        flight = _Flight(source, held, task, time.monotonic() + PATIENCE_SECONDS)
        self._flights[owner.uid] = flight
        task.add_done_callback(lambda _: self._arrived(owner, flight))
        return flight

    def _arrived(self, owner: CodeOwner, flight: _Flight) -> None:
        if self._flights.get(owner.uid) is not flight:  # forgotten, or another source by now
            return
        del self._flights[owner.uid]
        if flight.task.cancelled() or flight.task.exception() is not None:
            return  # raised where it is waited for, or tried again when it is looked at next
        self._remember(owner, flight, flight.task.result())
        if self._nudge is not None and time.monotonic() >= flight.patience_until:
            self._nudge(owner.uid)

    def _remember(self, owner: CodeOwner, flight: _Flight, outcome: Obtained | Problem) -> None:
        failing = self._failing.pop(owner.uid, None)
        if not isinstance(outcome, Problem) or outcome.reason not in TRIED_AGAIN:
            self._entries[owner.uid] = _Entry(owner.generation, flight.held, flight.source, outcome, self._clock())
        elif outcome.reason in _NOT_OURS:
            same = failing is not None and (failing.source, failing.held) == (flight.source, flight.held)
            failures = failing.failures + 1 if failing is not None and same else 1
            until = self._clock() + sources.again_after(failures)
            self._failing[owner.uid] = _Failing(flight.source, flight.held, outcome, failures, until)


def _held(owner: CodeOwner, versions: Versions) -> str:
    """Resource versions of what obtaining depends on; mostly nothing."""
    code = references.of_code(owner.spec)
    wanted = references.of_credentials(owner.spec) | ({code} if code is not None else frozenset())
    return " ".join(f"{reference}={versions.get(reference, '')}" for reference in sorted(wanted))


def _same(one: Obtained, other: StoredCode) -> bool:
    """A status of long ago does not tell everything that is known of the same bytes."""
    return isinstance(one, StoredCode) and one.sha256_hex == other.sha256_hex


def _awaits(outcome: Obtained | Problem) -> bool:
    """Whether it is to be tried again when what it refers to has changed."""
    return isinstance(outcome, Problem) and outcome.reason == Reason.REFERENCE_NOT_FOUND


def _share(uid: str) -> float:
    """A number in [0, 1) that spreads Functions evenly."""
    return zlib.crc32(uid.encode()) % 1024 / 1024


def _period(uid: str) -> float:
    """Between two checks; spread over functions, so that not all ask at once."""
    return RECHECK_SECONDS * (1 + _share(uid) / 4)

"""RP: how long a move of an alias takes, with many aliases in the gateway's index.

Two clients ask for one alias after the other in a closed loop. The clock starts when the alias's changed object is
written; a move is over with the later of the first answer that the new version ran and the last one that the old one
ran, both as the client saw them complete.
"""

from __future__ import annotations

import asyncio
import random
import time

from . import ratios
from .machines import Cores
from .published import Load, Published, published
from .results import Measured
from .shapes import Plan

INDEXES = (1_000, 10_000)
MOVES, SHORT_MOVES = 500, 50
CLIENTS = 2
_CERTAIN = 10
"""Answers of the new version in a row after which no old one is to be expected; were one to come, it counts."""
_ENVIRONMENTS = {"1": 2 * CLIENTS, "2": 2 * CLIENTS}


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart."""
    figures: dict[str, ratios.Ratio | float] = {}
    moves, errors = (MOVES if plan.full else SHORT_MOVES), 0
    for index in INDEXES:
        took, failed = asyncio.run(_measure(index, moves, cores, random.Random(plan.seed)))
        figures[f"p50_ms_{index}"] = ratios.quantile(took, 0.5)
        figures[f"p99_ms_{index}"] = ratios.quantile(took, 0.99)
        errors += failed
    return Measured({**figures, "errors": errors}, moves * len(INDEXES))


async def _measure(index: int, moves: int, cores: Cores, dice: random.Random) -> tuple[list[float], int]:
    """Milliseconds of every move in order of size, and answers that were no success."""
    names = [f"a{number:05}" for number in range(index)]
    async with published(_ENVIRONMENTS, names, cores) as house:
        watch = _Watch(house)
        await watch.load.start(house.target)
        took = [await watch.move(dice.choice(names)) for _ in range(moves)]
        watch.load.stop()
        return sorted(took), watch.load.errors


class _Watch:
    """Looks at every answer while one alias moves."""

    def __init__(self, house: Published) -> None:
        self._house = house
        self._leads: dict[str, str] = {}
        self._old = self._new = ""
        self._first_new: float | None = None
        self._last_old: float | None = None
        self._in_a_row = 0
        self._wanted = ""
        self._settled = asyncio.Event()
        self.load = Load(CLIENTS, house.request("a00000"), on_answer=self._took)

    async def move(self, name: str) -> float:
        """Move one alias to its other version; milliseconds."""
        old = self._leads.get(name, "1")
        new = "2" if old == "1" else "1"
        self.load.request = self._house.request(name)
        await self._until_all_say(old)
        self._first_new = self._last_old = None
        written = time.perf_counter()
        self._house.point(name, new)
        self._leads[name] = new
        await self._until_all_say(new)
        assert self._first_new is not None
        return (max(self._first_new, self._last_old or 0.0) - written) * 1000

    async def _until_all_say(self, version: str) -> None:
        """So many answers in a row were of this version."""
        self._wanted, self._in_a_row = version, 0
        self._settled.clear()
        async with asyncio.timeout(30):
            await self._settled.wait()

    def _took(self, status: int, executed: str) -> None:
        now = time.perf_counter()
        if executed == self._wanted:
            self._first_new = self._first_new or now
            self._in_a_row += 1
            if self._in_a_row >= _CERTAIN:
                self._settled.set()
        else:
            self._last_old, self._in_a_row = now, 0

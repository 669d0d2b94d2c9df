"""R9: the split of a weighted alias, and moving an alias under load.

Versions 1, 2 and 3 and `$LATEST` have environments; the alias names 1 and 2 only. First it gives one request in ten to
2: how many of the requests did 2 run? Then it moves between the two and their weights all the time: every answer that is
no success is an error, every one of another version a `third`.
"""

from __future__ import annotations

import asyncio
import random

from .binomials import interval
from .machines import Cores
from .published import Load, Published, published
from .results import Measured
from .shapes import Plan

REQUESTS, SHORT_REQUESTS = 100_000, 10_000
MOVES, SHORT_MOVES = 400, 80
EVERY_S = 0.05
CLIENTS = 16
WEIGHT, CONFIDENCE = 0.1, 0.999
ALIAS = "live"
_ENVIRONMENTS = {"latest": 1, "1": CLIENTS, "2": CLIENTS, "3": 1}
_ROUTINGS: tuple[tuple[str, str | None, float], ...] = (
    ("1", None, 0.0),
    ("2", None, 0.0),
    ("1", "2", 0.5),
    ("2", "1", 0.1),
)


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart."""
    return asyncio.run(_measure(plan, cores))


async def _measure(plan: Plan, cores: Cores) -> Measured:
    requests, moves = (REQUESTS, MOVES) if plan.full else (SHORT_REQUESTS, SHORT_MOVES)
    async with published(_ENVIRONMENTS, [ALIAS], cores) as house:
        split = await _split(house, requests)
        moved = await _move(house, moves, random.Random(plan.seed))
    low, high = interval(requests, WEIGHT, CONFIDENCE)
    second = split.ran("2")
    return Measured(
        {
            "share": second / requests,
            "outside": max(0, low - second, second - high),
            "errors": split.errors + moved.errors,
            "third": sum(load.ran("3", "$LATEST", "") for load in (split, moved)),
            "moves": moves,
            "moved_requests": moved.answered,
        },
        split.ran("1", "2"),
    )


async def _split(house: Published, requests: int) -> Load:
    house.point(ALIAS, "1", "2", WEIGHT)
    await _until_it_leads(house, {"1", "2"})
    load = Load(CLIENTS, house.request(ALIAS), last=requests)
    await load.start(house.target)
    await load.over.wait()
    load.stop()
    return load


async def _until_it_leads(house: Published, versions: set[str]) -> None:
    """The gateway has seen the alias."""
    seen: set[str] = set()
    load = Load(1, house.request(ALIAS), on_answer=lambda _, executed: seen.add(executed))
    await load.start(house.target)
    async with asyncio.timeout(30):
        while not versions <= seen:
            await asyncio.sleep(0.01)
    load.stop()


async def _move(house: Published, moves: int, dice: random.Random) -> Load:
    load = Load(CLIENTS, house.request(ALIAS))
    await load.start(house.target)
    for _ in range(moves):
        house.point(ALIAS, *dice.choice(_ROUTINGS))
        await asyncio.sleep(EVERY_S)
    load.stop()
    return load

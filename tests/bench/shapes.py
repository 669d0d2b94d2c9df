"""How much each id measures: the full form, and the short one that tells in a minute whether something has changed."""

from __future__ import annotations

from dataclasses import dataclass

from .blocks import Shape
from .loads import Stretch


@dataclass(frozen=True, slots=True)
class Plan:
    """`latency` for one client; `throughput` for many. `seed` makes the intervals repeatable."""

    latency: Shape
    throughput: Shape
    seed: int = 20_260_509
    full: bool = True


def full(n: int) -> Plan:
    """8 blocks a side of 4 to 8 s; more where the machine is too slow for `n` samples in those, or not quiet."""
    latency = Stretch(warmup_s=1.0, least_s=4.0, most_s=8.0, requests=-(-n // 8))
    return Plan(Shape(latency, blocks=8, most_blocks=24, n=n), Shape(Stretch(1.0, 4.0, 4.0), 8, 16, n=0))


def short() -> Plan:
    """4 blocks a side of 2 s: never a pass."""
    return Plan(Shape(Stretch(0.7, 2.0, 2.0), 4, 8, n=0), Shape(Stretch(0.7, 2.0, 2.0), 2, 4, n=0), full=False)

"""P3: what authentication costs. Tokens of the cluster are known, as nearly always; the API server is asked nothing.

Throughput: the gateway with authentication against itself without, P1's load; every request carries a bearer token of
the length that service accounts have. Latency: with authentication against the raw proxy, as P2.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import gateways, p1
from .blocks import Name, Side, Start, Started, interleave
from .machines import Cores
from .results import Comparison, Measured
from .shapes import Plan


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    sides: dict[Name, Side] = {
        "ours": Side(authenticated(p1.CLIENTS, cores), p1.CLIENTS),
        "theirs": Side(p1.ours(p1.CLIENTS, cores), p1.CLIENTS),
    }
    comparison = Comparison.of("authenticated16", interleave(sides, plan.latency, cores, "P3"))
    ratio = comparison.ratio(lambda block: block.loaded.rate, plan.seed)
    half = p1.latency_at_half(plan, cores, lambda environments: authenticated(environments, cores), "P3")
    errors = comparison.errors + sum(each.errors for each in half.comparisons)
    figures = {**half.figures, "rate_ratio": ratio, "errors": errors}
    return Measured(figures, min(comparison.n, half.n), [comparison, *half.comparisons])


def authenticated(environments: int, cores: Cores) -> Start:
    """The gateway with LAMBENT_AUTH_MODE=kubernetes."""

    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[Started]:
        with gateways.before_stubs(
            environments, gateway_core=cores.test, stub_core=cores.load, folder=folder, token=gateways.CALLER
        ) as started:
            yield started

    return start

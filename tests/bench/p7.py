"""P7, the buffered half: six megabytes in and out, against the frozen raw proxy; both before the same stub of agents.

The event is one JSON object with a long string, as a client sends that puts a file into an event. The gateway looks at
every byte of it (is it JSON?); the proxy does not. One client: what is measured is what a byte costs, not how many fit.
"""

from __future__ import annotations

from . import p1
from .blocks import Name, Side, interleave
from .machines import Cores
from .results import Comparison, Measured
from .shapes import Plan

EVENT = b'{"file": "' + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=" * 166_666 + b'"}'
CLIENTS = 1


def measure(plan: Plan, cores: Cores) -> Measured:
    """Raises DidNotStart, LoadFailed."""
    sides: dict[Name, Side] = {
        "ours": Side(p1.ours(CLIENTS, cores, EVENT), CLIENTS),
        "theirs": Side(p1.theirs(cores, EVENT), CLIENTS),
    }
    comparison = Comparison.of("6mb", interleave(sides, plan.latency, cores, "P7"))
    ratio = comparison.ratio(lambda block: block.loaded.rate, plan.seed)  # the bytes of a request are the same
    return Measured({"mb_ratio": ratio, "errors": comparison.errors}, comparison.n, [comparison])

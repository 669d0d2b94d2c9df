"""What `python3 tests/bench` does: run the chosen ids, print one line for each, write a file for each."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from . import a1, a2, a3, c3, floors, k1, k2, k4, machines, p1, p3, p4, p5, p7, p7s, pb, places, r9, rb, rbe, rp, shapes
from .clusters import NoCluster
from .emulator import NoEmulator
from .loads import LoadFailed
from .machines import Cores
from .processes import DidNotStart
from .results import BROKEN, RESTLESS, Measured, Outcome, write
from .shapes import Plan
from .verdicts import Goal, read_goals

MEASURES: dict[str, Callable[[Plan, Cores], Measured]] = {
    "P1": p1.measure_throughput,
    "P2": p1.measure_latency,
    "P3": p3.measure,
    "P4": p4.measure,
    "P5": p5.measure,
    "P7": p7.measure,
    "P7S": p7s.measure,
    "R9": r9.measure,
    "RP": rp.measure,
    "A1": a1.measure,
    "A2": a2.measure,
    "A3": a3.measure,
    "C3": c3.measure,
    "K1": k1.measure,
    "K2": k2.measure,
    "K4": k4.measure,
    "PB": pb.measure,
    "RB": rb.measure,
    "RBE": rbe.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when no goal was missed and no side broke; what cannot be had on this machine is said, not failed. 2: wrong use."""
    goals = read_goals()
    chosen = _parser().parse_args(arguments)
    ids = [name.strip() for name in chosen.ids.split(",") if name.strip()] or list(goals)
    if unknown := [name for name in ids if name not in goals]:
        print(f"bench: no such id: {', '.join(unknown)} (there are {', '.join(goals)})", file=sys.stderr)
        return 2
    with _alone():
        outcomes = list(run([goals[name] for name in ids], short=chosen.short, folder=Path(chosen.json)))
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/bench", description="Measure the goals; see docs/benchmarks.md.")
    parser.add_argument("--ids", default="", help="comma-separated ids, such as P4,P5; all when empty")
    parser.add_argument("--short", action="store_true", help="a minute or two instead of ten; never prints pass")
    parser.add_argument("--json", default=str(places.RESULTS), help="folder for the details (default: build/bench)")
    return parser


def run(goals: Sequence[Goal], *, short: bool, folder: Path) -> Iterator[Outcome]:
    """Each id, printed and written as soon as it is known."""
    cores = machines.cores()
    about: dict[str, Any] = {}
    if cores is not None:
        machines.warn_if_noisy()
        about = {**machines.commit(), "machine": {**machines.fingerprint(), **floors.measure(cores)}}
    for goal in goals:
        begun = time.time()
        outcome = _measure(goal, shapes.short() if short else shapes.full(goal.n), cores)
        print(outcome.line(), flush=True)
        write(folder, outcome, {**about, "short": short, "began": begun, "took_s": round(time.time() - begun, 1)})
        yield outcome


def _measure(goal: Goal, plan: Plan, cores: Cores | None) -> Outcome:
    if cores is None:
        return Outcome(goal, None, "needs-two-cores")
    try:
        measured = MEASURES[goal.id](plan, cores)
    except (NoCluster, NoEmulator) as error:
        return Outcome(goal, None, str(error))
    except (DidNotStart, LoadFailed) as error:
        print(f"bench: {goal.id}: {error}", file=sys.stderr)
        return Outcome(goal, None, BROKEN)
    return Outcome(goal, measured, "" if measured.quiet else RESTLESS)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two benches at once would measure each other."""
    places.state().mkdir(parents=True, exist_ok=True)
    with (places.state() / "bench.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("bench: waiting for another bench on this machine", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

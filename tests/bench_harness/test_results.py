"""What is printed and written of an id."""

import json
from dataclasses import replace

import pytest
from tests.bench import results
from tests.bench.blocks import Block
from tests.bench.loads import Loaded
from tests.bench.ratios import Ratio
from tests.bench.results import BROKEN, RESTLESS, Comparison, Measured, Outcome
from tests.bench.verdicts import Goal, Limit

GOAL = Goal(
    "P4",
    "title",
    "comparator",
    50_000,
    (Limit("p50_ratio", "at_most", 0.75), Limit("p99_ratio", "at_most", 0.75), Limit("errors", "at_most", 0)),
)


def measured(p50=0.63, p99=0.46, errors=0, n=50_000):
    return Measured({"p50_ratio": Ratio(p50, 0.6, 0.7), "p99_ratio": Ratio(p99, 0.4, 0.5), "errors": errors}, n)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(
            Outcome(GOAL, measured()), "P4 p50_ratio=0.63 p99_ratio=0.46 errors=0 n=50000 goal=0.75 pass", id="pass"
        ),
        pytest.param(
            Outcome(GOAL, measured(n=900)),
            "P4 p50_ratio=0.63 p99_ratio=0.46 errors=0 n=900 goal=0.75 short",
            id="short",
        ),
        pytest.param(
            Outcome(GOAL, measured(p50=0.8)),
            "P4 p50_ratio=0.8 p99_ratio=0.46 errors=0 n=50000 goal=0.75 fail",
            id="fail",
        ),
        pytest.param(Outcome(GOAL, None, "needs-two-cores"), "P4 n=0 goal=0.75 not-run:needs-two-cores", id="not run"),
    ],
)
def test_the_line(outcome, expected):
    assert expected == outcome.line()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(Outcome(GOAL, measured()), False, id="a pass is well"),
        pytest.param(Outcome(GOAL, measured(n=1)), False, id="a short run is well"),
        pytest.param(Outcome(GOAL, measured(errors=1)), True, id="a miss is not"),
        pytest.param(Outcome(GOAL, None, "needs-two-cores"), False, id="a machine that cannot is no failure"),
        pytest.param(Outcome(GOAL, None, BROKEN), True, id="a side that does not run is one"),
    ],
)
def test_what_makes_the_command_fail(outcome, expected):
    assert expected is outcome.failed


def block(side, p50, n=10, errors=0):
    figures = dict.fromkeys(("p50", "p90", "p99", "p999", "max", "mean"), p50)
    return Block(side, Loaded(n, n + 2, 1.0, 10.0, errors, [], 5.0, figures, figures), {"agent": 1.0}, 0.0, 0.0)


def test_a_comparison_counts_the_side_with_fewer_samples_and_everybodys_errors():
    comparison = Comparison(
        "echo",
        [block("ours", 1.0, n=10), block("theirs", 2.0, n=7, errors=2), block("theirs", 2.0, n=1), block("ours", 1.0)],
    )
    assert comparison.n == 8
    assert comparison.errors == 2
    assert comparison.ratio(lambda one: one.loaded.latency["p50"], seed=1) == Ratio(0.5, 0.5, 0.5)
    assert comparison.medians()["theirs"]["p50_us"] == 2.0


@pytest.mark.parametrize(
    ("foreign", "steal", "expected"),
    [
        pytest.param(0.31, 0.0, True, id="others had the CPUs"),
        pytest.param(0.0, 0.02, True, id="the hypervisor had them"),
        pytest.param(0.05, 0.005, False, id="a little is nothing"),
    ],
)
def test_what_disturbs_a_block(foreign, steal, expected):
    assert expected is replace(block("ours", 1.0), foreign=foreign, steal=steal).disturbed


def test_disturbed_blocks_do_not_count_but_their_errors_do():
    comparison = Comparison("echo", [block("ours", 1.0), block("theirs", 2.0)], [block("ours", 50.0, errors=3)])
    assert comparison.n == 10
    assert comparison.errors == 3
    assert comparison.ratio(lambda one: one.loaded.latency["p50"], seed=1).value == 0.5


def test_without_a_quiet_block_on_both_sides_nothing_counts():
    quiet = Comparison("echo", [block("ours", 1.0), block("theirs", 2.0)])
    restless = Comparison("sleep", [block("ours", 1.0)], [block("theirs", 2.0)])
    assert replace(measured(), comparisons=[quiet]).quiet
    assert not replace(measured(), comparisons=[quiet, restless]).quiet
    outcome = Outcome(GOAL, replace(measured(), comparisons=[quiet, restless]), RESTLESS)
    assert outcome.line() == "P4 n=0 goal=0.75 not-run:machine-not-quiet"
    assert "sleep" in outcome.to_json()["comparisons"]


def test_the_file_says_what_was_asked_what_was_found_and_every_block(tmp_path):
    comparison = Comparison("echo", [block("ours", 1.0), block("theirs", 2.0)])
    outcome = Outcome(GOAL, Measured(results.latency_ratios(comparison, 1), comparison.n, [comparison]))
    path = results.write(tmp_path / "new" / "folder", outcome, {"commit": "abc", "machine": {"cores": 2}})
    written = json.loads(path.read_text())
    assert path.name == "P4.json"
    assert written["verdict"] == "short"
    assert written["goal"]["p50_ratio"] == {"direction": "at_most", "goal": 0.75}
    assert written["figures"]["p50_ratio"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert written["commit"] == "abc"
    assert [one["side"] for one in written["comparisons"]["echo"]["blocks"]] == ["ours", "theirs"]
    assert [file.name for file in path.parent.iterdir()] == ["P4.json"]

"""The verdict, and the goals it judges by."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bench.command import MEASURES
from tests.bench.verdicts import Goal, Limit, judge, read_goals

FASTER = Limit("p50_ratio", "at_most", 0.75)
MORE = Limit("rate_ratio", "at_least", 7.0)
CLEAN = Limit("errors", "at_most", 0)


def goal(*limits, n=1000):
    return Goal("X1", "title", "comparator", n, limits)


@pytest.mark.parametrize(
    ("asked", "figures", "n", "expected"),
    [
        pytest.param(goal(FASTER), {"p50_ratio": 0.6}, 1000, "pass", id="held with all samples"),
        pytest.param(goal(FASTER), {"p50_ratio": 0.75}, 1000, "pass", id="the goal itself holds"),
        pytest.param(goal(FASTER), {"p50_ratio": 0.76}, 1000, "fail", id="missed"),
        pytest.param(goal(FASTER), {"p50_ratio": 0.6}, 999, "short", id="one sample short is short"),
        pytest.param(goal(FASTER), {"p50_ratio": 0.76}, 10, "fail", id="a short run can fail"),
        pytest.param(goal(MORE), {"rate_ratio": 7.0}, 1000, "pass", id="at least"),
        pytest.param(goal(MORE), {"rate_ratio": 6.9}, 1000, "fail", id="at least, missed"),
        pytest.param(goal(FASTER, MORE), {"p50_ratio": 0.6, "rate_ratio": 6.0}, 1000, "fail", id="one of two missed"),
        pytest.param(goal(FASTER, CLEAN), {"p50_ratio": 0.6, "errors": 1}, 1000, "fail", id="an error fails"),
        pytest.param(goal(FASTER, CLEAN), {"p50_ratio": 0.6, "errors": 0}, 1000, "pass", id="no error"),
        pytest.param(
            goal(FASTER), {"p50_ratio": math.nan}, 1000, "fail", id="what was not measured has not been reached"
        ),
        pytest.param(goal(MORE), {"rate_ratio": math.nan}, 1000, "fail", id="nor has it at least"),
        pytest.param(goal(FASTER), {}, 1000, "fail", id="a missing figure fails"),
        pytest.param(goal(FASTER), {"p50_ratio": 0.6, "other": 99.0}, 1000, "pass", id="other figures are only told"),
    ],
)
def test_the_verdict(asked, figures, n, expected):
    assert expected == judge(asked, figures, n)


@given(n=st.integers(0, 999), p50=st.floats(), rate=st.floats())
def test_fewer_samples_than_asked_never_pass(n, p50, rate):
    assert judge(goal(FASTER, MORE), {"p50_ratio": p50, "rate_ratio": rate}, n) in {"short", "fail"}


@given(p50=st.floats(), errors=st.integers(0, 5))
def test_a_pass_is_a_run_in_which_every_limit_holds(p50, errors):
    passed = judge(goal(FASTER, CLEAN), {"p50_ratio": p50, "errors": errors}, 1000) == "pass"
    assert passed == (p50 <= 0.75 and errors == 0)


COMMITTED = {
    "P1": {"rate_ratio": ("at_least", 0.7), "errors": ("at_most", 0.0)},
    "P2": {"p50_ratio": ("at_most", 1.35), "p99_ratio": ("at_most", 1.5), "errors": ("at_most", 0.0)},
    "P4": {"p50_ratio": ("at_most", 0.75), "p99_ratio": ("at_most", 0.75), "errors": ("at_most", 0.0)},
    "P5": {
        "p50_ratio": ("at_most", 1.0),
        "p99_ratio": ("at_most", 1.0),
        "rate_ratio": ("at_least", 7.0),
        "errors": ("at_most", 0.0),
    },
}


@pytest.mark.parametrize("name", COMMITTED)
def test_the_committed_goals_are_those_of_the_design(name):
    found = read_goals()[name]
    assert COMMITTED[name] == {limit.figure: (limit.direction, limit.goal) for limit in found.limits}
    assert found.n == 50_000


def test_every_goal_can_be_measured():
    assert set(read_goals()) == set(MEASURES)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[P]\ntitle=""\ncomparator=""\nn=1\n', id="no figures"),
        pytest.param(
            '[P]\ntitle=""\ncomparator=""\nn=0\nfigures={p50_ratio={direction="at_most",goal=1}}', id="n of zero"
        ),
        pytest.param('[P]\ntitle=""\ncomparator=""\nfigures={p50_ratio={direction="at_most",goal=1}}', id="no n"),
        pytest.param(
            '[P]\ntitle=""\ncomparator=""\nn=1\nfigures={a={direction="below",goal=1}}', id="no such direction"
        ),
        pytest.param('[P]\ntitle=""\ncomparator=""\nn=1\nfigures={a={direction="at_most"}}', id="no goal"),
    ],
)
def test_a_goal_that_does_not_say_everything_is_refused(tmp_path, text):
    file = tmp_path / "goals.toml"
    file.write_text(text)
    with pytest.raises((ValueError, KeyError)):
        read_goals(file)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param((FASTER, CLEAN), "0.75", id="one number is printed once, no errors go without saying"),
        pytest.param((FASTER, Limit("p99_ratio", "at_most", 0.75)), "0.75", id="the same number twice"),
        pytest.param((FASTER, MORE), "0.75,7", id="two numbers in the order of the figures"),
    ],
)
def test_a_goal_is_printed_as_its_numbers(limits, expected):
    assert expected == str(goal(*limits))

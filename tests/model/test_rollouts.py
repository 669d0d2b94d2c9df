"""Rollouts as people write them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lambent.model import limits
from lambent.model.rollouts import PREFIX, STRATEGIES, STRATEGY_NAMES, Alarm, Hook, Rollout

LINEAR = [10, 20, 30, 40, 50, 60, 70, 80, 90]
PLANNED = {
    "AllAtOnce": ([], 0),
    "LambdaCanary10Percent5Minutes": ([10], 300),
    "LambdaCanary10Percent10Minutes": ([10], 600),
    "LambdaCanary10Percent15Minutes": ([10], 900),
    "LambdaCanary10Percent30Minutes": ([10], 1800),
    "LambdaLinear10PercentEvery1Minute": (LINEAR, 60),
    "LambdaLinear10PercentEvery2Minutes": (LINEAR, 120),
    "LambdaLinear10PercentEvery3Minutes": (LINEAR, 180),
    "LambdaLinear10PercentEvery10Minutes": (LINEAR, 600),
}
"""As CodeDeploy documents its predefined configurations for Lambda: shares in percent, seconds of each."""


def test_the_strategies_are_codedeploys():
    """All of them, and no other."""
    assert set(STRATEGIES) == set(PLANNED)


@pytest.mark.parametrize("prefix", ["", PREFIX], ids=["short", "with its prefix"])
@pytest.mark.parametrize(("name", "planned"), PLANNED.items(), ids=PLANNED)
def test_a_strategy_is_its_steps(name, planned, prefix):
    """After the last, all of the traffic."""
    percentages, seconds = planned
    rollout = Rollout(strategy=prefix + name)
    assert [(step.percentage, step.seconds) for step in rollout.planned()] == [(one, seconds) for one in percentages]
    assert rollout.named == prefix + name
    assert prefix + name in STRATEGY_NAMES


def test_free_form_steps_are_taken_as_they_are():
    """Also downwards, or of different lengths."""
    steps = [{"percentage": 5, "seconds": 30}, {"percentage": 50, "seconds": 600}, {"percentage": 20, "seconds": 1}]
    rollout = Rollout.model_validate({"steps": steps})
    assert [step.model_dump() for step in rollout.planned()] == steps
    assert rollout.named == "steps"


def test_the_least_rollout_has_neither_hooks_nor_alarms():
    """And ends with its last step."""
    rollout = Rollout.model_validate({"strategy": "AllAtOnce"})
    assert (rollout.hooks, rollout.alarms, rollout.bake_seconds) == (None, [], 0)


def test_a_hook_is_waited_for_as_long_as_codedeploy_does():
    """An hour, and reports by CodeDeploy's call."""
    hook = Hook.model_validate({"functionName": "check"})
    assert (hook.timeout_seconds, hook.answer_by_result) == (3600, False)


@pytest.mark.parametrize(
    "name",
    ["check", "check:live", "check:7", "check:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:check:live"],
)
def test_a_hook_is_a_function_with_or_without_a_qualifier(name):
    """By name or by ARN."""
    assert Hook(function_name=name).function_name == name


def test_the_least_alarm_has_cloudwatchs_defaults():
    """Above the threshold, missing data is no breach."""
    alarm = Alarm.model_validate({"name": "errors", "metric": "ErrorRate", "threshold": 5})
    assert (alarm.comparison_operator, alarm.treat_missing_data) == ("GreaterThanThreshold", "notBreaching")
    assert (alarm.period, alarm.minimum_samples, alarm.prometheus) == (60, 10, None)


REFUSED = {
    "nought percent": {"steps": [{"percentage": 0, "seconds": 1}]},
    "all of it as a step": {"steps": [{"percentage": 100, "seconds": 1}]},
    "a step without time": {"steps": [{"percentage": 1, "seconds": 0}]},
    "a step of over a week": {"steps": [{"percentage": 1, "seconds": 7 * 86_400 + 1}]},
    "no steps": {"steps": []},
    "too many steps": {"steps": [{"percentage": 1, "seconds": 1}] * (limits.ROLLOUT_STEPS_MAX + 1)},
    "negative baking": {"strategy": "AllAtOnce", "bakeSeconds": -1},
    "too many alarms": {
        "strategy": "AllAtOnce",
        "alarms": [{"name": f"a{n}", "metric": "Errors", "threshold": 1} for n in range(limits.ROLLOUT_ALARMS_MAX + 1)],
    },
    "an unknown metric": {"strategy": "AllAtOnce", "alarms": [{"name": "a", "metric": "Cost", "threshold": 1}]},
    "an alarm without a threshold": {"strategy": "AllAtOnce", "alarms": [{"name": "a", "metric": "Errors"}]},
    "a hook by address": {"strategy": "AllAtOnce", "hooks": {"preTraffic": {"functionName": "https://example.com"}}},
    "a hook that never waits": {
        "strategy": "AllAtOnce",
        "hooks": {"preTraffic": {"functionName": "check", "timeoutSeconds": 0}},
    },
}


@pytest.mark.parametrize("rollout", REFUSED.values(), ids=REFUSED)
def test_what_the_kind_does_not_allow_does_not_parse(rollout):
    """A definition that is older than the process may have let it in."""
    with pytest.raises(ValidationError):
        Rollout.model_validate(rollout)

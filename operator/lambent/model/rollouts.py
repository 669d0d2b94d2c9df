"""How an alias moves from one version to another: strategy, hooks and alarms as people write them.

Names are CodeDeploy's where it has one: strategies, life-cycle events, CloudWatch's words for alarms.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from . import limits
from .fields import Fields
from .schemas import ListType, Rule

STRATEGIES: dict[str, tuple[tuple[int, int], ...]] = {
    "AllAtOnce": (),
    **{f"LambdaCanary10Percent{minutes}Minutes": ((10, minutes * 60),) for minutes in (5, 10, 15, 30)},
    **{
        f"LambdaLinear10PercentEvery{minutes}Minute{'s' if minutes > 1 else ''}": tuple(
            (percent, minutes * 60) for percent in range(10, 100, 10)
        )
        for minutes in (1, 2, 3, 10)
    },
}
"""CodeDeploy's predefined configurations: (percent of the traffic, seconds) of each step before all of it."""
PREFIX = "CodeDeployDefault."
STRATEGY_NAMES = (*STRATEGIES, *(PREFIX + name for name in STRATEGIES))


class RolloutStep(Fields):
    """So much of the traffic for so long."""

    percentage: Annotated[
        int, Field(ge=1, le=99, description="Share of the requests that the new version gets, in percent, 1 to 99.")
    ]
    seconds: Annotated[int, Field(ge=1, le=7 * 86_400, description="How long, before the next step, in seconds.")]


class Hook(Fields):
    """A function that says whether the rollout goes on."""

    function_name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            pattern=r"^(arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[a-zA-Z0-9_-]+"
            r"(:(\$LATEST|[a-zA-Z0-9_-]+))?$",
            description="Function of the same namespace, with or without a qualifier: <name>, <name>:<qualifier> or "
            "an ARN. It is invoked with {DeploymentId, LifecycleEventHookExecutionId} and reports with CodeDeploy's "
            "PutLifecycleEventHookExecutionStatus.",
        ),
    ]
    timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=limits.HOOK_SECONDS_MAX,
            description="How long its report is waited for; silence for so long fails the rollout.",
        ),
    ] = limits.HOOK_SECONDS_DEFAULT
    answer_by_result: Annotated[
        bool,
        Field(
            description="The invocation's result is the report: a function error is Failed, any other result "
            "Succeeded. For hooks that do not know of CodeDeploy."
        ),
    ] = False


class Hooks(Fields):
    """Functions that are asked before and after the traffic moves."""

    pre_traffic: Annotated[Hook | None, Field(description="Asked before the new version gets its first request.")] = (
        None
    )
    post_traffic: Annotated[Hook | None, Field(description="Asked when the new version has all of the traffic.")] = None


class PrometheusQuery(Fields):
    """A question to the Prometheus of the installation (chart value `prometheus.url`)."""

    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="PromQL with one number as its result. ${namespace}, ${function}, ${alias}, ${version} (the "
            "new one) and ${previousVersion} are replaced. No sample, or NaN, is missing data.",
        ),
    ]


class Alarm(Fields):
    """What must not happen while the traffic moves. A breach takes all of it back at once."""

    rules = (
        Rule(
            "has(self.metric) != has(self.prometheus)",
            "give exactly one of metric and prometheus",
        ),
    )
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$", description="Its name.")]
    metric: Annotated[
        Literal["ErrorRate", "Errors", "DurationP99", "Throttles"] | None,
        Field(
            description="Of the new version, over the period: Errors (function errors, and requests for which an "
            "environment was lost or could not be had), ErrorRate (these in percent of the invocations), Throttles, "
            "DurationP99 (milliseconds, from the gateways' histogram). Counted by the gateways; no Prometheus is "
            "needed."
        ),
    ] = None
    prometheus: Annotated[PrometheusQuery | None, Field(description="Instead of metric: a PromQL query.")] = None
    threshold: Annotated[float, Field(description="What the value is compared with.")]
    comparison_operator: Annotated[
        Literal[
            "GreaterThanThreshold",
            "GreaterThanOrEqualToThreshold",
            "LessThanThreshold",
            "LessThanOrEqualToThreshold",
        ],
        Field(description="How, in CloudWatch's words; when it holds, the alarm is on. Default: GreaterThanThreshold."),
    ] = "GreaterThanThreshold"
    period: Annotated[
        int,
        Field(
            ge=5, le=3600, description="Seconds that metric looks back, not beyond the rollout's begin. Default: 60."
        ),
    ] = 60
    minimum_samples: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="With fewer invocations in the period, ErrorRate and DurationP99 are missing data. "
            "Default: 10.",
        ),
    ] = 10
    treat_missing_data: Annotated[
        Literal["notBreaching", "breaching", "missing"],
        Field(
            description="What missing data means: nothing (notBreaching), a breach (breaching), or that the rollout "
            "waits (missing). A source that cannot be asked is no missing data: the rollout waits in any case. "
            "Default: notBreaching."
        ),
    ] = "notBreaching"


class Rollout(Fields):
    """How the alias moves to another version. Without it, it moves at once."""

    rules = (
        Rule("has(self.strategy) != has(self.steps)", "give exactly one of strategy and steps"),
        Rule(
            "!has(self.strategy) || self.strategy in [" + ", ".join(f"'{name}'" for name in STRATEGY_NAMES) + "]",
            f"no such strategy; there are {', '.join(STRATEGIES)}, each with or without {PREFIX}",
            ".strategy",
        ),
        Rule(
            "!has(self.steps) || self.steps.size() == 0 || "
            "self.steps.all(step, self.steps.exists_one(other, other.percentage == step.percentage))",
            "two steps have the same percentage",
            ".steps",
        ),
    )
    strategy: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description=f"One of CodeDeploy's: {', '.join(STRATEGIES)}; with or without {PREFIX}",
        ),
    ] = None
    steps: Annotated[
        list[RolloutStep] | None,
        Field(
            min_length=1,
            max_length=limits.ROLLOUT_STEPS_MAX,
            description="Instead of strategy: free-form steps. After the last, the new version has all of the traffic.",
        ),
        ListType("atomic"),
    ] = None
    bake_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=7 * 86_400,
            description="How long alarms are watched when the new version has all of the traffic, in seconds.",
        ),
    ] = 0
    hooks: Annotated[Hooks | None, Field(description="Functions that are asked before and after.")] = None
    alarms: Annotated[
        list[Alarm],
        Field(max_length=limits.ROLLOUT_ALARMS_MAX, description="What takes the traffic back."),
        ListType("map", ("name",)),
    ] = Field(default_factory=list)

    def planned(self) -> tuple[RolloutStep, ...]:
        """The steps before the last, which is all of the traffic."""
        if self.steps is not None:
            return tuple(self.steps)
        name = (self.strategy or "").removeprefix(PREFIX)
        return tuple(RolloutStep(percentage=percent, seconds=seconds) for percent, seconds in STRATEGIES.get(name, ()))

    @property
    def named(self) -> str:
        """What a status calls it."""
        return self.strategy or "steps"

"""`status` of an Alias: the weights in force, the rollout that is going on, and those that were."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from . import limits
from .fields import Fields, ObservedGeneration
from .function_statuses import ConditionStatus
from .rollouts import RolloutStep
from .schemas import Extra, ListType

Moment = Annotated[str | None, Extra({"format": "date-time"})]
QualifierNumber = Annotated[str, Field(min_length=1, max_length=18, pattern=r"^(\$LATEST|[1-9][0-9]{0,17})$")]
Weight = Annotated[float, Field(ge=0, le=1)]
Phase = Literal[
    "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic", "Succeeded", "RolledBack", "Stopped", "Superseded"
]
"""CodeDeploy's life-cycle events, then how it ended: RolledBack by itself, Stopped by a person, Superseded by another
one."""
ENDED: tuple[Phase, ...] = ("Succeeded", "RolledBack", "Stopped", "Superseded")


class Routing(Fields):
    """Which versions get the alias's requests."""

    function_version: Annotated[
        QualifierNumber, Field(description="The version that gets what no additional version gets.")
    ]
    additional_version_weights: Annotated[
        dict[str, Weight],
        Field(default_factory=dict, description="Number of the additional version and its share, 0 to 1."),
        Extra({"maxProperties": 1}),
    ]


class HookStatus(Fields):
    """One hook of a rollout."""

    lifecycle_event: Annotated[
        Literal["BeforeAllowTraffic", "AfterAllowTraffic"], Field(description="When it is asked, by CodeDeploy's name.")
    ]
    function_name: Annotated[str, Field(max_length=256, description="The function that is asked.")]
    execution_id_sha256: Annotated[
        str,
        Field(
            max_length=64,
            pattern=r"^[0-9a-f]{64}$",
            description="SHA-256 of the execution id, hexadecimal. The id itself is known to the hook only.",
        ),
    ]
    state: Annotated[
        Literal["InProgress", "Succeeded", "Failed", "Skipped"], Field(description="What it said, or that it has not.")
    ]
    started_at: Annotated[str, Field(description="When it was asked first."), Extra({"format": "date-time"})]
    answered_at: Annotated[Moment, Field(description="When its invocation ended; its report may come later.")] = None
    finished_at: Annotated[Moment, Field(description="When it reported, or was given up.")] = None
    message: Annotated[
        str, Field(max_length=1024, description="What its invocation answered, when that was no success.")
    ] = ""


class HookResult(Fields):
    """What a hook reported with PutLifecycleEventHookExecutionStatus. Written by gateways, read by the controller."""

    execution_id_sha256: Annotated[
        str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the execution id, hexadecimal.")
    ]
    status: Annotated[Literal["Succeeded", "Failed"], Field(description="What the hook said.")]
    reported_at: Annotated[str, Field(description="When."), Extra({"format": "date-time"})]


class AlarmStatus(Fields):
    """One alarm of a rollout, as it was read last."""

    name: Annotated[str, Field(max_length=64, description="Its name.")]
    state: Annotated[
        Literal["OK", "ALARM", "INSUFFICIENT_DATA", "UNAVAILABLE"],
        Field(description="CloudWatch's states, and UNAVAILABLE when its source cannot be asked."),
    ]
    message: Annotated[str, Field(max_length=1024, description="Value and threshold, or what is in the way.")] = ""


class RolloutStatus(Fields):
    """One rollout: what a restarted controller needs to go on, and what people want to know."""

    deployment_id: Annotated[
        str, Field(max_length=32, pattern=r"^d-[A-Z0-9]{9}$", description="Its id, as CodeDeploy spells them.")
    ]
    from_version: Annotated[QualifierNumber, Field(description="The version that has the traffic before.")]
    to_version: Annotated[QualifierNumber, Field(description="The version that is to have it.")]
    generation: Annotated[
        int,
        Field(
            ge=0,
            description="Generation of the alias that it goes by, in the end that with which it ended. After a failed "
            "one the next begins with another generation, or another target.",
        ),
    ]
    strategy: Annotated[str, Field(max_length=64, description="Its strategy when it began.")]
    steps: Annotated[
        list[RolloutStep],
        Field(max_length=limits.ROLLOUT_STEPS_MAX, description="Its steps, as they were when it began."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    phase: Annotated[Phase, Field(description="Where it is, or how it ended.")]
    step: Annotated[
        int,
        Field(
            ge=0,
            description="Number of the step in force, from 1; 0 before the first, one more than there are steps when "
            "all of the traffic has moved.",
        ),
    ] = 0
    step_started_at: Annotated[
        Moment, Field(description="When the step began; moved on by as long as it was held.")
    ] = None
    traffic_started_at: Annotated[Moment, Field(description="When the new version got its first share.")] = None
    held_since: Annotated[Moment, Field(description="Since when it is paused or waits for what it cannot see.")] = None
    paused: Annotated[bool, Field(description="Whether a person paused it.")] = False
    promoted: Annotated[bool, Field(description="Whether a person told it to skip the rest of its steps.")] = False
    started_at: Annotated[str, Field(description="When it began."), Extra({"format": "date-time"})]
    finished_at: Annotated[Moment, Field(description="When it ended.")] = None
    hooks: Annotated[
        list[HookStatus],
        Field(max_length=2, description="Its hooks, as far as they were asked."),
        ListType("map", ("lifecycleEvent",)),
    ] = Field(default_factory=list)
    alarms: Annotated[
        list[AlarmStatus],
        Field(
            max_length=limits.ROLLOUT_ALARMS_MAX,
            description="Its alarms as they were read last; written when a state changes.",
        ),
        ListType("map", ("name",)),
    ] = Field(default_factory=list)
    reason: Annotated[str, Field(max_length=64, description="Why it ended, or what it waits for; CamelCase.")] = ""
    message: Annotated[str, Field(max_length=1024, description="The same for people.")] = ""

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.phase in ENDED


class RolloutRecord(Fields):
    """A rollout that ended, in short."""

    deployment_id: Annotated[str, Field(max_length=32, description="Its id.")]
    from_version: Annotated[QualifierNumber, Field(description="The version that had the traffic before.")]
    to_version: Annotated[QualifierNumber, Field(description="The version that was to have it.")]
    phase: Annotated[Phase, Field(description="How it ended.")]
    started_at: Annotated[str, Field(description="When it began."), Extra({"format": "date-time"})]
    finished_at: Annotated[str, Field(description="When it ended."), Extra({"format": "date-time"})]
    reason: Annotated[str, Field(max_length=64, description="Why it ended.")] = ""
    message: Annotated[str, Field(max_length=1024, description="The same for people.")] = ""


class AliasStatus(Fields):
    """What is true of the alias now. `routing` is what gateways go by; spec is never written."""

    observed_generation: ObservedGeneration = None
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            max_length=16,
            description="What is true of the alias. Ready is always there; Reconciling and Stalled only while True.",
        ),
        ListType("map", ("type",)),
    ] = Field(default_factory=list)
    alias_arn: Annotated[str | None, Field(max_length=256, description="ARN of the alias.")] = None
    target_version: Annotated[
        QualifierNumber | None, Field(description="The version that the specification means now.")
    ] = None
    routing: Annotated[Routing | None, Field(description="The versions and weights in force.")] = None
    rollout: Annotated[RolloutStatus | None, Field(description="The rollout that is going on, or the last one.")] = None
    history: Annotated[
        list[RolloutRecord],
        Field(max_length=limits.ROLLOUT_HISTORY_MAX, description="Rollouts that ended, the newest first."),
        ListType("atomic"),
    ] = Field(default_factory=list)
    hook_results: Annotated[
        list[HookResult],
        Field(max_length=16, description="What hooks reported; written by gateways."),
        ListType("map", ("executionIdSha256",)),
    ] = Field(default_factory=list)

"""Conditions and their reasons, the one list of each. kstatus reads Ready, Reconciling and Stalled.

Reasons are documented constants: docs/spec/function.md and layer.md list them and a test holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConditionType(StrEnum):
    """Types of conditions."""

    READY = "Ready"
    """The function can be invoked with its current specification; the newest version of a layer is as specified."""
    RECONCILING = "Reconciling"
    """Present and True only while the controller works on the current specification."""
    STALLED = "Stalled"
    """Present and True only when nothing will change without a person."""
    CODE_STORED = "CodeStored"
    """The code of the current specification is in the code store."""
    ENVIRONMENTS_HEALTHY = "EnvironmentsHealthy"
    """Execution environments can be created and started; False names what stands in the way."""
    ACTIVE = "Active"
    """At least one execution environment exists. False is healthy: scaled to zero."""
    DUPLICATE = "Duplicate"
    """Of a version: present and True while another object has the same number, because nothing had changed since."""
    CONTENT_STORED = "ContentStored"
    """Of a layer: the content of the current specification is in the code store."""


class Reason(StrEnum):
    """Reasons of conditions and of Events."""

    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    STORED = "Stored"
    INVALID_CODE = "InvalidCode"
    CODE_STORE_UNAVAILABLE = "CodeStoreUnavailable"
    RUNTIME_NOT_INSTALLED = "RuntimeNotInstalled"
    RUNTIME_DEPRECATED = "RuntimeDeprecated"
    CODE_UNAVAILABLE = "CodeUnavailable"
    INVALID_IMAGE = "InvalidImage"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    REFERENCE_NOT_FOUND = "ReferenceNotFound"
    EFS_MOUNT_FAILURE = "EFSMountFailure"
    """Lambda's own StateReasonCode."""
    DUPLICATE_FUNCTION_NAME = "DuplicateFunctionName"
    INVALID_SPEC = "InvalidSpec"
    HEALTHY = "Healthy"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ROLE_NOT_FOUND = "RoleNotFound"
    POD_REFUSED = "PodRefused"
    ENVIRONMENT_FAILED = "EnvironmentFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    EPHEMERAL_STORAGE_EXCEEDED = "EphemeralStorageExceeded"
    ENVIRONMENTS_RUNNING = "EnvironmentsRunning"
    SCALED_TO_ZERO = "ScaledToZero"
    LAYER_INCOMPATIBLE = "LayerIncompatible"
    DUPLICATE_LAYER_NAME = "DuplicateLayerName"
    LAYER_VERSION_PUBLISHED = "LayerVersionPublished"
    PUBLISHING_FAILED = "PublishingFailed"
    VERSION_PUBLISHED = "VersionPublished"
    VERSION_DELETED = "VersionDeleted"
    """By retention."""
    UNCHANGED = "Unchanged"
    """Of a version: what was to be published equals the latest published version."""
    FUNCTION_NOT_FOUND = "FunctionNotFound"
    FUNCTION_NOT_READY = "FunctionNotReady"
    PRECONDITION_FAILED = "PreconditionFailed"
    VERSION_NOT_FOUND = "VersionNotFound"
    DUPLICATE_ALIAS_NAME = "DuplicateAliasName"
    ROLE_MISMATCH = "RoleMismatch"
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    ROLLOUT_PAUSED = "RolloutPaused"
    ROLLOUT_HELD = "RolloutHeld"
    """A source of metrics cannot be asked, data is missing, or the version that is meant."""
    ROLLOUT_STARTED = "RolloutStarted"
    ROLLOUT_STEPPED = "RolloutStepped"
    ROLLOUT_SUCCEEDED = "RolloutSucceeded"
    ROLLOUT_SUPERSEDED = "RolloutSuperseded"
    ROLLED_BACK = "RolledBack"
    ALARM = "Alarm"
    HOOK_FAILED = "HookFailed"
    HOOK_TIMED_OUT = "HookTimedOut"
    ABORTED = "Aborted"
    PROMOTED = "Promoted"
    NOTHING_TO_DO = "NothingToDo"
    """A rollout was asked for what it is not there for."""


LAYER_CONDITIONS = (
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.CONTENT_STORED,
)
"""Those that a Layer may have; a Function may have all but ContentStored and Duplicate."""
VERSION_CONDITIONS = (
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.ENVIRONMENTS_HEALTHY,
    ConditionType.ACTIVE,
    ConditionType.DUPLICATE,
)
ALIAS_CONDITIONS = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
LAYER_ONLY_REASONS = (Reason.DUPLICATE_LAYER_NAME, Reason.LAYER_VERSION_PUBLISHED)
"""Those that only a Layer has."""
VERSION_ONLY_REASONS = (
    Reason.UNCHANGED,
    Reason.FUNCTION_NOT_FOUND,
    Reason.FUNCTION_NOT_READY,
    Reason.PRECONDITION_FAILED,
)
"""Those that only a Version has, but for FunctionNotFound, which an Alias may have too."""
ALIAS_ONLY_REASONS = (
    Reason.VERSION_NOT_FOUND,
    Reason.DUPLICATE_ALIAS_NAME,
    Reason.ROLE_MISMATCH,
    Reason.ROLLOUT_IN_PROGRESS,
    Reason.ROLLOUT_PAUSED,
    Reason.ROLLOUT_HELD,
    Reason.ROLLOUT_STARTED,
    Reason.ROLLOUT_STEPPED,
    Reason.ROLLOUT_SUCCEEDED,
    Reason.ROLLOUT_SUPERSEDED,
    Reason.ROLLED_BACK,
    Reason.ALARM,
    Reason.HOOK_FAILED,
    Reason.HOOK_TIMED_OUT,
    Reason.ABORTED,
    Reason.PROMOTED,
    Reason.NOTHING_TO_DO,
)
"""Those that only an Alias has."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition before it is stamped with times: what is true, why, and in which generation."""

    type: ConditionType
    status: bool
    reason: Reason
    message: str = ""
    """For people, at most 1 kB, never a secret."""
